"""What passes share: notes, forks, and a fold of each node of one operator."""

from __future__ import annotations

from onnx2snn.graph.firing import Firing
from onnx2snn.graph.graph import bypass
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context, Note, Pass, fold_each
from tests.helpers import graph_of, parse


def context():
    return Context(CompileOptions())


def test_the_same_note_is_made_once():
    notes = context()
    for reason in ("why", "why", "why not", "why"):
        notes.note("r", "Relu", "kept", reason)
    notes.note("r", "Relu", "folded", "why")
    notes.note("q", "Relu", "kept", "why")
    assert notes.notes == [
        Note("r", "Relu", "kept", "why"),
        Note("r", "Relu", "kept", "why not"),
        Note("r", "Relu", "folded", "why"),
        Note("q", "Relu", "kept", "why"),
    ]
    assert notes.last_notes["r"].outcome == "folded"


def test_a_fork_goes_on_from_what_is_known_without_changing_it():
    first = context()
    first.note("r", "Relu", "kept", "why")
    first.established.add("supported")
    first.corrections["r"], first.layers = 1.0, {"c": "integer"}
    fork = first.fork({"r": Firing(2, 2.0)})
    assert fork.firing == {"r": Firing(2, 2.0)}
    assert (fork.notes, fork.established) == (first.notes, {"supported"})
    assert (fork.corrections, fork.activations, fork.steps, fork.layers) == ({}, {}, {}, None)
    fork.note("q", "Relu", "kept", "why")
    fork.established.add("firing_chosen")
    fork.neurons["r"] = None
    assert len(first.notes) == 1
    assert first.established == {"supported"}
    assert first.neurons == first.firing == {}


def test_every_node_is_tried_and_the_graph_tidied():
    text = "(float[N,2] x) => (float[N,2] y) { a = Neg(x) b = Neg(a) c = Abs(b) y = Neg(c) }"
    graph, notes = graph_of(parse(text)), context()
    names = [node.name for node in graph.nodes]

    def fold(graph, node):
        if node.name == names[1]:
            return "it is the second"
        bypass(graph, node)
        return None

    assert fold_each(graph, notes, "Neg", fold, "into nothing")
    assert [node.op for node in graph.nodes] == ["Neg", "Abs", "Identity"]
    assert [(note.node, note.outcome, note.reason) for note in notes.notes] == [
        (names[0], "folded", "into nothing"),
        (names[1], "kept", "it is the second"),
        (names[3], "folded", "into nothing"),
    ]
    assert not fold_each(graph, notes, "Neg", lambda *_: "no", "nowhere")
    assert not fold_each(graph, notes, "Exp", fold, "nowhere")


def test_a_pass_has_the_name_of_its_class():
    class DoNothing(Pass):
        def run(self, graph, context):
            del graph, context
            return False

    assert DoNothing().name == "DoNothing"
    assert DoNothing.requires == DoNothing.ensures == DoNothing.invalidates == frozenset()
