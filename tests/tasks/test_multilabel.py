"""Any number of labels for each sample."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.tasks.multilabel import MULTILABEL, LabelMeter
from onnx2snn.tasks.task import Output, Setting
from tests.tasks.fitted import check


def test_the_fitted_net_has_the_figures_of_other_libraries():
    check(
        "multilabel",
        network={"f1_micro": 0.7883211678832117, "f1_macro": 0.7650766515822021},
        ann={"f1_micro": 0.7744360902255639, "f1_macro": 0.7340191511387164},
    )


SCORES = np.array([[2.0, -1, 0.4], [0.6, 3, -2]])
TRUTH = np.array([[1, 0, 0], [0, 1, 1]])


@pytest.mark.parametrize(
    ("probabilities", "micro", "by_label"),
    [(False, 2 * 2 / (2 * 2 + 2 + 1), [2 / 3, 1, 0]), (True, 2 * 2 / (2 * 2 + 1 + 1), [2 / 3, 1, 0])],
)
def test_f1_by_hand(probabilities, micro, by_label):
    """Of logits 2, 0.4, 0.6 and 3 are found, of probabilities all of these but 0.4."""
    meter = LabelMeter(Setting(probabilities))
    for found, truth in zip(SCORES, TRUTH, strict=True):
        meter.add(found[None], truth[None])
    assert meter.figures() == pytest.approx({"f1_micro": micro, "f1_macro": np.mean(by_label)})
    assert meter.by_output() == {"f1_by_label": pytest.approx(by_label)}


def test_labels_are_zeros_and_ones():
    output = Output("y", (4, 2), np.dtype(np.float32))
    assert MULTILABEL.fits(np.eye(2, dtype=int), output)
    assert MULTILABEL.fits(np.eye(2, dtype=bool), output)
    assert not MULTILABEL.fits(2 * np.eye(2, dtype=int), output)
    assert not MULTILABEL.fits(np.eye(2), output)
    assert MULTILABEL.fits(np.array([0, 1]), Output("y", (4, 1), np.dtype(np.float32)))
    assert not MULTILABEL.fits((), output)
