"""What checks know: a spread sample of the data, and what the net makes of it as it is and otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.artifact.records import CalibrationRecord, InputRecord
from onnx2snn.checks.net import Net, moments
from onnx2snn.checks.scores import (
    chance_odds,
    entropies,
    information,
    sign_test,
    standard_errors,
    surprise,
)
from onnx2snn.data.batches import model_batches
from onnx2snn.data.dataset import INTEGER_KINDS, Dataset, InputSpec
from onnx2snn.data.preprocessing import infer_layout
from onnx2snn.errors import ModelError

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: Samples of a first look, at least and at most, and bytes that it may hold.
_FEWEST, FIRST, _HELD = 4, 32, 1 << 26
#: How many times as many are looked at where the first ones leave something open.
_MORE = (1, 4, 16)
#: Samples a batch, and bytes that it may have.
_BATCH, _BATCH_BYTES = 16, 1 << 22
#: Channels that are described one by one.
_CHANNELS = 64
#: Probability of so many answers by accident that lets a remedy stand.
_CLEAR = 1e-4


@dataclass(frozen=True)
class Remedy:
    """The data as it would be without a mistake.

    Attributes:
        name: of it.
        apply: makes new samples [N, …] of those that were fed.
    """

    name: str
    apply: Callable[[Array], Array]


AS_IT_IS = Remedy("as it is", lambda samples: samples)


class Evidence:
    """Gathered when a check first asks for it, and once.

    Args:
        dataset: the data.
        net: the ANN; None where there is none, or nothing can be asked of it.
        calibrated: what the network saw when it was compiled; None where it is only being compiled.
    """

    def __init__(
        self, dataset: Dataset, net: Net | None, calibrated: CalibrationRecord | None = None
    ) -> None:
        self.dataset, self.source = dataset, dataset.source
        self.net, self.calibrated = net, calibrated
        self._sample_bytes = sum(
            int(np.prod(self.dataset.parts[0].sample_shapes[spec.name])) * spec.dtype.itemsize
            for spec in dataset.inputs
        )
        first = min(FIRST, max(_FEWEST, _HELD // max(1, self._sample_bytes)))
        #: Samples of the looks, one after the other.
        self.looks = tuple(times * first for times in _MORE)
        self._answers: dict[tuple[str, int], Array | None] = {}
        self._surprise: dict[str, float | None] = {}

    @property
    def name(self) -> str:
        """Of the first input."""
        return self.dataset.inputs[0].name

    @property
    def names(self) -> list[str]:
        """Of all inputs."""
        return [spec.name for spec in self.dataset.inputs]

    @cached_property
    def sample(self) -> Array:
        """The first input of the samples of the first look, [N, …], as it is fed."""
        return self._sample(self.name)

    def is_float(self, name: str) -> bool:
        """Whether an input takes floats."""
        return self._spec(name).dtype.kind == "f"

    def describe(self, name: str) -> InputRecord:
        """What an input is fed with, by the first look; as one channel where it has none, or too many."""
        values = self._sample(name)
        if not values.size:
            return InputRecord(len(values), [], [], 0.0, 0.0, (0.0, 0.0), (0.0, 0.0))
        layout = self.dataset.preprocessing.layout or infer_layout(self._spec(name).shape)
        by_channel = np.moveaxis(values, -1, 1) if layout == "NHWC" and values.ndim == 4 else values
        if by_channel.ndim < 3 or by_channel.shape[1] > _CHANNELS:
            by_channel = values.reshape(len(values), 1, -1)
        means, variances = moments(by_channel)
        least, greatest = _rounded(np.asarray([values.min(initial=0), values.max(initial=0)]))
        (middle, spread), (contrast, change) = map(_rounded, _by_sample(values))
        return InputRecord(
            len(values),
            _rounded(means),
            _rounded(np.sqrt(variances)),
            least,
            greatest,
            (middle, spread),
            (contrast, change),
        )

    def _spec(self, name: str) -> InputSpec:
        return next(spec for spec in self.dataset.inputs if spec.name == name)

    def _sample(self, name: str) -> Array:
        return np.concatenate([batch[name][:count] for batch, count in self._batches(self.looks[0])])

    @cached_property
    def one_float(self) -> bool:
        """Whether the model has one input, of floats, so that another form of it can be tried."""
        spec = self.dataset.inputs[0]
        return len(self.dataset.inputs) == 1 and spec.dtype.kind == "f" and self.sample.size > 0

    @cached_property
    def integers(self) -> bool:
        """Whether the data is stored as integers, so that preprocessing applies."""
        stored = self.dataset.spread(1).parts[0].read()[self.name]
        return stored.dtype.kind in INTEGER_KINDS

    def labels(self, count: int) -> npt.NDArray[np.int64] | None:
        """Of a look at so many samples."""
        return self._look(count).labels

    def answers(self, remedy: Remedy, count: int) -> Array | None:
        """Log-probabilities [N, K] of the classes; None where the net gives no scores of classes."""
        if (remedy.name, count) not in self._answers:
            self._answers[remedy.name, count] = self._ask(remedy, count)
        return self._answers[remedy.name, count]

    def surprise(self, remedy: Remedy) -> float | None:
        """Of the first BatchNormalization, in nats a value; None where there is none."""
        if remedy.name not in self._surprise:
            self._surprise[remedy.name] = self._measure(remedy)
        return self._surprise[remedy.name]

    def first_layers(self, remedy: Remedy) -> dict[str, Array]:
        """What arrives at the net's first layers, by tensor, of a first look; empty where nothing can."""
        net = self.net
        if net is None or not self.one_float:
            return {}
        found: dict[str, list[Array]] = {}
        try:
            for batch, count in self._batches(self.looks[0]):
                feeds = {self.name: remedy.apply(batch[self.name])}
                for name, values in net.first_layers(feeds).items():
                    found.setdefault(name, []).append(values[:count])
        except ModelError as error:
            logger.info("the first layers cannot be run: %s", error)
            return {}
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _measure(self, remedy: Remedy) -> float | None:
        place = None if self.net is None else self.net.trained
        values = {} if place is None else self.first_layers(remedy)
        if place is None or place.tensor not in values or values[place.tensor].ndim < 2:
            return None
        mean, variance = moments(values[place.tensor])
        if mean.shape != place.mean.shape or not np.isfinite(variance).all():
            return None
        return surprise(mean, variance, place.mean, place.variance)

    def _ask(self, remedy: Remedy, count: int) -> Array | None:
        if self.net is None:
            return None
        outputs = []
        try:
            for batch, real in self._batches(count):
                feeds = batch if remedy is AS_IT_IS else {self.name: remedy.apply(batch[self.name])}
                output = self.net.output(feeds)
                if output.ndim != 2 or output.shape[1] < 2 or output.dtype.kind != "f":
                    return None
                if len(output) != len(batch[self.name]):
                    return None
                outputs.append(output[:real])
        except ModelError as error:
            logger.info("the net cannot be asked: %s", error)
            return None
        return _log_probabilities(np.concatenate(outputs).astype(np.float64))

    def _look(self, count: int) -> Dataset:
        return self.dataset.spread(min(count, len(self.dataset)))

    def _batches(self, count: int) -> Iterator[tuple[dict[str, Array], int]]:
        return iter(self._first) if count == self.looks[0] else self._read(count)

    @cached_property
    def _first(self) -> list[tuple[dict[str, Array], int]]:
        """Kept: every check looks at these, and reading them takes longer than most nets do."""
        return list(self._read(self.looks[0]))

    def _read(self, count: int) -> Iterator[tuple[dict[str, Array], int]]:
        fixed = None if self.net is None else self.net.fixed_batch
        together = min(_BATCH, max(1, _BATCH_BYTES // max(1, self._sample_bytes)))
        return model_batches(self._look(count), together, fixed, fill=True)


def _by_sample(values: Array) -> tuple[Array, Array]:
    """Of the means of all samples [N, …], mean and deviation; and of the logarithms of their deviations."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    blank = max(1e-6 * float(flat.std()), 1e-30)  # has no logarithm
    means, contrasts = flat.mean(axis=1), np.log(np.maximum(flat.std(axis=1), blank))
    return np.asarray([means.mean(), means.std()]), np.asarray([contrasts.mean(), contrasts.std()])


def _rounded(values: Array) -> list[float]:
    """Six digits, which is more than a few samples can tell."""
    return [float(f"{value:.6g}") for value in values]


def _log_probabilities(scores: Array) -> Array | None:
    """Of scores, or of what are probabilities already."""
    if not np.isfinite(scores).all():
        return None
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return np.log(np.maximum(scores, 1e-30))
    scores = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))


@dataclass(frozen=True)
class Trial:
    """Answers to the same samples, as they are and with a remedy, where there are labels.

    Attributes:
        samples: how many.
        right, right_with: right answers without it and with it.
        better, worse: answers that it makes right, and wrong.
        classes: K.
        likelihood: standard errors by which the labels are more likely with it.
        certainty: by which answers are more certain with it.
    """

    samples: int
    right: int
    right_with: int
    better: int
    worse: int
    classes: int
    likelihood: float
    certainty: float

    @property
    def clearly_better(self) -> bool:
        """Whether more answers are right with the remedy, by no accident, and not by guessing."""
        return sign_test(self.better, self.worse) < _CLEAR and self.above_chance

    @property
    def above_chance(self) -> bool:
        """Whether the answers with the remedy are better than guessed ones."""
        return chance_odds(self.right_with, self.samples, self.classes) < 0.01


def trials(evidence: Evidence, remedy: Remedy) -> Iterator[Trial]:
    """Looks at ever more samples, as long as the caller wants more; none without labels and classes."""
    done = 0
    for count in evidence.looks:
        labels = evidence.labels(count)
        if labels is None or len(labels) == done:
            return
        done = len(labels)
        plain, treated = evidence.answers(AS_IT_IS, count), evidence.answers(remedy, count)
        if plain is None or treated is None or labels.min() < 0 or labels.max() >= plain.shape[1]:
            return
        rows = np.arange(done)
        right, right_with = plain.argmax(axis=1) == labels, treated.argmax(axis=1) == labels
        yield Trial(
            done,
            int(right.sum()),
            int(right_with.sum()),
            int((right_with & ~right).sum()),
            int((right & ~right_with).sum()),
            plain.shape[1],
            standard_errors(treated[rows, labels] - plain[rows, labels]),
            standard_errors(entropies(plain) - entropies(treated)),
        )


def labels_prefer(evidence: Evidence, remedy: Remedy) -> Trial | None:
    """The look at which a remedy makes clearly more answers right; None where none does."""
    for trial in trials(evidence, remedy):
        if trial.better <= trial.worse:
            return None
        if trial.clearly_better:
            return trial
    return None


def information_gain(evidence: Evidence, remedy: Remedy) -> tuple[float, float] | None:
    """What the answers tell without a remedy and with it, in nats, at a first look; None where nothing."""
    plain, treated = (
        evidence.answers(AS_IT_IS, evidence.looks[0]),
        evidence.answers(remedy, evidence.looks[0]),
    )
    if plain is None or treated is None:
        return None
    return information(plain), information(treated)
