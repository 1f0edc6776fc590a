"""Boxes of objects: mean average precision by COCO's rules (see `average_precision.py`).

What a net gives out is read as it is: there is no suppression of overlapping boxes here. Class numbers are
the places of COCO's categories in the order of their ids. Boxes whose right is left of their left count for
nothing, as with pycocotools. Where a net's boxes stand for the truth so do those of no area: they fill it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx2snn.data.targets import Objects, Targets
from onnx2snn.errors import OptionError, shape_text
from onnx2snn.tasks.average_precision import AveragePrecision, Detections
from onnx2snn.tasks.task import Array, Figures, Measure, Meter, Output, Outputs, Setting, Task

#: Columns of an output that has all: the corners, the score and the class.
_COLUMNS = 6


class BoxMeter(Meter):
    """Collects the boxes of all images."""

    def __init__(self, _: Setting) -> None:
        self._precision = AveragePrecision()

    def add(self, found: Sequence[Detections], truth: Sequence[Objects]) -> None:
        """Detections and objects, image by image."""
        for one, objects in zip(found, truth, strict=True):
            self._precision.add(one, objects)

    def figures(self) -> Figures:
        """MAP over all thresholds and at 0.5; None without objects."""
        by_class = np.stack(list(self._precision.by_class().values()) or [np.full(1, np.nan)])
        if np.isnan(by_class).any():
            return {"map": None, "map50": None}
        return {"map": float(by_class.mean()), "map50": float(by_class[:, 0].mean())}

    def by_output(self) -> dict[str, list[float | None]]:
        """Average precision of each class over all thresholds; None of one without objects."""
        found = self._precision.by_class()
        return {
            "ap_by_class": [
                float(found[number].mean()) if number in found else None
                for number in range(max(found, default=-1) + 1)
            ]
        }


def read_boxes(outputs: Outputs) -> list[Detections]:
    """The boxes that a net gives: one output [N, M, 6], or boxes [N, M, 4], scores and classes [N, M].

    Raises:
        OptionError: outputs that are neither.
    """
    shapes = {name: values.shape for name, values in outputs.items()}
    if len(outputs) == 1:
        (values,) = outputs.values()
        if values.ndim == 3 and values.shape[2] == _COLUMNS:
            return [_detections(rows[:, :4], rows[:, 4], rows[:, 5]) for rows in values]
    boxes = [name for name, shape in shapes.items() if len(shape) == 3 and shape[2] == 4]
    flat = [name for name in shapes if len(boxes) == 1 and shapes[name] == shapes[boxes[0]][:2]]
    classes = [name for name in flat if "class" in name.lower() or "label" in name.lower()]
    scores = [name for name in flat if "score" in name.lower() or "conf" in name.lower()]
    if len(boxes) == len(classes) == len(scores) == 1 and classes != scores:
        parts = (outputs[name] for name in (boxes[0], scores[0], classes[0]))
        return [_detections(*rows) for rows in zip(*parts, strict=True)]
    listed = ", ".join(f"'{name}' {shape_text(('N', *shape[1:]))}" for name, shape in shapes.items())
    raise OptionError(
        "--task detect: expected boxes in an output [N, M, 6] (x1, y1, x2, y2, score, class), or in outputs "
        f"named boxes, scores and classes, found {listed}; give --decode module:function that makes them"
    )


def decoded_boxes(given: Any, samples: int) -> list[Detections]:
    """What a function of the user gives: for each sample its boxes, scores and classes.

    Raises:
        OptionError: something else.
    """
    try:
        if isinstance(given, np.ndarray):
            found = read_boxes({"decoded": given})
        else:
            found = [_detections(*(np.asarray(part) for part in sample)) for sample in given]
    except (TypeError, ValueError, IndexError) as error:
        raise OptionError(
            f"--decode: expected boxes [K, 4], scores [K] and classes [K] for each sample, found "
            f"{_kind(given)}; return a list of these three for each sample"
        ) from error
    if len(found) != samples:
        raise OptionError(
            f"--decode: expected the boxes of {samples} samples, found {len(found)}; return those of each"
        )
    return found


def _kind(given: object) -> str:
    shape = shape_text(given.shape) if isinstance(given, np.ndarray) else ""
    return f"{type(given).__name__} {shape}".strip()


def _detections(boxes: Array, scores: Array, classes: Array) -> Detections:
    boxes, scores = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(scores, np.float64)
    if not scores.shape == classes.shape == (len(boxes),):
        raise ValueError("as many scores and classes as boxes")
    kept = (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
    return Detections(boxes[kept], scores[kept], np.rint(classes[kept]).astype(np.int64))


def _answers(found: Sequence[Detections], _: Setting) -> tuple[Objects, ...]:
    truth = []
    for one in found:
        real = (one.boxes[:, 2:] > one.boxes[:, :2]).all(axis=1)
        truth.append(Objects(one.boxes[real], one.classes[real], np.zeros(int(real.sum()), bool)))
    return tuple(truth)


def _fits(truth: Targets, _: Output) -> bool:
    return isinstance(truth, tuple)


DETECT = Task(
    name="detect",
    measures=(Measure("map", "mAP@0.5:0.95"), Measure("map50", "mAP@0.5")),
    outputs="boxes",
    takes=lambda _: True,
    labels="boxes in COCO's form (--labels FILE.json)",
    fits=_fits,
    likely=lambda _, truth: truth is not None,
    meter=BoxMeter,
    answers=_answers,
    read=read_boxes,
    decoded=decoded_boxes,
)
