"""Which thresholds save most timesteps while few answers differ: a search on arrays of confidences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: No confidence is as large: nobody leaves.
_NEVER = 2.0
#: Halvings of the interval of risks.
_HALVINGS = 30


def choose_thresholds(
    confidence: npt.NDArray[np.float32], differs: npt.NDArray[np.bool_], share: float
) -> tuple[float, ...]:
    """The thresholds that save most timesteps while no more than a share of all answers differ.

    All timesteps take the same risk: among the samples that are left and at least as sure as the threshold,
    no more than that share may differ. The largest risk is sought with which the total stays within bounds.

    Args:
        confidence: of every sample after every timestep, [T, N].
        differs: whether the answer is another one than after the last timestep, [T, N].
        share: of the samples that may leave with another answer.
    """
    low, high = 0.0, 1.0
    chosen = _thresholds(confidence, differs, 0.0)[0]
    for _ in range(_HALVINGS):
        risk = (low + high) / 2
        thresholds, wrong = _thresholds(confidence, differs, risk)
        if wrong <= share * confidence.shape[1]:
            low, chosen = risk, thresholds
        else:
            high = risk
    return chosen


def _thresholds(
    confidence: npt.NDArray[np.float32], differs: npt.NDArray[np.bool_], risk: float
) -> tuple[tuple[float, ...], int]:
    """Thresholds of one risk, and how many answers differ with them."""
    left = np.ones(confidence.shape[1], bool)
    thresholds, wrong = [], 0
    for sure, different in zip(confidence, differs, strict=True):
        threshold = _threshold(sure[left], different[left], risk)
        leaving = left & (sure >= np.float32(threshold))
        wrong += int(different[leaving].sum())
        left &= ~leaving
        thresholds.append(threshold)
    return tuple(thresholds), wrong


def _threshold(sure: npt.NDArray[np.float32], different: npt.NDArray[np.bool_], risk: float) -> float:
    """The least confidence such that of all that are as sure no more than `risk` differ."""
    if not len(sure):
        return _NEVER
    order = np.argsort(-sure, kind="stable")
    rate = np.cumsum(different[order]) / np.arange(1, len(order) + 1)
    falls = np.append(np.diff(sure[order]) != 0, True)  # who is equally sure leaves as well
    fine = np.flatnonzero((rate <= risk) & falls)
    return float(sure[order[fine[-1]]]) if len(fine) else _NEVER
