"""The parts of an error: each as found by hand, in sum the error, and what a neuron can send."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.analysis.diagnosis.components import (
    COMPONENTS,
    Expansion,
    LayerTally,
    Levels,
    Observation,
    levels_of,
)
from onnx2snn.graph.rectifiers import IDENTITY, Rectifier
from onnx2snn.ops import CELLS
from tests.analysis.diagnosis.observed import QUARTERS, observation, tallied


@pytest.mark.parametrize("op", ["BurstIF", "SignedBurstIF", "LeakyBurstIF", "QuantizedIF", "AccumulateFire"])
def test_what_can_be_sent_is_what_the_neuron_sends_of_a_constant_current(
    rng: np.random.Generator, op: str
) -> None:
    timesteps, cell = 6, CELLS[op]
    attributes: dict = {"max_spikes": 2}
    if op == "QuantizedIF":
        attributes = {"levels": 9, "timesteps": timesteps}
    if op == "AccumulateFire":
        attributes = {"levels": 9, "code": "burst", "potential": 0.5}
    # Powers of two, so that nothing rounds.
    current = (rng.integers(-200, 400, (50, 3)) / 64).astype(np.float32)
    parameters = [np.asarray([0.5, 1.0, 2.0], np.float32)]
    if op == "LeakyBurstIF":
        parameters.insert(0, np.float32(0.25))
    node = onnx.helper.make_node(op, ["i"], ["o"], domain="onnx2snn", **attributes)
    levels = levels_of(node, parameters, np.ones((), np.float32), timesteps)
    state, total = cell.initial_state(parameters), np.zeros_like(current)
    steps = 1 if op == "AccumulateFire" else timesteps
    for _ in range(steps):
        sent, state = cell.step(current, state, parameters, attributes)
        total += sent
    np.testing.assert_allclose(levels.round(current), total / steps, rtol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), leaky=st.booleans())
def test_the_parts_add_up_to_the_error(seed: int, leaky: bool) -> None:
    rng = np.random.default_rng(seed)
    slope = np.float32(0.1) if leaky else None
    levels = Levels(np.float32(0.25), 8, -8 if leaky else 0, slope)
    tally = LayerTally(Rectifier(slope=slope), levels, 1)
    for _ in range(2):
        arrays = rng.standard_normal((6, 4, 3, 2)).astype(np.float32) * 2
        tally.add(Observation(*arrays[:, :, None].repeat(5, 2)))
    parts = sum(tally.total(f"{part}·error") for part in COMPONENTS)
    assert parts == pytest.approx(tally.total("error"), rel=1e-4)


def test_what_can_be_sent():
    levels = Levels(np.float32(0.5), 3)
    current = np.float32([-1, 0.24, 0.25, 0.74, 0.75, 1.5, 9])
    assert levels.round(current).tolist() == [0, 0, 0.5, 0.5, 1, 1.5, 1.5]
    assert levels.clip(current).tolist() == np.float32([0, 0.24, 0.25, 0.74, 0.75, 1.5, 1.5]).tolist()


def test_what_a_leaky_neuron_can_send():
    levels = Levels(np.float32(0.5), 3, -3, np.float32(0.25))
    current = np.float32([-9, -1.5, -0.26, -0.2, 0.25, 9])
    assert levels.round(current).tolist() == [-0.375, -0.375, -0.125, 0, 0.5, 1.5]
    assert (
        levels.clip(np.float32([-9, -0.375, -0.3, 2])).tolist()
        == np.float32([-0.375, -0.375, -0.3, 1.5]).tolist()
    )
    # With a slope below zero nothing that is sent is below zero.
    assert Levels(np.float32(0.5), 3, -3, np.float32(-0.25)).clip(np.float32([-1, 0.25])).tolist() == [
        0,
        0.25,
    ]


def test_levels_are_those_of_the_schedule():
    unit = np.float32([2, 4])
    stream = onnx.helper.make_node("BurstIF", ["i"], ["o"], domain="onnx2snn", max_spikes=3)
    levels = levels_of(stream, [np.float32(0.5)], unit, 5)
    assert levels.step.tolist() == np.float32([0.2, 0.4]).tolist()
    assert (levels.most, levels.least, levels.slope) == (15, 0, None)
    layer = onnx.helper.make_node(
        "AccumulateFire", ["i"], ["o"], domain="onnx2snn", levels=9, code="burst", potential=0.5
    )
    levels = levels_of(layer, [np.float32(0.5)], unit, 5)
    assert levels.step.tolist() == [1.0, 2.0]
    assert (levels.most, levels.least) == (9, 0)
    leaky = onnx.helper.make_node("LeakyBurstIF", ["i"], ["o"], domain="onnx2snn", max_spikes=3)
    levels = levels_of(leaky, [np.float32(0.25), np.float32(0.5)], unit, 5)
    assert (levels.most, levels.least, levels.slope) == (15, -15, 0.25)


def test_the_parts_are_those_by_hand():
    tally = tallied([[0.5, 2]], taught=[[0.75, 2]], current=[[1, 1.9]], sent=[[0.75, 1]])
    sums = {name: [pytest.approx(value, abs=1e-6) for value in values] for name, values in {
        "energy": [0.25, 4], "mass": [0.5, 2], "lost": [0, 1],
        "error": [0.25**2, 1], "added": [0, 0.9**2],
        "parameters": [0.25**2, 0], "inherited": [0.25**2, 0.1**2], "clipping": [0, 0.9**2],
        "quantisation": [0, 0], "timing": [0.25**2, 0],
        "timing·error": [-(0.25**2), 0], "inherited·error": [0.25**2, 0.1], "clipping·added": [0, 0.9**2],
        "shift": [0.25, 0], "shift²": [0.25**2, 0],
    }.items()}  # fmt: skip
    assert {name: tally.of(name).tolist() for name in sums} == sums
    assert tally.relative("error") == pytest.approx(np.sqrt(1.0625 / 4.25))
    assert tally.total("error") == 1.0625
    assert tally.harm("clipping") == pytest.approx((2 * 0.9 - 0.81) / 1.0625)
    assert tally.harm("clipping", "added") == pytest.approx(1)
    assert tally.harm("timing") == pytest.approx(-3 * 0.0625 / 1.0625)  # it makes up for others


def test_a_coarse_threshold_is_quantisation():
    tally = tallied([[0.5, 0.5]], current=[[0.6, 0.65]], sent=[[0.5, 0.75]])
    assert tally.of("quantisation").tolist() == pytest.approx([0.01, 0.01], rel=1e-4)
    assert tally.of("timing").tolist() == [0, 0]


def test_refitted_weights_are_none_of_what_is_added():
    given = {"taught": [[0.75]], "current": [[0.75]], "sent": [[0.75]]}
    assert tallied([[0.5]], **given).of("added").tolist() == [0.0625]
    assert tallied([[0.5]], refitted=True, **given).of("added").tolist() == [0]


def test_what_is_counted_of_a_channel():
    tally = tallied(
        [[0.1, 1.5], [0.125, 1.0], [-1, 2]],
        sent=[[0, 1], [0.25, 1], [0, 0.75]],
        activity=[[0.5, 1], [0.25, 1], [0, 0]],
    )
    assert tally.of("active").tolist() == [2, 2]
    assert tally.of("expected").tolist() == [1, 3]
    assert tally.of("full").tolist() == [0, 1]  # an activation that is just as large is not clipped
    assert (tally.places, tally.channels) == (3, 2)
    assert tally.of("lost").tolist() == [0, 1.5]


def test_batches_add_up_along_the_channels():
    rng = np.random.default_rng(3)
    whole = rng.standard_normal((6, 4, 3, 2)).astype(np.float32)  # six arrays [N, C, H]
    seen = Observation(*whole)
    once, parts, moved = (LayerTally(Rectifier(), QUARTERS, axis) for axis in (1, 1, 2))
    once.add(seen)
    parts.add(seen.map(lambda values: values[:1]))
    parts.add(seen.map(lambda values: values[1:]))
    moved.add(seen.map(lambda values: values.swapaxes(1, 2)))
    assert once.channels == 3
    assert once.places == parts.places == moved.places == 8
    for name in ("error", "taught²", "full", "timing·added"):
        np.testing.assert_allclose(parts.of(name), once.of(name))
        np.testing.assert_allclose(moved.of(name), once.of(name))
    np.testing.assert_allclose(
        once.variance("taught"), whole[2].var(axis=(0, 2), dtype=np.float64), rtol=1e-5
    )
    np.testing.assert_allclose(
        once.variance("before"), whole[0].var(axis=(0, 2), dtype=np.float64), rtol=1e-5
    )


def test_without_channels_there_is_one():
    tally = LayerTally(Rectifier(), QUARTERS, None)
    tally.add(observation([[0.5, 2], [1, 1]]))
    assert (tally.channels, tally.places) == (1, 4)
    assert tally.of("lost").tolist() == [1]


def test_a_silent_layer_has_no_error():
    tally = tallied([[-1.0]])
    assert (tally.relative("error"), tally.harm("timing")) == (0, 0)


#: R = 1 and 2, three sizes each: a spike for what is ¾·R/4 at least.
GRADED = Expansion(np.float32([1, 2]), 2, float(np.nextafter(np.float32(3 / 16), np.float32(0))))


@given(seed=st.integers(0, 2**32 - 1))
def test_the_parts_of_a_graded_neuron_add_up_to_its_error(seed: int) -> None:
    arrays = np.random.default_rng(seed).normal(size=(6, 5, 2)).astype(np.float32) * 2
    tally = LayerTally(IDENTITY, GRADED, 1)
    tally.add(Observation(*arrays))
    parts = sum(tally.total(f"{part}·error") for part in COMPONENTS)
    assert parts == pytest.approx(tally.total("error"), rel=1e-4)


def test_the_parts_of_a_graded_neuron_are_those_by_hand():
    target, sent = [[3, 1.25], [0.625, -4.5], [0.1, 1]], [[2, 1], [0.5, -4], [0, 0.25]]
    tally = LayerTally(IDENTITY, GRADED, 1)
    tally.add(observation(target, after=target, taught=target, current=target, sent=sent))
    zone = GRADED.dead_zone
    sums = {
        "clipping": [1, 0.25],
        "quantisation": [0.125**2 + 0.1**2, 0.25**2 + (2 * zone) ** 2],  # R = 2: within ⅜ of the target
        "timing": [0, (0.75 - 2 * zone) ** 2],
        "lost": [1, 0.5],
        "error": [1 + 0.125**2 + 0.1**2, 0.25**2 + 0.5**2 + 0.75**2],
        "full": [1, 1],
        "expected": [2, 3],  # of 0.1 it would send nothing
        "active": [2, 3],
    }
    found = {name: [pytest.approx(value, abs=1e-6) for value in values] for name, values in sums.items()}
    assert {name: tally.of(name).tolist() for name in sums} == found


def test_what_a_graded_neuron_can_send():
    target = np.float32([[0.7, 0.7], [5, -5], [0.18, 0.3]])
    assert GRADED.round(target).tolist() == [[0.75, 0.5], [2, -4], [0, 0]]
    assert GRADED.clip(target).tolist() == np.float32([[0.7, 0.7], [2, -4], [0.18, 0.3]]).tolist()
    assert Expansion(np.float32(1), 0, 0.1).round(target).tolist() == [[0, 0]] * 3
    zone = np.float32(GRADED.dead_zone)
    sent = np.float32([[0.75, 0], [0, -4], [0, 0]])
    assert (
        GRADED.settle(target, sent).tolist()
        == np.float32([[0.75, np.float32(0.7) - 2 * zone], [2 - zone, -4], [0, 0]]).tolist()
    )


@pytest.mark.parametrize(("op", "waits"), [("GradedIF", 1), ("GradedFire4", 0)])
def test_a_graded_neuron_s_spikes_are_one_a_timestep_unless_it_waits(op: str, waits: int):
    attributes = {"coarse": [8.0, 4.0, 1.0]} if waits else {}
    node = onnx.helper.make_node(
        op, ["i"], ["o"], domain="onnx2snn", exponents=3, dead_zone=GRADED.dead_zone, **attributes
    )
    levels = levels_of(node, [GRADED.reach], np.ones((), np.float32), 4)
    assert isinstance(levels, Expansion)
    assert (levels.spikes, levels.dead_zone) == (4 - waits, np.float32(GRADED.dead_zone))
    assert levels.reach.tolist() == [1, 2]
