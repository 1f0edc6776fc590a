"""Nets without a single ReLU: smooth activations spike as sums of ReLUs."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import input_specs
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.graph.graph import write_model
from onnx2snn.options import CompileOptions
from onnx2snn.passes.approximate_activations import ApproximateActivations
from onnx2snn.passes.base import Context
from tests.helpers import graph_of, normal, parse, run

#: From {1} to {0}.
ACTIVATIONS = {
    "GELU in nodes": """{0}b = Div({1}, root2) {0}d = Erf({0}b) {0}e = Add({0}d, one) {0}g = Mul({1}, {0}e)
        {0} = Mul({0}g, half)""",
    "GELU by Tanh, nine nodes": """{0}b = Mul({1}, {1}) {0}d = Mul({0}b, {1}) {0}e = Mul({0}d, cubic)
        {0}g = Add({1}, {0}e) {0}i = Mul({0}g, root2pi) {0}j = Tanh({0}i) {0}k = Add({0}j, one)
        {0}l = Mul({1}, {0}k) {0} = Mul({0}l, half)""",
    "Gelu": "{0} = Gelu({1})",
    "SiLU": "{0}s = Sigmoid({1}) {0} = Mul({1}, {0}s)",
    "Tanh": "{0} = Tanh({1})",
    "Sigmoid": "{0} = Sigmoid({1})",
}
CONSTANTS = {
    "root2": np.float32(np.sqrt(2)),
    "root2pi": np.float32(np.sqrt(2 / np.pi)),
    "cubic": np.float32(0.044715),
    "one": np.float32(1),
    "half": np.float32(0.5),
}
NET = """(float[N,2,5,5] x) => (float[N,3] y) {{ a = Conv<pads = [1,1,1,1]>(x, w1, b1) {}
    c = Conv(p, w2, b2) {} f = Flatten(q) y = Gemm(f, w3, b3) }}"""
SHAPES = {"w1": (4, 2, 3, 3), "b1": (4,), "w2": (5, 4, 3, 3), "b2": (5,), "w3": (45, 3), "b3": (3,)}


@cache
def net(name: str) -> onnx.ModelProto:
    weights = normal(np.random.default_rng(11), **SHAPES)
    for weight, fan_in in (("w1", 18), ("w2", 36), ("w3", 45)):
        weights[weight] *= np.float32(2 / np.sqrt(fan_in))
    activation = ACTIVATIONS[name]
    text = NET.format(activation.format("p", "a"), activation.format("q", "c"))
    read = {part for node in parse(text).graph.node for part in node.input}
    return parse(text, **weights, **{key: value for key, value in CONSTANTS.items() if key in read})


def images(rng, count=48):
    return rng.standard_normal((count, 2, 5, 5)).astype(np.float32)


def rewritten(model, x):
    graph = graph_of(model)
    context = Context(
        CompileOptions(approximate="relu-sum"), dataset=dataset_from_arrays(x, input_specs(model))
    )
    changed = ApproximateActivations().run(graph, context)
    return changed, write_model(graph), context


def relative(found, expected):
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected - expected.mean(axis=0)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_they_are_approximated_by_default_where_nothing_else_would_spike(name, rng):
    x = images(rng, 4)
    verdicts = onnx2snn.compile(net(name), x, code="burst", correct_bias=False).report.nodes
    assert {verdict.role for verdict in verdicts if verdict.op in ("Erf", "Gelu", "Sigmoid", "Tanh")} == {
        "spiking"
    }
    inspected = onnx2snn.inspect(net(name), code="burst").nodes
    assert [(v.node, v.role) for v in inspected] == [(v.node, v.role) for v in verdicts[: len(inspected)]]


def test_where_a_rectifier_spikes_they_are_not(rng):
    text = "(float[N,4] x) => (float[N,4] y) { a = MatMul(x, w)  r = Relu(a)  b = MatMul(r, w)  s = Tanh(b)"
    model = parse(f"{text}  c = MatMul(s, w)  q = Relu(c)  y = MatMul(q, w) }}", **normal(rng, w=(4, 4)))
    for found in (
        onnx2snn.inspect(model, code="burst").nodes,
        onnx2snn.compile(model, rng.standard_normal((4, 4)).astype(np.float32), code="burst").report.nodes,
    ):
        assert next(verdict.role for verdict in found if verdict.op == "Tanh") == "analog"


def test_what_jumps_is_left_to_graded_spikes(rng):
    text = "(float[N,4] x) => (float[N,4] y) { a = MatMul(x, w)  r = ThresholdedRelu(a)  y = MatMul(r, w) }"
    model, x = parse(text, **normal(rng, w=(4, 4))), rng.standard_normal((16, 4)).astype(np.float32)
    with pytest.raises(onnx2snn.ModelError, match="onnx2snn compile MODEL --calib DATA --code graded"):
        onnx2snn.compile(model, x, code="burst")
    assert (
        relative(
            onnx2snn.SpikingSession(onnx2snn.compile(model, x).model).run(x).outputs["y"],
            run(model, {"x": x})[0],
        )
        < 0.05
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_with_the_option_all_of_it_spikes(name, rng):
    x = images(rng)
    compiled = onnx2snn.compile(net(name), x, approximate="relu-sum", strict=True, timesteps=64, signed=True)
    roles = {node["node"]: node["role"] for node in compiled.report.to_dict()["nodes"]}
    activations = [node.name or node.output[0] for node in net(name).graph.node]
    inside = [node for node in activations if node[0] in "pq"]
    assert inside
    assert {roles[node] for node in inside} == {"spiking"}
    assert compiled.report.to_dict()["roles"]["analog"] == 0
    assert len(compiled.report.to_dict()["neurons"]) == 2
    (expected,), (found,) = run(net(name), {"x": x}), run(compiled.model, {"x": x})
    assert relative(found, expected) < 0.03


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_ann_with_sums_in_it_is_what_the_artifact_approaches(name, rng):
    """The error has two parts: the sums', which stays, and the spikes', which goes as T grows."""
    x = images(rng)
    changed, sums, _ = rewritten(net(name), x)
    assert changed
    onnx.checker.check_model(sums, full_check=True)
    (exact,), (expected,) = run(net(name), {"x": x}), run(sums, {"x": x})
    assert 0 < relative(expected, exact) < 0.015
    errors = [
        relative(
            run(
                onnx2snn.compile(
                    net(name), x, approximate="relu-sum", timesteps=timesteps, signed=True
                ).model,
                {"x": x},
            )[0],
            expected,
        )
        for timesteps in (8, 128)
    ]
    assert errors[1] < 0.01
    assert errors[1] < errors[0] / 4


def test_a_second_run_changes_nothing(rng):
    x = images(rng, 8)
    _, sums, _ = rewritten(net("SiLU"), x)
    changed, again, _ = rewritten(sums, x)
    assert not changed
    assert len(again.graph.node) == len(sums.graph.node)


def test_notes_name_every_node_of_the_activation(rng):
    _, _, context = rewritten(net("SiLU"), images(rng, 8))
    assert {note.node for note in context.notes} == {"p", "ps", "q", "qs"}
    assert {note.outcome for note in context.notes} == {"spiking"}
    assert all("ReLUs in its place" in note.reason for note in context.notes)


@pytest.mark.parametrize(
    "body",
    [
        "a = MatMul(x, w) y = Sigmoid(a)",
        "t = Tanh(x) y = MatMul(t, w)",
        "a = MatMul(x, w) s = Sqrt(a) y = MatMul(s, w)",
        "a = MatMul(x, w) b = MatMul(x, v) s = Sigmoid(b) c = Concat<axis = 1>(a, s)  y = Identity(c)",
    ],
)
def test_kept_behind_the_last_weights_on_an_input_and_what_is_not_smooth(body, rng):
    text = f"(float[N,4] x) => (float[N,M] y) {{ {body} }}"
    read = {part for node in parse(text).graph.node for part in node.input}
    weights = {name: np.abs(array) for name, array in normal(rng, w=(4, 4), v=(4, 4)).items() if name in read}
    model = parse(text, **weights)
    changed, _, _ = rewritten(model, np.abs(rng.standard_normal((8, 4))).astype(np.float32))
    assert not changed


@pytest.mark.parametrize("shape", ["N,4", "N,3,4", "N,2,3,4", "2,4"])
@pytest.mark.parametrize("kind", ["float", "double"])
def test_any_rank_and_type(shape, kind, rng):
    model = parse(
        f"""({kind}[{shape}] x) => ({kind}[] y) {{
            a = MatMul(x, w) s = Sigmoid(a) p = Mul(a, s) y = MatMul(p, w) }}""",
        w=rng.standard_normal((4, 4)).astype(np.float32 if kind == "float" else np.float64),
    )
    dims = [8 if dim == "N" else int(dim) for dim in shape.split(",")]
    x = rng.standard_normal(dims).astype(np.float32 if kind == "float" else np.float64)
    changed, sums, _ = rewritten(model, x)
    assert changed
    (expected,), (found,) = run(model, {"x": x}), run(sums, {"x": x})
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert relative(found, expected) < 0.01


def test_two_activations_of_one_tensor(rng):
    """Both depend on it alone, and share a Sigmoid."""
    model = parse(
        """(float[N,4] x) => (float[N,3] y) { a = MatMul(x, w) s = Sigmoid(a) p = Mul(a, s) q = Add(s, one)
            c = Concat<axis = 1>(p, q) y = MatMul(c, v) }""",
        one=np.float32(1),
        **normal(rng, w=(4, 4), v=(8, 3)),
    )
    x = rng.standard_normal((32, 4)).astype(np.float32)
    changed, sums, _ = rewritten(model, x)
    assert changed
    assert relative(run(sums, {"x": x})[0], run(model, {"x": x})[0]) < 0.01


def test_what_is_read_from_within_stays_right(rng):
    model = parse(
        """(float[N,4] x) => (float[N,3] y, float[N,4] s) { a = MatMul(x, w) s = Sigmoid(a) p = Mul(a, s)
            y = MatMul(p, v) }""",
        **normal(rng, w=(4, 4), v=(4, 3)),
    )
    x = rng.standard_normal((32, 4)).astype(np.float32)
    changed, sums, _ = rewritten(model, x)
    assert changed
    for found, expected in zip(run(sums, {"x": x}), run(model, {"x": x}), strict=True):
        assert relative(found, expected) < 0.01


def test_relus_spike_as_before_beside_smooth_activations(rng):
    model = parse(
        """(float[N,4] x) => (float[N,3] y) { a = MatMul(x, w) r = Relu(a) b = MatMul(r, w) t = Tanh(b)
            y = MatMul(t, v) }""",
        **normal(rng, w=(4, 4), v=(4, 3)),
    )
    x = rng.standard_normal((32, 4)).astype(np.float32)
    kept = onnx2snn.compile(model, x, timesteps=4, code="burst")
    assert list(kept.report.to_dict()["neurons"]) == ["r"]
    both = onnx2snn.compile(model, x, timesteps=4, approximate="relu-sum", strict=True)
    assert len(both.report.to_dict()["neurons"]) == 2
    assert "r" in both.report.to_dict()["neurons"]
