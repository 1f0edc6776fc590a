"""How far outputs are from the ANN's, each by its own size, and all of them jointly.

An output of floats has a relative error, its root mean square over that of the ANN's values. One of whole
numbers or truth values has the share of values that differ: they are equal or are not. The joint error is the
root mean square of these over the outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.artifact.outputs import OutputSpec
from onnx2snn.graph.tail import filled_up
from onnx2snn.records import Record

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OutputFigures(Record):
    """What outputs are off by.

    Attributes:
        errors: of each output, see the head of this file.
        equal: the outputs whose error is the share of values that differ.
        joint: of all together.
    """

    errors: dict[str, float]
    equal: list[str]
    joint: float


def output_figures(errors: OutputErrors, specs: Mapping[str, OutputSpec]) -> OutputFigures | None:
    """What there is to tell beside the error of one output of floats; None where nothing is."""
    equal = [name for name, spec in specs.items() if spec.counts]
    if len(specs) == 1 and not equal:
        return None
    return OutputFigures(errors.errors, equal, errors.joint)


class OutputErrors:
    """Sums over the samples seen so far.

    Args:
        specs: the outputs by name.
    """

    def __init__(self, specs: Mapping[str, OutputSpec]) -> None:
        self._specs = specs
        self._missed, self._norm = (dict.fromkeys(specs, 0.0) for _ in range(2))

    def add(
        self, found: Mapping[str, Array], expected: Mapping[str, Array], count: int, samples: int
    ) -> None:
        """Add the outputs of a batch of `samples`, of which the first `count` count.

        What cannot be told apart by sample counts as a whole.
        """
        for name, spec in self._specs.items():
            mine, theirs = (spec.first(values[name], count, samples) for values in (found, expected))
            missed, norm = distance(mine, theirs, equal=spec.counts)
            self._missed[name] += missed
            self._norm[name] += norm

    @property
    def known(self) -> bool:
        """Whether there were any."""
        return any(self._norm.values()) or any(self._missed.values())

    @property
    def errors(self) -> dict[str, float]:
        """Of each output, see the head of this file."""
        return {
            name: error_of(self._missed[name], self._norm[name], equal=spec.counts)
            for name, spec in self._specs.items()
        }

    @property
    def joint(self) -> float:
        """Of all outputs together."""
        return joint_error(self.errors.values())


def distance(found: Array, expected: Array, *, equal: bool) -> tuple[float, float]:
    """What an output misses and its size, as sums: of squares; or of values that differ, and of all.

    Of another number of values none is equal; of floats, what only one of them has counts whole.
    """
    if equal:
        same = found.shape == expected.shape
        size = max(found.size, expected.size)
        return float(np.count_nonzero(found != expected) if same else size), float(size)
    mine, wanted = filled_up(found, expected)
    return float(((mine - wanted) ** 2).sum()), float((wanted**2).sum())


def error_of(missed: float, size: float, *, equal: bool) -> float:
    """The error of an output by these sums."""
    share = missed / max(size, float(np.finfo(np.float64).tiny))
    return share if equal else float(np.sqrt(share))


def joint_error(errors: Iterable[float]) -> float:
    """The root mean square of some outputs' errors."""
    return float(np.sqrt(np.mean(np.square(list(errors)))))
