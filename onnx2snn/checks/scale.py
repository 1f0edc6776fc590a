"""Raw values 0..255 for a net that was trained on about 1; and the other way round."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.checks.evidence import AS_IT_IS, Evidence, Remedy, information_gain, labels_prefer
from onnx2snn.checks.scores import chance_odds

Array = npt.NDArray[Any]

#: Values above the first are raw, below the second scaled; in between a factor of 255 fits neither.
_RAW, _SCALED = 32.0, 8.0
#: Nats a value that may have a cause. (Padding hides much of a scale that is too small: then it is not 5.)
_SURPRISED = 1.0
#: How much less surprised the net has to be with the remedy.
_LESS = 10.0
#: Nats a value above which something else may be wrong, too.
_LEFT = 0.5
#: Odds for guessing from which answers are none.
_SOUND = 0.01
#: Nats that answers have to tell more of their samples, and what is next to nothing.
_TELLING, _NOTHING = 0.5, 0.1
#: Deviation of a layer's values over its bias from which the bias means nothing.
_DROWNED = 100.0
#: Share of channels which never change their sign that the remedy has to bring to life.
_WOKEN = 0.25


def check(evidence: Evidence) -> str | None:
    """Whether the net wants values 255 times smaller, or larger.

    Told by the running statistics of the first BatchNormalization; without one by the labels; without these
    by what the answers tell and by the first biases.
    """
    largest = float(np.abs(evidence.sample).max(initial=0.0)) if evidence.one_float else 0.0
    if evidence.net is None or largest == 0 or _SCALED < largest <= _RAW:
        return None
    raw = largest > _RAW
    factor = 1 / 255 if raw else 255.0
    remedy = Remedy("scaled", partial(_scaled, evidence, factor))
    why, plain = _by_statistics(evidence, remedy), evidence.surprise(AS_IT_IS)
    if why is None and (plain is None or plain > _LEFT) and (raw or not _answers_well(evidence)):
        why = _by_labels(evidence, remedy) or _by_answers(evidence, remedy, raw=raw)
    if why is None:
        return None
    left = evidence.surprise(remedy)
    also = left is not None and left > _LEFT and not evidence.dataset.preprocessing.mean
    return (
        f"{evidence.source}: expected values of input '{evidence.name}' 255 times "
        f"{'smaller' if raw else 'larger'} (found up to {largest:.4g}): {why}; "
        f"{_mend(evidence, factor)}{', and its --mean and --std' if also else ''}"
    )


def _scaled(evidence: Evidence, factor: float, samples: Array) -> Array:
    """Samples with `--scale` times a factor; what was subtracted after it stays."""
    offset = _offset(evidence)
    return np.asarray((samples + offset) * factor - offset, samples.dtype)


def _offset(evidence: Evidence) -> Array | float:
    """mean/std of the preprocessing, broadcastable to samples."""
    preprocessing = evidence.dataset.preprocessing
    if not preprocessing.mean or not evidence.integers:
        return 0.0
    offset = np.asarray(preprocessing.mean) / (np.asarray(preprocessing.std) if preprocessing.std else 1.0)
    dims = evidence.sample.ndim
    if offset.size == 1 or dims < 3:
        return offset.astype(np.float32)
    axis = next(axis for axis in (1, dims - 1, 1) if evidence.sample.shape[axis] == offset.size)
    shape = [1] * dims
    shape[axis] = -1
    return offset.astype(np.float32).reshape(shape)


def _by_statistics(evidence: Evidence, remedy: Remedy) -> str | None:
    net, plain = evidence.net, evidence.surprise(AS_IT_IS)
    if net is None or net.trained is None or plain is None or plain < _SURPRISED:
        return None
    treated = evidence.surprise(remedy)
    if treated is None or treated * _LESS > plain:
        return None
    return (
        f"node '{net.trained.node}' (BatchNormalization) was trained on others, {plain:.3g} nats a value "
        f"away, with the remedy {treated:.2g}"
    )


def _answers_well(evidence: Evidence) -> bool:
    """Whether labels speak against it: values that are too small leave a net nothing but guesses."""
    labels, answers = evidence.labels(evidence.looks[0]), evidence.answers(AS_IT_IS, evidence.looks[0])
    if labels is None or answers is None:
        return False
    right = int((answers.argmax(axis=1) == labels).sum())
    return chance_odds(right, len(labels), answers.shape[1]) < _SOUND


def _by_labels(evidence: Evidence, remedy: Remedy) -> str | None:
    trial = labels_prefer(evidence, remedy)
    if trial is None:
        return None
    return (
        f"the ANN answers {trial.right} of {trial.samples} samples right, with the remedy {trial.right_with}"
    )


def _by_answers(evidence: Evidence, remedy: Remedy, *, raw: bool) -> str | None:
    gained = information_gain(evidence, remedy)
    if gained is None or evidence.net is None or gained[1] - gained[0] < _TELLING:
        return None
    # A trained net tells most on the scale that it knows, and less again with more of the remedy; another one
    # tells ever more the larger its values are.
    twice = Remedy(f"{remedy.name} twice", lambda samples: remedy.apply(remedy.apply(samples)))
    beyond = information_gain(evidence, twice)
    if beyond is None or gained[1] - beyond[1] < _TELLING:
        return None
    told = f"the ANN's answers tell {gained[0]:.2f} nats of a sample, with the remedy {gained[1]:.2f}"
    plain, treated = evidence.first_layers(AS_IT_IS), evidence.first_layers(remedy)
    layers = [b for b in evidence.net.biased if b.tensor in plain and b.tensor in treated]
    if not layers:
        return None
    if raw:
        first = layers[0]
        spread = plain[first.tensor].std(axis=_all_but_channels(plain[first.tensor]), dtype=np.float64)
        ratio = float(np.median(spread / np.maximum(np.abs(first.bias), 1e-30)))
        return f"{told}, and the biases of '{first.node}' drown" if ratio > _DROWNED else None
    still, then = (np.mean([_constant_sign(values[b.tensor]) for b in layers]) for values in (plain, treated))
    if gained[0] > _NOTHING or still - then < _WOKEN:
        return None
    return f"{told}, and {still:.0%} of the first layers' channels never change their sign"


def _constant_sign(values: Array) -> float:
    """Share of the channels that are above 0 everywhere, or nowhere."""
    share = (values > 0).mean(axis=_all_but_channels(values))
    return float(((share == 0) | (share == 1)).mean())


def _all_but_channels(values: Array) -> tuple[int, ...]:
    return (0, *range(2, values.ndim))


def _mend(evidence: Evidence, factor: float) -> str:
    if not evidence.integers:
        done = "divide" if factor < 1 else "multiply"
        return f"{done} the array by 255, as floats are fed as they are (integers would go through --scale)"
    scale = evidence.dataset.preprocessing.scale * factor
    if np.isclose(scale, 1):
        return "leave out --scale"
    return f"give --scale {'1/255' if np.isclose(scale, 1 / 255) else f'{scale:.6g}'}"
