"""How much an output may still change for its sample to be decided, from calibration data.

The largest of some tolerances is taken with which the network loses no more than a bound, in the measure of
its task, against its own answers after all timesteps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.analysis.judging import Judge, open_judge
from onnx2snn.analysis.loss import relative_error
from onnx2snn.analysis.task_loss import TaskLoss, can_bound, join
from onnx2snn.compiler.exit_calibration import MAX_LOSS, calibrate_exit, check_bound
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import DataError
from onnx2snn.exits.rule import ExitRule, change
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.tasks.asked import Asked

Array = npt.NDArray[Any]

#: Tolerances that are tried, the largest first.
_TOLERANCES = tuple(2.0**-power for power in range(13))
#: No change is as small: nobody leaves.
_NEVER = -1.0


def find_exit(
    session: SpikingSession,
    dataset: Dataset,
    max_loss: float | None = None,
    timesteps: int | None = None,
    *,
    asked: Asked | None = None,
    batch_size: int = 64,
    progress: Callable[[float], None] | None = None,
) -> ExitRule:
    """Choose an early exit: thresholds on confidence for class scores, a tolerance of change for other tasks.

    Args:
        session: the network, of the schedule `stream`.
        dataset: calibration samples, with labels or without.
        max_loss: what may be lost against all timesteps: answers in percent; of other tasks as
            `task_loss.py` has it, or percent of relative error; None: 0.1.
        timesteps: T; as compiled by default.
        asked: what the task is, and how outputs are read; None: what output and labels tell.
        batch_size: samples a batch.
        progress: called with the share of the samples that is done.

    Raises:
        OptionError: the schedule `layer`, or a loss that is not above zero.
        DataError: no samples, or labels of another task.
    """
    bound = MAX_LOSS if max_loss is None else max_loss
    check_bound(bound)
    session.exit_rule("change")  # refuses what cannot exit early
    judge: Judge | None = None
    seen: _Seen | None = None
    done = 0
    for batch, count in session.batches(dataset, batch_size):
        steps = list(session.outputs_by_step(batch, timesteps))
        if seen is None:
            judge = open_judge(asked or Asked(), session.artifact, dataset, batch, steps[-1])
            if judge is None or judge.task.decides:
                return calibrate_exit(
                    session, dataset, max_loss, timesteps, batch_size=batch_size, progress=progress
                )
            seen = _Seen(judge)
        seen.add(steps, count)
        done += count
        if progress is not None:
            progress(done / len(dataset))
    if seen is None:
        raise DataError(f"{dataset.source}: expected at least one sample, found none; give calibration data")
    return ExitRule("change", (seen.tolerance(bound),))


class _Seen:
    """What a network gave after each timestep, and by how much that changed."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._steps: list[list[Any]] = []
        self._first: list[Array] = []
        self._changes: list[Array] = []

    def add(self, steps: list[dict[str, Array]], count: int) -> None:
        """Add the outputs of a batch of `count` samples after each timestep."""
        first = [next(iter(outputs.values()))[:count] for outputs in steps]
        before = [None, *first[:-1]]
        self._changes.append(np.stack([change(now, then) for now, then in zip(first, before, strict=True)]))
        self._first.append(np.stack(first))
        self._steps.append([self._judge.read(outputs, count) for outputs in steps])

    def tolerance(self, bound: float) -> float:
        """The largest that keeps the bound; below 0 where none does."""
        changes, first = (np.concatenate(parts, axis=1) for parts in (self._changes, self._first))
        read = [join(parts) for parts in zip(*self._steps, strict=True)]
        meter = TaskLoss(self._judge, read[-1]) if can_bound(self._judge) else None
        rows = np.arange(changes.shape[1])
        for tolerance in _TOLERANCES:
            decided = (changes > 0) & (changes <= np.float32(tolerance))
            decided[-1] = True
            used = decided.argmax(axis=0)
            if meter is None:
                wide = first.astype(np.float64)
                lost = relative_error(wide[used, rows], wide[-1])[0]
            else:
                left = [read[step][row] for row, step in zip(rows, used, strict=True)]
                lost = meter.loss(np.stack(left) if isinstance(read[-1], np.ndarray) else left)[0]
            if lost <= bound:
                return tolerance
        return _NEVER
