from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.data.event_frames import Events, FrameRule, accumulated, count_events, parse_accumulate
from onnx2snn.errors import OptionError


def events_at(times: list[int]) -> Events:
    """Events at (2, 1), turning brighter and darker by turns."""
    where = np.ones(len(times), np.int32)
    return Events(2 * where, where, np.arange(len(times)) % 2 == 0, np.array(times, np.int64))


@pytest.mark.parametrize(
    ("rule", "times", "frames", "numbers"),
    [
        # The clock begins at the first event; an event on a border opens the next frame.
        ("time:10us", [5, 14, 15, 44], 4, [0, 0, 1, 3]),
        ("time:0.01ms", [5, 14, 15, 44], 4, [0, 0, 1, 3]),
        ("events:2", [5, 5, 5, 9, 9], 3, [0, 0, 1, 1, 2]),
        ("events:5", [5, 5, 5, 9, 9], 1, [0, 0, 0, 0, 0]),
        # Three parts of 4 µs, the last event's included; frames may stay empty.
        ("count:3", [0, 3, 4, 11], 3, [0, 0, 1, 2]),
        ("count:3", [7, 7], 3, [0, 0]),
        ("count:1", [0, 9], 1, [0, 0]),
        # Times whose multiple no int64 holds.
        ("count:3", [0, 1 << 61, 1 << 62], 3, [0, 1, 2]),
    ],
)
def test_events_share_frames(rule: str, times: list[int], frames: int, numbers: list[int]) -> None:
    found = FrameRule.parse(rule)
    assert found.frames(len(times), times[0], times[-1]) == frames
    np.testing.assert_array_equal(found.numbers(np.array(times, np.int64)), numbers)


@pytest.mark.parametrize(
    ("text", "size"),
    [("time:10ms", 10_000), ("time:33333us", 33_333), ("time:33333µs", 33_333), ("time:0.5s", 500_000)],
)
def test_times_are_microseconds(text: str, size: int) -> None:
    assert FrameRule.parse(text) == FrameRule("time", size)


@pytest.mark.parametrize("text", ["time:0ms", "time:-1ms", "events:0", "count:0"])
def test_refuses_frames_of_nothing(text: str) -> None:
    kind = text.partition(":")[0]
    with pytest.raises(OptionError, match=rf"frames: expected at least {kind}:1\w*, found '{text}'; give"):
        FrameRule.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "10ms", "time", "time:", "time:10", "time:1min", "time:0.5us", "time:nanms", "time:infs",
     "events:1.5", "events:-2", "count:x", "frames:3", 3, None],
)  # fmt: skip
def test_refuses_other_rules(text: object) -> None:
    with pytest.raises(OptionError, match=re.escape(f"events:2000 or count:30, found {text!r}")):
        FrameRule.parse(text)


def test_a_frame_counts_by_polarity() -> None:
    events, numbers = events_at([1, 2, 3]), np.array([0, 0, 2])
    channels = count_events(events, numbers, 4, (3, 4), (3, 4), "channels")
    assert channels.dtype == np.int32
    expected = np.zeros((4, 2, 3, 4))
    expected[0, :, 1, 2] = 1  # one darker, one brighter
    expected[2, 1, 1, 2] = 1
    np.testing.assert_array_equal(channels, expected)
    signed = count_events(events, numbers, 4, (3, 4), (3, 4), "signed")
    np.testing.assert_array_equal(signed, expected[:, 1:] - expected[:, :1])
    both = count_events(events, numbers, 4, (3, 4), (3, 4), "sum")
    np.testing.assert_array_equal(both, expected.sum(axis=1, keepdims=True))


def test_pixels_of_the_sensor_share_those_of_a_smaller_frame() -> None:
    corners = Events(np.array([0, 2, 3, 5]), np.array([0, 1, 2, 3]), np.ones(4, bool), np.arange(4))
    found = count_events(corners, np.zeros(4, np.int64), 1, (4, 6), (2, 2), "sum")
    np.testing.assert_array_equal(found, [[[[2, 0], [0, 2]]]])


@given(
    times=st.lists(st.integers(0, 10**6), min_size=1, max_size=50).map(sorted),
    rule=st.sampled_from(["time:1ms", "time:7us", "time:2s", "events:1", "events:7", "count:1", "count:13"]),
    data=st.data(),
)
def test_frames_conserve_events(times: list[int], rule: str, data: st.DataObject) -> None:
    many = len(times)
    x = np.array(data.draw(st.lists(st.integers(0, 8), min_size=many, max_size=many)), np.int16)
    y = np.array(data.draw(st.lists(st.integers(0, 6), min_size=many, max_size=many)), np.uint8)
    on = np.array(data.draw(st.lists(st.booleans(), min_size=many, max_size=many)))
    # Frames of 7 µs over a second would be many: squeeze those times.
    time = np.array(times, np.int64) // (1_000 if rule == "time:7us" else 1)
    found = FrameRule.parse(rule)
    frames, numbers = found.frames(many, int(time[0]), int(time[-1])), found.numbers(time)
    assert numbers.min() >= 0
    assert numbers.max() < frames
    assert (np.diff(numbers) >= 0).all()
    for size in ((7, 9), (2, 3)):
        counts = count_events(Events(x, y, on, time), numbers, frames, (7, 9), size, "channels")
        assert counts.sum() == many
        np.testing.assert_array_equal(counts.sum(axis=(0, 2, 3)), [(~on).sum(), on.sum()])
        both = count_events(Events(x, y, on, time), numbers, frames, (7, 9), size, "sum")
        np.testing.assert_array_equal(both[:, 0], counts.sum(axis=1))


@pytest.mark.parametrize("most", [1, 2, 3, 5, 9, None])
def test_frames_are_accumulated(most: int | None) -> None:
    counts = np.random.default_rng(0).integers(0, 5, (5, 2, 3), np.int32)
    before = counts.copy()
    found = accumulated(counts, most)
    for place in range(5):
        first = 0 if most is None else max(0, place - most + 1)
        np.testing.assert_array_equal(found[place], counts[first : place + 1].sum(axis=0))
    np.testing.assert_array_equal(counts, before)


def test_how_many_frames_are_accumulated() -> None:
    assert [parse_accumulate(value) for value in (1, "3", "all")] == [1, 3, None]
    for value in (0, -2, "0", "some", "1.5", 1.5, True, None):
        with pytest.raises(OptionError, match="accumulate: expected a whole number of at least 1, or all"):
            parse_accumulate(value)
