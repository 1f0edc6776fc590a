"""What a spiking operator is made of, and what holds for every one of them."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.ops import CELLS
from onnx2snn.ops.cell import function_body, zero
from onnx2snn.ops.graded_if import dead_zone
from tests.ops.cells import BACKENDS, numpy_step, onnxruntime_body, reference_body, simulate

THETAS = np.float32([0.5, 1, 2]).reshape(1, 3, 1, 1)
SQUARE = {
    "auto_pad": "NOTSET",
    "ceil_mode": 0,
    "dilations": [1, 1],
    "kernel_shape": [2, 2],
    "pads": [0, 0, 0, 0],
    "strides": [2, 2],
}
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
    "GradedIF": ((THETAS,), {"exponents": 3, "dead_zone": dead_zone(3), "coarse": [4.0, 1.0]}),
    **{
        f"GradedFire{timesteps}": ((THETAS,), {"exponents": 3, "dead_zone": dead_zone(3)})
        for timesteps in range(1, 17)
    },
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


@pytest.mark.parametrize("op", CELLS)
def test_its_body_has_the_states_in_their_order_before_the_parameters(op):
    cell, function = CELLS[op], CELLS[op].function
    parameters, attributes = SETUPS[op]
    assert (cell.op, function.name, function.domain) == (op, op, "onnx2snn")
    assert {item.domain: item.version for item in function.opset_import} == {"": 21}
    assert tuple(function.input[1 : 1 + len(cell.states)]) == cell.states
    assert len(function.input) == 1 + len(cell.states) + len(parameters)
    assert tuple(function.output[1:]) == tuple(f"next_{name}" for name in cell.states)
    assert set(function.attribute) == set(attributes)


@pytest.mark.parametrize("op", CELLS)
def test_the_numpy_step_keeps_float64(op, rng):
    """A state that starts as float32 must not make the next one float32, nor round what it adds to."""
    parameters, attributes = SETUPS[op]
    wide = [item.astype(np.float64) for item in parameters]
    state = CELLS[op].initial_state(wide)
    assert len(state) == len(CELLS[op].states)
    for _ in range(2):
        output, state = CELLS[op].step(rng.standard_normal((2, 3, 4, 4)), state, wide, attributes)
        assert output.dtype == np.float64
        assert {item.dtype for item in state if item.ndim} <= {np.dtype(np.float64)}


def test_states_start_from_a_zero_that_fits_any_shape():
    assert (zero().shape, zero().dtype, zero().item()) == ((), np.float32, 0)
    assert (np.ones((2, 3), np.float16) + zero()).dtype == np.float32


def test_only_neurons_whose_spikes_are_all_alike_send_units():
    units = {op for op, cell in CELLS.items() if cell.sends_units}
    uneven = {"LeakyBurstIF", "LeakyAccumulateFire"}
    sums = {"GradedIF", *(f"GradedFire{timesteps}" for timesteps in range(1, 17))}
    assert {op for op, cell in CELLS.items() if cell.kind == "neuron"} == units | uneven | sums
    assert units == {"BurstIF", "SignedBurstIF", "QuantizedIF", "AccumulateFire", "IntegerAccumulateFire"}
    assert {op for op, cell in CELLS.items() if cell.uneven} == uneven
    assert {op for op, cell in CELLS.items() if cell.sums} == sums


def test_some_have_a_kernel():
    native = {op for op, cell in CELLS.items() if cell.native}
    graded = {"GradedIF", *(f"GradedFire{timesteps}" for timesteps in range(1, 17))}
    assert native == {"BurstIF", "SignedBurstIF", "AccumulateFire", "LIPool", *graded}


@pytest.mark.parametrize("op", CELLS)
def test_only_neurons_are_neurons(op):
    assert (CELLS[op].neuron is not None) == (CELLS[op].kind == "neuron") == (not CELLS[op].acts_as)


def test_a_body_is_written_without_its_header():
    function = function_body("Twice (x) => (y) { y = Add (x, x) }")
    assert (function.name, function.domain, function.node[0].op_type) == ("Twice", "onnx2snn", "Add")
    assert [(item.domain, item.version) for item in function.opset_import] == [("", 21)]
