"""A class for each pixel: intersection over union, and the share of pixels that are right.

    IoU of a class = pixels that are and are said to be of it / pixels that are or are said to be of it

The mean is that of all classes that are or are said to be anywhere, over the pixels of all samples together.
Pixels labelled 255 count for nothing, as in Pascal VOC and Cityscapes.
"""

from __future__ import annotations

import numpy as np

from onnx2snn.data.targets import Targets
from onnx2snn.errors import DataError
from onnx2snn.tasks.task import Array, Figures, Measure, Meter, Output, Setting, Task

#: The label of pixels that count for nothing.
IGNORED = 255
#: Channels that an image in colour or grey has, and classes of pixels seldom are.
_COLOURS = (1, 3)


class PixelMeter(Meter):
    """Counts pixels by their class and by what is said to be it."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._counts: Array = np.zeros((1, 1), np.int64)

    def add(self, found: Array, truth: Array) -> None:
        """Scores [N, classes, …] or classes [N, …], and the classes [N, …]."""
        said = _answers(found, self._setting).ravel().astype(np.int64)
        wanted = truth.ravel().astype(np.int64)
        counted = wanted != IGNORED
        said, wanted = said[counted], wanted[counted]
        classes = found.shape[1] if found.dtype.kind == "f" else 0
        size = max(classes, len(self._counts), said.max(initial=0) + 1, wanted.max(initial=0) + 1)
        counts = np.bincount(wanted * size + said, minlength=size * size).reshape(size, size)
        counts[: len(self._counts), : len(self._counts)] += self._counts
        self._counts = counts

    def figures(self) -> Figures:
        """Mean IoU and the share of right pixels."""
        known = [value for value in self._overlaps() if value is not None]
        pixels = int(self._counts.sum())
        return {
            "miou": float(np.mean(known)) if known else None,
            "pixel_accuracy": float(np.trace(self._counts)) / pixels if pixels else None,
        }

    def by_output(self) -> dict[str, list[float | None]]:
        """IoU of each class; None of one that is nowhere."""
        return {"iou_by_class": self._overlaps()}

    def _overlaps(self) -> list[float | None]:
        both = np.diag(self._counts)
        either = self._counts.sum(axis=0) + self._counts.sum(axis=1) - both
        return [int(a) / int(b) if b else None for a, b in zip(both, either, strict=True)]


def _answers(found: Array, _: Setting) -> Array:
    return found.argmax(axis=1) if found.dtype.kind == "f" else found


def _takes(output: Output) -> bool:
    if len(output.shape) < 3:
        return False
    return output.integer or (output.dtype.kind == "f" and output.shape[1] > 1)


def _fits(truth: Targets, output: Output) -> bool:
    if isinstance(truth, tuple) or truth.dtype.kind not in "iub":
        return False
    wanted = output.shape[1:] if output.integer else output.shape[2:]
    return truth.shape[1:] in (wanted, (1, *wanted))


def _likely(output: Output, truth: Targets | None) -> bool:
    return truth is not None or output.integer or (output.image and output.shape[1] not in _COLOURS)


def _check(source: str, truth: Targets, output: Output) -> None:
    if isinstance(truth, tuple) or output.integer:
        return
    values = truth[truth != IGNORED]
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 or high >= output.shape[1]:
        raise DataError(
            f"{source}: labels: expected classes 0 to {output.shape[1] - 1}, those of output "
            f"'{output.name}', or {IGNORED} for pixels that count for nothing, found "
            f"{low if low < 0 else high}; give the labels the model was trained for"
        )


SEGMENT = Task(
    name="segment",
    measures=(Measure("miou", "mIoU"), Measure("pixel_accuracy", "right pixels")),
    outputs="class scores [N, classes, H, W], or whole numbers [N, H, W],",
    takes=_takes,
    labels=f"class numbers [N, H, W] (or {IGNORED})",
    fits=_fits,
    likely=_likely,
    meter=PixelMeter,
    answers=_answers,
    check=_check,
)
