"""Compile and evaluate nets of ImageNet's size: `python -m benchmarks.scale`.

For each net of `benchmarks.scale_nets` (seeded weights), setting and T it prints

* the seconds of a pass of the ANN over the calibration images (the median of five over 16 of them) and those
  of compile;
* what compile took in passes of the ANN, less what any net is allowed (5 s in `stream`, 20 s in `layer`),
  beside the passes that are allowed;
* the size of the ANN's file, and the peak of memory before and after compile;
* the relative error |f_SNN(x) - f_ANN(x)| / |f_ANN(x)| of the worst output over images held out, at each T.
  In `stream` one network is compiled, for the largest T, and run for each; in `layer` each T is a network of
  its own, hence a row.

Every row comes from a process of its own: peaks of memory do not go down again. Images are made as they are
read, so that as many as are wanted take no memory. What cannot be compiled says why, below the table.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import onnx
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import IMAGENET
from benchmarks.scale_nets import SIZES, build
from benchmarks.topologies import images
from onnx2snn.data.dataset import Dataset, InputSpec, Part
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.memory import peak_memory
from onnx2snn.records import Record

Array = npt.NDArray[Any]

PART = 32  # images that are made together
BANK = 32  # images that all others are made of
PASS, ROUNDS = 16, 5  # images that a pass of the ANN is measured on, so often
BATCH = 8  # images that the ANN takes at a time
HELD_OUT = 8  # images that errors are measured on
PREPROCESSING = onnx2snn.Preprocessing(scale=1 / 255, mean=IMAGENET["mean"], std=IMAGENET["std"])
SMOOTH: dict[str, Any] = {
    "approximate": "relu-sum"
}  # without which nets of SiLU or GELU have no spikes of these codes


@dataclass(frozen=True)
class Setting:
    """What a net is compiled with, and what that may take.

    Attributes:
        options: of `onnx2snn.compile`.
        passes: of the ANN over the calibration images.
        seconds: beyond these passes.
    """

    options: dict[str, Any]
    passes: int
    seconds: int


def _layer(passes: int = 12, **options: Any) -> Setting:
    return Setting({"schedule": "layer", **options}, passes, 20)


SETTINGS = {
    "stream graded": Setting({"code": "graded"}, 8, 5),
    "layer graded": _layer(code="graded"),
    "stream burst": Setting({"code": "burst", **SMOOTH}, 8, 5),
    "layer burst": _layer(code="burst", **SMOOTH),
    "layer radix": _layer(code="radix", **SMOOTH),
    "layer burst int8": _layer(15, code="burst", weights="int8", **SMOOTH),
}


@dataclass(frozen=True)
class Figures(Record):
    """What compiling a net took, and what came of it.

    Attributes:
        net: name, of `SIZES`.
        setting: name, of `SETTINGS`.
        timesteps: T that it was compiled for.
        samples: calibration images.
        model: bytes of the ANN's file.
        ann: seconds of a pass of the ANN over the calibration images.
        compile: seconds of compile.
        passes: of the ANN that fit into the seconds of compile, less those that any net is allowed.
        allowed: passes that it may take.
        before: most bytes that the process had before compile.
        peak: most bytes that it had until the end of compile.
        errors: relative L2 error of the worst output on images held out, by T.
        refused: why there is no network; None where there is one.
    """

    net: str
    setting: str
    timesteps: int
    samples: int
    model: int = 0
    ann: float = 0.0
    compile: float = 0.0
    passes: float = 0.0
    allowed: int = 0
    before: int = 0
    peak: int = 0
    errors: dict[str, float] = field(default_factory=dict)
    refused: str | None = None


def seeded_images(count: int, size: int, seed: int) -> Dataset:
    """Images that are made when they are read: those of a bank of smooth ones, shifted and mirrored.

    Making each of them anew would take as long as a pass of a small net.

    Args:
        count: how many.
        size: height and width in pixels.
        seed: of the images; the same seed gives the same ones.

    Returns:
        The images, stored as uint8, and normalised as those of ImageNet are.
    """
    shape = (3, size, size)
    rng = np.random.default_rng(seed)
    bank = np.empty((BANK, *shape), np.uint8)
    for image in bank:  # one at a time: floats of all would show in the peak of memory
        drawn = images(rng, 1, shape)[0]  # of order 1, as normalised images are
        image[:] = np.clip(np.rint((drawn / 4 + 0.5) * 255), 0, 255)
    parts = tuple(
        Part(
            min(PART, count - first),
            {"image": "seeded images"},
            {"image": shape},
            partial(_shifted, bank, seed, first),
        )
        for first in range(0, count, PART)
    )
    spec = InputSpec("image", np.dtype(np.float32), (None, *shape))
    return Dataset((spec,), parts, PREPROCESSING, "seeded images")


def _shifted(bank: Array, seed: int, first: int) -> dict[str, Array]:
    """The part that begins with image number `first`, uint8 [PART, channels, height, width]."""
    rng = np.random.default_rng([seed, first])
    made = np.empty((PART, *bank.shape[1:]), bank.dtype)
    for image in made:
        drawn = bank[rng.integers(len(bank))]
        image[:] = np.roll(drawn, rng.integers(drawn.shape[-1], size=2), axis=(1, 2))[
            ..., :: rng.choice((-1, 1))
        ]
    return {"image": made}


def measure(wanted: Figures, path: str, timesteps: Sequence[int], options: dict[str, Any]) -> Figures:
    """Compile a net, measure a pass of its ANN, and compare the two.

    Args:
        wanted: which net, setting and T, and how many samples.
        path: of the ANN.
        timesteps: at which errors are wanted; in the schedule `layer` only those compiled for.
        options: of `onnx2snn.compile`, beside those of the setting.

    Returns:
        The figures; or why the net was refused.
    """
    setting, size = SETTINGS[wanted.setting], SIZES[wanted.net][1]
    calibration = seeded_images(wanted.samples, size, seed=1)
    before = peak_memory() or 0
    started = time.perf_counter()
    try:
        made = onnx2snn.compile(path, calibration, timesteps=wanted.timesteps, **setting.options, **options)
    except onnx2snn.Onnx2SnnError as error:
        return replace(wanted, refused=" ".join(str(error).split()))
    seconds, peak = time.perf_counter() - started, peak_memory() or 0
    ann = OnnxruntimeEngine(onnx.load(path))
    one_pass = _pass(ann, size) * wanted.samples
    return replace(
        wanted,
        model=Path(path).stat().st_size,
        ann=one_pass,
        compile=seconds,
        passes=(seconds - setting.seconds) / one_pass,
        allowed=setting.passes,
        before=before,
        peak=peak,
        errors=_errors(made.model, ann, size, timesteps),
    )


def _pass(ann: OnnxruntimeEngine, size: int) -> float:
    """Seconds of an image, read and run: the median of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for batch in seeded_images(PASS, size, seed=2).batches(BATCH):
            ann.run(batch)
        rounds.append((time.perf_counter() - started) / PASS)
    return float(np.median(rounds))


def _errors(
    model: onnx.ModelProto, ann: OnnxruntimeEngine, size: int, timesteps: Sequence[int]
) -> dict[str, float]:
    """Relative L2 error of the worst output at each T. Two images at a time, since states take memory."""
    session = onnx2snn.SpikingSession(model)
    layered = session.artifact.schedule == "layer"
    reached = [session.timesteps] if layered else sorted(timesteps)
    gaps: defaultdict[tuple[int, str], float] = defaultdict(float)
    sizes: defaultdict[str, float] = defaultdict(float)
    for batch in seeded_images(HELD_OUT, size, seed=3).batches(2):
        wanted = ann.run(batch)
        steps = [session.run(batch).outputs] if layered else session.outputs_by_step(batch, reached[-1])
        for count, found in enumerate(steps, start=reached[-1] if layered else 1):
            for name, values in wanted.items() if count in reached else ():
                gaps[count, name] += _square(found[name] - values)
        for name, values in wanted.items():
            sizes[name] += _square(values)
    return {
        str(count): max(math.sqrt(gaps[count, name] / total) for name, total in sizes.items())
        for count in reached
    }


def _square(values: Array) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def _child(wanted: Figures, path: str, timesteps: Sequence[int], memory: str | None) -> Figures:
    """What `measure` finds, in a process of its own; why it ended where it found nothing."""
    command = [sys.executable, "-m", "benchmarks.scale", "--one", path, json.dumps(wanted.to_dict())]
    command += [word for count in timesteps for word in ("--timesteps", str(count))]
    command += [] if memory is None else ["--memory", memory]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    if told.returncode == 0:
        return Figures.from_dict(json.loads(told.stdout))
    last = (told.stderr.strip().splitlines() or ["without a word"])[-1]
    return replace(wanted, refused=f"ended with exit code {told.returncode}: {last}")


def _table(timesteps: Sequence[int]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in ("net", "setting"):
        table.add_column(column, no_wrap=True)
    for column in ("T", "images", "ANN s", "compile s", "passes", "of", "MB model", "before", "peak"):
        table.add_column(column, justify="right")
    for count in timesteps:
        table.add_column(f"error T={count}", justify="right")
    return table


def _row(found: Figures, timesteps: Sequence[int]) -> list[str]:
    head = [found.net, found.setting, str(found.timesteps), f"{found.samples:,}"]
    if found.refused is not None:
        return head
    errors = [found.errors.get(str(count)) for count in timesteps]
    return [
        *head,
        f"{found.ann:.1f}",
        f"{found.compile:.1f}",
        f"{found.passes:.1f}",
        str(found.allowed),
        *(f"{size / 2**20:,.0f}" for size in (found.model, found.before, found.peak)),
        *("" if error is None else f"{error:.2%}" for error in errors),
    ]


def _print(rows: Sequence[Figures], timesteps: Sequence[int]) -> None:
    table = _table(timesteps)
    for found in rows:
        table.add_row(*_row(found, timesteps))
    console = Console(width=140)
    console.print(table)
    for found in rows:
        if found.refused is not None:
            console.print(
                f"{found.net}, {found.setting}, T={found.timesteps}: {found.refused}", highlight=False
            )


@click.command()
@click.option("--net", "nets", multiple=True, type=click.Choice(tuple(SIZES)), help="[default: all]")
@click.option("--setting", "names", multiple=True, type=click.Choice(tuple(SETTINGS)), help="[default: all]")
@click.option("--samples", default=16, show_default=True, type=click.IntRange(1), help="Calibration images.")
@click.option(
    "--timesteps",
    multiple=True,
    type=click.IntRange(1),
    default=(4, 8),
    show_default=True,
    help="T at which errors are wanted.",
)
@click.option("--memory", help="What compile may hold; by default its own default.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--one", nargs=2, hidden=True, help="Print one measurement as JSON.")
def main(
    nets: tuple[str, ...],
    names: tuple[str, ...],
    samples: int,
    timesteps: tuple[int, ...],
    memory: str | None,
    as_json: bool,
    one: tuple[str, str] | None,
) -> None:
    """Compile and evaluate nets of ImageNet's size, and print a table for each."""
    timesteps = tuple(sorted(set(timesteps)))
    if one is not None:
        path, wanted = one
        options = {} if memory is None else {"memory": memory}
        found = measure(Figures.from_dict(json.loads(wanted)), path, timesteps, options)
        click.echo(json.dumps(found.to_dict()))
        return
    everything: list[Figures] = []
    for net in nets or SIZES:
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/{net}.onnx"
            onnx.save(build(net), path)
            for name in names or SETTINGS:
                layered = SETTINGS[name].options.get("schedule") == "layer"
                for count in timesteps if layered else timesteps[-1:]:
                    rows.append(_child(Figures(net, name, count, samples), path, timesteps, memory))
        if not as_json:
            _print(rows, timesteps)
        everything += rows
    if as_json:
        click.echo(json.dumps([found.to_dict() for found in everything], indent=2))


if __name__ == "__main__":
    main()
