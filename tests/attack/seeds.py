"""Models that compile, of which the attack makes others, and samples that fit them."""

from __future__ import annotations

import math
from functools import cache
from importlib import resources

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks.topologies import example_feeds, load_fixture
from tests.helpers import Arrays, batchnorm, normal, parse

Model = onnx.ModelProto

FIXTURES = ("prelu.script", "pointnet.script", "vit_relu.dynamo", "tf_cnn", "keras_sequential.tensorflow")
HAND_MADE = {
    "mlp": "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }",
    "cnn": """(float[N,2,6,6] x) => (float[N,3] y) {
        c = Conv<pads = [1,1,1,1]>(x, k) n = BatchNormalization(c, gamma, beta, mean, var)
        r = Clip(n, low, high) p = MaxPool<kernel_shape = [2,2], strides = [2,2]>(r)
        q, t = Split<axis = 1, num_outputs = 2>(p) a = Add(q, t) l = LeakyRelu<alpha = 0.1>(a)
        g = GlobalAveragePool(l) f = Flatten(g) y = Gemm(f, v) }""",
    "shapes": """(float[N,L,4] x) => (float[M] y) {
        s = Shape(x) b = Gather<axis = 0>(s, i) e = Unsqueeze(b, i) e1 = Reshape(e, one)
        o = Concat<axis = 0>(e1, minus) r = Relu(x) f = Reshape(r, o) p = Pad(f, pads)
        q = Slice(p, one, minus, one) z = Softmax<axis = 1>(q)
        u = Relu(z) y = ReduceSum<keepdims = 0>(u, minus) }""",
    "branch": """(float[N,4] x, bool[1] c) => (float[N,6] y) { h = Gemm(x, w3) r = Relu(h)
        y = If(c) <then_branch = a () => (float[N,6] p) { p = Identity(r) },
                   else_branch = b () => (float[N,6] q) { q = Neg(r) }> }""",
    "quantised": """(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) d = Div(h, step) f = Round(d)
        l = Clip(f, low, high) m = Mul(l, step) q = QuantizeLinear(m, step, zero)
        e = DequantizeLinear(q, step, zero) a = Erf(e) t = Mul(a, e) r = Relu(t) y = MatMul(r, w2) }""",
}


@cache
def seed_models() -> dict[str, Model]:
    rng = np.random.default_rng(5)
    arrays: Arrays = normal(rng, w1=(4, 6), w2=(6, 3), w3=(4, 6), k=(4, 2, 3, 3), v=(2, 3)) | {
        **batchnorm(rng, 4),
        "low": np.float32(0),
        "high": np.float32(6),
        "step": np.float32(0.25),
        "zero": np.uint8(0),
        "i": np.int64(0),
        "one": np.asarray([1], np.int64),
        "minus": np.asarray([-1], np.int64),
        "pads": np.asarray([0, 1, 0, 1], np.int64),
    }
    models = {}
    for name, text in HAND_MADE.items():
        read = {part for node in parse(text).graph.node for part in node.input}
        models[name] = parse(text, **{key: value for key, value in arrays.items() if key in read})
    models["digits"] = onnx.load_from_string(
        resources.files("onnx2snn.demo").joinpath("digits.onnx").read_bytes()
    )
    return models | {name: load_fixture(name) for name in FIXTURES}


def samples(model: Model, mutated: Model) -> Arrays:
    """Samples that fit what the mutated model says of its inputs, where there can be any."""
    given_by = example_feeds(model, 2)
    weights = {tensor.name for tensor in mutated.graph.initializer}
    for item in mutated.graph.input:
        sizes = [dim.dim_value if dim.dim_value else 2 for dim in item.type.tensor_type.shape.dim]
        if item.name in weights or not sizes or min(sizes) < 0 or math.prod(sizes) > 1 << 16:
            continue
        known = given_by.get(item.name)
        if known is None or [*known.shape[1:]] != sizes[1:]:
            kind = item.type.tensor_type.elem_type
            dtype = helper.tensor_dtype_to_np_dtype(kind) if 0 < kind < 17 else np.float32
            given_by[item.name] = (
                np.zeros(sizes, dtype) if kind != TensorProto.STRING else np.full(sizes, "a")
            )
    return given_by
