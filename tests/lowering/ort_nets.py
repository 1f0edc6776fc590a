"""Nets as onnxruntime's own tools write them: quantised, and optimised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from tests.helpers import Arrays, normal, parse

TEXT = """(float[N,3,8,8] x) => (float[N,5] y) {
    a = Conv<pads = [1, 1, 1, 1]>(x, w1, b1) r1 = Relu(a)
    p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r1)
    c = Conv<pads = [1, 1, 1, 1]>(p, w2) r2 = Relu(c)
    s = Add(r2, p) e = LeakyRelu<alpha = 0.1>(s) f = Sigmoid(s)
    k = Concat<axis = 1>(e, f)
    v = AveragePool<kernel_shape = [2, 2]>(k)
    g = GlobalAveragePool(v) h = Flatten(g)
    m = Gemm(h, w3, b3) r3 = Relu(m)
    y = MatMul(r3, w4) }"""
#: What the optimiser fuses of a transformer's block.
BLOCK = """(float[2,4,8] x) => (float[2,4,8] y) {
    e = MatMul(x, w1) f = Add(e, b1)
    g = Div(f, root) h = Erf(g) i = Add(h, one) j = Mul(f, i) k = Mul(j, half)
    l = MatMul(k, w2) m = Add(l, b2) n = Add(m, x) o = LayerNormalization(n, scale, shift)
    t = Transpose<perm = [0, 2, 1]>(o) p = MatMul(o, t) q = Mul(p, half)
    r = MatMul(q, o) u = Mul(r, steep) v = Sigmoid(u) y = Mul(r, v) }"""
STATIC = {
    "QOperator": {"quant_format": QuantFormat.QOperator, "weight_type": QuantType.QInt8},
    "QOperator, by channel": {
        "quant_format": QuantFormat.QOperator,
        "weight_type": QuantType.QInt8,
        "per_channel": True,
    },
    "QDQ": {"quant_format": QuantFormat.QDQ, "per_channel": True},
    "QDQ, int8": {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QInt8},
    "QDQ, int4 weights": {"quant_format": QuantFormat.QDQ, "weight_type": QuantType.QInt4},
}
DYNAMIC = {"dynamic": {}, "dynamic, by channel": {"per_channel": True}}


class Samples(CalibrationDataReader):
    """A few batches."""

    def __init__(self, samples: np.ndarray) -> None:
        self._batches = iter([{"x": batch} for batch in np.split(samples, 4)])

    def get_next(self) -> Arrays | None:
        return next(self._batches, None)


def float_net(rng: np.random.Generator) -> onnx.ModelProto:
    """The net before it is quantised."""
    weights = normal(rng, w1=(4, 3, 3, 3), w2=(4, 4, 3, 3), w3=(8, 6), w4=(6, 5), b1=(4,), b3=(6,))
    for name in ("w1", "w2", "w3", "w4"):
        weights[name] *= np.float32(np.sqrt(2 / weights[name][0].size))
    return parse(TEXT, **weights)


def block(rng: np.random.Generator) -> onnx.ModelProto:
    """A block of a transformer, operator by operator."""
    weights = normal(rng, w1=(8, 16), w2=(16, 8), b1=(16,), b2=(8,), scale=(8,), shift=(8,))
    numbers = {"root": np.sqrt(2), "one": 1, "half": 0.5, "steep": 1.702}
    model = parse(BLOCK, **weights, **{name: np.float32(value) for name, value in numbers.items()})
    model.opset_import[0].version = 17  # later ones have a Gelu of ONNX's own
    return model


def samples(rng: np.random.Generator, number: int = 32) -> np.ndarray:
    """Inputs."""
    return rng.standard_normal((number, 3, 8, 8)).astype(np.float32)


def quantised(form: str, folder: Path) -> Path:
    """The net in one of the forms of STATIC or DYNAMIC, made once for all tests."""
    rng = np.random.default_rng(0)
    onnx.save(float_net(rng), folder / "float.onnx")
    path = folder / f"{form}.onnx"
    if path.exists():
        return path
    if form in DYNAMIC:
        quantize_dynamic(folder / "float.onnx", path, **DYNAMIC[form])
    else:
        quantize_static(folder / "float.onnx", path, Samples(samples(rng)), **STATIC[form])
    return path


def optimised(path: Path, level: str) -> Path:
    """A file as onnxruntime's optimiser writes it at this level."""
    target = path.with_name(f"{path.stem}, {level}.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return target
