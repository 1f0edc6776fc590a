"""Activation → activation, and a graded neuron behind it."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.statistics import Statistics
from onnx2snn.graph.graph import constant, write_model
from onnx2snn.ops import DOMAIN
from onnx2snn.ops.graded_if import dead_zone
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.grade_activations import GradeActivations, preview
from onnx2snn.thresholds.histogram import ChannelHistogram
from tests.helpers import graph_of, normal, parse

NET = "(float[N,2,1,1] x) => (float[N,2,1,1] y) { r = Relu(x)  a = Conv(r, w)  s = Relu(a)  y = Conv(s, w) }"


def grade(rng, **options):
    graph, statistics = graph_of(parse(NET, **normal(rng, w=(2, 2, 1, 1)))), Statistics()
    for name in ("r", "s"):
        statistics.histograms[name] = ChannelHistogram(2)
        statistics.histograms[name].add(np.float32([[0, 1, 2], [0, 6, 4]]))
    context = Context(CompileOptions(**{"threshold": "max", **options}), statistics=statistics)
    changed = GradeActivations().run(graph, context)
    return changed, graph, context


def test_a_neuron_stands_behind_each_activation(rng):
    changed, graph, context = grade(rng, code="graded", exponents=5, timesteps=2)
    assert changed
    assert [node.op for node in graph.nodes] == ["Relu", "GradedIF", "Conv", "Relu", "GradedIF", "Conv"]
    first = graph.nodes[1]
    assert (first.name, first.domain) == ("r/neuron", DOMAIN)
    assert first.attrs == {"exponents": 5, "dead_zone": dead_zone(5), "coarse": [4.0, 1.0]}
    np.testing.assert_array_equal(constant(first.inputs[1]), np.float32([2, 6]).reshape(1, 2, 1, 1))
    assert [(note.node, note.outcome, note.reason) for note in context.notes] == [
        ("r", "spiking", "the target of GradedIF"),
        ("s", "spiking", "the target of GradedIF"),
    ]
    record = context.neurons["r/neuron"]
    assert (record.op, record.max_spikes, record.exponents, record.channels) == ("GradedIF", 1, 5, 2)


def test_a_preview_needs_no_data_and_changes_nothing(rng):
    graph = graph_of(parse(NET, **normal(rng, w=(2, 2, 1, 1))))
    context = Context(CompileOptions(code="graded", timesteps=2))
    shown, notes = preview(graph, context)
    assert [node.op for node in shown.nodes] == ["Relu", "GradedIF", "Conv", "Relu", "GradedIF", "Conv"]
    assert [float(constant(node.inputs[1]).item()) for node in shown.nodes if node.domain] == [1, 1]
    assert {name: note.reason for name, note in notes.items()} == dict.fromkeys(
        "rs", "the target of GradedIF"
    )
    assert [node.op for node in graph.nodes] == ["Relu", "Conv", "Relu", "Conv"]
    assert (context.notes, context.neurons, context.rectifiers) == ([], {}, {})


def test_a_preview_of_other_codes_is_the_graph_itself(rng):
    graph = graph_of(parse(NET, **normal(rng, w=(2, 2, 1, 1))))
    assert preview(graph, Context(CompileOptions(code="burst"))) == (graph, {})


def test_a_second_run_changes_nothing(rng):
    _, graph, context = grade(rng, code="graded")
    written = write_model(graph).SerializeToString()
    assert not GradeActivations().run(graph, context)
    assert write_model(graph).SerializeToString() == written


@pytest.mark.parametrize(
    ("timesteps", "exponents", "first", "second"),
    [
        (1, 8, [1], [1]),
        (2, 8, [4, 1], [4, 1]),
        (3, 8, [16, 4, 1], [16, 4, 1]),
        (4, 8, [16, 4, 1], [2**16, 16, 4, 1]),  # the later half waits where there is time
        (9, 3, [2, 1], [2**16, 2, 1]),
        (9, 1, [1], [2**16, 1]),
    ],
)
def test_neurons_begin_coarse(rng, timesteps, exponents, first, second):
    _, graph, _ = grade(rng, code="graded", timesteps=timesteps, exponents=exponents)
    assert [node.attrs["coarse"] for node in graph.nodes if node.domain] == [first, second]


def test_in_the_schedule_layer_they_fire_once(rng):
    _, graph, _ = grade(rng, code="graded", schedule="layer", timesteps=3)
    assert [node.op for node in graph.nodes if node.domain] == ["GradedFire3", "GradedFire3"]
    assert all("coarse" not in node.attrs for node in graph.nodes)


def test_other_codes_are_left_alone(rng):
    changed, graph, _ = grade(rng, code="burst")
    assert not changed
    assert [node.op for node in graph.nodes] == ["Relu", "Conv", "Relu", "Conv"]
