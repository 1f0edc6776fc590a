"""Thresholds for an early exit, one a timestep, from calibration data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from onnx2snn.data.readers import Dataset
from onnx2snn.errors import OptionError
from onnx2snn.exits.rule import ExitRule, measure
from onnx2snn.exits.thresholds import choose_thresholds
from onnx2snn.runtime.session import SpikingSession

#: Answers that may differ, in percent, where the user names no bound.
MAX_LOSS = 0.1


def check_bound(bound: float) -> None:
    """Make sure that a bound is one.

    Raises:
        OptionError: it is not above zero, or above 100.
    """
    if not 0 < bound <= 100:
        raise OptionError(
            f"--max-loss: expected more than 0 and at most 100 percent, found {bound}; give 0.1, say"
        )


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
    bound = MAX_LOSS if max_loss is None else max_loss
    check_bound(bound)
    session.exit_rule("confidence")  # refuses what cannot exit early
    output, probabilities = session.artifact.outputs[0], session.artifact.gives_probabilities
    sure: list[npt.NDArray[np.float32]] = []
    answers: list[npt.NDArray[np.int64]] = []
    done = 0
    for batch, count in session.batches(dataset, batch_size):
        whole = [step[output] for step in session.outputs_by_step(batch, timesteps)]
        session.check_scores(whole[0], len(next(iter(batch.values()))))
        scores = [step[:count] for step in whole]
        sure.append(np.stack([measure("confidence", one, probabilities=probabilities) for one in scores]))
        answers.append(np.stack([one.argmax(axis=1) for one in scores]))
        done += count
        if progress is not None:
            progress(done / len(dataset))
    answer = np.concatenate(answers, axis=1)
    thresholds = choose_thresholds(np.concatenate(sure, axis=1), answer != answer[-1], bound / 100)
    return ExitRule("confidence", thresholds, probabilities, session.artifact.answer or None)
