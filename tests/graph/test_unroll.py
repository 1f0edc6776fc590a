"""Control flow whose way is known is written out; the outputs stay what they were."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.graph.graph import write_model
from onnx2snn.graph.unroll import NODES, ROUNDS
from tests.graph.flows import LAYER, ROUND, SEQUENCES, UNROLLED, net
from tests.helpers import graph_of, normal, relative_error, run


def ops(graph):
    return [node.op for node in graph.nodes]


@pytest.mark.parametrize("name", UNROLLED)
def test_what_constants_decide_is_written_out(name, rng):
    model, values = net(UNROLLED[name]), normal(rng, x=(3, 4))
    graph = graph_of(model)
    assert not {"If", "Loop"} & set(ops(graph))
    assert ops(graph).count("Relu") == (2 if "branch" in name else 4)
    written = write_model(graph)
    onnx.checker.check_model(written, full_check=True)
    assert len({node.name for node in written.graph.node}) == len(written.graph.node)
    assert relative_error(run(written, values), run(model, values)) < 1e-6


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_of_known_length_is_too(name, rng):
    model, values = net(SEQUENCES[name], "N,5,4"), normal(rng, x=(3, 5, 4))
    graph = graph_of(model)
    assert not {"Scan", "Loop"} & set(ops(graph))
    assert ops(graph).count("Tanh") == 5
    assert relative_error(run(write_model(graph), values), run(model, values)) < 1e-6


@pytest.mark.parametrize("name", SEQUENCES)
def test_one_of_any_length_is_kept(name, rng):
    model = net(SEQUENCES[name], "N,M,4")
    graph = graph_of(model)
    assert {"Scan", "Loop"} & set(ops(graph))
    for length in (1, 6):
        values = normal(rng, x=(3, length, 4))
        assert relative_error(run(write_model(graph), values), run(model, values)) < 1e-6


def test_so_are_many_rounds(rng):
    model = net(f"b = Loop(hundred, yes, r) <body = rounds {ROUND} {{ keep = Identity(on) {LAYER} }}>")
    graph, values = graph_of(model), normal(rng, x=(2, 4))
    assert ops(graph) == ["MatMul", "Relu", "Loop", "MatMul"]
    assert ROUNDS < 100 < NODES
    assert relative_error(run(write_model(graph), values), run(model, values)) < 1e-5


def test_no_round_at_all(rng):
    model = net(f"b = Loop(nothing, yes, r) <body = rounds {ROUND} {{ keep = Identity(on) {LAYER} }}>")
    graph, values = graph_of(model), normal(rng, x=(2, 4))
    assert ops(graph) == ["MatMul", "Relu", "MatMul"]
    assert relative_error(run(write_model(graph), values), run(model, values)) < 1e-6
    assert np.isfinite(run(model, values)[0]).all()
