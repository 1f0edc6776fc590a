"""What frames cost before the first neuron, stream by stream."""

from __future__ import annotations

import numpy as np

import onnx2snn
from onnx2snn.runtime.counting import Counting
from onnx2snn.runtime.prefix_costs import PrefixCosts
from tests.helpers import feeds, normal, parse
from tests.runtime.tiny import network


def costs(text: str, rng: np.random.Generator, code: str = "graded", **shapes) -> PrefixCosts:
    net = parse(text, **normal(rng, **shapes))
    session = onnx2snn.SpikingSession(
        onnx2snn.compile(net, feeds(rng, net, 16), code=code, correct_bias=False).model
    )
    return PrefixCosts(Counting(network(session.artifact)))


def test_streams_pay_for_what_changes(rng):
    found = costs(
        "(float[N,4] x) => (float[N,2] y) { h = Gemm(x, w) r = Relu(h) y = Gemm(r, v) }",
        rng,
        w=(4, 5),
        v=(5, 2),
    )
    x = rng.standard_normal((2, 4)).astype(np.float32)
    assert found.of_frame({"x": x}, [7, 8]).tolist() == [20, 20]
    other = x.copy()
    other[0, 1:3] += 1
    assert found.of_frame({"x": other}, [7, 8]).tolist() == [10, 0]
    assert found.of_frame({"x": other[::-1]}, [8, 7]).tolist() == [0, 0]
    found.forget([8])
    assert found.of_frame({"x": other}, [7, 8]).tolist() == [0, 20]
    assert found.of_frame({"x": other}, [7, 9]).tolist() == [0, 20]


def test_what_lies_behind_the_first_layer_is_paid_in_full(rng):
    """Two layers with nothing between: the second one reads sums, all of which may have changed."""
    text = "(float[N,4] x) => (float[N,2] y) { a = Gemm(x, w) h = Gemm(a, u) r = Relu(h) y = Gemm(r, v) }"
    found = costs(text, rng, "burst", w=(4, 5), u=(5, 6), v=(6, 2))
    x = rng.standard_normal((1, 4)).astype(np.float32)
    whole = found.of_frame({"x": x}, [0]).item()
    other = x.copy()
    other[0, 0] += 1
    changed = found.of_frame({"x": other}, [0]).item()
    assert (whole, changed) == (20 + 30, 5 + 30)
    assert found.of_frame({"x": other}, [0]).item() == 0
