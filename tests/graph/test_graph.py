"""The mutable graph: read and written as it was, changed in place, its shapes folded."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.graph.channels import static_dims
from onnx2snn.graph.graph import (
    Constant,
    Node,
    Variable,
    bypass,
    clone,
    constant,
    extract,
    insert_after,
    is_cell,
    is_float,
    is_output,
    operands,
    producer,
    rank,
    replace_input,
    scalar,
    sole_consumer,
    standard_op,
    unique_name,
    write_model,
)
from onnx2snn.model import parking, weights
from onnx2snn.model.file import load_model
from tests.helpers import graph_of, parse, run, save_outside

CHAIN = "(float[N,2] x) => (float[N,2] y) { a = Neg(x) b = Identity(a) y = Abs(b) }"
X = {"x": np.float32([[1, -2]])}


def ops(graph):
    return [node.op for node in graph.nodes]


def test_constants_are_folded_and_what_nobody_reads_is_dropped():
    text = "(float[N,2] x) => (float[N,2] y) { c = Add(a, b) d = Neg(x) y = Mul(x, c) }"
    graph = graph_of(parse(text, a=np.float32([1, 2]), b=np.float32([3, 4])))
    assert ops(graph) == ["Mul"]
    assert constant(graph.nodes[0].inputs[1]).tolist() == [4, 6]
    assert run(write_model(graph), X)[0].tolist() == [[4, -12]]


@pytest.mark.parametrize(
    "shape",
    [
        "s = Shape<start=1>(x) t = Concat<axis=0>(minus, s) y = Reshape(x, t)",
        "s = Shape(x) t = Slice(s, one, two) u = Concat<axis=0>(minus, t) y = Reshape(x, u)",
        "s = Shape(x) t = Gather(s, one) u = Concat<axis=0>(minus, t) y = Reshape(x, u)",
        "s = Shape(x) t = Slice(s, zero, one) u = Concat<axis=0>(t, minus) y = Reshape(x, u)",
    ],
)
def test_shapes_of_known_dimensions_are_constant(shape):
    values = {"minus": [-1], "zero": [0], "one": [1], "two": [2]}
    words = shape.replace("(", " ").replace(")", " ").replace(",", " ").split()
    weights = {name: np.int64(value) for name, value in values.items() if name in words}
    graph = graph_of(parse(f"(float[N,6] x) => (float[N,6] y) {{ {shape} }}", **weights))
    assert ops(graph) == ["Reshape"]
    assert constant(graph.nodes[0].inputs[1]).tolist() == [-1, 6]


def test_a_shape_that_is_not_known_stays():
    graph = graph_of(parse("(float[N,M] x) => (int64[2] y) { y = Shape(x) }"))
    assert ops(graph) == ["Shape"]


def test_a_written_model_says_which_operators_it_has():
    text = "(float[N,2] x) => (float[N,2] y) { a = onnx2snn.BurstIF<max_spikes=4>(x, t) y = Abs(a) }"
    graph = graph_of(parse(text, t=np.float32(1)))
    model = write_model(graph)
    assert {item.domain: item.version for item in model.opset_import} == {"": 21, "onnx2snn": 1}
    assert (model.producer_name, len(model.functions), len(model.metadata_props)) == ("", 0, 0)


def test_a_copy_has_nodes_of_its_own():
    graph = graph_of(parse(CHAIN))
    copy = clone(graph)
    bypass(copy, copy.nodes[0])
    assert ops(graph)[0] == "Neg"


def test_a_part_computes_some_tensors_from_others():
    graph = graph_of(parse(CHAIN))
    part = extract(graph, ["a"], ["y"])
    assert [item.name for item in part.graph.input] == ["a"]
    assert run(part, {"a": np.float32([[-3, 4]])})[0].tolist() == [[3, 4]]
    assert ops(graph) == ["Neg", "Identity", "Abs"]


@pytest.mark.parametrize(("index", "expected"), [(0, [[1, 2]]), (1, [[1, 2]]), (2, [[-1, 2]])])
def test_a_node_is_bypassed_and_outputs_keep_their_names(index, expected):
    graph = graph_of(parse(CHAIN))
    bypass(graph, graph.nodes[index])
    model = write_model(graph)
    assert [item.name for item in model.graph.output] == ["y"]
    assert run(model, X)[0].tolist() == expected


def test_a_node_is_put_behind_a_tensor():
    text = "(float[N,2] x) => (float[N,2] a, float[N,2] y) { a = Neg(x) y = Abs(a) }"
    graph = graph_of(parse(text))
    a = graph.tensors()["a"]
    two = Constant("two", np.float32([2]))
    insert_after(graph, a, Node("Mul", "double", inputs=[a, two]))
    model = write_model(graph)
    assert [item.name for item in model.graph.output] == ["a", "y"]
    assert [value.tolist() for value in run(model, X)] == [[[-2, 4]], [[2, 4]]]


def test_an_input_left_out_at_the_end_is_put_in_its_place():
    node = Node("Clip", "n", inputs=[Variable("x")])
    replace_input(node, 2, Constant("most", np.float32([6])))
    assert [tensor.name for tensor in node.inputs] == ["x", "", "most"]
    assert [tensor.name for tensor in operands(node)] == ["x"]


def test_names_are_numbered_until_they_are_new():
    graph = graph_of(parse(CHAIN))
    graph.nodes[0].name = "a_1"
    assert unique_name(graph, "new") == "new"
    assert unique_name(graph, "b") == "b_1"
    assert unique_name(graph, "a") == "a_2"


def test_who_makes_and_who_alone_reads_a_tensor():
    text = "(float[N,2] x) => (float[N,2] a, float[N,2] y) { a = Neg(x) b = Abs(a) y = Mul(b, b) }"
    graph = graph_of(parse(text))
    tensors = graph.tensors()
    assert producer(tensors["x"]) is None
    assert producer(tensors["b"]).op == "Abs"
    assert sole_consumer(graph, tensors["x"]).op == "Neg"
    assert sole_consumer(graph, tensors["a"]) is None
    assert sole_consumer(graph, tensors["b"]) is None
    assert sole_consumer(graph, tensors["y"]) is None
    assert is_output(graph, tensors["a"])
    assert not is_output(graph, tensors["b"])


def test_cells_and_what_they_are_on_sums():
    burst, pool = (Node(op, domain="onnx2snn") for op in ("BurstIF", "LIPool"))
    assert is_cell(burst)
    assert not is_cell(Node("BurstIF"))
    assert [standard_op(node) for node in (burst, pool, Node("Relu"))] == ["BurstIF", "MaxPool", "Relu"]


def test_what_is_known_of_a_tensor():
    assert rank(Variable("x")) is None
    assert rank(Variable("x", np.float32, ("N", 3))) == 2
    assert static_dims(Variable("x", np.float32, ("N", 3, 4))) == (3, 4)
    assert static_dims(Variable("x", np.float32, ("N", 3, "W"))) is None
    assert static_dims(Variable("x", np.float32, ("N", 0))) is None
    assert static_dims(Variable("x", np.float32, (2, 3)), 0) == (2, 3)
    assert scalar(Constant("c", np.float32([[2.5]]))) == 2.5
    assert scalar(Constant("c", np.float32([1, 2]))) is None
    assert scalar(Variable("x")) is scalar(Variable.empty()) is None
    assert is_float(Variable("x", np.float16)) is True
    assert is_float(Variable("x", np.int64)) is False
    assert is_float(Variable("x", int(onnx.TensorProto.FLOAT8E5M2))) is False
    assert is_float(Variable("x")) is None


FILED = """(float[N,16] x) => (float[N,32] y) {
    h = Cast<to = 1>(w) t = Transpose<perm = [1, 0]>(h) a = MatMul(x, t) s = Slice(t, zero, one)
    b = Reshape(s, shape) y = Add(a, b) }"""


def filed(rng, folder):
    """A net whose weights are in a file, and are computed with before they are read."""
    constants = {"zero": np.int64([0]), "one": np.int64([1]), "shape": np.int64([32])}
    model = parse(FILED, w=rng.standard_normal((32, 16)).astype(np.float16), **constants)
    return model, load_model(save_outside(model, folder / "net.onnx"))


@pytest.fixture
def few(monkeypatch):
    """So few bytes of weights that they stay in files."""
    monkeypatch.setattr(weights, "MOST_BYTES", 1000)
    monkeypatch.setattr(parking, "LARGE", 500)


@pytest.mark.usefixtures("few")
def test_what_is_computed_from_weights_in_files_goes_to_files(rng, tmp_path):
    whole, model = filed(rng, tmp_path)
    graph = graph_of(model)
    assert ops(graph) == ["MatMul", "Add"]
    mapped = [weights.is_mapped(constant(node.inputs[1])) for node in graph.nodes]
    assert mapped == [True, False]  # one row of them is small
    x = {"x": rng.standard_normal((3, 16)).astype(np.float32)}
    np.testing.assert_allclose(
        OnnxruntimeEngine(write_model(graph)).run(x)["y"], run(whole, x)[0], rtol=1e-5, atol=1e-6
    )


@pytest.mark.usefixtures("few")
def test_weights_in_files_are_written_as_references(rng, tmp_path):
    graph = graph_of(filed(rng, tmp_path)[1])
    matrix = graph.nodes[0].inputs[1]
    for model in (write_model(graph), extract(graph, ["x"], [graph.nodes[0].outputs[0].name])):
        (tensor,) = weights.references(model)
        assert tensor.name == matrix.name
        np.testing.assert_array_equal(weights.values_of(tensor), matrix.values)
    assert weights.is_mapped(matrix.values)  # the graph keeps arrays


def test_more_than_a_message_holds_is_written_to_files(rng, tmp_path, monkeypatch):
    graph = graph_of(filed(rng, tmp_path)[0])
    whole = write_model(graph)
    assert weights.references(whole) == []
    monkeypatch.setattr(weights, "MOST_BYTES", 1000)
    monkeypatch.setattr(parking, "LARGE", 500)
    model = write_model(graph)
    assert len(weights.references(model)) == 1
    weights.inline(model)
    assert model.SerializeToString(deterministic=True) == whole.SerializeToString(deterministic=True)


@pytest.mark.usefixtures("few")
def test_weights_that_were_left_alone_are_zeros(rng, tmp_path):
    filed(rng, tmp_path)
    graph = graph_of(load_model(tmp_path / "net.onnx", weights=False))
    assert not any(constant(tensor).any() for node in graph.nodes for tensor in node.inputs[1:2])
    assert [str(node.op) for node in graph.nodes] == ["MatMul", "Add"]
