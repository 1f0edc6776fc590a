"""How good a network's answers are on samples held back: what compression is bounded by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import onnx

from onnx2snn.artifact.output_errors import OutputErrors
from onnx2snn.artifact.outputs import find_answer
from onnx2snn.data.labels import check_labels
from onnx2snn.data.readers import Dataset
from onnx2snn.engine.engines import make_engine
from onnx2snn.errors import OptionError
from onnx2snn.options import LossMeasure
from onnx2snn.runtime.session import SpikingSession

Array = npt.NDArray[Any]


class Quality:
    """How good a network's answers are on held-back samples, in points.

    Args:
        model: the ANN.
        loss_measure: what the user asks for.
        dataset: the samples held back.
        session: a network of that ANN.
        batch_size: samples a batch.

    Attributes:
        measure: `accuracy`, `agreement` with the ANN without labels, or `error`, the relative error of all
            outputs jointly where none, or more than one and none is named, has class scores; that is below
            zero.

    Raises:
        OptionError: a measure that labels or outputs do not give.
        DataError: labels past the classes.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        loss_measure: LossMeasure,
        dataset: Dataset,
        session: SpikingSession,
        batch_size: int,
    ) -> None:
        if loss_measure == "accuracy" and dataset.labels is None:
            raise OptionError(
                f"--loss-measure: expected labels in {dataset.source} for accuracy, found none; give "
                "calibration data with labels, or --loss-measure agreement"
            )
        self._dataset, self._batch_size, self._specs = dataset, batch_size, session.outputs
        engine = make_engine(model)
        batch, _ = next(session.batches(dataset, batch_size))
        outputs, samples = engine.run(batch), _samples(batch)
        self._answer = find_judged(session, outputs, samples)
        wanted = [name for name in self._specs if self._answer in (None, name)]
        self._expected = [
            (
                {name: values for name, values in engine.run(batch).items() if name in wanted},
                count,
                _samples(batch),
            )
            for batch, count in session.batches(dataset, batch_size)
        ]
        if self._answer is None and loss_measure != "auto":
            raise OptionError(
                f"--loss-measure: expected class scores [N, classes] for {loss_measure}, found "
                f"{_found(session, outputs, samples)} for the relative error"
            )
        labelled = dataset.labels is not None and loss_measure != "agreement"
        if labelled and self._answer is not None and outputs[self._answer].ndim == 2:
            check_labels(dataset, self._answer, outputs[self._answer].shape[1])
        self.measure = "error" if self._answer is None else "accuracy" if labelled else "agreement"

    def of(self, session: SpikingSession) -> float:
        """Points that a network reaches."""
        errors, right, done = OutputErrors(self._specs), 0, 0
        batches = session.batches(self._dataset, self._batch_size)
        for (batch, _), (expected, count, samples) in zip(batches, self._expected, strict=True):
            found = session.run(batch).outputs
            if self._answer is None:
                errors.add(found, expected, count, samples)
                continue
            answers, wanted = (self._answers(values, count, samples) for values in (found, expected))
            if self.measure == "accuracy" and self._dataset.labels is not None:
                wanted = self._dataset.labels[done : done + count]
            right += int((answers == wanted).sum())
            done += count
        return -100 * errors.joint if self._answer is None else 100 * right / done

    def _answers(self, outputs: Mapping[str, Array], count: int, samples: int) -> Array:
        assert self._answer is not None
        answers = self._specs[self._answer].answers(outputs[self._answer], samples)
        assert answers is not None
        return answers[:count]


def find_judged(session: SpikingSession, outputs: Mapping[str, Array], samples: int) -> str | None:
    """The output whose answers are judged; None where there is none, or more than one and none is named."""
    if session.artifact.named:
        name = session.artifact.outputs[0]
        return name if session.outputs[name].answers(outputs[name], samples) is not None else None
    return find_answer(session.outputs, outputs, samples)


def _found(session: SpikingSession, outputs: Mapping[str, Array], samples: int) -> str:
    scored = [name for name, spec in session.outputs.items() if spec.has_scores(outputs[name], samples)]
    if len(scored) > 1 and not session.artifact.named:
        return f"them in {', '.join(scored)}; name one with --answer, or leave it out"
    return f"output '{session.artifact.outputs[0]}' of another shape; leave it out"


def _samples(batch: Mapping[str, Array]) -> int:
    return len(next(iter(batch.values())))
