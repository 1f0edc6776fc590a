import numpy as np
import pytest

from tests.helpers import run
from tests.lowering.single import both, difference, foreign, ops, written

STATIC = {
    "matrices": "p = MatMulInteger(a, w, z, zeros)",
    "without_zeros": "p = MatMulInteger(a, w)",
}


def weights(rng):
    return {
        "w": rng.integers(-128, 127, (8, 5), np.int8),
        "s": np.float32(0.1),
        "z": np.uint8(30),
        "rows": np.arange(3, dtype=np.uint8),
        "zero": np.int8(3),
        "zeros": rng.integers(-3, 3, 5).astype(np.int8),
        "conv": rng.integers(-128, 127, (4, 3, 2, 2), np.int8),
    }


@pytest.mark.parametrize("name", STATIC)
def test_sums_of_integers_are_exact_on_floats(rng, name):
    text = (
        f"(float[3,8] x) => (float[] y) {{ a = QuantizeLinear(x, s, z) {STATIC[name]} y = Cast<to = 1>(p) }}"
    )
    found, expected = both(foreign(text, **weights(rng)), {"x": rng.standard_normal((3, 8), np.float32)})
    np.testing.assert_array_equal(found[0], expected[0])


def test_zero_points_of_rows(rng):
    """Which onnxruntime has not: by hand."""
    given = weights(rng)
    model = foreign(
        "(uint8[3,8] a) => (float[3,5] y) { p = MatMulInteger(a, w, rows, zero) y = Cast<to = 1>(p) }",
        **given,
    )
    a = rng.integers(0, 255, (3, 8)).astype(np.uint8)
    exact = (a.astype(int) - given["rows"][:, None]) @ (given["w"].astype(int) - given["zero"])
    np.testing.assert_array_equal(run(written(model).model, {"a": a})[0], exact)


def test_a_convolution_of_integers(rng):
    text = """(float[2,3,5,5] x) => (float[] y) { a = QuantizeLinear(x, s, z)
        p = ConvInteger<pads = [1, 1, 1, 1]>(a, conv, z, zero) y = Cast<to = 1>(p) }"""
    found, expected = both(
        foreign(text, **weights(rng)), {"x": rng.standard_normal((2, 3, 5, 5), np.float32)}
    )
    np.testing.assert_array_equal(found[0], expected[0])


def test_integers_that_are_read_as_integers_stay():
    result = written(
        foreign(
            "(uint8[3,8] a) => (int32[3,5] p) { p = MatMulInteger(a, w) }",
            **weights(np.random.default_rng(0)),
        )
    )
    assert ops(result) == ["MatMulInteger"]
    assert [node.reason for node in result.nodes] == ["its integers are read as integers"]


DYNAMIC = """(float[3,8] x) => (float[3,5] y) { a, as, az = DynamicQuantizeLinear(x)
    p = MatMulInteger(a, w, az, zero) f = Cast<to = 1>(p) t = Mul(as, s) y = Mul(f, t) }"""


def test_dynamic_quantisation_is_left_out_and_said(rng):
    model = foreign(DYNAMIC, **weights(rng))
    result = written(model)
    assert ops(result) == ["MatMul", "Cast", "Mul"]
    assert result.nodes[0].op == "DynamicQuantizeLinear"
    assert result.nodes[0].reason.startswith("rounds to 255 steps of each batch's own range: left out")
    x = rng.standard_normal((3, 8)).astype(np.float32)
    found, expected = both(model, {"x": x})
    span = max(x.max(), 0) - min(x.min(), 0)  # a step is 1/255 of it, and half of one may be lost
    most = span / 255 * 0.51 * 0.1 * np.abs(weights(np.random.default_rng(0))["w"].astype(float)).max() * 8
    assert np.abs(found[0] - expected[0]).max() < most
    assert np.abs(found[0] - expected[0]).max() > 0


def test_dynamic_quantisation_stays_where_its_scale_is_used_otherwise(rng):
    text = DYNAMIC.replace("y = Mul(f, t)", "e = Exp(as) g = Mul(f, t) y = Mul(g, e)")
    result = written(foreign(text, **weights(rng)))
    assert "DynamicQuantizeLinear" in ops(result)


def test_products_of_the_optimiser(rng):
    given = {
        **weights(rng),
        "as": np.float32(0.2),
        "ws": rng.uniform(0.1, 0.3, 5).astype(np.float32),
        "bias": rng.standard_normal(5).astype(np.float32),
    }
    text = """(float[3,8] x) => (float[3,5] y) { a = QuantizeLinear(x, as, z)
        y = com.microsoft.MatMulIntegerToFloat(a, w, as, ws, z, zeros, bias) }"""
    assert difference(foreign(text, **given), {"x": rng.standard_normal((3, 8), np.float32)}) < 1e-6
    text = (
        "(float[3,8] x) => (float[3,5] y) { y = com.microsoft.DynamicQuantizeMatMul(x, w, ws, zeros, bias) }"
    )
    assert difference(foreign(text, **given), {"x": rng.standard_normal((3, 8), np.float32)}) < 0.02
