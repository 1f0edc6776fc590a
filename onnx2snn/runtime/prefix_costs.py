"""What frames cost before the first neuron: only changes of the inputs go through the weights again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.runtime.counting import Counting
from onnx2snn.runtime.windows import move

Array = npt.NDArray[Any]


class PrefixCosts:
    """Counts them, stream by stream.

    The first layers with weights are linear: a changed input value costs as many multiply-accumulates as it
    has connections. Layers of the prefix behind these cost all of theirs as soon as anything has changed.

    Args:
        counting: counts connections.
        hop: columns by which windows move on: then only new columns have changed, and as many at the other
            end, where others have left.
    """

    def __init__(self, counting: Counting, hop: int = 0) -> None:
        self._counting, self._hop = counting, hop
        self._before: dict[int, dict[str, Array]] = {}
        self._whole: tuple[int, int] | None = None

    def forget(self, members: Iterable[int]) -> None:
        """Streams that have ended."""
        for member in members:
            self._before.pop(member, None)

    def of_frame(self, feeds: Mapping[str, Array], members: Sequence[int]) -> Array:
        """Multiply-accumulates of a frame, int64 [N]; streams that begin pay for all of it."""
        samples = len(members)
        if self._whole is None:
            every = {name: np.ones(value.shape, np.bool_) for name, value in feeds.items()}
            whole = self._counting.work(dict(feeds)).prefix_macs
            self._whole = whole, whole - int(self._counting.prefix_macs(every, samples).sum()) // samples
        whole, not_followed = self._whole
        rows = [
            {name: value[row : row + 1] if value.ndim else value for name, value in feeds.items()}
            for row in range(samples)
        ]
        changes = {
            name: np.concatenate(
                [
                    self._changes(self._before.get(member, row)[name], row[name])
                    for member, row in zip(members, rows, strict=True)
                ]
            )
            for name, value in feeds.items()
            if value.ndim
        }
        any_change = np.any([value.reshape(samples, -1).any(axis=1) for value in changes.values()], axis=0)
        costs = self._counting.prefix_macs(changes, samples) + not_followed * any_change
        begun = np.array([member not in self._before for member in members])
        self._before = dict(zip(members, rows, strict=True))
        result: Array = np.where(begun, whole, costs)
        return result

    def _changes(self, before: Array, now: Array) -> Array:
        """Where a frame differs from the one before."""
        if not self._hop:
            return np.asarray(now != before)
        changes = np.asarray(now != move(before, self._hop))
        changes[..., : self._hop] = changes[..., -self._hop :] = True
        return changes
