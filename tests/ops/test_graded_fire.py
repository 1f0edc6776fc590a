"""Graded neurons that fire once: T spikes are the digits of their target."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.ops import CELLS
from onnx2snn.ops.graded_fire import spike_train, words
from onnx2snn.ops.graded_if import dead_zone
from onnx2snn.options import CompileOptions
from tests.ops.cells import BACKENDS, check_case, numpy_step, one, simulate

ONE = np.float32(1).reshape(1, 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("timesteps", "target", "word"),
    [(1, 0.7, 0.5), (2, 0.7, 0.75), (3, 0.7, 0.6875), (2, 5, 2), (3, -0.7, -0.6875), (16, 5, 5)],
)
def test_its_spikes_are_digits_of_the_target(backend, timesteps, target, word):
    setup = {"exponents": 5, "dead_zone": dead_zone(5)}
    check_case(backend, f"GradedFire{timesteps}", setup, [ONE], one(target), one(word))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("timesteps", [1, 3, 16])
def test_backends_agree_on_any_float(backend, timesteps, rng):
    op, setup = f"GradedFire{timesteps}", {"exponents": 9, "dead_zone": dead_zone(9)}
    targets = rng.integers(0, 2**32, (1, 1, 50_000), dtype=np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        found, expected = (
            simulate(run, op, targets, [np.float32([[0.7]])], setup) for run in (backend, numpy_step)
        )
    np.testing.assert_array_equal(found, expected)


def test_words_are_what_was_sent_after_each_spike():
    target = np.float32([0.7, 0.01])
    reached = words(target, np.float32(1), dead_zone(5), 3)
    np.testing.assert_array_equal(reached, [[0.5, 0], [0.75, 0], [0.6875, 0]])


def test_a_train_holds_the_spikes_and_their_sizes():
    """0.7 = ½ + ¼ - 1/16 of 1: of five exponents the sizes 4, 3 and -1; beyond R the range itself, twice."""
    attributes = {"exponents": 5, "dead_zone": dead_zone(5)}
    values, sizes = spike_train(np.float32([0.7, 2, 0]), np.float32(1), attributes, 3)
    np.testing.assert_array_equal(values, [[0.5, 1, 0], [0.25, 1, 0], [-0.0625, 0, 0]])
    np.testing.assert_array_equal(sizes, [[4, 5, 0], [3, 5, 0], [-1, 0, 0]])


def test_each_number_of_timesteps_has_an_operator():
    for timesteps in (1, 2, 16):
        cell = CELLS[f"GradedFire{timesteps}"]
        suits = cell.neuron.suits
        assert suits(None, CompileOptions(code="graded", schedule="layer", timesteps=timesteps))
        assert not suits(None, CompileOptions(code="graded", schedule="layer", timesteps=timesteps % 16 + 1))
        assert (cell.sums, cell.states, cell.neuron.fires_once) == (True, (), True)
    assert "GradedFire17" not in CELLS
