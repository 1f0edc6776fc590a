"""How far neurons move when the last axis of the inputs does."""

from __future__ import annotations

import numpy as np

import onnx2snn
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.artifact.strides import strides
from tests.helpers import feeds, normal, parse

NET = """(float[N,2,32] x) => (float[N,3] y) {
    a = Conv<strides=[2], pads=[1,1]>(x, k) r = Relu(a) b = Conv<pads=[1,1]>(r, l) c = Concat<axis=1>(b, r)
    d = Relu(c) p = AveragePool<kernel_shape=[2], strides=[2]>(d) e = Conv(p, m) q = Relu(e)
    u = ConvTranspose<strides=[4], kernel_shape=[4]>(q, t) v = Relu(u) w = GlobalAveragePool(v)
    f = Flatten(w) s = Relu(f) y = Gemm(s, n)
}"""


def test_strides_multiply_along_the_way(rng: np.random.Generator) -> None:
    weights = normal(rng, k=(4, 2, 3), l=(4, 4, 3), m=(4, 8, 1), t=(4, 4, 4), n=(4, 3))
    net = parse(NET, **weights)
    compiled = onnx2snn.compile(net, feeds(rng, net, 16), code="graded", correct_bias=False)
    # Behind a convolution that keeps its columns, a pool, a transposed one; behind an average there are none.
    found = strides(take_apart(compiled.model))
    expected = {"r": 2, "d": 2, "q": 4, "v": 1}
    assert {name: found.get(f"{name}/neuron") for name in (*expected, "s")} == expected | {"s": None}
