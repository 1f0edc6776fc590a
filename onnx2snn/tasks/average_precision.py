"""Mean average precision by COCO's rules, those of pycocotools for boxes, all areas, 100 detections an image.

In each image and class the detections, the surest first, each take the object with which they overlap
most, of those that nobody has taken, where that is at least a threshold. A crowd can be taken by many; who
takes one counts for nothing. Precision at a recall is the largest at that or any higher; the average is over
101 recalls from 0 to 1, ten thresholds from 0.5 to 0.95, and all classes that there are objects of.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from onnx2snn.data.targets import Objects
from onnx2snn.tasks.task import Array

THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
#: Detections of a class in an image that are looked at.
_MOST = 100


@dataclass(frozen=True, eq=False)
class Detections:
    """What is found in one image.

    Attributes:
        boxes: float64 [K, 4], left, top, right, bottom in pixels.
        scores: float64 [K].
        classes: int64 [K].
    """

    boxes: Array
    scores: Array
    classes: Array


class AveragePrecision:
    """Collects what each image's detections have met."""

    def __init__(self) -> None:
        self._objects: dict[int, int] = defaultdict(int)
        self._met: dict[int, list[tuple[Array, Array, Array]]] = defaultdict(list)

    def add(self, found: Detections, truth: Objects) -> None:
        """Add an image."""
        for number in np.union1d(found.classes, truth.classes).tolist():
            own, theirs = found.classes == number, truth.classes == number
            order = np.argsort(-found.scores[own], kind="stable")[:_MOST]
            boxes, crowd = found.boxes[own][order], truth.crowd[theirs]
            self._objects[number] += int((~crowd).sum())
            overlap = overlaps(boxes, truth.boxes[theirs], crowd)
            self._met[number].append((found.scores[own][order], *_match(overlap, crowd)))

    def by_class(self) -> dict[int, Array]:
        """Class → average precision at each threshold, of the classes that there are objects of."""
        return {
            number: self._of_class(number) for number, objects in sorted(self._objects.items()) if objects
        }

    def _of_class(self, number: int) -> Array:
        scores, hits, left_out = (
            np.concatenate(part, axis=-1) for part in zip(*self._met[number], strict=True)
        )
        order = np.argsort(-scores, kind="stable")
        hits, left_out = hits[:, order], left_out[:, order]
        right = np.cumsum(hits & ~left_out, axis=1, dtype=np.float64)
        wrong = np.cumsum(~hits & ~left_out, axis=1, dtype=np.float64)
        recalls = right / self._objects[number]
        precisions = right / (right + wrong + np.spacing(1))
        found = []
        for recall, precision in zip(recalls, precisions, strict=True):
            best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
            found.append(best[np.searchsorted(recall, _RECALLS, side="left")].mean())
        return np.asarray(found)


def overlaps(boxes: Array, others: Array, crowd: Array) -> Array:
    """Intersection over union [K, M] of boxes [K, 4] and [M, 4]; over the box's own area with a crowd."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    own, theirs = ((part[:, 2:] - part[:, :2]).prod(axis=1) for part in (boxes, others))
    either = np.where(crowd[None], own[:, None], own[:, None] + theirs[None] - both)
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0))


def _match(overlap: Array, crowd: Array) -> tuple[Array, Array]:
    """Which detections take an object, and which of them a crowd: bool [thresholds, K] each."""
    order = np.argsort(crowd, kind="stable")  # crowds only where nothing else is left
    overlap, crowd = overlap[:, order], crowd[order]
    hits = np.zeros((len(THRESHOLDS), len(overlap)), bool)
    left_out = np.zeros_like(hits)
    for row, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(crowd), bool)
        for column, shared in enumerate(overlap):
            for group in (~crowd, crowd):
                places = np.flatnonzero(group & (free | crowd) & (shared >= threshold))
                if len(places):
                    # Of equals the last, as pycocotools has it.
                    best = places[len(places) - 1 - int(np.argmax(shared[places][::-1]))]
                    free[best] = False
                    hits[row, column], left_out[row, column] = True, bool(crowd[best])
                    break
    return hits, left_out
