"""One class for each sample: how often it is the first, and among the first five."""

from __future__ import annotations

import numpy as np

from onnx2snn.data.targets import Targets
from onnx2snn.errors import DataError
from onnx2snn.tasks.task import Array, Figures, Measure, Meter, Output, Setting, Task

#: Key of the share of right answers, the accuracy.
FIRST = "top1"
#: How many answers `top5` looks at.
_FIVE = 5


class ClassMeter(Meter):
    """Counts right answers; of equal scores the class with the lower number comes first."""

    def __init__(self, _: Setting) -> None:
        self._samples, self._first, self._among, self._classes = 0, 0, 0, 0

    def add(self, found: Array, truth: Array) -> None:
        """Scores [N, classes], or answers [N]; and the classes [N]."""
        self._samples += len(truth)
        if found.ndim == 1:
            self._first += int((found == truth).sum())
            return
        self._classes = found.shape[1]
        own = np.take_along_axis(found, truth[:, None].astype(np.int64), axis=1)
        earlier = np.arange(self._classes) < truth[:, None]
        before = ((found > own) | ((found == own) & earlier)).sum(axis=1)
        self._first += int((before == 0).sum())
        self._among += int((before < _FIVE).sum())

    def figures(self) -> Figures:
        """Shares of the samples; five answers are only counted of more classes."""
        found: Figures = {FIRST: self._first / self._samples}
        return found | {"top5": self._among / self._samples} if self._classes > _FIVE else found


def _answers(found: Array, _: Setting) -> Array:
    return found if found.ndim == 1 else found.argmax(axis=1)


def _takes(output: Output) -> bool:
    scores = len(output.shape) == 2 and output.shape[1] > 1 and not output.integer
    return scores or (len(output.shape) == 1 and output.integer)


def _fits(truth: Targets, _: Output) -> bool:
    return not isinstance(truth, tuple) and truth.ndim == 1 and truth.dtype.kind in "iu"


def _check(source: str, truth: Targets, output: Output) -> None:
    if isinstance(truth, tuple) or output.integer:
        return
    most = int(truth.max(initial=0))
    if most >= output.shape[1]:
        raise DataError(
            f"{source}: labels: expected classes 0 to {output.shape[1] - 1}, those of output "
            f"'{output.name}', found {most}; give the data the model was trained for"
        )


CLASSIFY = Task(
    name="classify",
    measures=(Measure(FIRST, "top-1"), Measure("top5", "top-5")),
    outputs="class scores [N, classes], or whole numbers [N],",
    takes=_takes,
    labels="class numbers [N]",
    fits=_fits,
    likely=lambda *_: True,
    meter=ClassMeter,
    answers=_answers,
    check=_check,
    decides=True,
)
