"""Any number of labels for each sample: F1, the harmonic mean of precision and recall.

    F1 = 2·TP / (2·TP + FP + FN)      micro: of all labels together; macro: the mean of each label's

A label is found where its logit is above 0, or its probability above ½: the latter where the output comes
from a Sigmoid, HardSigmoid or Softmax. As in scikit-learn F1 is 0 of a label that is neither there nor found.
"""

from __future__ import annotations

import numpy as np

from onnx2snn.data.targets import Targets
from onnx2snn.tasks.task import Array, Figures, Measure, Meter, Output, Setting, Task, same_numbers


class LabelMeter(Meter):
    """Counts what is found rightly, wrongly and not at all, label by label."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._counts: Array = np.zeros((3, 1), np.int64)

    def add(self, found: Array, truth: Array) -> None:
        """Scores [N, labels], and 0 or 1 for each."""
        there = truth.reshape(found.shape) > 0
        said = _answers(found, self._setting)
        counts = [(said & there), (said & ~there), (~said & there)]
        self._counts = self._counts + np.stack([count.sum(axis=0) for count in counts])

    def figures(self) -> Figures:
        """Micro and macro F1."""
        return {"f1_micro": float(_f1(self._counts.sum(axis=1))), "f1_macro": float(_f1(self._counts).mean())}

    def by_output(self) -> dict[str, list[float | None]]:
        """F1 of each label."""
        return {"f1_by_label": _f1(self._counts).tolist()}


def _f1(counts: Array) -> Array:
    right, wrong, missed = counts
    return np.asarray(2 * right / np.maximum(2 * right + wrong + missed, 1))


def _answers(found: Array, setting: Setting) -> Array:
    return np.asarray(found > (0.5 if setting.probabilities else 0))


def _takes(output: Output) -> bool:
    return len(output.shape) == 2 and output.dtype.kind == "f"


def _fits(truth: Targets, output: Output) -> bool:
    if isinstance(truth, tuple) or not same_numbers(truth, output):
        return False
    return bool(((truth == 0) | (truth == 1)).all()) and truth.dtype.kind in "iub"


MULTILABEL = Task(
    name="multilabel",
    measures=(Measure("f1_micro", "F1, micro"), Measure("f1_macro", "F1, macro")),
    outputs="scores [N, labels]",
    takes=_takes,
    labels="integers 0 and 1 [N, labels]",
    fits=_fits,
    likely=lambda _, truth: truth is not None,
    meter=LabelMeter,
    answers=_answers,
)
