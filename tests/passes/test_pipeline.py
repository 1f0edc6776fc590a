"""The order of the passes: each finds what it requires, and what one ensures really holds afterwards."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import onnx2snn
from benchmarks.topologies import load_fixture
from onnx2snn.graph.graph import clone, write_model
from onnx2snn.model import file
from onnx2snn.options import CompileOptions
from onnx2snn.passes import pipeline
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.pipeline import PIPELINE, PREPARATION, prepare, run_pass
from onnx2snn.passes.properties import PREPARED, PROPERTIES
from tests.helpers import graph_of, normal, parse

NET = "(float[N,3] x) => (float[N,2] y) { a = MatMul(x, w) b = Relu(a) y = MatMul(b, v) }"


@pytest.fixture
def net(rng):
    return parse(NET, **normal(rng, w=(3, 5), v=(5, 2)))


def test_every_requirement_is_ensured_before():
    established: set[str] = set()
    for step in PIPELINE:
        assert step.requires <= established, step.name
        established |= step.ensures
    assert established == set(PROPERTIES)
    assert {name for step in PREPARATION for name in step.ensures} == PREPARED


@pytest.mark.parametrize(("first", "second"), list(pairwise(PIPELINE)), ids=lambda step: step.name)
def test_a_pass_in_front_of_what_it_requires_is_a_bug(first, second, net):
    if not second.requires & first.ensures:
        return  # their order is free
    context = Context(CompileOptions(), established=set(PROPERTIES) - first.ensures - second.ensures)
    with pytest.raises(AssertionError, match=f"pass {second.name} requires .*{min(first.ensures)}"):
        run_pass(second, graph_of(net), context)


class Pretend(Pass):
    """Does nothing but say so."""

    def __init__(self, ensures=(), invalidates=()):
        self.ensures, self.invalidates, self.runs = frozenset(ensures), frozenset(invalidates), 0

    def run(self, graph, context):
        del graph, context
        self.runs += 1
        return True


def test_what_is_ensured_is_looked_at(net):
    with pytest.raises(AssertionError, match="every rectifier is a neuron, but node 'b'"):
        run_pass(Pretend(["rectifiers_replaced"]), graph_of(net), Context(CompileOptions()))


def test_what_holds_is_not_done_again_until_it_is_invalidated(net):
    graph, context = graph_of(net), Context(CompileOptions())
    keeper, spoiler = Pretend(["supported"]), Pretend(invalidates=["supported"])
    changed = [run_pass(step, graph, context) for step in (keeper, keeper, spoiler, keeper)]
    assert changed == [True, False, True, True]
    assert keeper.runs == 2


@pytest.mark.parametrize("name", ["resnet18.script", "mobilenet_v3.dynamo", "vit_relu.script", "tf_clipped"])
def test_preparation_is_idempotent(name):
    graph, context = prepare(load_fixture(name))
    written = write_model(clone(graph)).SerializeToString()
    notes = len(context.notes)
    assert [step.name for step in PREPARATION if step.run(graph, context)] == []
    assert write_model(graph).SerializeToString() == written
    assert len(context.notes) == notes


def test_a_model_is_flattened_once(net, monkeypatch, rng):
    calls = []
    flatten = file.flatten_model
    monkeypatch.setattr(pipeline, "flatten_model", lambda model: calls.append(1) or flatten(model))
    onnx2snn.inspect(net)
    assert len(calls) == 1
    onnx2snn.compile(net, rng.standard_normal((8, 3)).astype(np.float32), timesteps=2)
    assert len(calls) == 2


def test_names_are_those_of_the_files():
    for step in PIPELINE:
        assert step.name.lower() == type(step).__module__.rpartition(".")[2].replace("_", "")


def test_a_note_that_comes_again_is_kept_once():
    context = Context(CompileOptions())
    for reason in ("it stays", "it goes", "it stays"):
        context.note("r", "Relu", "kept", reason)
    assert [note.reason for note in context.notes] == ["it stays", "it goes"]
