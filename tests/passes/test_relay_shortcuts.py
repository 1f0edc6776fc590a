"""A shortcut gets bits of its own, and what weights read a relay."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.statistics import Statistics
from onnx2snn.graph.graph import constant, write_model
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.relay_shortcuts import RelayShortcuts
from onnx2snn.passes.replace_relu import ReplaceRelu
from onnx2snn.thresholds.histogram import ChannelHistogram
from tests.helpers import graph_of, parse

BLOCK = "r = Relu(x) c = MatMul(r, w) s = Relu(c) y = Add(s, r)"


def relayed(body, **options):
    """The graph behind the pass, with an activation r of which the largest is 2 and 4."""
    model = parse(f"(float[N,2] x) => (float[N,2] y) {{ {body} }}", w=np.eye(2, dtype="f"), b=np.ones(2, "f"))
    graph, statistics = graph_of(model), Statistics()
    for name in ("r", "s"):
        statistics.histograms[name] = ChannelHistogram(2)
        statistics.histograms[name].add(np.float32([[0, 1, 2], [0, 3, 4]]))
    chosen = {"schedule": "layer", "code": "radix", "timesteps": 2, "levels": "auto", "threshold": "max"}
    context = Context(CompileOptions(**chosen | options), statistics=statistics)
    ReplaceRelu().run(graph, context)
    changed = RelayShortcuts().run(graph, context)
    written = write_model(graph).SerializeToString()
    assert not RelayShortcuts().run(graph, context)
    assert write_model(graph).SerializeToString() == written
    return changed, {node.name: node for node in graph.nodes}, context


def test_the_shortcut_reads_all_bits_and_weights_a_relay():
    changed, nodes, context = relayed(BLOCK)
    assert changed
    fine, relay = nodes["r"], nodes["r/relay"]
    assert [relay.inputs[0].name, nodes["c"].inputs[0].name] == ["r", relay.outputs[0].name]
    assert nodes["y"].inputs[1] is fine.outputs[0]
    assert (fine.attrs["levels"], relay.attrs["levels"]) == (63, 3)
    np.testing.assert_allclose(constant(fine.inputs[1]).ravel() * 63, [2, 4], rtol=1e-6)
    np.testing.assert_allclose(constant(relay.inputs[1]).ravel() * 3, [2, 4], rtol=1e-6)
    assert (context.neurons["r"].levels, context.neurons["r/relay"].levels) == (63, 3)
    assert context.rectifiers["r/relay"] == context.rectifiers["r"]


def test_no_code_has_more_than_eight_bits():
    assert relayed(BLOCK, timesteps=6)[1]["r"].attrs["levels"] == 255
    assert not relayed(BLOCK, timesteps=8)[0]


def test_weights_on_the_shortcut_read_all_bits_too():
    body = "r = Relu(x) d = MatMul(r, w) s = Relu(d) e = MatMul(s, w) c = MatMul(r, w) y = Add(e, c)"
    _, nodes, _ = relayed(body)
    assert [nodes[name].inputs[0].name for name in ("c", "d")] == ["r", nodes["r/relay"].outputs[0].name]
    assert nodes["s"].attrs["levels"] == 3


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (BLOCK, {"levels": None}),
        ("r = Relu(x) y = MatMul(r, w)", {}),
        ("r = Relu(x) y = Add(r, r)", {}),
        ("r = Relu(x) c = MatMul(r, w) s = Relu(c) d = Add(r, b) y = Mul(s, d)", {}),
    ],
    ids=["not asked for", "no shortcut", "nothing but a shortcut", "a constant added"],
)
def test_keeps_what_is_no_shortcut(body, options):
    changed, nodes, _ = relayed(body, **options)
    assert not changed
    assert "r/relay" not in nodes
