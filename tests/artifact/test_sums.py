"""Sums spike by spike: which pools hand them on, and how often they change."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from onnx import helper, parser

import onnx2snn
from onnx2snn import SpikingSession
from onnx2snn.artifact.sums import exact_timesteps, gives_sums, pools_of_sums, spike_size
from tests.helpers import normal, parse, run

POOLED = """(float[N,2,4,4] x) => (float[N,2,1,1] y) {
    a = Conv(x, w)  r = Relu(a)  p = MaxPool<kernel_shape: ints = [4, 4]>(r)  y = Conv(p, v)
}"""


def graded(*inputs, output, name="n"):
    return helper.make_node(
        "GradedIF", [*inputs, "sent", "elapsed", "range"], [output], name, domain="onnx2snn"
    )


def pools(lines):
    """What pools of sums give, behind the neuron that gives y; z and k are still."""
    text = f"g (float[1,1,4,4] y, float[1,1,4,4] z) => (float q) {{ {lines} }}"
    nodes = list(parser.parse_graph(text).node)
    return [node.output[0] for node in pools_of_sums([graded("u", output="y"), *nodes])]


def test_pools_of_neurons_alone_hand_on_what_these_send():
    lines = "p = MaxPool(y)  m = Mul(p, k)  q = MaxPool(m)  o = MaxPool(z)  s = Softmax(y)  t = MaxPool(s)"
    assert pools(lines) == ["p", "q"]


def test_what_is_linear_stands_before_pools_but_for_weights_and_products():
    """Averages, sums with whatever is still, copies: not values between, which may be anything."""
    lines = "a = AveragePool(y)  b = Add(a, z)  c = Add(b, y)  p = MaxPool(c)  r = Resize(y)  q = MaxPool(r)"
    assert pools(lines) == ["p", "q"]
    assert pools('r = Resize<mode: string = "linear">(y)  q = MaxPool(r)') == []
    assert (
        pools("c = Conv(y, w)  p = MaxPool(c)  m = Mul(y, y)  q = MaxPool(m)  d = Div(z, y)  r = MaxPool(d)")
        == []
    )


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


#: Both parts of a node with two outputs, scaled.
SPLIT = """Mul(r, k)  c, d = Split<axis: int = 1, num_outputs: int = 2>(m)
    e = Concat<axis: int = 1>(d, c)"""


@pytest.mark.parametrize(("schedule", "timesteps"), [("stream", 4), ("layer", 3)])
@pytest.mark.parametrize("between", ["AveragePool<kernel_shape: ints = [2, 2]>(r)", "Add(r, z)", SPLIT])
def test_behind_sums_and_averages_a_pool_sends_where_its_value_changes(rng, schedule, timesteps, between):
    """Found from the spikes alone: one event for each change, over the two connections of each channel."""
    last = "e" if between == SPLIT else "m"
    text = POOLED.replace(
        "p = MaxPool<kernel_shape: ints = [4, 4]>(r)",
        f"""
        z = Mul(x, k)  m = {between}
        p = MaxPool<kernel_shape: ints = [2, 2], strides: ints = [2, 2]>({last})""",
    ).replace("2,1,1] y", "2,M,M] y")
    weights = normal(rng, w=(2, 2, 1, 1), v=(2, 2, 1, 1)) | {"k": np.float32([[[1.5]], [[-0.5]]])}
    images = rng.normal(size=(32, 2, 4, 4)).astype(np.float32)
    options = {"code": "graded", "schedule": schedule, "timesteps": timesteps}
    session = SpikingSession(onnx2snn.compile(parse(text, **weights), images, **options).model)
    (checkpoint,) = session.run_counted(images[:4], [timesteps])
    spikes = session.run(images[:4], record=True).spikes["r/neuron"].astype(np.float64)
    (cell,) = session.artifact.neurons
    exponents = session.artifact.record.options["exponents"]
    sizes = (
        np.sign(spikes)
        * session.artifact.threshold(cell)
        * np.where(spikes, 2.0 ** (abs(spikes) - exponents), 0)
    )
    words = np.concatenate([np.zeros_like(sizes[:1]), sizes.cumsum(axis=0)])
    body = parse(
        f"(float[N,2,4,4] r, float[N,2,4,4] z) => (float[N,2,M,M] p) {{ m = {between} n = Mul(z, k) "
        f"p = MaxPool<kernel_shape: ints = [2, 2], strides: ints = [2, 2]>({last}) }}",
        k=weights["k"],
    )
    feeds = [{"r": word.astype(np.float32), "z": images[:4] * weights["k"]} for word in words]
    values = [run(body, given)[0] for given in feeds]
    changes = sum((after != before).sum(axis=(1, 2, 3)) for before, after in pairwise(values))
    assert session.uncounted == ()
    np.testing.assert_array_equal(checkpoint.synaptic_operations["y"], 2 * changes)
    assert changes.all()


def test_sums_in_pools_are_exact_as_long_as_float32_counts():
    neuron = helper.make_node("BurstIF", ["a", "p", "t"], ["y", "q"], domain="onnx2snn", max_spikes=255)
    pool = helper.make_node("LIPool", ["y", "p", "q"], ["z", "r", "s"], domain="onnx2snn")
    assert exact_timesteps([neuron, pool]) == 65_793
    assert exact_timesteps([pool]) == 1 << 24
    assert exact_timesteps([neuron]) == math.inf
