from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.passes.normalize_quantizer import NormalizeQuantizer
from tests.helpers import normal, parse, rewrite, run

CONSTANTS = {
    "w": np.eye(3, dtype=np.float32)[::-1],
    "zero": np.float32(0),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "two": np.float32(2),
    "four": np.float32(4),
    "seven": np.float32(7),
    "quarter": np.float32(0.25),
    "minus": np.float32(-1),
    "minus_two": np.float32(-2),
    "minus_quarter": np.float32(-0.25),
    "bound": np.float32(1.0625),
    "between": np.float32(3.75),
    "small": np.float32(-0.9375),
    "inf": np.float32(np.inf),
    "steps": np.asarray([0.25, 0.5, 0.125], np.float32),
    "mixed_steps": np.asarray([0.25, -0.5, 0.125], np.float32),
    "inverses": np.asarray([4, 2, 8], np.float32),
    "shifts": np.asarray([0.25, -0.5, 0], np.float32),
    "u0": np.uint8(0),
    "u128": np.uint8(128),
    "i0": np.int8(0),
    "i_128": np.int8(-128),
    "i3": np.int8(3),
    "w0": np.uint16(0),
    "u3": np.asarray([0, 0, 0], np.uint8),
    "u012": np.asarray([0, 1, 2], np.uint8),
}

# No multiple of half a step: no rounding can go another way.
X = (2 * np.random.default_rng(3).integers(-40, 40, (60, 3)).astype(np.float32) + 1) / 32

DIV = "d = Div(a, quarter)"
ROUND = f"{DIV} f = Round(d)"
CLIP = f"{ROUND} c = Clip(f, zero, seven)"


def quantize(body, *, outputs="float[] y", before="a = MatMul(x, w)", after=""):
    text = f"(float[N,3] x) => ({outputs}) {{ {before} {body} {after} }}"
    read = {name for node in parse(text).graph.node for name in node.input}
    model = parse(text, **{name: value for name, value in CONSTANTS.items() if name in read})
    result = rewrite(NormalizeQuantizer(), model, {"x": X})
    assert result.error < 1e-6
    return result


def quantiser(result):
    (found,) = [kind for kind in map(rectifier, result.graph.nodes) if kind is not None]
    return found


@pytest.mark.parametrize(
    ("body", "levels"),
    [
        (f"{CLIP} y = Mul(c, quarter)", 7),
        (f"{CLIP} y = Mul(quarter, c)", 7),
        (f"{CLIP} y = Div(c, four)", 7),
        ("d = Mul(a, four) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, quarter)", 7),
        ("d = Mul(four, a) h = Add(d, half) f = Floor(h) c = Clip(f, zero, seven) y = Mul(c, quarter)", 7),
        (f"{DIV} h = Add(half, d) f = Floor(h) c = Clip(f, zero, seven) y = Mul(c, quarter)", 7),
        (f"{DIV} h = Sub(d, minus) f = Floor(h) c = Clip(f, zero, seven) y = Mul(c, quarter)", 7),
        (f"{DIV} f = Floor(d) c = Clip(f, zero, seven) y = Mul(c, quarter)", 7),
        (f"{DIV} c = Clip(d, zero, seven) h = Add(c, half) f = Floor(h) y = Mul(f, quarter)", 7),
        (f"{DIV} c = Clip(d, zero, seven) f = Floor(c) y = Mul(f, quarter)", 7),
        ("c = Clip(a, zero, one) d = Div(c, quarter) h = Add(d, half) f = Floor(h) y = Mul(f, quarter)", 4),
        ("c = Clip(a, zero, bound) d = Div(c, quarter) f = Round(d) y = Mul(f, quarter)", 4),
        ("r = Relu(a) d = Div(r, quarter) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, quarter)", 7),
        (f"{DIV} r = Relu(d) f = Round(r) c = Clip(f, , seven) y = Mul(c, quarter)", 7),
        (f"{ROUND} r = Relu(f) c = Clip(r, minus, four) y = Mul(c, quarter)", 4),
        (f"{ROUND} c = Clip(f, minus_two, inf) e = Clip(c, minus, one) y = Mul(e, quarter)", 2),
        (f"{CLIP} y = Mul(c, half)", 7),
        (f"{CLIP} y = Mul(c, minus_quarter)", 7),
        (f"{CLIP} s = Mul(c, quarter) y = MatMul(s, w)", 7),
        (f"{ROUND} s = Add(f, one) c = Clip(s, zero, seven) y = Mul(c, quarter)", 7),
        (f"{CLIP} s = Sub(c, one) y = Mul(s, quarter)", 7),
        (f"{CLIP} s = Sub(seven, c) y = Mul(s, quarter)", 7),
        ("d = Mul(a, minus_two) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, half)", 7),
        ("s = Add(a, half) d = Div(s, quarter) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, quarter)", 7),
        ("d = Div(a, steps) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, steps)", 7),
        ("d = Mul(a, inverses) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, steps)", 7),
        ("d = Mul(a, inverses) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, mixed_steps)", 7),
        (
            "s = Add(a, shifts) d = Mul(s, inverses) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, steps)",
            7,
        ),
        (f"{ROUND} y = Clip(f, zero, seven)", 7),
        ("f = Round(a) y = Clip(f, minus, two)", 3),
    ],
)
def test_arithmetic_around_a_rounding(body, levels):
    result = quantize(body)
    assert result.changed
    assert quantiser(result).levels == levels
    assert {"Round", "Floor", "Clip", "Div"}.isdisjoint(result.ops)


PAIR = "q = QuantizeLinear<axis = 1>({0}, {1}, {2}) y = DequantizeLinear<axis = 1>(q, {1}, {2})"


@pytest.mark.parametrize(
    ("scale", "zero", "levels", "ops"),
    [
        ("quarter", "u0", 255, ["QuantizedRelu"]),
        ("quarter", "u128", 255, ["Add", "QuantizedRelu", "Add"]),
        ("quarter", "i0", 255, ["Add", "QuantizedRelu", "Add"]),
        ("quarter", "i_128", 255, ["QuantizedRelu"]),
        ("quarter", "i3", 255, ["Add", "QuantizedRelu", "Add"]),
        ("quarter", "w0", 65535, ["QuantizedRelu"]),
        ("quarter", "", 255, ["QuantizedRelu"]),
        ("steps", "u3", 255, ["QuantizedRelu"]),
        ("steps", "", 255, ["QuantizedRelu"]),
    ],
)
def test_quantize_and_dequantize(scale, zero, levels, ops):
    result = quantize(PAIR.format("a", scale, zero))
    assert result.ops == ["MatMul", *ops]
    assert quantiser(result).levels == levels
    assert quantiser(result).step.ravel() == pytest.approx(CONSTANTS[scale].ravel())


def test_scales_lie_along_the_channels_where_no_axis_is_given():
    result = quantize("q = QuantizeLinear(a, steps, u3) y = DequantizeLinear(q, steps, u3)")
    assert quantiser(result).step.shape == (1, 3)


def test_a_quantiser_of_doubles_keeps_their_type():
    text = """(double[N,3] x) => (double[] y) {
        a = Neg(x) d = Div(a, q) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, q) }"""
    model = parse(text, q=np.float64(0.25), zero=np.float64(0), seven=np.float64(7))
    result = rewrite(NormalizeQuantizer(), model, {"x": X.astype(np.float64)})
    assert result.error == 0
    assert quantiser(result).step.dtype == np.float64


@pytest.mark.parametrize(
    ("bound", "scale", "zero", "levels"),
    [
        ("r = Relu(a)", "quarter", "u0", 255),
        ("r = Relu(a)", "steps", "u3", 255),
        ("r = Relu(a)", "quarter", "u128", 127),
        ("r = Relu(a)", "quarter", "i0", 127),
        ("r = Relu(a)", "quarter", "i3", 124),
        ("r = Clip(a, zero, bound)", "quarter", "u128", 4),
        ("r = Clip(a, small, bound)", "quarter", "u128", 8),
        ("r = Clip(a, small, bound)", "quarter", "u0", 4),
        ("c = Relu(a) r = Clip(c, small, bound)", "quarter", "u128", 4),
    ],
)
def test_a_bound_before_takes_levels_away(bound, scale, zero, levels):
    result = quantize(f"{bound} {PAIR.format('r', scale, zero)}")
    assert {"Relu", "Clip"}.isdisjoint(result.ops)
    assert quantiser(result).levels == levels


def test_the_plainest_form_is_one_node():
    result = quantize("d = Div(a, quarter) f = Round(d) c = Clip(f, zero, seven) y = Mul(c, quarter)")
    assert result.ops == ["MatMul", "QuantizedRelu"]
    assert {note.op for note in result.notes} == {"Div", "Clip", "Mul"}
    assert {note.reason for note in result.notes} == {"part of the quantiser 'f'"}
    assert quantiser(result).step == pytest.approx(0.25)


@pytest.mark.parametrize(
    "body",
    [
        f"{ROUND} y = Mul(f, quarter)",
        f"{ROUND} r = Relu(f) y = Mul(r, quarter)",
        f"{ROUND} c = Clip(f, , seven) y = Mul(c, quarter)",
        f"{ROUND} c = Clip(f, zero, inf) y = Mul(c, quarter)",
        f"{ROUND} c = Clip(f, zero, between) y = Mul(c, quarter)",
        f"{ROUND} c = Clip(f, zero, zero) y = Mul(c, quarter)",
        f"{DIV} r = Relu(d) f = Round(r) y = Mul(f, quarter)",
        f"{CLIP} y = Mul(c, zero)",
        "d = Div(quarter, a) f = Round(d) c = Clip(f, minus, inf) y = Mul(c, quarter)",
        "f = Ceil(a) y = Clip(f, zero, seven)",
    ],
)
def test_kept_without_two_bounds_at_levels(body):
    result = quantize(body)
    assert not result.changed


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        (f"{CLIP} y = Mul(c, quarter) e = Neg(f)", "float[] y, float[] e"),
        (f"{CLIP} y = Mul(c, quarter)", "float[] y, float[] f"),
        (
            "q = QuantizeLinear(a, quarter, u0) y = DequantizeLinear(q, quarter, u0)",
            "float[] y, uint8[N,3] q",
        ),
        (
            "q = QuantizeLinear(a, quarter, u0) y = DequantizeLinear(q, quarter, u0) e = Cast<to = 1>(q)",
            "float[] y, float[] e",
        ),
    ],
)
def test_kept_where_others_read_the_codes(body, outputs):
    assert not quantize(body, outputs=outputs).changed


@pytest.mark.parametrize(
    ("body", "outputs", "ops"),
    [
        (f"{CLIP} y = Mul(c, quarter) e = Neg(d)", "float[] y, float[] e", ["Div", "QuantizedRelu", "Neg"]),
        (f"{CLIP} y = Mul(c, quarter)", "float[] y, float[] d", ["Div", "QuantizedRelu"]),
        (f"{CLIP} y = Mul(c, quarter) e = Neg(c)", "float[] y, float[] e", ["QuantizedRelu", "Mul", "Neg"]),
        (f"{CLIP} y = Mul(c, quarter)", "float[] y, float[] c", ["QuantizedRelu", "Mul"]),
        (f"{CLIP} y = Mul(c, quarter) e = Neg(a)", "float[] y, float[] e", ["QuantizedRelu", "Neg"]),
    ],
)
def test_what_others_read_stays(body, outputs, ops):
    result = quantize(body, outputs=outputs)
    assert result.changed
    assert set(ops) <= set(result.ops)


@pytest.mark.parametrize(
    ("quantise", "dequantise"),
    [
        ("quarter, u0", "half, u0"),
        ("quarter, u0", "quarter, u128"),
        ("steps, u3", "quarter, u0"),
        ("steps, u012", "steps, u012"),
    ],
)
def test_kept_where_the_scales_or_zero_points_differ(quantise, dequantise):
    result = quantize(
        f"q = QuantizeLinear(a, {quantise}) y = DequantizeLinear(q, {dequantise})",
    )
    assert not result.changed


@pytest.mark.parametrize(
    "body",
    [
        f"{CLIP} y = Mul(c, quarter)",
        "q = QuantizeLinear(a, quarter, u0) y = DequantizeLinear(q, quarter, u0)",
    ],
)
def test_kept_on_a_graph_input(body):
    assert not quantize(body.replace("(a,", "(x,"), before="").changed


def test_a_bound_between_two_levels_is_rounded_as_the_net_does():
    """0.625 / 0.25 = 2.5 rounds to 2, and so does all that the Clip cuts off."""
    text = "(float[N,3] x) => (float[N,3] y) {{ a = MatMul(x, w) r = Clip(a, zero, top) {} }}"
    body = "d = Div(r, quarter) f = Round(d) c = Clip(f, zero, four) y = Mul(c, quarter)"
    names = ("w", "zero", "quarter", "four")
    model = parse(
        text.format(body), **{name: CONSTANTS[name] for name in names}, top=np.asarray(0.625, np.float32)
    )
    result = rewrite(NormalizeQuantizer(), model, {"x": X})
    assert result.error < 1e-6


def test_a_rounded_weight_is_no_activation(rng):
    model = parse(
        "(float[N,3] x) => (float[N,3] y) { f = Round(v) c = Clip(f, low, high) y = MatMul(x, c) }",
        low=np.float32(-2),
        high=np.float32(2),
        **normal(rng, v=(3, 3)),
    )
    assert not rewrite(NormalizeQuantizer(), model, {"x": X}).changed


QUANTISERS = {
    "Floor": "{0}d = Div({1}, {2}) {0}h = Add({0}d, half) {0}f = Floor({0}h) {0}c = Clip({0}f, zero, seven) "
    "{0} = Mul({0}c, {2})",
    "Round of a bounded ReLU": "{0}r = Relu({1}) {0}d = Div({0}r, {2}) {0}f = Round({0}d) "
    "{0}c = Clip({0}f, zero, seven) {0} = Mul({0}c, {2})",
    "four bits, signed": "{0}d = Div({1}, {2}) {0}f = Round({0}d) {0}c = Clip({0}f, minus_eight, seven) "
    "{0} = Mul({0}c, {2})",
    "uint8": "{0}r = Relu({1}) {0}q = QuantizeLinear({0}r, {2}, u0) {0} = DequantizeLinear({0}q, {2}, u0)",
    "int8": "{0}q = QuantizeLinear({1}, {2}, i3) {0} = DequantizeLinear({0}q, {2}, i3)",
}
NET = """(float[N,2,5,5] x) => (float[N,3] y) {{ a = Conv<pads = [1,1,1,1]>(x, w1, b1) {}
    b = Conv(p, w2, b2) {} g = GlobalAveragePool(q) f = Flatten(g) e = Gemm(f, w3, b3) {}
    y = Gemm(r, w4) }}"""
SHAPES = {
    "w1": (4, 2, 3, 3),
    "b1": (4,),
    "w2": (5, 4, 3, 3),
    "b2": (5,),
    "w3": (5, 6),
    "b3": (6,),
    "w4": (6, 3),
}
STEPS = {"s1": 0.3, "s2": 0.7, "s3": 0.4}


def clear_of_ties(model, x):
    """Those samples for which no activation lies where another summation order could round it elsewhere."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    sources = {"a": "s1", "b": "s2", "e": "s3"}
    probe.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in sources)
    found = run(probe, {"x": x})
    far = np.ones(len(x), bool)
    for array, step in zip(found, sources.values(), strict=True):
        ratio = array / np.float32(STEPS[step]) + 0.5
        far &= (np.abs(ratio - np.round(ratio)) > 1e-4).reshape(len(x), -1).all(axis=1)
    return x[far]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("timesteps", [1, 3, 8, 16])
@pytest.mark.parametrize("name", QUANTISERS)
def test_the_artifact_gives_what_the_net_gives(name, timesteps, signed, rng):
    parts = [
        QUANTISERS[name].format(result, source, step)
        for result, source, step in (("p", "a", "s1"), ("q", "b", "s2"), ("r", "e", "s3"))
    ]
    constants = {key: np.float32(value) for key, value in STEPS.items()} | {
        "half": np.float32(0.5),
        "zero": np.float32(0),
        "seven": np.float32(7),
        "minus_eight": np.float32(-8),
        "u0": np.uint8(0),
        "i3": np.int8(3),
    }
    text = NET.format(*parts)
    read = {part for node in parse(text).graph.node for part in node.input}
    model = parse(
        text, **normal(rng, **SHAPES), **{key: value for key, value in constants.items() if key in read}
    )
    x = clear_of_ties(model, rng.standard_normal((64, 2, 5, 5)).astype(np.float32))
    assert len(x) > 16
    compiled = onnx2snn.compile(model, x, timesteps=timesteps, signed=signed, code="burst")
    assert compiled.report.to_dict()["roles"]["spiking"] == 3
    assert compiled.report.to_dict()["roles"]["analog"] == 0
    (expected,) = run(model, {"x": x})
    np.testing.assert_allclose(
        run(compiled.model, {"x": x})[0], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )
