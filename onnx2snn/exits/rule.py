"""When an input is decided: early exit (Wang et al. 2025).

After every timestep the scores so far, the mean of the output, tell how sure the network is:

    confidence  the largest probability, p = softmax(scores); decided at or above a threshold
    entropy     -Σ p·log p / log(classes), from 0 to 1; decided at or below a threshold

Outputs that are no class scores tell by how much they still move:

    change      max |y_t - y_(t-1)| / max |y_t|, over all of a sample's output; decided at or below a
                threshold, but not where nothing has moved at all: nothing may have arrived yet
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from onnx2snn.errors import OptionError
from onnx2snn.records import Record

Criterion = Literal["confidence", "entropy", "change"]

#: What `auto` is called: one threshold a timestep, from calibration data.
AUTO = "auto"
#: Thresholds where the user names none.
_DEFAULTS: dict[str, float] = {"confidence": 0.9, "entropy": 0.1, "change": 0.01}


@dataclass(frozen=True)
class ExitRule(Record):
    """When a sample needs no further timestep.

    Attributes:
        criterion: what is compared.
        thresholds: for each timestep; the last one also counts for all behind it.
        probabilities: whether the scores have been through a softmax already.
        output: whose scores they are, of a net with several; None for the only one.
    """

    criterion: Criterion
    thresholds: tuple[float, ...]
    probabilities: bool = False
    output: str | None = None

    @property
    def needs_scores(self) -> bool:
        """Whether it asks for class scores, and not for any output with a row for each sample."""
        return self.criterion != "change"

    def decided(
        self, scores: npt.NDArray[Any], timestep: int, before: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Which samples are decided by their scores [N, classes] after so many timesteps.

        `before` are those of the timestep before, which only `change` asks for; None: there was none.
        """
        threshold = np.float32(self.thresholds[min(timestep, len(self.thresholds)) - 1])
        if self.criterion == "change":
            moved = change(scores, before)
            return (moved > 0) & (moved <= threshold)
        value = measure(self.criterion, scores, probabilities=self.probabilities)
        return value >= threshold if self.criterion == "confidence" else value <= threshold


def measure(
    criterion: Criterion, scores: npt.NDArray[Any], *, probabilities: bool = False
) -> npt.NDArray[np.float32]:
    """How sure scores [N, classes] are: [N], see the head of this file."""
    p = scores.astype(np.float32)
    if not probabilities:
        p = np.exp(p - p.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
    if criterion == "confidence":
        return np.asarray(p.max(axis=1))
    logs = np.log(np.maximum(p, np.finfo(np.float32).tiny))
    return np.asarray(-(p * logs).sum(axis=1) / np.float32(np.log(p.shape[1])), np.float32)


def change(outputs: npt.NDArray[Any], before: npt.NDArray[Any] | None) -> npt.NDArray[np.float32]:
    """By how much outputs [N, …] have moved in a timestep: [N], see the head of this file."""
    if before is None:
        return np.full(len(outputs), np.inf, np.float32)
    now, then = (values.reshape(len(values), -1).astype(np.float32) for values in (outputs, before))
    size = np.maximum(np.abs(now).max(axis=1), np.finfo(np.float32).tiny)
    return np.asarray(np.abs(now - then).max(axis=1) / size)


def parse_exit(text: str) -> tuple[Criterion, float] | None:
    """What `--early-exit` names: a criterion with its threshold, or None for `auto`.

    Raises:
        OptionError: no such criterion, or a threshold outside 0 to 1.
    """
    name, _, given = str(text).partition(":")
    if text == AUTO:
        return None
    try:
        threshold = float(given) if given else _DEFAULTS[name]
    except (KeyError, ValueError):
        threshold = np.nan
    if name not in get_args(Criterion) or not 0 <= threshold <= 1:
        raise OptionError(
            "--early-exit: expected auto, confidence, entropy or change, each of these with a threshold from "
            f"0 to 1 such as confidence:0.9, found '{text}'; give one of these"
        )
    criterion: dict[str, Criterion] = {one: one for one in get_args(Criterion)}
    return criterion[name], threshold
