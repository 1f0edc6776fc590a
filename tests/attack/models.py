"""Models with up to four things wrong, and bytes changed in some: `inspect` and `compile`, for every code."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from random import Random

import numpy as np

from tests.attack.damage import damage_bytes
from tests.attack.faults import command
from tests.attack.mutations import MUTATIONS, Mutation, mutate
from tests.attack.seeds import FIXTURES, HAND_MADE, samples, seed_models

_OPTIONS = (
    *("", "--code burst", "--code burst --signed", "--schedule layer", "--schedule layer --code radix"),
    *("--schedule layer --weights int8", "--code burst --approximate relu-sum"),
)


def _plan(seed: int) -> tuple[str, list[Mutation], int, str]:
    rng = Random(seed)
    name = rng.choice([*HAND_MADE, *HAND_MADE, "digits", *FIXTURES])
    mutations = rng.choices(MUTATIONS, k=rng.choice([1, 1, 2, 2, 3, 4]))
    return name, mutations, rng.choice([0, 0, 0, 1, 2]), rng.choice(_OPTIONS)


def steps(seed: int) -> int:
    """How many things are wrong, each of which may be left out."""
    _, mutations, changes, _ = _plan(seed)
    return len(mutations) + changes


def attempt(seed: int, folder: Path, without: Collection[int] = ()) -> str:
    """Write `net.onnx` and `data.npz`, then inspect and compile."""
    name, mutations, changes, options = _plan(seed)
    model = seed_models()[name]
    mutated = model
    for place, mutation in enumerate(mutations):
        if place not in without:
            mutated = mutate(mutated, [mutation], Random(f"{seed} {place}"))
    content = mutated.SerializeToString()
    for place in range(len(mutations), len(mutations) + changes):
        if place not in without:
            content = damage_bytes(content, Random(f"{seed} {place}"))
    (folder / "net.onnx").write_bytes(content)
    arrays = {key: array for key, array in samples(model, mutated).items() if key and "/" not in key}
    np.savez(folder / "data.npz", **arrays)
    chosen = [word for word in options.split() if word not in ("--signed",)]
    looked = chosen[:2] if chosen[:1] == ["--code"] else []
    command(folder, ["inspect", folder / "net.onnx", *looked, "--json", folder / "out"], ["out"])
    line = ["compile", folder / "net.onnx", "--calib", folder / "data.npz", "-T", "2", *options.split()]
    return command(folder, [*line, "-o", folder / "net.snn.onnx"], ["net.snn.onnx"])
