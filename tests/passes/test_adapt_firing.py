"""Neurons fire as was chosen for them, and the metadata says so."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.artifact.records import NeuronRecord, Spread
from onnx2snn.graph.firing import Firing
from onnx2snn.options import CompileOptions
from onnx2snn.passes.adapt_firing import AdaptFiring
from onnx2snn.passes.base import Context
from tests.helpers import graph_of, parse


def adapted(op, limit, firing, **options):
    text = f"""(float[N,2] x) => (float[N,2] y) {{
        a = onnx2snn.{op}<{limit}>(x, theta) y = onnx2snn.{op}<{limit}>(a, theta) }}"""
    graph = graph_of(parse(text, theta=np.float32([0.5, 1])))
    record = NeuronRecord(op, 4, 4.0, 2, Spread(0.5, 0.75, 1.0), None, theta="theta")
    for node in graph.nodes:
        node.name = node.outputs[0].name
    context = Context(
        CompileOptions(**{"code": "burst", **options}), neurons={"a": record, "y": record}, firing=firing
    )
    return AdaptFiring().run(graph, context), graph, context.neurons, record


def test_a_neuron_that_fires_at_every_timestep():
    changed, graph, neurons, record = adapted("BurstIF", "max_spikes=4", {"a": Firing(3, 1.5)})
    assert changed
    assert [node.attrs["max_spikes"] for node in graph.nodes] == [3, 4]
    assert graph.nodes[0].inputs[-1].values.tolist() == [0.75, 1.5]
    assert graph.nodes[1].inputs[-1].values.tolist() == [0.5, 1]
    assert neurons["y"] is record
    assert neurons["a"].max_spikes == 3
    assert neurons["a"].levels == 2.667
    assert neurons["a"].threshold == Spread(0.75, 1.125, 1.5)
    assert neurons["a"].theta == graph.nodes[0].inputs[-1].name != "theta"


@pytest.mark.parametrize(("limit", "spikes"), [(8, 2), (9, 3), (4, 1)])
def test_a_neuron_that_fires_once_has_its_levels_for_the_run(limit, spikes):
    options = {"timesteps": 4, "schedule": "layer"}
    _, graph, neurons, _ = adapted("AccumulateFire", "levels=16", {"a": Firing(limit, 2.0)}, **options)
    assert graph.nodes[0].attrs["levels"] == limit
    assert (neurons["a"].max_spikes, neurons["a"].levels) == (spikes, limit)


def test_what_calibration_chose_stays_where_nothing_else_was():
    changed, graph, neurons, record = adapted("BurstIF", "max_spikes=4", {})
    assert not changed
    assert neurons == {"a": record, "y": record}
    assert [node.inputs[-1].name for node in graph.nodes] == ["theta", "theta"]
