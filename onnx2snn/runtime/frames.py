"""How frames are followed, and what each of them gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from onnx2snn.errors import OptionError

Array = npt.NDArray[Any]
Steps = int | Literal["rest"]


@dataclass(frozen=True)
class Pace:
    """How a network follows its frames.

    Attributes:
        steps_per_frame: timesteps, or `rest`: until no neuron of a graded network sends.
        tolerance: a power of two: neurons of a graded network that have settled send no spikes smaller than
            so many of their smallest ones.
        count: also count spikes and synaptic operations.
        hop: columns by which a frame, a window of a longer signal along its last axis, lies behind the one
            before; what neurons have sent moves along. 0: frames are no windows.

    Raises:
        OptionError: no steps, or another tolerance or hop.
    """

    steps_per_frame: Steps = 1
    tolerance: int = 1
    count: bool = False
    hop: int = 0

    def __post_init__(self) -> None:
        steps = self.steps_per_frame
        if steps != "rest" and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
            raise OptionError(
                f"steps per frame: expected a whole number of at least 1, or rest, found {steps!r}"
            )
        known = isinstance(self.tolerance, int) and not isinstance(self.tolerance, bool)
        if not known or self.tolerance < 1 or self.tolerance & (self.tolerance - 1):
            raise OptionError(
                f"tolerance: expected a power of two such as 1 (any change is sent), 4 or 16, found "
                f"{self.tolerance!r}"
            )
        if not isinstance(self.hop, int) or self.hop < 0:
            raise OptionError(
                f"hop: expected a whole number of columns from window to window, found {self.hop!r}; leave "
                "it out for frames that are no windows"
            )


@dataclass(frozen=True)
class Frame:
    """What a network makes of one frame of each of N streams.

    Attributes:
        outputs: output name → [N, …]: what a graded network stands at; with other codes the mean since the
            stream began.
        timesteps: int64 [N], how many were run; until rest, those up to the last in which something was sent.
        seconds: for all of them, without the counting behind the last timestep.
        spikes: neuron name → spikes, int64 [N]; empty where nothing is counted.
        events: int64 [N], how often a neuron has sent something in a timestep; zeros where nothing is
            counted.
        operations: int64 [N], events times connections; likewise.
        prefix_macs: int64 [N], multiply-accumulates before the first neuron, of what has changed of the
            inputs; likewise.
    """

    outputs: dict[str, Array]
    timesteps: Array
    seconds: float
    spikes: dict[str, Array]
    events: Array
    operations: Array
    prefix_macs: Array


def assembled(frames: Sequence[tuple[Array, Frame]]) -> Frame:
    """One frame of all streams, in their order."""
    if len(frames) == 1 and np.array_equal(frames[0][0], np.arange(len(frames[0][0]))):
        return frames[0][1]
    order = np.argsort(np.concatenate([rows for rows, _ in frames]))
    parts = [frame for _, frame in frames]

    def joined(pick: Any) -> Array:
        values: Array = np.concatenate([pick(part) for part in parts])[order]
        return values

    return Frame(
        {name: joined(lambda part, name=name: part.outputs[name]) for name in parts[0].outputs},
        joined(lambda part: part.timesteps),
        sum(part.seconds for part in parts),
        {name: joined(lambda part, name=name: part.spikes[name]) for name in parts[0].spikes},
        joined(lambda part: part.events),
        joined(lambda part: part.operations),
        joined(lambda part: part.prefix_macs),
    )
