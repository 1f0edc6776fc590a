"""What cannot become a spiking network is refused before any data is read."""

from __future__ import annotations

import pytest

from onnx2snn.errors import ModelError, UnsupportedGraphError
from onnx2snn.model.file import flatten_model
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.refuse_unsupported import RefuseUnsupported
from tests.helpers import graph_of, parse

NOTHING = "model: expected at least one ReLU, LeakyReLU or Clip to turn into neurons, found none; "
TRAIN = "train the model with ReLU activations"


def refuse(body, established=(), **options):
    model = parse(f"(float[N,2] x) => (float[N,2] y) {{ {body} }}")
    context = Context(CompileOptions(**options), model=flatten_model(model), established=set(established))
    return RefuseUnsupported().run(graph_of(model), context)


def test_what_spikes_passes():
    assert refuse("y = Relu(x)") is False
    assert refuse("a = Relu(x) y = Sigmoid(a)") is False
    assert refuse("a = Relu(x) y = Sigmoid(a)", code="burst") is False


def test_every_node_that_is_refused_is_named():
    with pytest.raises(UnsupportedGraphError) as caught:
        refuse("a = Relu(x) b = RandomUniformLike(a) y = Bernoulli(b)")
    assert [refusal.op for refusal in caught.value.refusals] == ["RandomUniformLike", "Bernoulli"]


def test_strict_refuses_what_is_analog():
    with pytest.raises(UnsupportedGraphError) as caught:
        refuse("a = Relu(x) b = Sigmoid(a) y = Relu(b)", strict=True)
    assert [refusal.op for refusal in caught.value.refusals] == ["Sigmoid"]


def test_graded_spikes_send_any_activation_strictly_too():
    """Functions of one tensor, of many nodes too: not those of several, nor what follows the last weights."""
    weights = "i = Constant<value_floats=[1.0, 2.0]>() f = Constant<value_ints=[2, 1]>() w = Expand(i, f)"
    gelu = "a = MatMul(x, w) e = Erf(a) g = Mul(a, e) b = MatMul(g, w) s = Sigmoid(b) u = Mul(b, s) "
    assert refuse(f"{weights} {gelu} y = MatMul(u, w)", code="graded", strict=True) is False
    with pytest.raises(UnsupportedGraphError) as caught:
        refuse(f"{weights} {gelu} m = Softmax(u) c = MatMul(m, w) y = Tanh(c)", code="graded", strict=True)
    assert [refusal.op for refusal in caught.value.refusals] == ["Softmax", "Tanh"]


GRADED = "graded spikes send any activation: onnx2snn compile MODEL --calib DATA --code graded; or "
SMOOTH = "u = Constant<value_floats=[1.0, 2.0]>() k = Constant<value_ints=[2, 1]>() w = Expand(u, k) "
SMOOTH += "a = MatMul(x, w) r = {}(a) y = MatMul(r, w)"


@pytest.mark.parametrize(
    ("body", "options", "remedy"),
    [
        ("y = Neg(x)", {"code": "burst"}, TRAIN),
        ("y = Neg(x)", {"code": "graded"}, TRAIN),
        ("y = Sigmoid(x)", {"code": "graded"}, TRAIN),
        ("y = Sigmoid(x)", {"code": "burst"}, TRAIN),  # no weights follow
        (SMOOTH.format("Tanh"), {"code": "burst", "approximate": "none"}, GRADED + TRAIN),
        (SMOOTH.format("Sin"), {"code": "burst"}, GRADED + TRAIN),
        (SMOOTH.format("ThresholdedRelu"), {"code": "burst"}, GRADED + TRAIN),  # it jumps
    ],
)
def test_a_net_in_which_nothing_spikes(body, options, remedy):
    with pytest.raises(ModelError) as caught:
        refuse(body, **options)
    assert str(caught.value) == NOTHING + remedy


@pytest.mark.parametrize("approximate", ["auto", "relu-sum"])
def test_smooth_activations_wait_until_they_are_approximated(approximate):
    options = {"code": "burst", "approximate": approximate}
    assert refuse(SMOOTH.format("Sigmoid"), strict=True, **options) is False
    with pytest.raises(ModelError) as caught:
        refuse(SMOOTH.format("Sigmoid"), ["activations_approximated"], **options)
    assert str(caught.value) == NOTHING + GRADED + TRAIN


def test_it_changes_nothing():
    graph = graph_of(parse("(float[N,2] x) => (float[N,2] y) { y = Relu(x) }"))
    context = Context(CompileOptions(), model=parse("(float[N,2] x) => (float[N,2] y) { y = Relu(x) }"))
    RefuseUnsupported().run(graph, context)
    assert [node.op for node in graph.nodes] == ["Relu"]
    assert context.notes == []
