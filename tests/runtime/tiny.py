"""The nets that tests of runs share: two neurons whose spikes are found by hand, and a residual one."""

from __future__ import annotations

import numpy as np

import onnx2snn
from onnx2snn.artifact.artifact import Artifact, take_apart
from onnx2snn.engine.engines import EngineOptions
from onnx2snn.runtime.runner import Network
from tests.helpers import parse

#: A pool, a residual connection and an average, behind a first layer.
NET = """(float[N,2,6,6] x) => (float[N,3] y) {
    h = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(h)
    m = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(r)
    c = Conv<pads=[1,1,1,1]>(m, w2) s = Add(c, m) q = Relu(s)
    g = GlobalAveragePool(q) f = Flatten(g) y = Gemm(f, w3)
}"""
SHAPES = {"w1": (4, 2, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "w3": (4, 3)}

#: θ is 2 for both neurons: at Γ = 1 the first sample sends 1010 and 1111, the second 1111 and 0100.
X = np.float32([[1, 2], [2, 0.5], [0, 2]])
#: The outputs after 1, 2 and 4 timesteps.
AFTER_1 = [[8, 12], [2, 4], [6, 8]]
AFTER_2 = [[7, 10], [5, 8], [6, 8]]
AFTER_4 = [[7, 10], [3.5, 6], [6, 8]]


def tiny(schedule: str = "stream") -> Artifact:
    """`c = x·I, r = Relu(c), y = r·v` in four timesteps."""
    model = parse(
        "(float[N,2] x) => (float[N,2] y) { c = MatMul(x, w) r = Relu(c) y = MatMul(r, v) }",
        w=np.eye(2, dtype=np.float32),
        v=np.float32([[1, 2], [3, 4]]),
    )
    options = {"timesteps": 4, "max_spikes": 1, "schedule": schedule, "threshold": "max"}
    return take_apart(onnx2snn.compile(model, X, correct_bias=False, **{"code": "burst", **options}).model)


def network(artifact: Artifact, backend: str = "onnxruntime") -> Network:
    return Network(artifact, backend, EngineOptions())
