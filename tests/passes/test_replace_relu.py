from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.artifact.records import Spread
from onnx2snn.calibration.statistics import Statistics
from onnx2snn.errors import OptionError
from onnx2snn.graph.graph import constant, write_model
from onnx2snn.ops import DOMAIN
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.replace_relu import ReplaceRelu
from onnx2snn.thresholds.histogram import ChannelHistogram
from tests.helpers import graph_of, parse

IMAGE = "(float[N,2,H,W] x) => (float[] y)"


def replace(text, activations, **options):
    """Run the pass with statistics of the activations [C, n] of every tensor."""
    model = parse(text, zero=np.float32(0), three=np.float32(3))
    graph, statistics = graph_of(model), Statistics()
    for name, values in activations.items():
        statistics.histograms[name] = ChannelHistogram(len(values))
        statistics.histograms[name].add(np.asarray(values, np.float32))
    context = Context(
        CompileOptions(**{"code": "burst", "threshold": "max", **options}), statistics=statistics
    )
    changed = ReplaceRelu().run(graph, context)
    written = write_model(graph).SerializeToString()
    assert not ReplaceRelu().run(graph, context)
    assert write_model(graph).SerializeToString() == written
    return changed, graph.nodes, context


def threshold(node):
    return constant(node.inputs[1])


@pytest.mark.parametrize(("signed", "op"), [(False, "BurstIF"), (True, "SignedBurstIF")])
def test_relu_becomes_a_neuron_with_a_threshold_per_channel(signed, op):
    changed, (node,), context = replace(
        f"{IMAGE} {{ y = Relu(x) }}", {"y": [[0, 1, 2], [0, 6, 4]]}, signed=signed, max_spikes=4, levels=2
    )
    assert changed
    assert (node.op, node.domain, node.attrs) == (op, DOMAIN, {"max_spikes": 4})
    assert threshold(node).dtype == np.float32
    np.testing.assert_array_equal(threshold(node), np.float32([1, 3]).reshape(1, 2, 1, 1))
    assert [(note.op, note.outcome) for note in context.notes] == [("Relu", "spiking")]
    assert context.neurons["y"].threshold == Spread(1.0, 2.0, 3.0)


def test_one_threshold_for_the_whole_layer():
    _, (node,), _ = replace(
        f"{IMAGE} {{ y = Relu(x) }}", {"y": [[0, 1, 2], [0, 6, 4]]}, granularity="layer", max_spikes=2
    )
    np.testing.assert_array_equal(threshold(node), np.float32(3))


def test_clip_saturates_at_its_ceiling_without_headroom():
    _, (node,), context = replace(
        f"{IMAGE} {{ y = Clip(x, zero, three) }}", {"y": [[0, 1, 3], [0, 3, 3]]}, max_spikes=4, levels=2
    )
    assert node.attrs == {"max_spikes": 2}
    assert (node.attrs["max_spikes"] * threshold(node)).max() <= 3
    assert context.neurons["y"].clip == 3


def test_threshold_lies_along_the_axis_that_holds_the_channels():
    _, nodes, _ = replace(
        "(float[N,2,H,W] x) => (float[] y) { t = Transpose<perm=[0,2,3,1]>(x) y = Relu(t) }",
        {"y": [[1, 2], [4, 4]]},
        max_spikes=1,
    )
    np.testing.assert_array_equal(threshold(nodes[-1]), np.float32([2, 4]).reshape(1, 1, 1, 2))


def test_keeps_a_clip_that_is_no_rectifier():
    changed, (node,), context = replace(f"{IMAGE} {{ y = Clip(x, three) }}", {})
    assert not changed
    assert node.op == "Clip"
    assert not context.notes


def test_tiny_activations_still_have_a_normal_threshold():
    _, (node,), _ = replace(f"{IMAGE} {{ y = Relu(x) }}", {"y": [[0, 1e-44], [0, 1]]}, max_spikes=8)
    assert threshold(node).min() / 2 >= np.finfo(np.float32).tiny


@pytest.mark.parametrize(
    ("options", "room"),
    [
        ({"timesteps": 3, "schedule": "layer", "max_spikes": 2}, "2·3 = 6; give --timesteps 4"),
        ({"timesteps": 2, "schedule": "layer", "code": "radix"}, r"2\^2 - 1 = 3; give --timesteps 3"),
    ],
)
def test_a_trained_quantiser_needs_room_for_its_levels(options, room):
    text = f"{IMAGE} {{ y = onnx2snn.QuantizedRelu<levels=7>(x, three) }}"
    with pytest.raises(OptionError, match=f"node 'y' was trained with 7 levels, found room for {room}"):
        replace(text, {}, **options)
