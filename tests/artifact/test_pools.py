"""Which neuron a maximum pool reads, and what scales its spikes on the way."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.artifact.pools import most_bits, neuron_before, standard_op
from tests.helpers import parse

POOL = "MaxPool<kernel_shape=[2,2]>"
FIRE = "k = onnx2snn.AccumulateFire<levels=4>(x, theta)"
CONSTANTS = {
    "theta": np.float32(1),
    "two": np.float32(2),
    "channels": np.ones((2, 1, 1), np.float32),
    "plane": np.ones((1, 2, 2), np.float32),
    "nothing": np.zeros((2, 1, 1), np.float32),
    "less": np.float32(-1),
}


def found(body, **more):
    """The neuron before y and the factors on the way, by name."""
    graph = parse(f"(float[N,2,4,4] x) => (float[N,2,P,Q] y) {{ {body} }}", **CONSTANTS | more).graph
    producers = {name: node for node in graph.node for name in node.output}
    before = neuron_before(producers["y"], producers, {item.name: item for item in graph.initializer})
    return before and (before[0].output[0], before[1])


def test_a_neuron_is_its_own():
    assert found("y = onnx2snn.AccumulateFire<levels=4>(x, theta)") == ("y", [])


@pytest.mark.parametrize(
    ("way", "factors"),
    [
        (f"y = {POOL}(k)", []),
        (f"a = {POOL}(k) y = {POOL}(a)", []),
        (f"a = Mul(k, two) y = {POOL}(a)", ["two"]),
        (f"a = Mul(channels, k) y = {POOL}(a)", ["channels"]),
        (f"a = Mul(k, two) b = {POOL}(a) c = Mul(b, channels) y = {POOL}(c)", ["channels", "two"]),
        (f"a = Cast<to=1>(k) y = {POOL}(a)", []),
    ],
)
def test_spikes_reach_a_pool_by_products_and_pools(way, factors):
    assert found(f"{FIRE} {way}") == ("k", factors)


@pytest.mark.parametrize(
    "way",
    [
        f"a = Mul(k, plane) y = {POOL}(a)",
        f"a = Mul(k, nothing) y = {POOL}(a)",
        f"a = Mul(k, less) y = {POOL}(a)",
        f"a = Mul(k, k) y = {POOL}(a)",
        f"a = Add(k, two) y = {POOL}(a)",
        "y = Mul(k, two)",
    ],
)
def test_what_does_more_is_no_such_way(way):
    assert found(f"{FIRE} {way}") is None


def test_a_pool_of_the_input_reads_no_neuron():
    assert found(f"y = {POOL}(x)") is None


def test_a_pool_that_inhibits_acts_as_a_maximum_pool():
    graph = parse(
        "(float[N] x) => (float[N] y) { a = onnx2snn.LIPool(x) b = onnx2snn.BurstIF(x) y = Relu(x) }"
    ).graph
    assert [standard_op(node) for node in graph.node] == ["MaxPool", "BurstIF", "Relu"]


def test_the_longest_radix_code_of_a_graph():
    text = """(float[N,2] x) => (float[N,2] z) {
        y = onnx2snn.AccumulateFire<levels=31, code="radix", potential=0.5>(x, theta)
        z = onnx2snn.AccumulateFire<levels=255, code="burst", potential=0.5>(y, theta) }"""
    nodes = parse(text, theta=np.float32(1)).graph.node
    assert most_bits(nodes) == 5
    assert most_bits(nodes[1:]) == 0
