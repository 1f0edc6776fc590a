"""Random nets of `tests.attack.nets`, the same on every backend, within the limits of the attack."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx

from tests.attack.faults import DifferenceError
from tests.attack.nets import CALIBRATION, compare, random_net, random_options


def steps(seed: int) -> int:
    """A net is drawn as a whole."""
    del seed
    return 0


def attempt(seed: int, folder: Path, without: Collection[int] = ()) -> str:
    """Write the net, its samples and the options, then compile it and run it everywhere."""
    del without
    (model, x), options = random_net(seed), random_options(seed)
    onnx.save(model, folder / "net.onnx")
    np.savez(folder / "net.npz", calibration=x[:CALIBRATION], x=x[CALIBRATION:])
    (folder / "net.json").write_text(json.dumps(options))
    what, _, _ = compare(model, x, options).partition(":")
    if what in ("same", "tie"):
        return "ok"
    if what == "refused":
        return "refused"
    raise DifferenceError(what)
