import numpy as np
import pytest

from tests.helpers import run
from tests.lowering.single import both, foreign, ops, written

#: Scales that are powers of two, where every sum and product is exact.
SCALES = {"s": 0.125, "t": 0.25, "u": 0.5, "z": 17, "k": 120, "l": 0}
IN = """(float[2,8,6,6] x, float[2,8,6,6] v) => (float[] y) {
    a = QuantizeLinear(x, s, z) b = QuantizeLinear(v, t, k) """
OUT = " y = DequantizeLinear(q, u, l) }"
EXACT = {
    "add": "q = com.microsoft.QLinearAdd(a, s, z, b, t, k, u, l)",
    "mul": "q = com.microsoft.QLinearMul(a, s, z, b, t, k, u, l)",
    "where": "m = Greater(x, v) q = com.microsoft.QLinearWhere(m, a, s, z, b, t, k, u, l)",
    "concat": "q = com.microsoft.QLinearConcat<axis = 1>(u, l, a, s, z, b, t, k)",
    "average": "q = com.microsoft.QLinearAveragePool<kernel_shape = [2, 2], strides = [2, 2]>(a, s, z, u, l)",
    "average_last": """q = com.microsoft.QLinearAveragePool<kernel_shape = [2, 2], channels_last = 1,
        pads = [1, 0, 1, 0], count_include_pad = 1>(a, s, z, u, l)""",
    "global": "q = com.microsoft.QLinearGlobalAveragePool(a, s, z, u, l)",
    "global_last": "q = com.microsoft.QLinearGlobalAveragePool<channels_last = 1>(a, s, z, u, l)",
    "conv": "q = QLinearConv<pads = [1, 1, 1, 1]>(a, s, z, w, ws, wz, u, l, bias)",
    "conv_without_bias": "q = QLinearConv<group = 2, strides = [2, 2]>(a, s, z, half, ws, wz, u, l)",
    "matmul": "q = QLinearMatMul(a, s, z, mat, ms, mz, u, l)",
    "matmul_alone": "q = QLinearMatMul(a, s, z, mat, t, k, u, l)",
}
NEARLY = {
    "sigmoid": "q = com.microsoft.QLinearSigmoid(a, s, z, h, l)",
    "leaky": "q = com.microsoft.QLinearLeakyRelu<alpha = 0.3>(a, s, z, h, k)",
    "softmax": "q = com.microsoft.QLinearSoftmax<axis = 3, opset = 13>(a, s, z, h, l)",
    "softmax_before_13": "q = com.microsoft.QLinearSoftmax<axis = 1, opset = 11>(a, s, z, h, l)",
}


def constants(rng, number):
    found = {n: np.asarray(v, np.float32 if n in "stu" else number) for n, v in SCALES.items()}
    steps = 2.0 ** -rng.integers(2, 6, 8)
    return found | {
        "w": rng.integers(-128, 127, (8, 8, 3, 3), np.int8),
        "half": rng.integers(-128, 127, (8, 4, 3, 3), np.int8),
        "ws": steps.astype(np.float32),
        "wz": np.zeros(8, np.int8),
        "bias": rng.integers(-3000, 3000, 8, np.int32),
        "mat": rng.integers(0, 127, (6, 5)).astype(number),
        "ms": (steps[:5]).astype(np.float32),
        "mz": rng.integers(0, 127, 5).astype(number),
        "h": np.float32(0.01),
    }


def samples(rng):
    return {name: rng.normal(0, 5, (2, 8, 6, 6)).astype(np.float32) for name in "xv"}


@pytest.mark.parametrize("number", [np.uint8, np.int8])
@pytest.mark.parametrize("name", EXACT)
def test_it_is_the_same_to_the_bit_where_floats_are_exact(rng, name, number):
    model = foreign(IN + EXACT[name] + OUT, **constants(rng, number))
    found, expected = both(model, samples(rng))
    np.testing.assert_array_equal(found[0], expected[0])
    assert np.unique(found[0]).size > 4


@pytest.mark.parametrize("name", NEARLY)
def test_it_is_the_same_but_for_ties_of_roundings(rng, name):
    text = IN + NEARLY[name] + OUT
    found, expected = both(foreign(text, **constants(rng, np.uint8)), samples(rng))
    steps = np.abs(found[0] - expected[0]) / 0.5
    assert steps.max() <= 1
    assert (steps > 0).mean() < 0.01


def test_scales_of_half_precision_do_not_make_sums_of_it(rng):
    """Products of integers add up beyond what float16 holds; by hand: onnxruntime has no such product."""
    half = {name: np.float16(value) for name, value in {"s": 0.5, "t": 0.25, "u": 64}.items()}
    weights = rng.integers(-128, 127, (64, 5), np.int8)
    text = "(int8[3,64] a) => (int8[3,5] q) { q = QLinearMatMul(a, s, z, w, t, z, u, z) }"
    a = rng.integers(-128, 127, (3, 64), np.int8)
    (found,) = run(written(foreign(text, **half, z=np.int8(0), w=weights)).model, {"a": a})
    exact = a.astype(int) @ weights.astype(int) * 0.125 / 64
    np.testing.assert_array_equal(found, np.clip(np.rint(exact), -128, 127))


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("gives", ["", ", u, l"])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_gemm(rng, turned, gives, alpha):
    end = "y = DequantizeLinear(q, u, l) }" if gives else "y = Identity(q) }"
    text = f"""(float[3,8] x) => (float[] y) {{ a = QuantizeLinear(x, s, z)
        q = com.microsoft.QGemm<transB = {turned}, alpha = {alpha}>(a, s, z, w, ws, wz, c{gives}) {end}"""
    weights = rng.integers(-128, 127, (4, 8) if turned else (8, 4), np.int8)
    given = constants(rng, np.uint8)
    given |= {"w": weights, "ws": given["ws"][:4], "wz": np.zeros(4, np.int8), "c": given["bias"][:4]}
    x = {"x": rng.normal(0, 5, (3, 8)).astype(np.float32)}
    found, expected = both(foreign(text, **given), x)
    np.testing.assert_array_equal(found[0], expected[0])


def test_a_layer_ends_in_one_quantiser(rng):
    """What the passes know as a trained quantiser: QuantizeLinear → DequantizeLinear that alone reads it."""
    text = """(float[N,8,6,6] x) => (float[N,8,2,2] y) {
        a = QuantizeLinear(x, s, z)
        b = QLinearConv(a, s, z, w, ws, wz, t, k, bias)
        c = QLinearConv(b, t, k, w, ws, wz, u, l, bias)
        y = DequantizeLinear(c, u, l) }"""
    result = written(foreign(text, **constants(rng, np.uint8)))
    pair = ["QuantizeLinear", "DequantizeLinear"]
    assert ops(result) == [*pair, "Conv", *pair, "Conv", *pair]
    reasons = {node.node: node.reason for node in result.nodes}
    assert reasons == {"b": "written as DequantizeLinear, Conv, QuantizeLinear", "c": reasons["b"]}
