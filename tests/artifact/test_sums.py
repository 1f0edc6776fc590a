"""Sums spike by spike: which pools hand them on, and how often they change."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper, parser

import onnx2snn
from onnx2snn import SpikingSession
from onnx2snn.artifact.sums import gives_sums, pools_of_sums, spike_size
from tests.helpers import normal, parse

POOLED = """(float[N,2,4,4] x) => (float[N,2,1,1] y) {
    a = Conv(x, w)  r = Relu(a)  p = MaxPool<kernel_shape: ints = [4, 4]>(r)  y = Conv(p, v)
}"""


def graded(*inputs, output, name="n"):
    return helper.make_node(
        "GradedIF", [*inputs, "sent", "elapsed", "range"], [output], name, domain="onnx2snn"
    )


def test_pools_of_neurons_alone_hand_on_what_these_send():
    lines = "p = MaxPool(y)  m = Mul(p, k)  q = MaxPool(m)  o = MaxPool(z)  s = Softmax(y)  t = MaxPool(s)"
    text = f"g (float[1,1,4,4] y, float[1,1,4,4] z) => (float q) {{ {lines} }}"
    nodes = list(parser.parse_graph(text).node)
    pools = pools_of_sums([graded("u", output="y"), *nodes], {"k": None})
    assert [node.output[0] for node in pools] == ["p", "q"]


def test_what_a_neuron_gives():
    node = graded("u", output="y", name="cell")
    assert gives_sums(node)
    assert not gives_sums(helper.make_node("Relu", ["x"], ["y"]))
    assert spike_size(node) == "onnx2snn/cell/size"


@pytest.mark.parametrize(("schedule", "timesteps"), [("stream", 2), ("layer", 2)])
def test_a_pool_sends_where_its_maximum_changes(rng, schedule, timesteps):
    """Into one place: at most one event a channel and spike of the winner, each over two connections."""
    model = parse(POOLED, **normal(rng, w=(2, 2, 1, 1), v=(2, 2, 1, 1)))
    images = rng.normal(size=(32, 2, 4, 4)).astype(np.float32)
    compiled = onnx2snn.compile(model, images, code="graded", schedule=schedule, timesteps=timesteps)
    session = SpikingSession(compiled.model)
    (checkpoint,) = session.run_counted(images[:4], [timesteps])
    spikes = session.run(images[:4], record=True).spikes["r/neuron"]
    sent = np.abs(np.sign(spikes)).sum(axis=(0, 2, 3, 4))
    np.testing.assert_array_equal(checkpoint.spikes["r/neuron"], sent)
    operations = next(iter(checkpoint.synaptic_operations.values()))
    assert (operations <= 2 * 2 * timesteps).all()
    assert (operations > 0).all()
