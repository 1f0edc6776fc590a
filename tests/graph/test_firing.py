"""How a layer may fire beside what calibration gave it: the candidates in literal numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnx2snn.graph.firing import Firing, choices, is_adaptable, set_firing, timestep_choices
from onnx2snn.graph.graph import constant
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.ops.graded_if import dead_zone
from onnx2snn.options import CompileOptions
from tests.helpers import graph_of, parse

THETA = np.float32([0.5, 0.25])


def nets(op="BurstIF", attributes="max_spikes=4", behind=""):
    inputs = "h, theta" if behind else "x, theta"
    text = f"(float[N,2] x) => (float[N,2] y) {{ {behind} y = onnx2snn.{op}<{attributes}>({inputs}) }}"
    graph = graph_of(parse(text, theta=THETA))
    return graph, graph.nodes[-1]


def numbers(firings):
    return [(firing.limit, round(firing.scale, 3)) for firing in firings]


def test_a_neuron_fires_in_another_way():
    graph, node = nets()
    set_firing(graph, node, Firing(2, 4.0))
    assert node.attrs["max_spikes"] == 2
    value = constant(node.inputs[-1])
    assert (value.tolist(), value.dtype) == ([2.0, 1.0], np.float32)
    assert node.inputs[-1].name != "theta"


def test_a_neuron_that_fires_once_has_a_limit_for_the_whole_run():
    graph, node = nets("AccumulateFire", "levels=16")
    set_firing(graph, node, Firing(8, 2.0))
    assert node.attrs["levels"] == 8


def test_a_graded_neuron_has_exponents_and_a_range_that_float32_can_add():
    graph, node = nets("GradedFire2", "exponents=8, dead_zone=0.00585937453433871")
    set_firing(graph, node, Firing(3, math.sqrt(2)))
    assert node.attrs == {"exponents": 3, "dead_zone": dead_zone(3)}
    assert constant(node.inputs[-1]).tolist() == [0.70703125, 0.353515625]
    graded = {"code": "graded", "schedule": "layer", "timesteps": 2}
    assert numbers(choices(node, None, CompileOptions(**graded))) == [
        *((3, 1), (3, 1.414), (2, 1), (2, 1.414), (1, 1), (1, 1.414))
    ]
    ways = choices(node, None, CompileOptions(**graded, exponents="auto"))
    assert [ways[0], ways[1], ways[-1]] == [Firing(3, 1.0), Firing(5, 1.0), Firing(1, math.sqrt(2))]
    assert is_adaptable(node, None)


def test_compression_raises_thresholds_and_lowers_the_limit():
    _, node = nets()
    assert choices(node, Rectifier(), CompileOptions(code="burst")) == [
        Firing(4, 1.0),
        Firing(3, 1.4),
        Firing(2, 2.0),
        Firing(2, 2.8),
        Firing(1, 4.0),
        Firing(1, 6.0),
        Firing(1, 10.0),
    ]


def test_a_ceiling_is_met_by_whole_numbers_of_spikes():
    _, node = nets()
    assert numbers(choices(node, Rectifier(6.0), CompileOptions(code="burst"))) == [
        (4, 1),
        (3, 1.333),
        (2, 2),
        (1, 4),
    ]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("BurstIF", [(4, 1), (1, 4), (2, 2.667), (2, 2), (3, 1.333), (6, 0.667)]),
        (
            "SignedBurstIF",
            [
                *((4, 1), (1, 4), (2, 4), (2, 2.667), (3, 2.667), (2, 2)),
                *((3, 2), (3, 1.333), (4, 1.333), (5, 1), (6, 0.667), (7, 0.667)),
            ],
        ),
    ],
)
def test_a_budget_tries_levels_and_headroom_where_spikes_are_taken_back(op, expected):
    _, node = nets(op)
    options = CompileOptions(spike_budget=10, max_spikes="auto", signed=op == "SignedBurstIF")
    assert numbers(choices(node, Rectifier(), options)) == expected


def test_no_more_spikes_than_eight_bits_hold():
    _, node = nets("AccumulateFire", "levels=240")
    options = {"timesteps": 60, "schedule": "layer", "spike_budget": 10, "max_spikes": "auto"}
    limits = [firing.limit for firing in choices(node, Rectifier(), CompileOptions(**options))]
    assert limits == [240, 60, 120, 120, 180, 360]
    rounded = choices(node, Rectifier(), CompileOptions(**options, weights="int8"))
    assert [firing.limit for firing in rounded] == [240, 60, 120, 120, 180]


@pytest.mark.parametrize(
    ("kind", "behind", "yes"),
    [
        (Rectifier(), "", True),
        (Rectifier(), "h = Neg(x)", True),
        (None, "", False),
        (Rectifier(step=np.float32(0.5), levels=4), "", False),
        (Rectifier(), "h = onnx2snn.BurstIF<max_spikes=4>(x, theta)", False),
    ],
)
def test_who_may_fire_otherwise(kind, behind, yes):
    _, node = nets(behind=behind)
    assert is_adaptable(node, kind) is yes


def test_what_is_no_neuron_does_not_fire():
    graph = graph_of(parse("(float[N,2] x) => (float[N,2] y) { y = Relu(x) }"))
    assert not is_adaptable(graph.nodes[0], Rectifier())


def test_a_radix_neuron_has_fewer_timesteps_or_more_with_thresholds_of_their_own():
    graph, node = nets("AccumulateFire", "levels=15")
    ways = timestep_choices(node, 4, lambda levels: np.asarray([30.0, 60.0]) / levels)
    assert [way.limit for way in ways] == [15, 3, 7, 31, 63, 127]
    assert ways[1] == Firing(3, 1.0, (10.0, 20.0))
    set_firing(graph, node, ways[1])
    assert node.attrs["levels"] == 3
    assert constant(node.inputs[-1]).ravel().tolist() == [10, 20]
    assert [way.limit for way in timestep_choices(node, 1, lambda _: np.ones(2))[1:]] == [3, 7, 15]
