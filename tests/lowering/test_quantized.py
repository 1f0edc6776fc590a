import ml_dtypes
import numpy as np
import pytest

from tests.lowering.single import both, foreign, ops, written

X = "(float[2,4,6] x) => (float[] y) { "
GIVEN = {
    "s": np.float32(0.1),
    "z": np.uint8(9),
    "steps": np.asarray([0.1, 0.2, 0.3, 0.4], np.float32),
    "blocks": np.arange(1, 9, dtype=np.float32).reshape(4, 2) / 8,
    "shape": np.asarray([2, -1]),
    "low": np.uint8(3),
    "high": np.uint8(12),
    "four": np.arange(-8, 8, dtype=np.int8).reshape(4, 4).astype(ml_dtypes.int4),
    "zero4": np.asarray(-2, ml_dtypes.int4),
    "zeros4": np.asarray([0, 1, -1, 2], ml_dtypes.int4),
    "w": np.arange(-8, 8, dtype=np.int8).reshape(4, 4),
    "floats": np.linspace(-9, 9, 16, dtype=np.float32).reshape(4, 4),
}
#: nodes from q = QuantizeLinear(x) to y, and which of them are left beside the quantiser
BACK = "y = DequantizeLinear(c, s, z)"
FLOATS = "d = DequantizeLinear(q, s, z)"
MOVED = {
    f"c = Reshape(q, shape) {BACK}": ["Reshape"],
    f"b = Transpose(q) c = Flatten(b) {BACK}": ["Transpose", "Flatten"],
    f"c = MaxPool<kernel_shape = [2]>(q) {BACK}": ["MaxPool"],
    f"b = Transpose<perm = [0, 1, 2]>(q) c = Concat<axis = 1>(b, q) {BACK}": ["Transpose", "Concat"],
    f"{FLOATS} e = DequantizeLinear(q, s, z) y = Add(d, e)": ["Add"],
    f"{FLOATS} p = MaxPool<kernel_shape = [2]>(d) c = QuantizeLinear(p, s, z) {BACK}": ["MaxPool"],
}


def inputs(rng):
    return {"x": rng.standard_normal((2, 4, 6)).astype(np.float32)}


@pytest.mark.parametrize("text", MOVED)
def test_what_moves_integers_moves_floats(rng, text):
    model = foreign(f"{X} q = QuantizeLinear(x, s, z) {text} }}", **GIVEN)
    found, expected = both(model, inputs(rng))
    np.testing.assert_array_equal(found[0], expected[0])
    live = needed(written(model).model)
    assert live.count("QuantizeLinear") == live.count("DequantizeLinear") == 1
    assert [op for op in live if op in MOVED[text]] == MOVED[text]


def needed(model):
    """Operators on which the outputs depend, in their order."""
    wanted, found = {item.name for item in model.graph.output}, []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            wanted.update(node.input)
            found.insert(0, node.op_type)
    return found


def test_bounds_of_integers_come_before_the_rounding(rng):
    text = f"{X} q = QuantizeLinear(x, s, z) c = Clip(q, low, high) y = DequantizeLinear(c, s, z) }}"
    model = foreign(text, **GIVEN)
    found, expected = both(model, inputs(rng))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    assert needed(written(model).model) == ["Clip", "QuantizeLinear", "DequantizeLinear"]


CONSTANTS = {
    "alone": "d = DequantizeLinear(w, s)",
    "channels": "d = DequantizeLinear<axis = 0>(w, steps)",
    "four_bits": "d = DequantizeLinear(four, s, zero4)",
    "four_bits_by_channel": "d = DequantizeLinear<axis = 1>(four, steps, zeros4)",
    "blocks": "d = DequantizeLinear<axis = 1, block_size = 2>(four, blocks)",
    "quantised_here": "q = QuantizeLinear<axis = 0>(floats, steps) d = DequantizeLinear<axis = 0>(q, steps)",
    "microsofts": "d = com.microsoft.DequantizeLinear<axis = 0>(w, steps, none)",
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_weights_become_constants(rng, name):
    text = f"(float[3,4] x) => (float[3,4] y) {{ {CONSTANTS[name]} y = MatMul(x, d) }}"
    model = foreign(text, **GIVEN, none=np.zeros(4, np.int8))
    found, expected = both(model, {"x": rng.standard_normal((3, 4)).astype(np.float32)})
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-6)
    assert ops(written(model)) == ["MatMul"]


def test_a_quantiser_of_4_bits_becomes_one_of_floats(rng):
    text = f"{X} q = QuantizeLinear(x, s, zero4) y = DequantizeLinear(q, s, zero4) }}"
    model = foreign(text, **GIVEN)
    found, expected = both(model, inputs(rng))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    assert ops(written(model)) == ["Div", "Round", "Clip", "Mul", "Identity"]
