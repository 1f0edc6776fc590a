"""Thresholds for an early exit, one a timestep, from calibration data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from onnx2snn.data.readers import Dataset
from onnx2snn.errors import OptionError
from onnx2snn.exits import ExitRule, measure
from onnx2snn.runtime.session import SpikingSession

#: Answers that may differ, in percent, where the user names no bound.
_MAX_LOSS = 0.1
#: No confidence is as large: nobody leaves.
_NEVER = 2.0
#: Halvings of the interval of risks.
_HALVINGS = 30


def calibrate_exit(
    session: SpikingSession,
    dataset: Dataset,
    max_loss: float | None = None,
    timesteps: int | None = None,
    *,
    batch_size: int = 64,
    progress: Callable[[float], None] | None = None,
) -> ExitRule:
    """Choose the thresholds of an early exit on confidence.

    Args:
        session: the network, of the schedule `stream`, with class scores.
        dataset: calibration samples.
        max_loss: how many of its answers may differ from those after all timesteps, in percent; None: 0.1.
        timesteps: T; as compiled by default.
        batch_size: samples a batch.
        progress: called with the share of the samples that is done.

    Raises:
        OptionError: no class scores, the schedule `layer`, or a loss that is not above zero.
    """
    bound = _MAX_LOSS if max_loss is None else max_loss
    if not 0 < bound <= 100:
        raise OptionError(
            f"--max-loss: expected more than 0 and at most 100 percent, found {bound}; give 0.1, say"
        )
    session.exit_rule("confidence")  # refuses what cannot exit early
    output, probabilities = session.artifact.outputs[0], session.artifact.gives_probabilities
    sure: list[npt.NDArray[np.float32]] = []
    answers: list[npt.NDArray[np.int64]] = []
    done = 0
    for batch, count in session.batches(dataset, batch_size):
        scores = [step[output][:count] for step in session.outputs_by_step(batch, timesteps)]
        session.check_scores(scores[0])
        sure.append(np.stack([measure("confidence", one, probabilities=probabilities) for one in scores]))
        answers.append(np.stack([one.argmax(axis=1) for one in scores]))
        done += count
        if progress is not None:
            progress(done / len(dataset))
    answer = np.concatenate(answers, axis=1)
    thresholds = choose_thresholds(np.concatenate(sure, axis=1), answer != answer[-1], bound / 100)
    return ExitRule("confidence", thresholds, probabilities)


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
