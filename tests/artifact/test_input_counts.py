"""Changed inputs are counted through the layers that read them, borders and strides included."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import Artifact, take_apart
from onnx2snn.artifact.input_counts import changed, make_input_counter
from onnx2snn.engine.engines import make_engine
from tests.helpers import feeds, normal, parse


def artifact(text: str, rng: np.random.Generator, **shapes) -> Artifact:
    net = parse(text, **normal(rng, **shapes))
    return take_apart(onnx2snn.compile(net, feeds(rng, net, 16), code="graded", correct_bias=False).model)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_change_costs_its_connections(rng, stride):
    """By brute force: the outputs of a convolution that a changed value reaches, times the channels out."""
    net = artifact(
        f"(float[N,2,6,5] x) => (float[N,4,M,L] y) {{ "
        f"c = Conv<pads=[1,1,1,1], strides=[{stride},{stride}]>(x, w) "
        "r = Relu(c) y = Conv(r, v) }",
        rng,
        w=(3, 2, 3, 3),
        v=(4, 3, 1, 1),
    )
    counter = make_input_counter(net)
    changes = (rng.random((4, 2, 6, 5)) < 0.3).astype(np.float32)
    (found,) = make_engine(counter.model).run({changed("x"): changes}).values()
    rows, columns = -(-6 // stride), -(-5 // stride)
    expected = np.zeros(4)
    for sample, channel, y, x in np.argwhere(changes):
        del channel
        reached = sum(
            abs(y - stride * i) <= 1 and abs(x - stride * j) <= 1 for i in range(rows) for j in range(columns)
        )
        expected[sample] += 3 * reached
    np.testing.assert_array_equal(found.reshape(4, -1).sum(axis=1), expected)
    assert list(counter.rows.values()) == [0]


def test_no_weights_before_the_first_neuron(rng):
    net = artifact("(float[N,3] x) => (float[N,2] y) { r = Relu(x) y = Gemm(r, w) }", rng, w=(3, 2))
    assert make_input_counter(net) is None
