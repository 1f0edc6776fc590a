"""Many sequences, some at a time, are as each alone."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.runtime.frames import Pace
from onnx2snn.runtime.playing import play
from tests.runtime.test_streaming import frames_of, same, sessions


@pytest.mark.parametrize("tolerance", [1, 4])
@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_sequences_played_together_are_as_each_alone(rng, at_once, tolerance):
    net, session = sessions(rng)
    pace = Pace("rest", tolerance, count=True)
    sequences = [[{"x": frame} for frame in frames_of(rng, net, length, 1)] for length in (3, 1, 6, 4, 2)]
    alone = []
    for sequence in sequences:
        stream = session.open_stream(pace)
        alone.append([stream.advance(frame, [0]) for frame in sequence])
    seen = []
    for numbers, places, given, frame in play(session.open_stream(pace), sequences, at_once):
        assert len(numbers) <= at_once
        for row, (number, place) in enumerate(zip(numbers, places, strict=True)):
            seen.append((number, place))
            np.testing.assert_array_equal(given["x"][row], sequences[number][place]["x"][0])
            same(frame, alone[number][place], [row])
    assert sorted(seen) == [(n, p) for n, sequence in enumerate(sequences) for p in range(len(sequence))]


def test_sequences_may_be_empty(rng):
    net, session = sessions(rng)
    frame = {"x": frames_of(rng, net, 1, 1)[0]}
    played = play(session.open_stream(Pace("rest")), [[], [frame], [], [frame, frame], []], 2)
    assert [(numbers, places) for numbers, places, _, _ in played] == [([1, 3], [0, 0]), ([3], [1])]
    assert not list(play(session.open_stream(Pace("rest")), [], 2))
