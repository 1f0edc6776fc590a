"""One table of literal cases for the spiking operators, and what is true of them for any input."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.engine.engines import EngineOptions, OnnxruntimeEngine
from onnx2snn.engine.native import find_kernels
from onnx2snn.ops import CELLS, DOMAIN, DOMAIN_VERSION, OPSET_VERSION, QUANTIZED_RELU
from onnx2snn.ops.li_pool import max_pool
from tests.helpers import run

SQUARE = {
    "auto_pad": "NOTSET",
    "ceil_mode": 0,
    "dilations": [1, 1],
    "kernel_shape": [2, 2],
    "pads": [0, 0, 0, 0],
    "strides": [2, 2],
}


def cell_model(op, parameters, attributes):
    """One node of the operator and its body: `(x, *state, *parameters) -> (y, *next_state)`."""
    cell = CELLS[op]
    inputs = ["x", *cell.states, *(f"parameter{i}" for i in range(parameters))]
    outputs = ["y", *(f"next_{name}" for name in cell.states)]
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in part]
        for part in (inputs, outputs)
    ]
    node = helper.make_node(op, inputs, outputs, domain=DOMAIN, **attributes)
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    graph = helper.make_graph([node], "cell", *infos)
    return helper.make_model(graph, functions=[cell.function], opset_imports=opsets, ir_version=10)


def numpy_step(op, parameters, attributes):
    del parameters
    cell = CELLS[op]

    def step(x, state, others):
        output, after = cell.step(x, state, others, attributes)
        return [output, *after]

    return step


def reference_body(op, parameters, attributes):
    evaluator = ReferenceEvaluator(cell_model(op, parameters, attributes))
    return lambda x, state, others: evaluator.run(
        None, dict(zip(evaluator.input_names, (x, *state, *others), strict=True))
    )


def onnxruntime_body(op, parameters, attributes):
    model = cell_model(op, parameters, attributes)
    engine = OnnxruntimeEngine(model)
    names = [item.name for item in model.graph.input]
    return lambda x, state, others: list(
        engine.run(dict(zip(names, (x, *state, *others), strict=True))).values()
    )


def native_kernel(op, parameters, attributes):
    """The kernel where there is one, and it is a kernel that runs; the body elsewhere."""
    model = cell_model(op, parameters, attributes)
    engine = OnnxruntimeEngine(model, EngineOptions(native=True))
    names = [item.name for item in model.graph.input]
    return lambda x, state, others: list(
        engine.run(dict(zip(names, (x, *state, *others), strict=True))).values()
    )


BACKENDS = [numpy_step, reference_body, onnxruntime_body]
if find_kernels().path is not None:
    BACKENDS.append(native_kernel)


def simulate(backend, op, inputs, parameters=(), attributes=None):
    """The outputs of all timesteps from the initial state."""
    step = backend(op, len(parameters), attributes or {})
    state, outputs = CELLS[op].initial_state(parameters), []
    for x in inputs:
        output, *state = step(np.asarray(x, np.float32), state, parameters)
        outputs.append(output)
    return outputs


def one(*values):
    """Values over time of a single neuron, [T] arrays of shape [1, 1]."""
    return [[[value]] for value in values]


ONE = np.asarray(1, np.float32)
HALF = np.asarray(0.5, np.float32)
PER_CHANNEL = np.float32([1, 2]).reshape(1, 2, 1)
THETAS = np.float32([0.5, 1, 2]).reshape(1, 3, 1, 1)
WINNER = [
    [[[[1, 0], [0, 0]]]],
    [[[[0, 0], [1, 0]]]],
    [[[[0, 0], [1, 0]]]],
    [[[[1, 0], [0, 3]]]],
]

CASES = {
    # Membrane potential starts at θ/2: a current of 1/2 brings u to θ exactly, and a tie fires.
    "tie at θ": ("BurstIF", {"max_spikes": 4}, (ONE,), one(0.5, 0.0), one(1, 0)),
    "just below θ": ("BurstIF", {"max_spikes": 4}, (ONE,), one(0.4375, 0.0625), one(0, 1)),
    "tie at 3θ": ("BurstIF", {"max_spikes": 4}, (ONE,), one(2.5, 1.0), one(3, 1)),
    "saturates at Γ and keeps the rest": ("BurstIF", {"max_spikes": 2}, (ONE,), one(4.5, 0, 0), one(2, 2, 1)),
    "Γ = 1 is the classic neuron": (
        "BurstIF",
        {"max_spikes": 1},
        (ONE,),
        one(0.75, 0.75, 0.75, 0.75),
        one(1, 1, 0, 1),
    ),
    "negative current fires nothing, and is owed": (
        "BurstIF",
        {"max_spikes": 4},
        (ONE,),
        one(-2, 2, 2),
        one(0, 0, 2),
    ),
    "output carries θ": (
        "BurstIF",
        {"max_spikes": 4},
        (np.asarray(0.25, np.float32),),
        one(0.5, 0.125),
        one(0.5, 0.25),
    ),
    "θ per channel, state broadcasts": (
        "BurstIF",
        {"max_spikes": 4},
        (PER_CHANNEL,),
        [[[[1, 3], [1, 3]], [[0, 9], [0, 9]]], [[[0, 0], [0, 0]], [[0, 0], [0, 0]]]],
        [[[[1, 3], [2, 4]], [[0, 4], [0, 8]]], [[[0, 0], [0, 0]], [[0, 4], [0, 2]]]],
    ),
    "signed: tie at 2θ": ("SignedBurstIF", {"max_spikes": 4}, (ONE,), one(1.5), one(2)),
    "signed: u = 0 takes nothing back": (
        "SignedBurstIF",
        {"max_spikes": 4},
        (ONE,),
        one(1.5, 0, -1, -0.0625),
        one(2, 0, -1, -1),
    ),
    "signed: never below n = 0": ("SignedBurstIF", {"max_spikes": 4}, (ONE,), one(1, -9, 7), one(1, -1, 0)),
    "signed: silent from the start": (
        "SignedBurstIF",
        {"max_spikes": 4},
        (ONE,),
        one(-3, 3, 1),
        one(0, 0, 1),
    ),
    "signed: at most Γ back in a step": (
        "SignedBurstIF",
        {"max_spikes": 2},
        (ONE,),
        one(2, 2, -5, 0, 0),
        one(2, 2, -2, -2, 0),
    ),
    "signed: at most Γ forth in a step": (
        "SignedBurstIF",
        {"max_spikes": 2},
        (ONE,),
        one(5, 0, 0),
        one(2, 2, 1),
    ),
    "signed: Γ = 1": ("SignedBurstIF", {"max_spikes": 1}, (ONE,), one(2, -3, 0, 0.5), one(1, -1, 0, 0)),
    "signed: θ per channel": (
        "SignedBurstIF",
        {"max_spikes": 4},
        (PER_CHANNEL,),
        [[[[3], [3]]], [[[-2], [-2]]]],
        [[[[3], [4]]], [[[-2], [-2]]]],
    ),
    # Below zero a spike carries slope·θ; the potential starts at θ/2 for both signs.
    "leaky: tie at θ": ("LeakyBurstIF", {"max_spikes": 4}, (HALF, ONE), one(0.5, 0), one(1, 0)),
    "leaky: u = 0 sends nothing": (
        "LeakyBurstIF",
        {"max_spikes": 4},
        (HALF, ONE),
        one(-0.5, -0.0625, 0),
        one(0, -0.5, 0),
    ),
    "leaky: through zero and back": (
        "LeakyBurstIF",
        {"max_spikes": 4},
        (HALF, ONE),
        one(-2, 3, -3),
        one(-1, 2, -2),
    ),
    "leaky: from above zero down and up again": (
        "LeakyBurstIF",
        {"max_spikes": 4},
        (HALF, ONE),
        one(2, -4, 3),
        one(2, -3, 2),
    ),
    "leaky: at most Γ a step on either side": (
        "LeakyBurstIF",
        {"max_spikes": 2},
        (HALF, ONE),
        one(-5, 0, 0, 8, 0, 0, 0),
        one(-1, -1, -0.5, 1, 1, 1.5, 2),
    ),
    "leaky: Γ binds the spikes, not what they carry": (
        "LeakyBurstIF",
        {"max_spikes": 1},
        (np.asarray(3, np.float32), ONE),
        one(-2, 0, 2),
        one(-3, -3, 3),
    ),
    "leaky: a negative slope sends positive values": (
        "LeakyBurstIF",
        {"max_spikes": 4},
        (np.asarray(-1, np.float32), ONE),
        one(-2, 1),
        one(2, -1),
    ),
    "leaky: slope and θ per channel": (
        "LeakyBurstIF",
        {"max_spikes": 8},
        (np.float32([0.25, 2]).reshape(1, 2, 1), PER_CHANNEL),
        [[[[-2], [-4]]], [[[4], [10]]]],
        [[[[-0.5], [-8]]], [[[2.5], [14]]]],
    ),
    "quantised: tie at θ": (
        "QuantizedIF",
        {"levels": 4, "timesteps": 4},
        (ONE,),
        one(0.5, 0, 0, 0),
        one(1, 0, 0, 0),
    ),
    "quantised: just below θ": (
        "QuantizedIF",
        {"levels": 4, "timesteps": 4},
        (ONE,),
        one(0.4375, 0, 0, 0.0625),
        one(0, 0, 0, 1),
    ),
    "quantised: N·t/T so far, the rest waits": (
        "QuantizedIF",
        {"levels": 4, "timesteps": 4},
        (ONE,),
        one(3, 0, 0, 0),
        one(1, 1, 1, 0),
    ),
    "quantised: a share of N is rounded down": (
        "QuantizedIF",
        {"levels": 3, "timesteps": 4},
        (ONE,),
        one(9, 0, 0, 0),
        one(0, 1, 1, 1),
    ),
    "quantised: bursts where N > T": (
        "QuantizedIF",
        {"levels": 6, "timesteps": 2},
        (ONE,),
        one(4, 1),
        one(3, 2),
    ),
    "quantised: takes back without a bound": (
        "QuantizedIF",
        {"levels": 12, "timesteps": 3},
        (ONE,),
        one(4, 4, -7),
        one(4, 4, -7),
    ),
    "quantised: never below n = 0": (
        "QuantizedIF",
        {"levels": 4, "timesteps": 4},
        (ONE,),
        one(1, -9, 9, 0),
        one(1, -1, 1, 0),
    ),
    "quantised: silent from the start": (
        "QuantizedIF",
        {"levels": 4, "timesteps": 4},
        (ONE,),
        one(-3, 3, 1, 0),
        one(0, 0, 1, 0),
    ),
    "quantised: θ per channel": (
        "QuantizedIF",
        {"levels": 2, "timesteps": 2},
        (PER_CHANNEL,),
        [[[[2], [2]]], [[[0], [0]]]],
        [[[[1], [2]]], [[[1], [0]]]],
    ),
    # The layer schedule's neurons have all of their input: no state, and k is U/θ rounded, ties up.
    "accumulate: ties round up": (
        "AccumulateFire",
        {"levels": 4, "code": "burst", "potential": 0.5},
        (ONE,),
        one(0.5, 1.5, 2.5, 0.4375, 1.4375),
        one(1, 2, 3, 0, 1),
    ),
    "accumulate: between 0 and N": (
        "AccumulateFire",
        {"levels": 3, "code": "radix", "potential": 0.5},
        (ONE,),
        one(-0.5, -0.5625, -9, 3.4375, 3.5, 99),
        one(0, 0, 0, 3, 3, 3),
    ),
    "accumulate: output carries θ": (
        "AccumulateFire",
        {"levels": 4, "code": "burst", "potential": 0.5},
        (np.asarray(0.25, np.float32),),
        one(0.375, 0.125, 7),
        one(0.5, 0.25, 1),
    ),
    "accumulate: θ per channel": (
        "AccumulateFire",
        {"levels": 3, "code": "burst", "potential": 0.5},
        (PER_CHANNEL,),
        [[[[1, 3.5], [1, 3]], [[0.5, 9], [-2, 9]]]],
        [[[[1, 3], [2, 4]], [[1, 3], [0, 6]]]],
    ),
    "leaky accumulate: ties round up on either side": (
        "LeakyAccumulateFire",
        {"levels": 4, "code": "burst", "potential": 0.5},
        (HALF, ONE),
        one(0.5, -0.5, -0.5625, -1.5, -1.5625, 2.5),
        one(1, 0, -0.5, -0.5, -1, 3),
    ),
    "leaky accumulate: between -N and N": (
        "LeakyAccumulateFire",
        {"levels": 3, "code": "radix", "potential": 0.5},
        (HALF, ONE),
        one(99, 3, -3, -3.5625, -99),
        one(3, 3, -1.5, -1.5, -1.5),
    ),
    "leaky accumulate: a negative slope sends positive values": (
        "LeakyAccumulateFire",
        {"levels": 3, "code": "burst", "potential": 0.5},
        (np.asarray(-1, np.float32), ONE),
        one(-2, 1),
        one(2, 1),
    ),
    "leaky accumulate: slope and θ per channel": (
        "LeakyAccumulateFire",
        {"levels": 8, "code": "burst", "potential": 0.5},
        (np.float32([0.25, 2]).reshape(1, 2, 1), PER_CHANNEL),
        [[[[-2], [-4]], [[2], [7]]]],
        [[[[-0.5], [-8]], [[2], [8]]]],
    ),
    # The winner so far inhibits its neighbours: the second pixel shows only once it has overtaken the first.
    "pool: the winner changes": ("LIPool", SQUARE, (), WINNER, [[[[[1]]]], [[[[0]]]], [[[[1]]]], [[[[1]]]]]),
    "pool: takes back with its winner": (
        "LIPool",
        SQUARE,
        (),
        [[[[[3, 0], [1, 0]]]], [[[[-4, 0], [0, 0]]]]],
        [[[[[3]]]], [[[[-2]]]]],
    ),
    "reduce: the winner changes": (
        "LIReduceMax",
        {"axes": [1], "keepdims": 0},
        (),
        [[[1, 0]], [[0, 1]], [[0, 2]]],
        [[1], [0], [2]],
    ),
    "reduce: takes back with its winner": (
        "LIReduceMax",
        {"axes": [-1], "keepdims": 1},
        (),
        [[[3, 1]], [[-4, 0]]],
        [[[3]], [[-2]]],
    ),
    "reduce: below zero": (
        "LIReduceMax",
        {"axes": [1], "keepdims": 0},
        (),
        [[[-3, -1]], [[2, 0]]],
        [[-1], [0]],
    ),
    "reduce: over two axes": (
        "LIReduceMax",
        {"axes": [2, 3], "keepdims": 1},
        (),
        WINNER,
        [[[[[1]]]], [[[[0]]]], [[[[1]]]], [[[[1]]]]],
    ),
    "mean so far": ("RunningMean", {}, (), one(1, 0, 5, -2), one(1, 0.5, 2, 1)),
    "increments of t times the value": ("Increment", {}, (), one(1, 0.5, 2, 1), one(1, 0, 5, -2)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    op, attributes, parameters, currents, expected = CASES[case]
    outputs = simulate(backend, op, currents, parameters, attributes)
    np.testing.assert_array_equal(outputs, np.asarray(expected, np.float32))
    assert {output.dtype for output in outputs} == {np.dtype(np.float32)}


#: Parameters (three channels) and attributes that each operator can run with.
SETUPS = {
    "BurstIF": ((THETAS,), {"max_spikes": 2}),
    "SignedBurstIF": ((THETAS,), {"max_spikes": 2}),
    "LeakyBurstIF": ((np.float32([0.25, 0, -2]).reshape(1, 3, 1, 1), THETAS), {"max_spikes": 2}),
    "QuantizedIF": ((THETAS,), {"levels": 3, "timesteps": 5}),
    "AccumulateFire": ((THETAS,), {"levels": 3, "code": "burst", "potential": 0.5}),
    "LeakyAccumulateFire": (
        (np.float32([0.25, 0, -2]).reshape(1, 3, 1, 1), THETAS),
        {"levels": 3, "code": "radix", "potential": 0.5},
    ),
    "IntegerAccumulateFire": ((), {"levels": 3, "code": "burst"}),
    "LIPool": ((), SQUARE),
    "LIReduceMax": ((), {"axes": [1, 3], "keepdims": 0}),
    "RunningMean": ((), {}),
    "Increment": ((), {}),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", CELLS)
def test_samples_of_a_batch_do_not_touch_each_other(backend, op, rng):
    currents = rng.normal(0.5, 1.0, (5, 4, 3, 4, 4)).astype(np.float32)
    together = np.asarray(simulate(backend, op, currents, *SETUPS[op]))
    for sample in range(4):
        alone = simulate(backend, op, currents[:, sample : sample + 1], *SETUPS[op])
        np.testing.assert_array_equal(alone, together[:, sample : sample + 1])


@pytest.mark.parametrize("backend", [reference_body, onnxruntime_body])
@pytest.mark.parametrize("op", CELLS)
def test_body_and_numpy_step_agree_to_the_last_bit(backend, op, rng):
    """On multiples of 1/8 nothing but the divisions rounds, and these are the same everywhere."""
    currents = rng.integers(-24, 32, (9, 4, 3, 4, 4)).astype(np.float32) / 8
    expected = simulate(numpy_step, op, currents, *SETUPS[op])
    np.testing.assert_array_equal(simulate(backend, op, currents, *SETUPS[op]), expected)


# --- the neurons, for any input -------------------------------------------------------------------------

eighths = st.integers(-64, 64).map(lambda n: n / 8)


@given(
    share=st.floats(0, 1), timesteps=st.integers(1, 20), levels=st.integers(1, 8), top=st.floats(0.01, 100)
)
@pytest.mark.parametrize("op", ["BurstIF", "SignedBurstIF"])
def test_constant_current_is_rounded_to_the_nearest_step(op, share, timesteps, levels, top):
    """For 0 ≤ a ≤ R the potential never leaves [0, θ), so |Σy - T·a| = |v_0 - v_T| ≤ θ/2."""
    threshold, current = np.asarray(top / levels, np.float32), np.float32(share * top)
    outputs = simulate(numpy_step, op, one(*[current] * timesteps), (threshold,), {"max_spikes": levels})
    mean = np.sum(outputs, dtype=np.float64) / timesteps
    assert abs(mean - current) <= threshold * (0.5 / timesteps + 1e-5)


@given(currents=st.lists(eighths, min_size=1, max_size=20), max_spikes=st.integers(1, 4))
def test_signed_neuron_sends_a_sum_of_at_least_zero(currents, max_spikes):
    outputs = simulate(numpy_step, "SignedBurstIF", one(*currents), (ONE,), {"max_spikes": max_spikes})
    assert np.cumsum(outputs).min() >= 0


@given(currents=st.lists(eighths, min_size=1, max_size=20))
def test_unsaturated_signed_neuron_follows_the_rectified_sum(currents):
    """Without a bound by Γ the net count is n = max(0, floor(1/2 + Σ I/θ)): within θ/2 of max(0, Σ I) always.

    After each step either 0 ≤ v < θ, or n = 0 and v < 0; and Σ y = θ/2 + Σ I - v.
    """
    outputs = simulate(numpy_step, "SignedBurstIF", one(*currents), (ONE,), {"max_spikes": 255})
    rectified = np.maximum(0, np.cumsum(currents))
    assert np.abs(np.cumsum(outputs) - rectified).max() <= 0.5


@given(currents=st.lists(eighths.map(abs), min_size=1, max_size=20), max_spikes=st.integers(1, 4))
def test_signed_and_unsigned_agree_while_currents_are_positive(currents, max_spikes):
    outputs = [
        simulate(numpy_step, op, one(*currents), (ONE,), {"max_spikes": max_spikes})
        for op in ("BurstIF", "SignedBurstIF")
    ]
    np.testing.assert_array_equal(*outputs)


@given(
    currents=st.lists(eighths, min_size=1, max_size=20),
    threshold=st.sampled_from([0.25, 1.0, 2.0]),
    slope=st.integers(-16, 16).map(lambda n: n / 8),
)
def test_unsaturated_leaky_neuron_follows_the_leaky_sum(currents, threshold, slope):
    """n = floor(1/2 + Σ I/θ), which is within 1/2 of Σ I/θ, and g stretches that by at most its slopes."""

    def leaky(x):
        return np.where(x < 0, slope * x, x)

    parameters = np.asarray(slope, np.float32), np.asarray(threshold, np.float32)
    outputs = simulate(numpy_step, "LeakyBurstIF", one(*currents), parameters, {"max_spikes": 255})
    sent, wanted = np.cumsum(outputs), np.cumsum(currents)
    np.testing.assert_array_equal(sent, threshold * leaky(np.floor(wanted / threshold + 0.5)))
    assert np.abs(sent - leaky(wanted)).max() <= threshold / 2 * max(1, abs(slope))


@cache
def quantized_relu(levels):
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in part]
        for part in (["x", "q"], ["y"])
    ]
    node = helper.make_node("QuantizedRelu", ["x", "q"], ["y"], domain=DOMAIN, levels=levels)
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    return OnnxruntimeEngine(
        helper.make_model(
            helper.make_graph([node], "relu", *infos),
            functions=[QUANTIZED_RELU],
            opset_imports=opsets,
            ir_version=10,
        )
    )


@settings(deadline=None)
@given(
    currents=st.lists(eighths, min_size=1, max_size=20),
    step=st.sampled_from([0.125, 0.5, 1.0, 4.0]),
    levels=st.integers(1, 15),
)
def test_quantised_neuron_sends_the_quantised_mean_whatever_the_order(currents, step, levels):
    timesteps = len(currents)
    theta, attributes = np.asarray(step * timesteps, np.float32), {"levels": levels, "timesteps": timesteps}
    mean = np.float32(np.sum(currents) / timesteps)
    expected = step * np.clip(np.floor(np.sum(currents) / (timesteps * step) + 0.5), 0, levels)
    for order in (currents, sorted(currents), sorted(currents)[::-1]):
        outputs = simulate(numpy_step, "QuantizedIF", one(*order), (theta,), attributes)
        assert np.sum(outputs, dtype=float) == expected * timesteps
        ceilings = np.arange(1, timesteps + 1) * levels // timesteps
        counts = np.cumsum(outputs) / theta
        assert (counts >= 0).all()
        assert (counts <= ceilings).all()
    (relu,) = quantized_relu(levels).run({"x": mean.reshape(1), "q": np.float32([step])}).values()
    assert relu == expected


# --- LIReduceMax, RunningMean and Increment -------------------------------------------------------------


@given(
    axes=st.sets(st.integers(-3, 3), min_size=1, max_size=3),
    keepdims=st.integers(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_reduced_spikes_add_up_to_the_maximum_of_the_sums(axes, keepdims, seed):
    assume(len({axis % 4 for axis in axes}) == len(axes))
    spikes = np.random.default_rng(seed).integers(-2, 4, (6, 2, 3, 4, 2)).astype(np.float32)
    attributes = {"axes": sorted(axes), "keepdims": keepdims}
    outputs = simulate(numpy_step, "LIReduceMax", spikes, attributes=attributes)
    np.testing.assert_array_equal(
        np.sum(outputs, axis=0), spikes.sum(axis=0).max(axis=tuple(axes), keepdims=bool(keepdims))
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", [np.tanh, np.exp, lambda x: x @ x.swapaxes(-1, -2), np.sign])
@pytest.mark.parametrize("timesteps", [1, 7, 64])
def test_an_island_between_its_gates_is_exact_on_the_mean(backend, function, timesteps, rng):
    x = rng.standard_normal((timesteps, 2, 3, 3)).astype(np.float32)
    rates = simulate(backend, "RunningMean", x)
    outputs = simulate(backend, "Increment", [function(rate) for rate in rates])
    expected = function(x.mean(axis=0, dtype=np.float64))
    # A sum of T terms, each rounded in the 24th bit: 64/2^24 at worst.
    np.testing.assert_allclose(np.mean(outputs, axis=0, dtype=float), expected, rtol=4e-6, atol=4e-6)


# --- LIPool, in any geometry ----------------------------------------------------------------------------


def geometry(kernel, strides=None, pads=None, dilations=None, ceil_mode=0, auto_pad="NOTSET"):
    dims = len(kernel)
    return {
        "auto_pad": auto_pad,
        "ceil_mode": ceil_mode,
        "dilations": dilations or [1] * dims,
        "kernel_shape": kernel,
        "pads": pads or [0] * 2 * dims,
        "strides": strides or [1] * dims,
    }


@cache
def _pooling(items):
    node = helper.make_node("MaxPool", ["x"], ["y"], **dict(items))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    graph = helper.make_graph([node], "pool", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET_VERSION)], ir_version=10)


def onnxruntime_max_pool(x, attributes):
    model = _pooling(tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in attributes.items()))
    return run(model, {"x": x})[0]


GEOMETRIES = [
    ([9], geometry([3], strides=[2])),
    ([9], geometry([2], strides=[2], ceil_mode=1)),
    ([8], geometry([3], pads=[1, 2], dilations=[2])),
    ([2], geometry([2], pads=[1, 1], dilations=[3])),  # a window of nothing but padding
    ([7], geometry([3], strides=[3], auto_pad="SAME_UPPER")),
    ([6, 6], geometry([2, 2], strides=[2, 2])),
    ([7, 5], geometry([3, 3], strides=[2, 2], pads=[1, 1, 1, 1])),
    ([7, 6], geometry([3, 2], strides=[1, 2], pads=[0, 1, 2, 0])),
    ([7, 7], geometry([2, 2], strides=[2, 2], ceil_mode=1)),
    ([8, 7], geometry([3, 3], strides=[3, 2], pads=[1, 0, 1, 2], ceil_mode=1)),
    ([8, 8], geometry([2, 3], dilations=[3, 2], pads=[1, 1, 1, 1])),
    ([7, 5], geometry([2, 4], strides=[2, 1], auto_pad="SAME_UPPER")),
    ([7, 5], geometry([2, 4], strides=[2, 1], auto_pad="SAME_LOWER")),
    ([7, 5], geometry([3, 2], strides=[2, 2], auto_pad="VALID")),
    ([5, 4, 6], geometry([2, 2, 2], strides=[2, 2, 2])),
    ([5, 4, 6], geometry([3, 2, 3], strides=[2, 1, 2], pads=[1, 0, 1, 0, 1, 1], ceil_mode=1)),
]


@pytest.mark.parametrize(("size", "attributes"), GEOMETRIES)
@pytest.mark.parametrize("backend", [numpy_step, onnxruntime_body])
def test_pooled_spikes_add_up_to_the_pooled_sum(backend, size, attributes, rng):
    # Whole numbers: float32 adds them without rounding, so equality is exact.
    spikes = rng.integers(-2, 4, (6, 2, 3, *size)).astype(np.float32)
    outputs = simulate(backend, "LIPool", spikes, attributes=attributes)
    np.testing.assert_array_equal(
        np.sum(outputs, axis=0), onnxruntime_max_pool(spikes.sum(axis=0), attributes)
    )


@st.composite
def geometries(draw):
    dims = draw(st.integers(1, 3))

    def each(low, high, count=dims):
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel, padding = each(1, 4), draw(st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    pads = each(0, 3, 2 * dims) if padding == "NOTSET" else None
    dilations = each(1, 3) if padding in ("NOTSET", "VALID") else None
    return each(1, 9), geometry(kernel, each(1, 3), pads, dilations, draw(st.integers(0, 1)), padding)


def windows_fit(size, attributes):
    """Whether a window fits into the padded input; ONNX does not say what else should happen."""
    dims = len(size)
    kernel, pads = attributes["kernel_shape"], attributes["pads"]
    return all(
        (kernel[i] - 1) * attributes["dilations"][i] < size[i] + pads[i] + pads[i + dims] for i in range(dims)
    )


@settings(deadline=None, max_examples=150)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1))
def test_any_geometry_is_that_of_onnxruntime(case, seed):
    size, attributes = case
    assume(attributes["auto_pad"].startswith("SAME") or windows_fit(size, attributes))
    spikes = np.random.default_rng(seed).integers(-16, 17, (3, 1, 2, *size)).astype(np.float32) / 4
    try:
        expected = onnxruntime_max_pool(spikes.sum(axis=0), attributes)
    except Exception:  # noqa: BLE001 onnxruntime has no common base for what it rejects
        assume(False)
    np.testing.assert_array_equal(max_pool(spikes.sum(axis=0), attributes), expected)
    outputs = simulate(numpy_step, "LIPool", spikes, attributes=attributes)
    np.testing.assert_array_equal(np.sum(outputs, axis=0), expected)
