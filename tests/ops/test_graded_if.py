"""Graded neurons: the nearest power of two of what is missing, exact on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.ops.graded_if import CELL, count_changes, dead_zone, exact, grades, next_word, tune
from onnx2snn.options import CompileOptions
from tests.ops.cells import BACKENDS, check_case, numpy_step, one, simulate, suited

ONE = np.float32(1).reshape(1, 1)


def attributes(exponents, *coarse):
    return {"exponents": exponents, "dead_zone": dead_zone(exponents), "coarse": [*coarse, 1.0]}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("targets", "exponents", "words"),
    [
        ((0.75, 0.75, 0.75), 4, (1, 0.75, 0.75)),  # a tie goes to the larger size, and back
        ((np.nextafter(np.float32(0.75), 0),) * 2, 4, (0.5, 0.75)),
        ((0.375, 0.1875, 0.09375), 4, (0.5, 0.25, 0.125)),
        ((5, 5, 5), 4, (1, 2, 3)),  # beyond R: R again and again
        ((-5, -5), 4, (-1, -2)),
        ((1, 0, 0), 4, (1, 0, 0)),  # what was sent is taken back
        ((0.6, 0.6, 0.6, 0.6), 1, (0, 0, 0, 0)),  # n = 1 knows R only
        ((0.8, 0.2), 1, (1, 0)),
        ((0.09, 0.09), 4, (0, 0)),  # below ¾/8
        ((0.09375,), 4, (0.125,)),
        ((2.0**-15, 2.0**-15), 16, (2.0**-15, 2.0**-15)),
        ((0, 0), 7, (0, 0)),
    ],
)
def test_the_nearest_power_of_two_is_sent(backend, targets, exponents, words):
    check_case(backend, CELL.op, attributes(exponents), [ONE], one(*targets), one(*words))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_power_and_every_tie_is_exact(backend):
    powers = 2.0 ** -np.arange(16)
    near = np.nextafter(np.float32(0.75 * powers), np.float32(0))
    targets = np.float32([0.75 * powers, near, -0.75 * powers])[None]
    expected = np.float32([powers, powers / 2, -powers])[None]
    expected[0, 1, -1] = 0  # 2^-16 is not among 16 sizes
    check_case(backend, CELL.op, attributes(16), [ONE], targets, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("reach", "sent"), [(0.0, 0.0), (2.0**-130, 2.0**-131), (2.0**100, 2.0**99)])
def test_a_range_may_be_zero_or_tiny_or_huge(backend, reach, sent):
    target = np.float32(0.5 * reach) if reach else np.float32(3)
    ranges = np.float32(reach).reshape(1, 1)
    check_case(backend, CELL.op, attributes(4), [ranges], one(target), one(np.float32(sent)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("coarse", "targets", "words"),
    [
        ((16.0, 16.0), (1, 1, 0.5, 0.5), (0, 0, 0.5, 0.5)),  # without any spikes left it waits
        ((4.0,), (0.25, 0.25), (0, 0.25)),  # 1 and 0.5 are left: the tie is at 0.375
        ((4.0,), (0.375, 0.375), (0.5, 0.375)),
        ((8.0, 2.0), (0.7, 0.7, 0.7), (0, 0.5, 0.75)),  # 1; then 1 to 0.25; then all four
        ((8.0, 2.0), (0.75, 0.75, 0.75), (1, 0.75, 0.75)),
        ((2.0, 2.0), (-3, -1.2, -1.2), (-1, -1.25, -1.25)),  # R is the largest, coarse or not
    ],
)
def test_in_its_first_timesteps_it_is_coarse(backend, coarse, targets, words):
    check_case(backend, CELL.op, attributes(4, *coarse), [ONE], one(*targets), one(*words))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("exponents", [1, 7, 16])
def test_backends_agree_on_any_float(backend, exponents, rng):
    bits = rng.integers(0, 2**32, (2, 1, 50_000), dtype=np.uint32)
    targets, ranges = bits.view(np.float32), np.float32([0.7]).reshape(1, 1)
    with np.errstate(all="ignore"):
        found = simulate(backend, CELL.op, targets, [ranges], attributes(exponents))
        expected = simulate(numpy_step, CELL.op, targets, [ranges], attributes(exponents))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_stays(backend):
    check_case(backend, CELL.op, attributes(4), [ONE], one(0.5, np.nan, 0.5), one(0.5, np.nan, np.nan))


def test_it_comes_to_rest_within_half_the_smallest_size(rng):
    target = rng.normal(0, 0.5, 1000).astype(np.float32)
    word = np.zeros_like(target)
    for _ in range(12):
        word = next_word(target, word, ONE[0], dead_zone(7))
    assert (next_word(target, word, ONE[0], dead_zone(7)) == word).all()
    assert np.abs(target - word).max() <= 0.75 / 64


def test_spikes_as_numbers_have_sign_and_size():
    change = np.float32([0, 3, 1.5, -0.375, 3 / 64])
    np.testing.assert_array_equal(grades(change, np.float32(3), 7), [0, 7, 6, -4, 1])
    assert grades(change, np.float32(0), 7)[0] == 0


def test_ranges_have_eight_bits():
    np.testing.assert_array_equal(exact(np.asarray([1.0, 0.7, 1e-40])), [1.0, 179 / 256, 2.0**-100])
    attributes, reach = tune(3, np.asarray([0.7]))
    assert (attributes, reach.tolist()) == ({"exponents": 3, "dead_zone": dead_zone(3)}, [179 / 256])


def test_it_stands_for_any_activation_with_the_code_graded():
    assert suited(CELL.op) == set()
    suits = CELL.neuron.suits
    assert suits(None, CompileOptions(code="graded"))
    assert not suits(None, CompileOptions(code="graded", schedule="layer"))
    assert (CELL.sums, CELL.sends_units, CELL.neuron.most_spikes(attributes(4, 16.0, 8.0), 5)) == (
        True,
        False,
        4,
    )


def test_a_change_counts_one_of_either_sign_and_any_size():
    nodes = count_changes("before", "after", "changed")
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4]) for n in ("before", "after", "changed")]
    graph = helper.make_graph(nodes, "g", infos[:2], infos[2:])
    feeds = {"before": np.float32([0, 1, 1, -2]), "after": np.float32([0, 3, 0.5, 2])}
    (changed,) = ReferenceEvaluator(helper.make_model(graph)).run(None, feeds)
    np.testing.assert_array_equal(changed, np.float32([0, 1, 1, 1]))
    assert changed.dtype == np.float32
