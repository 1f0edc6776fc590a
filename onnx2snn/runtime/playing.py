"""Many sequences of frames through one network, some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.runtime.frames import Frame
from onnx2snn.runtime.streaming import Stream

Array = npt.NDArray[Any]
Values = Mapping[str, Array]


def play(
    stream: Stream, sequences: Iterable[Iterable[Values]], at_once: int
) -> Iterator[tuple[list[int], list[int], dict[str, Array], Frame]]:
    """Play many sequences of frames, some at a time: where one ends, the next begins.

    Args:
        stream: on its own.
        sequences: of frames, inputs by name [1, …].
        at_once: how many streams at most.

    Yields:
        The numbers of the sequences in a step, of the frames in theirs, their inputs, and what was made of
        them.
    """
    waiting = enumerate(map(iter, sequences))
    playing: dict[int, tuple[Iterator[Values], int]] = {}
    while True:
        frames: dict[int, Values] = {}
        for number, (frames_left, seen) in list(playing.items()):
            frame = next(frames_left, None)
            if frame is None:
                del playing[number]
                continue
            frames[number] = frame
            playing[number] = frames_left, seen + 1
        while len(playing) < at_once and (following := next(waiting, None)) is not None:
            number, frames_left = following
            frame = next(frames_left, None)
            if frame is not None:
                playing[number], frames[number] = (frames_left, 1), frame
        if not frames:
            return
        numbers = list(frames)
        first = frames[numbers[0]]
        feeds = {name: np.concatenate([frames[number][name] for number in numbers]) for name in first}
        given = stream.advance(feeds, numbers)
        yield numbers, [playing[number][1] - 1 for number in numbers], feeds, given
