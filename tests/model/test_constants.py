"""Constants: numbers, and finite where something is multiplied by them; masks and bounds may be infinite."""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx2snn
from onnx2snn.errors import ModelError
from onnx2snn.model.check import check_model, check_structure
from onnx2snn.model.constants import check_constants
from tests.helpers import of_opset, parse

TEXT = "(float[N,2] x) => (float[N,2] y) { [twice] a = MatMul(x, w) [cut] y = Clip(a, low, high) }"


def net(**constants):
    given = {"w": np.eye(2), "low": np.asarray(0), "high": np.asarray(6)} | constants
    return parse(TEXT, **{name: np.asarray(value, np.float32) for name, value in given.items()})


def message(model):
    with pytest.raises(ModelError) as caught:
        check_constants(model, "net.onnx")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("wrong", [{"w": [[1, np.nan]]}, {"high": np.nan}])
def test_nan_is_no_number_anywhere(wrong):
    (name,) = wrong
    assert (
        message(net(**wrong))
        == f"net.onnx: constant '{name}': expected numbers, found NaN; retrain or repair the model"
    )
    check_structure(net(**wrong), "net.onnx")  # which does not ask


INFINITE = {"b": np.float32([-np.inf, 0]), "one": np.float32(1), "c": np.bool_([True, False])}
INFINITE["ax"], INFINITE["pads"] = np.int64([0]), np.int64([0, 0, 0, 1])


@pytest.mark.parametrize(
    "body",
    [
        "y = Mul(x, b)",
        "y = Div(x, b)",
        "y = PRelu(x, b)",
        "w = Unsqueeze(b, ax) y = Gemm(w, x)",
        "w = Unsqueeze(b, ax) t = Transpose(w) u = Identity(t) y = MatMul(x, u)",
        "y = If (q) <then_branch = g1 () => (t) { t = Mul(x, b) }, else_branch = g2 () => (e) {e = Neg(x)}>",
    ],
)
def test_what_meets_a_product_is_finite(body):
    model = parse(f"(float[N,2] x, bool q) => (float[N,M] y) {{ {body} }}", **used(body))
    expected = (
        "net.onnx: constant 'b': expected finite weights, found an infinite one; retrain or repair the model"
    )
    assert message(model) == expected


@pytest.mark.parametrize(
    "body",
    [
        "y = Add(x, b)",
        "w = Unsqueeze(b, ax) s = Add(x, w) y = Softmax(s)",
        "y = Where(c, x, b)",
        "y = Max(x, b)",
        "r = Concat<axis = 0>(b, b) y = ReduceMax(r)",
        "z = Clip(x, one) y = Min(z, b)",
    ],
)
def test_masks_and_bounds_may_be_infinite(body):
    check_model(parse(f"(float[N,2] x) => (float[N,M] y) {{ {body} }}", **used(body)), "net.onnx")


def used(body, among=INFINITE):
    """The constants that a text speaks of, by name."""
    words = set(re.findall(r"\w+", body))
    return {name: np.asarray(value) for name, value in among.items() if name in words}


@pytest.mark.parametrize("node", ["Clip(x, b)", "Clip(x, zero, b)", "Pad(x, pads, b)", "Max(x, zero, b)"])
def test_bounds_and_padding(node):
    given = {"b": np.float32(-np.inf), "zero": np.float32(0), "pads": np.int64([0, 1, 0, 1])}
    weights = used(node, given)
    check_model(parse(f"(float[N,2] x) => (float[N,M] y) {{ y = {node} }}", **weights), "net.onnx")


def test_what_a_branch_holds():
    branches = """(float[N,2] x, bool q) => (float[N,2] y) { y = If (q) <
        then_branch = g1 () => (t) { k = Constant<value = float[1] {0}>() t = Add(x, k) },
        else_branch = g2 () => (e) { e = Neg(x) }> }"""
    model = parse(branches)
    (held,) = (a.g.node[0].attribute[0].t for a in model.graph.node[0].attribute if a.name == "then_branch")
    held.CopyFrom(numpy_helper.from_array(np.float32([np.nan])))
    assert message(model).startswith("net.onnx: constant 'k': expected numbers, found NaN")


def test_weights_in_a_file_beside_are_not_read():
    model = net(w=np.ones((2, 20_000)))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.append(onnx.StringStringEntryProto(key="location", value="missing.bin"))
    before = model.SerializeToString(deterministic=True)
    check_model(model, "net.onnx")
    assert model.SerializeToString(deterministic=True) == before


def test_what_a_constant_node_holds():
    model = net()
    value = numpy_helper.from_array(np.float32([np.nan]), "")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["held"], value=value))
    assert message(model).startswith("net.onnx: constant 'held': expected numbers")


def test_more_values_than_its_shape_says():
    model = net()
    model.graph.initializer[0].dims[0] = 3
    assert "not valid ONNX" in message(model) or "'w': expected as many values as its shape" in message(model)


#: A mask that is added, one that a condition puts there, and one that ONNX's own Attention makes.
ATTENTION = {
    "added": (21, "s = MatMul(q, t) m = Add(s, mask) p = Softmax(m) a = MatMul(p, q)"),
    "chosen": (21, "s = MatMul(q, t) m = Where(c, s, low) p = Softmax(m) a = MatMul(p, q)"),
    "causal": (23, "a = Attention<q_num_heads = 2, kv_num_heads = 2, is_causal = 1>(q, q, q)"),
}


@pytest.mark.parametrize("how", ATTENTION)
@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_masked_attention_compiles_and_its_file_is_read_again(how, schedule, rng, tmp_path):
    opset, body = ATTENTION[how]
    mask = np.triu(np.full((5, 5), -np.inf, np.float32), 1)
    constants = {"mask": mask, "c": np.isfinite(mask), "low": np.float32(-np.inf)}
    weights = {
        name: np.asarray(value)
        for name, value in constants.items()
        if f"{name})" in body or f"({name}" in body
    }
    text = f"""(float[N,5,8] x) => (float[N,5,8] y) {{ q = MatMul(x, wq) t = Transpose<perm = [0, 2, 1]>(q)
        {body} h = MatMul(a, w1) r = Relu(h) y = MatMul(r, w2) }}"""
    shapes = {"wq": (8, 8), "w1": (8, 16), "w2": (16, 8)}
    weights |= {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    model, x = of_opset(opset, text, **weights), rng.normal(size=(16, 5, 8)).astype(np.float32)
    onnx2snn.compile(model, x, schedule=schedule, timesteps=16, exponents=12).save(tmp_path / "net.snn.onnx")
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    for backend in ("onnxruntime", "numpy"):
        found = onnx2snn.SpikingSession(tmp_path / "net.snn.onnx", backend=backend).run(x).outputs["y"]
        assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_a_mask_on_the_scores_themselves(schedule, rng):
    """A class that is never given: its score is −∞, whatever the others are."""
    text = """(float[N,4] x) => (float[N,3] y) {
        h = MatMul(x, w1) r = Relu(h) s = MatMul(r, w2) y = Add(s, b) }"""
    weights = {"w1": (4, 8), "w2": (8, 3)}
    model = parse(
        text,
        b=np.float32([0, -np.inf, 0.5]),
        **{name: rng.normal(size=shape).astype(np.float32) for name, shape in weights.items()},
    )
    x = rng.normal(size=(16, 4)).astype(np.float32)
    artifact = onnx2snn.compile(model, x, schedule=schedule, timesteps=16, exponents=12).model
    found = onnx2snn.SpikingSession(artifact).run(x).outputs["y"]
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_array_equal(found[:, 1], expected[:, 1])
    np.testing.assert_allclose(found[:, ::2], expected[:, ::2], atol=0.02 * np.abs(expected[:, ::2]).max())
