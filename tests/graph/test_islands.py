"""Which nodes make an analog island, and that an island's mean is its value on the neurons' means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx2snn.graph.islands import find_islands
from onnx2snn.graph.sections import divide
from tests.helpers import graph_of, parse
from tests.means import compare

CONSTANTS = {
    "half": np.float32(0.5),
    "one": np.float32(1),
    "root": np.float32(0.7978846),
    "cubic": np.float32(0.044715),
    "w": np.eye(4, dtype=np.float32),
    "k": np.ones((4, 4, 1, 1), np.float32),
    "c": np.ones(4, np.float32),
    "last": np.int64([-1]),
    "flat": np.int64([0, -1]),
}


def islands(body, inputs="float[N,4] x"):
    """Name of the first node → all nodes of its island, in the graph's order."""
    model = parse(f"({inputs}) => (float[] z) {{ r = Relu(x) {body} z = Relu(y) }}", **CONSTANTS)
    graph = graph_of(model)
    found: dict[str, list[str]] = {}
    for node, island in find_islands(graph, divide(graph)).items():
        found.setdefault(island, []).append(node)
    assert all(sorted(members) == sorted(set(members)) for members in found.values())
    assert all(name in members for name, members in found.items())
    return {name: set(members) for name, members in found.items()}


def test_a_gelu_is_one_island():
    """Nine nodes; the first factor is linear in r, so it enters the island with r."""
    found = islands(
        """h = Mul(r, half) q = Mul(r, r) p = Mul(q, r) s = Mul(p, cubic) a = Add(r, s) b = Mul(a, root)
        t = Tanh(b) o = Add(t, one) y = Mul(h, o)"""
    )
    assert found == {"q": set("qpsabtoy")}


def test_a_gelu_by_erf_is_one_island():
    assert islands("d = Div(r, root) e = Erf(d) o = Add(e, one) m = Mul(r, o) y = Mul(m, half)") == {
        "e": {"e", "o", "m"}
    }


def test_a_normalisation_is_one_island():
    found = islands(
        """u = ReduceMean(r, last) d = Sub(r, u) q = Mul(d, d) v = ReduceMean(q, last) e = Add(v, one)
        s = Sqrt(e) n = Div(d, s) g = Mul(n, c) y = Add(g, c)"""
    )
    assert found == {"q": {"q", "v", "e", "s", "n"}}


def test_attention_is_one_island_between_its_projections():
    found = islands(
        """a = MatMul(r, w) b = MatMul(r, w) v = MatMul(r, w) t = Transpose<perm=[0,2,1]>(b)
        s = MatMul(a, t) m = Mul(s, half) p = Softmax(m) o = MatMul(p, v) y = MatMul(o, w)""",
        inputs="float[N,3,4] x",
    )
    assert found == {"s": {"s", "m", "p", "o"}}


def test_squeeze_and_excitation():
    found = islands(
        """g = GlobalAveragePool(r) a = Conv(g, k) b = Relu(a) e = Conv(b, k) s = HardSigmoid(e)
        y = Mul(r, s)""",
        inputs="float[N,4,3,3] x",
    )
    assert found == {"s": {"s", "y"}}


@pytest.mark.parametrize(
    "between", ["Conv(s, k)", "MatMul(s, w)", "Relu(s)", "MaxPool<kernel_shape=[1,1]>(s)"]
)
def test_weights_neurons_and_pools_separate_islands(between):
    found = islands(f"s = Sigmoid(r) b = {between} y = Tanh(b)", inputs="float[N,4,4,4] x")
    assert found == {"s": {"s"}, "y": {"y"}}


@pytest.mark.parametrize("between", ["Neg(s)", "Reshape(s, flat)", "Concat<axis=1>(s, r)", "Add(s, r)"])
def test_a_linear_node_between_two_of_an_island_belongs_to_it(between):
    assert islands(f"s = Sigmoid(r) b = {between} y = Tanh(b)") == {"s": {"s", "b", "y"}}


def test_several_linear_nodes_between_belong_to_it_together():
    assert islands("s = Sigmoid(r) a = Neg(s) b = Add(a, r) d = Mul(b, half) y = Tanh(d)") == {
        "s": {"s", "a", "b", "d", "y"}
    }


def test_a_linear_node_that_touches_one_side_only_does_not():
    assert islands("a = Neg(r) s = Sigmoid(a) b = Neg(s) y = Mul(b, half)") == {"s": {"s"}}


def test_of_two_paths_only_the_one_without_weights_belongs():
    assert islands("s = Sigmoid(r) a = Neg(s) b = MatMul(s, w) y = Mul(a, b)") == {"s": {"s", "a", "y"}}


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("y = Add(a, b)", {"a": {"a"}, "b": {"b"}}),
        ("y = Mul(a, b)", {"a": {"a", "b", "y"}}),
        ("d = Add(a, b) y = Tanh(d)", {"a": {"a", "b", "d", "y"}}),
    ],
)
def test_neighbours_are_one_island_where_they_meet_in_it(join, expected):
    assert islands(f"a = Sigmoid(r) b = Tanh(r) {join}") == expected


def test_islands_that_meet_late_take_the_name_of_the_first_with_all_their_nodes():
    found = islands("a = Sigmoid(r) b = Tanh(r) d = Erf(b) e = Exp(d) f = Mul(e, d) y = Mul(f, a)")
    assert found == {"a": set("abdefy")}


@pytest.mark.parametrize(
    "body",
    [
        "y = Neg(r)",
        "s = Sigmoid(x) y = Add(r, s)",
        "s = Sigmoid(x) y = Mul(r, s)",
        "d = Shape(r) f = Cast<to=1>(d) g = ReduceSum<keepdims=0>(f) h = Sqrt(g) y = Mul(r, h)",
    ],
)
def test_what_is_linear_or_does_not_change_is_none(body):
    assert islands(body) == {}


def test_what_follows_the_last_neuron_is_none():
    graph = graph_of(parse("(float[N,4] x) => (float[] y) { r = Relu(x) s = Sigmoid(r) y = Softmax(s) }"))
    assert find_islands(graph, divide(graph)) == {}


# --- any island is exact on means -------------------------------------------------------------------------

#: From [N,4,4] to [N,4,4] in the tensors a and b; bounded, and amplifying a rounding error at most twofold.
STEPS = [
    "{y} = Sigmoid({a})",
    "{y} = Tanh({a})",
    "{y} = Erf({a})",
    "{y} = HardSwish({a})",
    "{y} = Gelu({a})",
    "{y} = Elu({a})",
    "{y} = Softplus({a})",
    "{y} = Softmax<axis=1>({a})",
    "{y} = LogSoftmax<axis=2>({a})",
    "{y} = LayerNormalization<axis=2, epsilon=1.0>({a}, four, four)",
    "{y} = InstanceNormalization<epsilon=1.0>({a}, four, four)",
    "u{i} = Tanh({a}) {y} = Pow(u{i}, three)",
    "u{i} = Tanh({a}) {y} = Exp(u{i})",
    "u{i} = Tanh({a}) {y} = Mul(u{i}, {b})",
    "u{i} = Mul({a}, {a}) v{i} = Add(u{i}, one) w{i} = Sqrt(v{i}) {y} = Div({a}, w{i})",
    "u{i} = Abs({a}) v{i} = Add(u{i}, one) {y} = Log(v{i})",
    "u{i} = Abs({b}) v{i} = Add(u{i}, one) {y} = Div({a}, v{i})",
    "u{i} = Sigmoid({a}) v{i} = MatMul(u{i}, {b}) {y} = Mul(v{i}, quarter)",
    "u{i} = Softmax({a}) {y} = MatMul(u{i}, {b})",
    "{y} = Max({a}, {b})",
    "{y} = Min({a}, {b})",
    "u{i} = Greater({a}, {b}) {y} = Where(u{i}, {a}, {b})",
    "{y}, u{i} = TopK({a}, whole)",
    "u{i} = ReduceMax({a}, last) {y} = Sub({a}, u{i})",
    "u{i} = ReduceL2({a}, last) v{i} = Add(u{i}, one) {y} = Div({a}, v{i})",
    "u{i} = ReduceMean({a}, last) {y} = Sub({b}, u{i})",
    "{y} = Neg({a})",
    "{y} = Add({a}, {b})",
    "{y} = Sub({a}, half)",
    "{y} = MatMul({a}, turned)",
    "{y} = Transpose<perm=[0,2,1]>({a})",
    "u{i} = Concat<axis=2>({a}, {b}) {y}, v{i} = Split<axis=2, num_outputs=2>(u{i})",
]

#: Becomes neurons, which are not exact, where weights follow: MatMul among the steps.
CLIP = "u{i} = Clip({a}, half, one) {y} = Add(u{i}, {b})"


def pool(rng):
    return {
        "four": rng.uniform(-1, 1, 4).astype(np.float32),
        "turned": np.linalg.qr(rng.standard_normal((4, 4)))[0].astype(np.float32),
        "one": np.asarray(1, np.float32),
        "half": np.asarray(0.5, np.float32),
        "quarter": np.asarray(0.25, np.float32),
        "three": np.asarray(3, np.float32),
        "last": np.int64([-1]),
        "whole": np.int64([4]),
    }


def composed(steps):
    """A body of such operators, each with the operands that its two numbers pick; and all of its tensors.

    The newest tensor is the likeliest, so that chains get long; p is the same at every timestep.
    """
    tensors, body = ["r", "s", "p"], []
    for i, (step, *picks) in enumerate(steps):
        a, b = ([*tensors, tensors[-1], tensors[-1]][pick % (len(tensors) + 2)] for pick in picks)
        body.append(step.format(y=f"y{i}", a=a, b=b, i=i))
        tensors.append(f"y{i}")
    return " ".join([*body, f"y = Add({tensors[-1]}, r)"]), tensors[3:]


@pytest.mark.parametrize("step", [*STEPS, CLIP])
def test_one_step_has_the_value_of_the_ann_on_means(step, rng):
    body, (made,) = composed([(step, 0, 1)])
    inputs, outputs = dict.fromkeys("rsp", "N,4,4"), f"float[] y, float[] {made}"
    assert compare(inputs, body, pool(rng), rng, timesteps=5, outputs=outputs).error < 1e-5


@settings(deadline=None, max_examples=50)
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0), st.integers(0)), min_size=1, max_size=8),
    given_out=st.integers(0),
    timesteps=st.integers(1, 9),
    max_spikes=st.sampled_from([1, 4]),
    signed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_island_has_the_value_of_the_ann_on_means(steps, given_out, timesteps, max_spikes, signed, seed):
    rng = np.random.default_rng(seed)
    body, made = composed(steps)
    result = compare(
        dict.fromkeys("rsp", "N,4,4"),
        body,
        pool(rng),
        rng,
        timesteps=timesteps,
        outputs=f"float[] y, float[] {made[given_out % len(made)]}",
        max_spikes=max_spikes,
        signed=signed,
    )
    # 9 timesteps and 8 steps round at 2^-24 each, some of them amplified.
    assert result.error < 1e-5


@pytest.mark.parametrize("timesteps", [1, 2, 7, 64])
@pytest.mark.parametrize(
    "body",
    [
        "y = Sigmoid(r)",
        "y = Softmax(r)",
        "y = Mul(r, s)",
        "y = MatMul(r, s)",
        "y = LayerNormalization(r, scale, scale)",
        "u = MatMul(r, turned) v = Sigmoid(u) y = Mul(v, s)",
        "u = Sigmoid(r) q = MatMul(u, turned) y = Tanh(q)",
    ],
)
def test_one_island_is_exact_and_analog(body, timesteps, rng):
    constants = {"scale": np.ones(4, np.float32), "turned": np.float32(np.linalg.qr(np.ones((4, 4)))[0])}
    result = compare({"r": "N,4,4", "s": "N,4,4"}, body, constants, rng, timesteps=timesteps)
    assert result.error < 1e-5
    assert {"analog"} in result.roles.values()
