"""What a spiking network loses against its ANN, estimated from samples that the ANN was likely trained on.

Counting answers says little: of 500 samples two or three change, and images that a net was trained on
flatter, since training has pushed its scores apart. So every sample lends its error to the others. The
*margin* of a sample is the ANN's first score less its second; its error is how much the network's differs. A
sample's chance to change its answer is the share of errors, of the samples in the half with the smaller
margins, that are larger than its margin.

A changed answer costs a point where the ANN is right, and gives one where the ANN's second answer is. On
images that nobody trained on the two are near each other, as what changes is what was nearly a tie. Where the
ANN knows the images by heart each change costs a point, but there are few near ties: on others there will be
more. The share s of changes that cost a point, 0 to 1, tells how well it knows them, and the loss is counted
1 + s times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from onnx2snn.aim import Aim
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import OptionError

Array = npt.NDArray[Any]
Measure = Literal["accuracy", "agreement", "error"]


class LossMeter:
    """Measures networks by the answers of their ANN.

    Args:
        scores: the ANN's on samples held back, [N, …].
        dataset: these samples, with labels or without.
        aim: with what is to be measured.

    Attributes:
        measure: points of `accuracy`, of `agreement` with the ANN without labels, or percent of relative
            `error` of a net without class scores.

    Raises:
        OptionError: a measure that labels or the output do not give.
    """

    def __init__(self, scores: Array, dataset: Dataset, aim: Aim) -> None:
        self._scores = scores
        classifies = scores.ndim == 2 and scores.shape[1] > 1
        if aim.loss_measure == "accuracy" and dataset.labels is None:
            raise OptionError(
                f"--loss-measure: expected labels in {dataset.source} for accuracy, found none; give "
                "calibration data with labels, or --loss-measure agreement"
            )
        if aim.loss_measure != "auto" and not classifies:
            raise OptionError(
                f"--loss-measure: expected class scores for {aim.loss_measure}, found an output of shape "
                f"{list(scores.shape[1:])} a sample; leave it out to bound the relative error in percent"
            )
        labelled = dataset.labels is not None and aim.loss_measure != "agreement"
        self.measure: Measure = "error" if not classifies else "accuracy" if labelled else "agreement"
        if self.measure == "error":
            return
        rows, order = np.arange(len(scores)), np.argsort(scores, axis=1, kind="stable")
        self._first, second = order[:, -1], order[:, -2]
        self._margin = scores[rows, self._first] - scores[rows, second]
        self._costs = np.ones(len(scores))
        if labelled:
            self._costs = (self._first == dataset.labels) * 1.0 - (second == dataset.labels)

    def read(self, outputs: Mapping[str, Array], count: int) -> Array:
        """What is judged of the outputs of a batch: the first one, of the first samples."""
        return next(iter(outputs.values()))[:count]

    def loss(self, found: Array) -> tuple[float, float]:
        """Points that a network loses, and their standard error, from its scores on the first samples."""
        scores = self._scores[: len(found)].astype(np.float64)
        if self.measure == "error":
            return relative_error(found.astype(np.float64), scores)
        first, margin, costs = (part[: len(found)] for part in (self._first, self._margin, self._costs))
        rows = np.arange(len(found))
        others = found.astype(np.float64)
        others[rows, first] = -np.inf
        errors = found[rows, first] - others.max(axis=1) - margin
        near = np.sort(errors[margin <= np.median(margin)])
        changes = np.searchsorted(near, -margin) / len(near)
        lost = changes * costs
        known = 1.0
        if self.measure == "accuracy" and changes.sum() > 0:
            known += min(max(float(lost.sum() / changes.sum()), 0.0), 1.0)
        return 100 * known * float(lost.mean()), 100 * known * float(lost.std()) / float(np.sqrt(len(lost)))

    def changed(self, found: Array) -> float | None:
        """Percent of answers that differ from the ANN's, counted; None without class scores."""
        if self.measure == "error":
            return None
        return 100 * float((found.argmax(axis=1) != self._first[: len(found)]).mean())


def relative_error(found: Array, scores: Array) -> tuple[float, float]:
    """Of all outputs together in percent, and its standard error by the delta method."""
    axes = tuple(range(1, scores.ndim))
    missed, norm = ((found - scores) ** 2).sum(axis=axes), (scores**2).sum(axis=axes)
    ratio = float(missed.sum() / max(float(norm.sum()), np.finfo(np.float64).tiny))
    error = float(np.sqrt(ratio))
    spread = float((missed - ratio * norm).std() / np.sqrt(len(norm)) / max(float(norm.mean()), 1e-300))
    return 100 * error, 100 * spread / (2 * error) if error else 0.0
