"""Control flow whose way is known is written out; the outputs stay what they were."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.graph import unroll
from onnx2snn.graph.graph import write_model
from onnx2snn.graph.unroll import NODES, ROUNDS
from tests.graph.flows import LAYER, ROUND, SEQUENCES, UNROLLED, net
from tests.helpers import graph_of, normal, parse, relative_error, run


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


def test_what_is_unrolled_has_a_bound_however_deep_it_is(monkeypatch):
    """Two Loops within each other, of 8 rounds each, would be 64 rounds."""
    monkeypatch.setattr(unroll, "NODES", 20)
    body = "t2 = Neg(s2)"
    for level in (2, 1):
        body = f"""t{level - 1} = Loop(many, yes, s{level - 1}) <body = b{level}
            (int64 i{level}, bool o{level}, float[N,4] s{level}) => (bool k{level}, float[N,4] t{level})
            {{ k{level} = Identity(o{level}) {body} }}>"""
    text = f"(float[N,4] s0) => (float[N,4] y) {{ {body} y = Neg(t0) }}"
    graph = graph_of(parse(text, many=np.int64(8), yes=np.bool_(True)))
    assert 8 < len(graph.nodes) <= 20
    assert "Loop" in ops(graph)


def test_what_may_never_end_is_not_run():
    text = """(float[N,4] x) => (float[N,4] y) { z = Loop("", yes, half) <body = b (int64 i, bool o, float s)
        => (bool k, float t) { k = Identity(o) t = Neg(s) }> y = Mul(x, z) }"""
    graph = graph_of(parse(text, yes=np.bool_(True), half=np.float32(0.5)))
    assert ops(graph) == ["Loop", "Mul"]
