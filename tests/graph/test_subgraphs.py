"""Control flow shows all that it reads."""

from __future__ import annotations

import onnx
import onnx.parser
import onnx.printer
import pytest

from onnx2snn.graph.subgraphs import CHOICE, bodies, inner_nodes, make_explicit, read_outside, reads
from tests.graph.flows import SEQUENCES, UNROLLED, net
from tests.helpers import normal, relative_error, run

DATA = """n = ReduceMax<keepdims = 0>(r) c = Greater(n, half)
    b = If(c) <then_branch = a () => (float[N,4] p) { h = MatMul(r, w) p = Relu(h) },
        else_branch = d () => (float[N,4] q) { q = Neg(r) }>"""


@pytest.mark.parametrize("body", [*UNROLLED.values(), DATA, *SEQUENCES.values()])
def test_no_body_reads_from_outside_and_the_outputs_stay(body, rng):
    sequence = body in SEQUENCES.values()
    model = net(body, "N,M,4" if sequence else "N,4")
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
    values = normal(rng, x=(3, 5, 4) if sequence else (3, 4))
    expected = run(model, values)
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    make_explicit(model)
    onnx.checker.check_model(model)
    flows = [node for node in model.graph.node if any(True for _ in bodies(node))]
    assert flows
    assert [read_outside(part) for node in flows for part in bodies(node)] == [[]] * len(flows)
    assert relative_error(run(model, values), expected) == 0


def test_an_if_is_a_loop_of_one_round():
    model = net(DATA)
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
    make_explicit(model)
    (loop,) = (node for node in model.graph.node if node.op_type == "Loop")
    assert list(loop.input)[2:] == ["c", "r"]  # w is a constant, and lies in the body
    (body,) = bodies(loop)
    assert body.name == CHOICE
    assert {node.op_type for node in inner_nodes(body)} == {"If", "Identity", "MatMul", "Relu", "Neg"}
    assert next(node for node in body.node if node.op_type == "If").input[0] == "c/n4/within"


def test_what_a_node_reads_is_what_its_bodies_read_too():
    node = next(node for node in net(DATA).graph.node if node.op_type == "If")
    assert list(reads(node)) == ["c", "r", "w", "r"]


def test_names_that_recur_within_are_set_apart(rng):
    """As ONNX's version converter makes them; and onnxruntime takes no name twice."""
    body = UNROLLED["a known number of rounds"].replace("m = ", "a = ").replace("Relu(m)", "Relu(a)")
    model = onnx.parser.parse_model(onnx.printer.to_text(net(body)))
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
    make_explicit(model)
    values = normal(rng, x=(3, 4))
    assert relative_error(run(model, values), run(net(UNROLLED["a known number of rounds"]), values)) == 0
