"""Small nets of several outputs and odd shapes, each seeded, with samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from tests.helpers import Arrays, normal, parse

#: The trunk of all nets: two hidden layers; N is open or a number.
_TRUNK = "a = Gemm(x, w1) r = Relu(a) b = Gemm(r, w2) s = Relu(b) y = Gemm(s, w3)"
_SHAPES = {"w1": (6, 10), "w2": (10, 8), "w3": (8, 4), "w4": (8, 6)}
_CONSTANTS = {
    "first": np.int64([0]),
    "both": np.int64([0, 1]),
    "two": np.int64([2]),
    "pairs": np.int64([-1, 2]),
    "rows": np.int64([0, 2, 2]),
    "zero": np.float32(0),
}


@dataclass(frozen=True)
class Net:
    """One net of the zoo.

    Attributes:
        outputs: as ONNX text declares them.
        nodes: behind the trunk, whose `y` are scores [N, 4], and `s` [N, 8].
        batch: of the input; an open one is N.
    """

    outputs: str
    nodes: str = ""
    batch: int | str = "N"


ZOO = {
    "scores and a map": Net("float[N,4] y, float[N,2,2] map", "map = Reshape(y, rows)"),
    "two scores": Net("float[N,4] y, float[N,6] z", "z = Gemm(s, w4)"),
    "hidden layers": Net("float[N,10] r, float[N,8] s, float[N,4] y"),
    "scores and their class": Net("int64[N] k, float[N,4] y", "k = ArgMax<axis=1, keepdims=0>(y)"),
    "class alone": Net("int64[N] k", "k = ArgMax<axis=1, keepdims=0>(y)"),
    "best two": Net("float[N,2] v, int64[N,2] i", "v, i = TopK(y, two)"),
    "mask": Net("bool[N,4] m", "m = Greater(y, zero)"),
    "scores and a loss": Net("float[N,4] y, float l", "l = ReduceMean<keepdims=0>(y, both)"),
    "mean of the batch": Net("float[1,4] mean", "mean = ReduceMean<keepdims=1>(y, first)"),
    "time-major": Net("float[2,N,2] t", "u = Reshape(y, rows) t = Transpose<perm=[1,0,2]>(u)"),
    "detections": Net("float[M,2] d", "d = Reshape(y, pairs)"),
    "stacked heads": Net("float[M,4] d", "e = Neg(y) d = Concat<axis=0>(y, e)"),
    "batch of 1": Net("float[1,4] y, float[1,6] z", "z = Gemm(s, w4)", 1),
    "batch of 4": Net("float[4,4] y, int64[4] k", "k = ArgMax<axis=1, keepdims=0>(y)", 4),
    "batch of 2, time-major": Net("float[2,2,2] t", "u = Reshape(y, rows) t = Transpose<perm=[1,0,2]>(u)", 2),
    "batch of 4, mean": Net("float[4,4] y, float[1,4] mean", "mean = ReduceMean(y, first)", 4),
}


def model(name: str) -> onnx.ModelProto:
    """A net of the zoo."""
    net = ZOO[name]
    weights = normal(np.random.default_rng(5), **_SHAPES)
    nodes = f"{_TRUNK} {net.nodes}"
    used = {key: value for key, value in (weights | _CONSTANTS).items() if f" {key}" in nodes}
    return parse(f"(float[{net.batch},6] x) => ({net.outputs}) {{ {nodes} }}", **used)


def samples(count: int = 22, seed: int = 7) -> Arrays:
    """Samples for any of them, which no batch of more than two divides evenly, with labels."""
    rng = np.random.default_rng(seed)
    return normal(rng, images=(count, 6)) | {"labels": rng.integers(0, 4, count)}
