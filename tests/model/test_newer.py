"""Operators that ONNX added after our opset: written in older ones, or refused by name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.model.newer import NEWER as DOMAIN
from onnx2snn.model.newer import inline_newer
from tests.helpers import of_opset, run


def compiled_error(model: onnx.ModelProto, x: np.ndarray, timesteps: int) -> float:
    """How far what the artifact gives is from what the ANN gives, as a share of its spread."""
    artifact = onnx2snn.compile(model, x, timesteps=timesteps, signed=True).model
    (expected,) = run(model, {"x": x})
    (found,) = run(artifact, {"x": x})
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected - expected.mean(axis=0)))


#: opset, operator from r to m, shape of the input
NEWER = {
    "Swish": (24, "m = Swish<alpha = 1.0>(r)", "N,8"),
    "Swish without its attribute": (24, "m = Swish(r)", "N,8"),
    "RMSNormalization": (23, "m = RMSNormalization(r, scale)", "N,8"),
    "Attention": (23, "m = Attention(r, r, r)", "N,2,5,8"),
    "RMSNormalization at opset 24": (24, "m = RMSNormalization(r, scale)", "N,8"),
    "GlobalMaxPool": (22, "m = GlobalMaxPool(r)", "N,2,5,8"),
    "Gelu": (22, "m = Gelu(r)", "N,8"),
    "LayerNormalization": (23, "m = LayerNormalization(r, scale)", "N,8"),
}


@pytest.mark.parametrize("name", NEWER)
def test_newer_opsets(name, rng):
    version, body, shape = NEWER[name]
    text = f"(float[{shape}] x) => (float[] y) {{ r = Relu(x) {body} y = Relu(m) }}"
    weights = {"scale": rng.uniform(0.5, 2, 8).astype(np.float32)} if "scale" in body else {}
    model = of_opset(version, text, **weights)
    sizes = [24, *map(int, shape.split(",")[1:])]
    dims = ["N", *([2, 1, 1] if "Pool" in name else sizes[1:])]
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, dims))
    x = rng.standard_normal(sizes).astype(np.float32)
    assert compiled_error(model, x, 128) < 0.03
    names = {node.op for node in onnx2snn.inspect(model).nodes if node.role == "spiking"}
    assert "Relu" in names


def test_an_operator_too_new_is_refused_with_all_the_others():
    text = """(float[N,4] x) => (float[N,4] y) { r = Relu(x) [product] c = CumProd(r, axis)
        [noise] n = RandomNormalLike(c) y = Relu(n) }"""
    model = of_opset(26, text, axis=np.int64(1))
    with pytest.raises(onnx2snn.UnsupportedGraphError, match=r"'product' \(CumProd\): .*opset 21") as caught:
        onnx2snn.compile(model, np.ones((4, 4), np.float32))
    assert {refusal.node: refusal.op for refusal in caught.value.refusals} == {
        "product": "CumProd",
        "noise": "RandomNormalLike",
    }


def test_operators_of_our_opset_stay():
    model = of_opset(21, "(float[N,4] x) => (float[N,4] y) { r = Relu(x) m = Gelu(r) y = Relu(m) }")
    before = model.SerializeToString(deterministic=True)
    inline_newer(model)
    assert model.SerializeToString(deterministic=True) == before


def test_what_has_no_older_form_gets_a_domain_by_which_it_is_refused():
    model = of_opset(26, "(float[N,4] x) => (float[N,4] y) { y = CumProd(x, axis) }", axis=np.int64(1))
    inline_newer(model)
    assert [(node.op_type, node.domain) for node in model.graph.node] == [("CumProd", DOMAIN)]


EARLY = {
    "LayerNormalization": (12, "m = LayerNormalization<axis = -1>(r, s, b)"),
    "Gelu": (13, "m = Gelu(r)"),
    "HardSwish among what changed": (
        12,
        "u = Unsqueeze<axes = [1]>(r) h = HardSwish(u) m = Squeeze<axes = [1]>(h)",
    ),
}


@pytest.mark.parametrize("name", EARLY)
def test_operators_that_the_declared_opset_lacks(name, rng):
    """The others mean what they meant in it: Softmax over all axes from the first, axes as attributes."""
    opset, body = EARLY[name]
    text = (
        f"(float[N,4] x) => (float[N,4] y) {{ a = MatMul(x, w) r = Relu(a) {body} y = Softmax<axis = 1>(m) }}"
    )
    weights = {"w": rng.standard_normal((4, 4)), "s": np.arange(1.0, 5), "b": np.ones(4)}
    used = {key: np.float32(value) for key, value in weights.items() if key == "w" or "Layer" in name}
    model, x = of_opset(opset, text, **used), rng.standard_normal((16, 4)).astype(np.float32)
    modern = body.replace("<axes = [1]>(r)", "(r, one)").replace("<axes = [1]>(h)", "(h, one)")
    one = {"one": np.int64([1])} if "one" in modern else {}
    (expected,) = run(of_opset(21, text.replace(body, modern), **used, **one), {"x": x})
    artifact = onnx2snn.compile(model, x, timesteps=16, exponents=12).model
    np.testing.assert_allclose(run(artifact, {"x": x})[0], expected, atol=0.01)
    (reference,) = OnnxruntimeEngine(model).run({"x": x}).values()
    np.testing.assert_allclose(reference, expected, atol=1e-5)
