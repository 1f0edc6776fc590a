from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.graph import write_model
from onnx2snn.ops import DOMAIN
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.enclose_islands import EncloseIslands
from tests.helpers import graph_of, parse

CONSTANTS = {
    "w": np.eye(4, dtype=np.float32),
    "half": np.float32(0.5),
    "last": np.int64([-1]),
}


class Enclosed:
    """What the pass makes of `r = Relu(x)`, a body and `z = Relu(y)`; a second run changes nothing."""

    def __init__(self, body, outputs="float[] z", end="z = Relu(y)"):
        model = parse(
            f"(float[N,4] x, float[N,4] p) => ({outputs}) {{ r = Relu(x) {body} {end} }}", **CONSTANTS
        )
        self.graph, context = graph_of(model), Context(CompileOptions(code="burst"))
        before = write_model(self.graph).SerializeToString()
        self.changed = EncloseIslands().run(self.graph, context)
        written = write_model(self.graph)
        assert (written.SerializeToString() != before) == self.changed
        assert not EncloseIslands().run(self.graph, context)
        assert write_model(self.graph).SerializeToString() == written.SerializeToString()
        assert [tensor.name for tensor in self.graph.outputs] == [item.name for item in model.graph.output]
        assert not context.notes
        self.readers = {}
        for node in self.graph.nodes:
            self.readers[node.name] = [
                tensor.inputs[0].name if tensor.inputs else tensor.name for tensor in node.inputs
            ]

    def gates(self, op):
        """Nodes of one gate operator → who makes what it reads."""
        gates = [node for node in self.graph.nodes if node.domain == DOMAIN and node.op == op]
        assert all(not node.attrs and len(node.inputs) == len(node.outputs) == 1 for node in gates)
        return {node.name: self.readers[node.name][0] for node in gates}

    @property
    def entrances(self):
        return self.gates("RunningMean")

    @property
    def exits(self):
        return self.gates("Increment")


MEAN, STEP = "r/running_mean", "s/increment"


def test_a_node_alone_gets_an_entrance_and_an_exit():
    result = Enclosed("s = Sigmoid(r) y = Neg(s)")
    assert result.changed
    assert result.entrances == {MEAN: "r"}
    assert result.exits == {STEP: "s"}
    assert result.readers["s"] == [MEAN]
    assert result.readers["y"] == [STEP]


def test_an_entrance_is_shared_by_all_nodes_of_all_islands():
    result = Enclosed("a = Sigmoid(r) s = Mul(a, r) b = Tanh(r) d = Neg(r) e = Add(s, b) y = Add(e, d)")
    assert result.entrances == {MEAN: "r"}
    assert result.readers["a"] == result.readers["b"] == [MEAN]
    assert result.readers["s"] == ["a", MEAN]
    assert result.readers["d"] == ["r"]
    assert result.exits == {"s/increment": "s", "b/increment": "b"}


def test_a_node_may_read_the_same_tensor_twice():
    result = Enclosed("s = Mul(r, r) y = Mul(s, s)")
    assert result.entrances == {MEAN: "r"}
    assert result.readers["s"] == [MEAN, MEAN]
    assert result.readers["y"] == ["s", "s"]
    assert result.exits == {"y/increment": "y"}


def test_every_tensor_that_enters_has_its_own_entrance():
    result = Enclosed("a = Neg(r) y = Mul(r, a)")
    assert result.entrances == {MEAN: "r", "a/running_mean": "a"}
    assert result.readers["a"] == ["r"]
    assert result.readers["y"] == [MEAN, "a/running_mean"]


def test_what_does_not_change_enters_as_it_is():
    result = Enclosed("t = Tanh(p) a = Add(r, t) s = Sigmoid(a) b = Mul(s, t) y = Softmax(b)")
    assert result.entrances == {"a/running_mean": "a"}
    assert result.readers["b"] == ["s", "t"]


def test_inside_everyone_reads_the_value_itself_outside_its_increment():
    result = Enclosed("s = Sigmoid(r) t = Tanh(s) a = MatMul(s, w) b = Add(s, a) y = Add(b, t)")
    assert result.exits == {STEP: "s", "t/increment": "t"}
    assert result.readers["t"] == ["s"]
    assert result.readers["a"][0] == STEP
    assert result.readers["b"] == [STEP, "a"]
    assert result.readers["y"] == ["b", "t/increment"]
    assert result.readers["z"] == ["y"]


def test_a_neuron_reads_the_increment():
    result = Enclosed("y = Sigmoid(r)")
    assert result.readers["z"] == ["y/increment"]


def test_what_lies_between_two_nodes_of_an_island_has_no_gates():
    result = Enclosed("s = Sigmoid(r) a = Neg(s) b = Mul(a, half) y = Tanh(b)")
    assert result.entrances == {MEAN: "r"}
    assert result.exits == {"y/increment": "y"}


def test_two_islands_have_gates_between_them():
    result = Enclosed("s = Sigmoid(r) a = MatMul(s, w) y = Tanh(a)")
    assert result.entrances == {MEAN: "r", "a/running_mean": "a"}
    assert result.exits == {STEP: "s", "y/increment": "y"}


def test_an_output_from_inside_is_an_increment_under_its_own_name():
    result = Enclosed("s = Sigmoid(r) y = Tanh(s)", outputs="float[] z, float[] s")
    assert result.exits == {STEP: "s", "y/increment": "y"}
    output = result.graph.outputs[1]
    assert (output.name, output.inputs[0].name) == ("s", STEP)
    assert result.readers["y"] == ["s"]


def test_an_output_that_enters_an_island_stays_as_it_is():
    result = Enclosed("y = Sigmoid(r)", outputs="float[] z, float[] r")
    assert result.entrances == {MEAN: "r"}
    assert result.graph.outputs[1].inputs[0].name == "r"


def test_the_head_reads_the_increment_too():
    result = Enclosed(
        "s = Sigmoid(r) y = Tanh(s)", outputs="float[] z, float[] h", end="z = Relu(y) h = Softmax(s)"
    )
    assert result.readers["h"] == [STEP]
    assert result.exits == {STEP: "s", "y/increment": "y"}


@pytest.mark.parametrize(
    ("after", "exits"), [("MatMul(s, w)", {STEP: "s"}), ("Tanh(s)", {"a/increment": "a"})]
)
def test_shape_arithmetic_reads_the_tensor_itself(after, exits):
    result = Enclosed(f"s = Sigmoid(r) d = Shape(s) a = {after} b = ReduceMean(a, last) y = Expand(b, d)")
    assert result.exits == exits
    assert result.readers["d"] == ["s"]


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ("y = Neg(r)", "z = Relu(y)"),
        ("s = Sigmoid(p) y = Add(r, s)", "z = Relu(y)"),
        ("y = Neg(r)", "q = Relu(y) s = Sigmoid(q) z = Mul(s, q)"),
        ("y = Neg(r)", "q = Relu(y) z = Softmax(q)"),
    ],
)
def test_keeps_what_is_no_island_and_what_follows_the_last_neuron(body, end):
    result = Enclosed(body, end=end)
    assert not result.changed
    assert not result.entrances
    assert not result.exits


def test_only_the_part_before_the_last_neuron_is_enclosed():
    result = Enclosed("s = Sigmoid(r) y = Neg(s)", end="q = Relu(y) t = Tanh(q) z = Mul(t, s)")
    assert result.entrances == {MEAN: "r"}
    assert result.exits == {STEP: "s"}
    assert result.readers["z"] == ["t", STEP]
    assert result.readers["t"] == ["q"]
