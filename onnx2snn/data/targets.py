"""What a data set says of its samples beside classes: numbers of any shape, or objects in images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one image.

    Attributes:
        boxes: float64 [K, 4], left, top, right, bottom in pixels.
        classes: int64 [K], class numbers from 0.
        crowd: bool [K], whether a box holds many of its class, so that any number may be found in it.
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]


#: Numbers [N, …], or the objects of each sample.
Targets = NDArray[Any] | tuple[Objects, ...]


def some_targets(targets: Targets, numbers: NDArray[np.int64]) -> Targets:
    """The targets of some samples."""
    return tuple(targets[number] for number in numbers) if isinstance(targets, tuple) else targets[numbers]


def target_arrays(targets: Targets) -> list[NDArray[Any]]:
    """All that targets are, as arrays."""
    if not isinstance(targets, tuple):
        return [targets]
    return [array for one in targets for array in (one.boxes, one.classes, one.crowd)]


def describe_targets(targets: Targets) -> str:
    """What targets are, in messages."""
    if isinstance(targets, tuple):
        return f"boxes of {len(targets)} images"
    return f"{targets.dtype} of shape {list(targets.shape)}"
