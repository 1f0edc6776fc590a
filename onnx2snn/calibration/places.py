"""Some of the places where a channel has values: evenly over all samples, whatever their batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Places:
    """About so many places of a channel, chosen batch by batch.

    Args:
        samples: how many will come in all batches.
        most: places; all of them, where there are no more.
    """

    def __init__(self, samples: int, most: int) -> None:
        self._samples, self._most = samples, most
        self._seen = 0

    def choose(self, shape: tuple[int, ...], axis: int) -> npt.NDArray[np.int64]:
        """The places of the next batch [N, …], counted over all its axes but that of the channels."""
        count = math.prod(shape[:axis] + shape[axis + 1 :])
        each = count // shape[0]
        stride = max(1, each * self._samples // self._most)
        while math.gcd(stride, each) > 1:  # every sample shows other rows and columns
            stride += 1
        first = -self._seen % stride
        self._seen += count
        return np.arange(first, count, stride)

    def some(
        self, shape: tuple[int, ...], axis: int | None, slope: Array | None = None
    ) -> npt.NDArray[np.int64] | None:
        """As `choose`; None for all, as where there are no more, or each has a slope of its own."""
        if axis is None or not math.prod(shape) or (slope is not None and slope.size not in (1, shape[axis])):
            return None
        chosen = self.choose(shape, axis)
        return None if len(chosen) * shape[axis] == math.prod(shape) else chosen


def at_places(values: Array, axis: int | None, places: npt.NDArray[np.int64] | None) -> Array:
    """Values at some places: these along the first axis, channels along their own, 1 elsewhere; or all."""
    if axis is None or places is None:
        return values
    moved = np.moveaxis(values, axis, -1)
    shape = [1] * values.ndim
    shape[0], shape[axis] = len(places), values.shape[axis]
    return moved[np.unravel_index(places, moved.shape[:-1])].reshape(shape)
