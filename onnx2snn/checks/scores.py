"""What evidence weighs, in nats, standard errors and probabilities; none of it knows a net."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, exp, lgamma, log

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_TINY = 1e-30


def surprise(mean: Array, variance: Array, expected_mean: Array, expected_variance: Array) -> float:
    """How far values are from those that a BatchNormalization was trained with.

    The divergence of one normal distribution from another, KL(found ‖ expected), of the median channel: what
    an observed value speaks against the running statistics, on average.

    Args:
        mean: measured, [C].
        variance: the same.
        expected_mean: the running one, [C].
        expected_variance: the same.

    Returns:
        Nats a value.
    """
    ratio = variance / np.maximum(expected_variance, _TINY)
    shift = (mean - expected_mean) ** 2 / np.maximum(expected_variance, _TINY)
    return float(np.median(0.5 * (ratio + shift - 1 - np.log(np.maximum(ratio, _TINY)))))


def entropies(answers: Array) -> Array:
    """Of each answer, log-probabilities [N, K]; nats [N]."""
    return np.asarray(-(np.exp(answers) * answers).sum(axis=1))


def information(answers: Array) -> float:
    """What the answers [N, K], log-probabilities, tell of which sample it is, in nats.

    The entropy of their mean less their mean entropy: 0 where all samples are answered alike, or none with
    any confidence; at most ln K.
    """
    mean = np.exp(answers).mean(axis=0)
    return float(-(mean * np.log(np.maximum(mean, _TINY))).sum() - entropies(answers).mean())


def standard_errors(differences: Array) -> float:
    """How many standard errors the mean of paired differences [N] lies above 0."""
    if len(differences) < 2:
        return 0.0
    error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
    return float(differences.mean() / error) if error > 0 else 0.0


def apart(first: Sequence[float], second: Sequence[float], samples: tuple[int, int]) -> float:
    """How many standard errors two means are apart, each given with its deviation (Welch's t)."""
    error = np.sqrt(sum(part[1] ** 2 / count for part, count in zip((first, second), samples, strict=True)))
    return float(abs(first[0] - second[0]) / max(error, _TINY))


def sign_test(better: int, worse: int) -> float:
    """Probability that of `better + worse` fair coins at least `better` fall that way (McNemar's, exact)."""
    tosses = better + worse
    return float(sum(comb(tosses, k) for k in range(better, tosses + 1)) / 2**tosses)


def chance_odds(right: int, samples: int, classes: int) -> float:
    """How much better guessing explains so many right answers than an accuracy that may be anything above.

    The Bayes factor of p = 1/K over a p that is uniform between 1/K and 1; more than 10 is strong evidence.
    """
    guessed = 1 / classes
    p = np.linspace(guessed, 1, 4097)[1:-1]
    ways = lgamma(samples + 1) - lgamma(right + 1) - lgamma(samples - right + 1)
    by_guessing = exp(ways + right * log(guessed) + (samples - right) * np.log1p(-guessed))
    otherwise = float(np.exp(ways + right * np.log(p) + (samples - right) * np.log1p(-p)).mean())
    return by_guessing / max(otherwise, _TINY)


def roughness(images: Array) -> Array:
    """Of each image [N, C, H, W], the mean square of steps from place to place, over twice its variance.

    1 where neighbours have nothing to do with each other, near 0 for a smooth picture. Each channel is
    compared with its own mean; [N].
    """
    centred = images - images.mean(axis=(2, 3), keepdims=True)
    steps = [(np.diff(centred, axis=axis) ** 2).mean(axis=(1, 2, 3)) for axis in (2, 3)]
    return np.asarray(np.mean(steps, axis=0) / np.maximum(2 * (centred**2).mean(axis=(1, 2, 3)), _TINY))


def outlier(largest: Array) -> tuple[int, float, float]:
    """Whether the largest of some maxima, all above 0, belongs to the others.

    Rényi: where the tail falls as a power, i·ln(m_i/m_(i+1)) of descending maxima are independent and have
    one mean, so the first spacing over the mean of the next k is small with a known probability. A lighter
    tail has smaller spacings at its end, which makes the test only more careful.

    Args:
        largest: of each sample, [N].

    Returns:
        Its number; how many times the next one it is; the probability of such a gap.
    """
    order = np.argsort(-largest, kind="stable")
    logs = np.log(np.maximum(largest[order], _TINY))
    count = min(len(logs) - 2, max(8, len(logs) // 4))
    if count < 4:
        return int(order[0]), 1.0, 1.0
    spacings = np.arange(1, count + 2) * (logs[: count + 1] - logs[1 : count + 2])
    gap, usual = float(spacings[0]), max(float(spacings[1:].mean()), 1e-3)
    return int(order[0]), exp(gap), float((1 + gap / (usual * count)) ** -count)
