"""Where graded neurons stand."""

from __future__ import annotations

import numpy as np

from onnx2snn.graph.targets import find_targets, is_target
from tests.helpers import graph_of, normal, parse

SQUARE = {"w": (2, 2, 1, 1), "v": (2, 2, 1, 1)}


def targets(text, rng, **shapes):
    model = parse(text, half=np.float32(0.5), **normal(rng, **{**SQUARE, **shapes}))
    found = find_targets(graph_of(model))
    return {target.tensor.name: (target.source.name, [node.op for node in target.nodes]) for target in found}


ONE = "(float[N,2,4,4] x) => (float[N,2,1,1] y)"
IMAGE = "(float[N,2,4,4] x) => (float[N,2,4,4] y)"


def test_a_rectifier_is_one(rng):
    given = targets(f"{IMAGE} {{ a = Conv(x, w)  r = Relu(a)  y = Conv(r, v) }}", rng)
    assert given == {"r": ("a", ["Relu"])}


def test_a_smooth_activation_is_one_however_many_nodes_it_has(rng):
    text = f"{IMAGE} {{ a = Conv(x, w)  s = Sigmoid(a)  r = Mul(a, s)  y = Conv(r, v) }}"
    assert targets(text, rng) == {"r": ("a", ["Sigmoid", "Mul"])}


def test_a_function_written_with_a_clip_is_one(rng):
    """HardSwish of an older exporter, and a HardTanh as the passes before write it."""
    low = "z = Constant<value_float: float = 0.0>()  s = Constant<value_float: float = 6.0>()"
    for body, ops in (
        ("p = Add(a, half)  c = Clip(p, z, s)  m = Mul(a, c)  r = Div(m, s)", ["Add", "Clip", "Div", "Mul"]),
        ("c = Clip(a, z, s)  n = Neg(a)  d = Clip(n, z, s)  r = Sub(c, d)", ["Clip", "Clip", "Neg", "Sub"]),
    ):
        ((name, (source, nodes)),) = targets(
            f"{IMAGE} {{ {low}  a = Conv(x, w)  {body}  y = Conv(r, v) }}", rng
        ).items()
        assert (name, source, sorted(nodes)) == ("r", "a", ops)
    scaled = "c = Relu(a)  r = Mul(c, half)"
    assert list(targets(f"{IMAGE} {{ a = Conv(x, w)  {scaled}  y = Conv(r, v) }}", rng)) == ["c"]


def test_what_is_read_from_within_a_function_has_a_neuron_of_its_own(rng):
    text = "r = Relu(a)  t = Tanh(r)  m = Mul(t, a)  b = Conv(r, v)  c = Conv(m, v)  y = Add(b, c)"
    assert targets(f"{IMAGE} {{ a = Conv(x, w)  {text} }}", rng) == {
        "a": ("a", []),
        "r": ("a", ["Relu"]),
        "t": ("r", ["Tanh"]),
        "m": ("m", []),
    }
    text = text.replace("Conv(r, v)", "Conv(m, v)")
    found = targets(f"{IMAGE} {{ a = Conv(x, w)  {text} }}", rng)
    assert found == {"m": ("a", ["Relu", "Tanh", "Mul"])}


def test_a_rectifier_within_a_function_is_no_neuron(rng):
    """Once the neuron stands behind the whole of it."""
    text = "r = Relu(a)  m = Mul(r, a)  h = onnx2snn.GradedIF(m, half)  y = Conv(h, v)"
    graph = graph_of(
        parse(f"{IMAGE} {{ a = Conv(x, w)  {text} }}", half=np.float32(0.5), **normal(rng, **SQUARE))
    )
    assert [node.op for node in graph.nodes if is_target(node)] == ["Relu", "Mul"]


def test_behind_the_last_weights_a_smooth_activation_is_none(rng):
    text = f"{IMAGE} {{ a = Conv(x, w)  r = Relu(a)  b = Conv(r, v)  y = Sigmoid(b) }}"
    assert list(targets(text, rng)) == ["r"]


def test_what_weights_make_for_weights_is_one(rng):
    text = f"{IMAGE} {{ a = Conv(x, w)  r = Relu(a)  b = Conv(r, v)  c = Add(b, b)  y = Conv(c, w) }}"
    assert targets(text, rng) == {"r": ("a", ["Relu"]), "c": ("c", [])}


def test_it_stands_before_what_only_moves_it_and_in_the_part_that_needs_it(rng):
    moved = "b = Conv(r, v)  c = Transpose<perm: ints = [0, 1, 3, 2]>(b)"
    text = f"{IMAGE} {{ a = Conv(x, w)  r = Relu(a)  {moved}  y = Conv(c, w) }}"
    assert list(targets(text, rng)) == ["r", "b"]
    joined = "b = Conv(r, v)  c = Concat<axis: int = 1>(b, r)"
    text = f"{IMAGE} {{ a = Conv(x, w)  r = Relu(a)  {joined}  y = Conv(c, u) }}"
    assert list(targets(text, rng, u=(2, 4, 1, 1))) == ["r", "b"]


def test_every_part_of_what_is_split_may_be_one(rng):
    split = "b, c = Split<axis: int = 1, num_outputs: int = 2>(a)"
    text = f"{ONE.replace('2,1,1]', 'C,4,4]')} {{ a = Conv(x, w)  {split}  y = MatMul(b, c) }}"
    assert list(targets(text, rng)) == ["b", "c"]


def test_what_hands_spikes_on_needs_none(rng):
    passed = "p = MaxPool<kernel_shape: ints = [2, 2]>(r)  h = Mul(p, half)"
    passed += "  s = Add(h, p)  q = GlobalAveragePool(s)"
    text = f"{ONE} {{ a = Conv(x, w)  r = Relu(a)  {passed}  y = Conv(q, v) }}"
    assert list(targets(text, rng)) == ["r"]


def test_an_interpolation_makes_values_of_its_own(rng):
    for mode, expected in (("nearest", ["r"]), ("linear", ["r", "b"])):
        text = "t = Constant<value_floats: floats = [1.0, 1.0, 2.0, 2.0]>()"
        text += f'  b = Resize<mode: string = "{mode}">(r, , t)'
        text = f"{ONE.replace('1,1]', 'H,W]')} {{ a = Conv(x, w)  r = Relu(a)  {text}  y = Conv(b, v) }}"
        assert list(targets(text, rng)) == expected


def test_an_island_s_result_is_one_where_weights_follow(rng):
    text = f"{IMAGE} {{ a = Conv(x, w)  r = Relu(a)  e = Softmax(r)  y = Conv(e, v) }}"
    assert list(targets(text, rng)) == ["r", "e"]


def test_what_a_recurrent_layer_makes_for_weights_is_one(rng):
    """It multiplies by weights as well, so that what stands before it is an activation; no neuron needed."""
    text = "(float[5,N,2] x) => (float[5,N,4] y) { a = MatMul(x, m)  e = Elu(a)  l = RNN(e, w, r)"
    text += "  s = Squeeze(l, axis)  y = MatMul(s, u) }"
    weights = {"m": (2, 2), "w": (1, 4, 2), "r": (1, 4, 4), "u": (4, 4)}
    model = parse(text, axis=np.int64([1]), **normal(rng, **weights))
    assert [target.tensor.name for target in find_targets(graph_of(model))] == ["e", "l"]
    alone = "(float[5,N,2] x) => (float[5,1,N,4] y) { a = MatMul(x, m)  e = Elu(a)  y = RNN(e, w, r) }"
    model = parse(alone, **normal(rng, **{name: weights[name] for name in "mwr"}))
    assert [target.tensor.name for target in find_targets(graph_of(model))] == ["e"]


def test_both_factors_of_a_product_are_made_spikes(rng):
    text = f"{IMAGE} {{ q = Conv(x, w)  k = Conv(x, v)  y = MatMul(q, k) }}"
    assert list(targets(text, rng)) == ["q", "k"]


def test_what_a_gate_multiplies_is_made_spikes_where_weights_follow(rng):
    gated = "g = Conv(x, w)  s = Sigmoid(g)  a = Conv(x, v)  m = Mul(a, s)"
    assert list(targets(f"{IMAGE} {{ {gated}  y = Conv(m, v) }}", rng)) == ["a", "s", "m"]
    assert list(targets(f"{IMAGE} {{ {gated}  y = Neg(m) }}", rng)) == []
    within = "a = Conv(x, w)  e = Softmax(a)  f = Softmax(e)  m = Mul(e, f)"  # of an island: both are values
    assert list(targets(f"{IMAGE} {{ {within}  y = Conv(m, v) }}", rng)) == ["m"]


def test_before_conversion_no_node_is_a_neuron_s_target():
    graph = graph_of(parse(f"{IMAGE} {{ y = Relu(x) }}"))
    assert not any(map(is_target, graph.nodes))


def test_what_thousands_of_nodes_lead_to_a_neuron_is_no_function(rng):
    links = "".join(f" m{step} = Neg(m{step - 1})" for step in range(1, 1500))
    text = f"m0 = Relu(a) {links} h = onnx2snn.GradedIF(m1499, half)  y = Conv(h, v)"
    graph = graph_of(
        parse(f"{IMAGE} {{ a = Conv(x, w)  {text} }}", half=np.float32(0.5), **normal(rng, **SQUARE))
    )
    assert not is_target(graph.nodes[1])
