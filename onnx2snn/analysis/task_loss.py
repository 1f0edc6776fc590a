"""What a spiking network loses against its ANN in the measure of their task, where that is not to classify.

                        with labels                             without
    shares (F1, mIoU …) points less than the ANN                points less than full agreement with it
    PSNR                dB less than the ANN                    -
    differences of      percent more than the ANN's own         the mean difference from the ANN's actions,
    actions                                                     in their unit
    RMSE                percent more than the ANN's own         -

Where there is nothing the bound is about the relative error of the output: see `loss.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.analysis.judging import Judge
from onnx2snn.tasks.task import Outputs

Array = npt.NDArray[Any]

#: Parts of the samples whose losses tell how sure the loss of all is.
_PARTS = 8


class TaskLoss:
    """Measures networks by the task's first measure.

    Args:
        judge: knows the task and the labels.
        expected: what it reads of the ANN's outputs on the samples held back.

    Attributes:
        measure: in what a loss is counted.
    """

    def __init__(self, judge: Judge, expected: Any) -> None:
        self._judge, self._expected = judge, expected
        name, self._unit = judge.task.measure.name, judge.task.measure.unit
        labelled = judge.truth is not None
        self._truth = (
            judge.labels(0, len(expected)) if labelled else judge.task.answers(expected, judge.setting)
        )
        self._labelled = labelled
        units = {"share": f"points of {name}", "dB": f"dB of {name}", "value": f"% of {name}"}
        self.measure = units[self._unit] if labelled or self._unit == "share" else f"of {name}"

    def read(self, outputs: Outputs, count: int) -> Any:
        """What the task is about, of the first samples of a batch."""
        return self._judge.read(outputs, count)

    def loss(self, found: Any) -> tuple[float, float]:
        """What a network loses, and its standard error, by what is read of the first samples."""
        rows = np.arange(len(found))
        parts = [self._lost(found, rows[start::_PARTS]) for start in range(min(_PARTS, len(rows)))]
        spread = float(np.std(parts, ddof=1)) / np.sqrt(len(parts)) if len(parts) > 1 else 0.0
        return self._lost(found, rows), float(spread)

    def changed(self, _: Any) -> float | None:
        """Nothing: there are no answers to count."""
        return None

    def _lost(self, found: Any, rows: Array) -> float:
        value = self._value(found, rows)
        if not self._labelled:
            return 100 * (1 - value) if self._unit == "share" else value
        own = self._value(self._expected, rows)
        if self._unit == "value":
            return 100 * (value - own) / max(own, float(np.finfo(np.float64).tiny))
        return (own - value) * (100 if self._unit == "share" else 1)

    def _value(self, found: Any, rows: Array) -> float:
        """The measure on some samples; where it is not defined nothing is lost."""
        meter = self._judge.meter()
        meter.add(_some(found, rows), _some(self._truth, rows))
        value = meter.figures()[self._judge.task.measure.key]
        best = 1.0 if self._unit == "share" else 0.0
        return best if value is None else value


def can_bound(judge: Judge | None) -> bool:
    """Whether there is a loss in the task's measure: see the head of this file."""
    if judge is None or judge.task.decides:
        return False
    measured = judge.task.measure.unit == "share" or not judge.task.relative
    return judge.truth is not None or measured


def join(parts: Sequence[Any]) -> Any:
    """What was read of batches as if of one."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return [one for part in parts for one in part]


def _some(values: Any, rows: Array) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]
