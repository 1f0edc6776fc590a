"""What may be said of a graph, and where it does not hold."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.statistics import Statistics
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.properties import PREPARED, PROPERTIES
from tests.helpers import graph_of, parse

FIRE = "r = onnx2snn.BurstIF<max_spikes=4>(x, theta)"
POOL = "MaxPool<kernel_shape=[2,2]>"


def failing(name, body, **options):
    """The output of the node for which a property does not hold."""
    text = f"(float[N,1,4,4] x) => (float[N,1,P,Q] y) {{ {body} }}"
    graph = graph_of(parse(text, **({"theta": np.float32(1)} if "theta" in body else {})))
    for node in graph.nodes:
        node.name = node.outputs[0].name
    return PROPERTIES[name].check(graph, Context(CompileOptions(**{"code": "burst", **options})))


@pytest.mark.parametrize(
    ("body", "left"),
    [("y = Relu(x)", "y"), (FIRE + " a = Relu(r) y = Neg(a)", "a"), (FIRE + " y = Neg(r)", "")],
)
def test_a_rectifier_that_is_left(body, left):
    assert failing("rectifiers_replaced", body) == left


@pytest.mark.parametrize(
    ("body", "options", "left"),
    [
        (f"{FIRE} p = {POOL}(r) y = onnx2snn.BurstIF<max_spikes=4>(p, theta)", {}, "p"),
        (f"{FIRE} p = {POOL}(r) y = onnx2snn.BurstIF<max_spikes=4>(p, theta)", {"schedule": "layer"}, ""),
        (f"p = {POOL}(x) y = onnx2snn.BurstIF<max_spikes=4>(p, theta)", {}, ""),
    ],
)
def test_a_pool_of_spikes_that_is_left(body, options, left):
    assert failing("pools_replaced", body, **options) == left


def test_ranges_are_measured_once_there_are_statistics():
    graph = graph_of(parse("(float[N,2] x) => (float[N,2] y) { y = Relu(x) }"))
    graph.nodes[0].name = "y"
    check = PROPERTIES["ranges_measured"].check
    assert check(graph, Context(CompileOptions(code="burst"))) == "y"
    assert check(graph, Context(CompileOptions(code="burst"), statistics=Statistics())) == ""


def test_every_property_says_half_a_sentence():
    assert PROPERTIES.keys() >= PREPARED
    for item in PROPERTIES.values():
        assert item.meaning[0].islower()
        assert not item.meaning.endswith(".")
