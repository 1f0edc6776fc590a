"""A net with class scores, compiled."""

from __future__ import annotations

import onnx2snn
from tests.helpers import normal, parse

TEXT = """(float[N,3,6,6] x) => (float[N,5] y) {
    c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c) d = Conv<pads=[1,1,1,1]>(r, w2) s = Relu(d) a = Add(r, s)
    t = Relu(a) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(t) f = Flatten(p) y = Gemm(f, w3) }"""
SOFTMAX = TEXT.replace("y = Gemm(f, w3)", "z = Gemm(f, w3) y = Softmax<axis=1>(z)")
WEIGHTS = {"w1": (4, 3, 3, 3), "w2": (4, 4, 3, 3), "w3": (36, 5)}


def compiled(rng, text=TEXT, samples=64, **options):
    x = normal(rng, x=(samples, 3, 6, 6))["x"]
    return onnx2snn.compile(parse(text, **normal(rng, **WEIGHTS)), x, **{"code": "burst", **options}).model, x
