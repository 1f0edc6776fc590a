"""How many samples go at a time: every size is tried twice, then the fastest is taken."""

from __future__ import annotations

import pytest

from onnx2snn.runtime import batching
from onnx2snn.runtime.batching import BatchSplit


class Clock:
    """Stands where `time` is read; it goes on by what a test says."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(batching, "time", clock)
    return clock


def run(split, clock, size, seconds, work=1):
    with split.measured(size, work):
        clock.now += seconds


def tried(split, clock, samples, seconds):
    """The sizes tried, each run taking what `seconds` says of its size."""
    sizes = []
    for _ in range(2 * len(seconds)):
        sizes.append(split.size(samples))
        run(split, clock, sizes[-1], seconds[sizes[-1]])
    return sizes


@pytest.mark.parametrize(
    ("samples", "sizes"),
    [(1, [1]), (15, [15]), (16, [16, 8]), (17, [17, 9]), (31, [31, 16, 8]), (100, [32, 16, 8])],
)
def test_each_size_is_halved_until_it_would_be_too_small(clock, samples, sizes):
    split = BatchSplit()
    found = tried(split, clock, samples, dict.fromkeys(sizes, 1.0))
    assert found == [size for size in sizes for _ in range(2)]


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({32: 1.0, 16: 0.96, 8: 0.97}, 32),
        ({32: 1.0, 16: 0.94, 8: 0.9}, 16),
        ({32: 1.0, 16: 0.94, 8: 0.8}, 8),
        ({32: 1.0, 16: 2.0, 8: 0.5}, 8),
    ],
)
def test_a_smaller_group_must_be_clearly_faster(clock, seconds, best):
    split = BatchSplit()
    tried(split, clock, 32, seconds)
    assert split.size(32) == best


def test_the_faster_of_two_runs_counts_and_later_ones_do_not(clock):
    split = BatchSplit()
    for size, runs in {16: (1.0, 1.0, 0.1), 8: (9.0, 0.5, 99.0)}.items():
        for seconds in runs:
            run(split, clock, size, seconds)
    assert split.size(16) == 8


def test_time_is_that_of_a_sample_and_timestep(clock):
    split = BatchSplit()
    for size, seconds in ((16, 4.0), (8, 3.0)):
        for _ in range(2):
            run(split, clock, size, seconds, work=size)
    assert split.size(16) == 16
