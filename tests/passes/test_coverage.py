"""The report: each of the user's nodes is accounted for, and whatever is refused is refused at once."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

import onnx2snn
from benchmarks.topologies import example_feeds, load_fixture
from onnx2snn.passes.coverage import ROLES
from tests.helpers import parse

BODY = """[first] a = MatMul(x, w) [scale] n = Mul(a, one) [relu] r = Relu(n) [drop] i = Identity(r)
    [shape] s = Shape(i) [again] v = Reshape(i, s) [pool] m = MaxPool<kernel_shape = [1]>(v)
    [sig] g = Sigmoid(m) [half] h = Mul(g, one) [tanh] t = Tanh(h) [last] b = MatMul(t, w)
    [neuron] q = Relu(b) [mean] e = MatMul(q, w) [soft] y = Softmax<axis = 2>(e)"""


def model_of(body, inputs="float[N,2,4] x", outputs="float[A,B,C] y"):
    text = f"({inputs}) => ({outputs}) {{ {body} }}"
    arrays = {"w": np.eye(4, dtype=np.float32), "one": np.float32(1), "two": np.float32(2)}
    read = {name for node in parse(text).graph.node for name in node.input}
    return parse(text, **{name: array for name, array in arrays.items() if name in read})


def verdicts(model, **options):
    found = onnx2snn.inspect(model, **{"code": "burst", **options})
    return {verdict.node: verdict for verdict in found.nodes}


def test_roles_and_islands():
    found = verdicts(model_of(BODY))
    assert {name: verdict.role for name, verdict in found.items()} == {
        **dict.fromkeys(("first", "scale", "again", "last", "mean"), "linear"),
        **dict.fromkeys(("drop", "shape"), "folded"),
        **dict.fromkeys(("relu", "pool", "neuron"), "spiking"),
        **dict.fromkeys(("sig", "half", "tanh", "soft"), "analog"),
    }
    assert {name: verdict.island for name, verdict in found.items() if verdict.island} == dict.fromkeys(
        ("sig", "half", "tanh"), "sig"
    )
    assert all(verdict.reason for verdict in found.values())
    assert not any(verdict.remedy for verdict in found.values())


def test_graded_spikes_send_any_activation():
    """Judged by what compile would make of it by default, neurons without an activation too."""
    found = verdicts(model_of(BODY.replace("n = Mul(a, one)", "n = MatMul(a, w)")), code="graded")
    assert {name: verdict.role for name, verdict in found.items()} == {
        **dict.fromkeys(("first", "scale", "again", "last", "mean"), "linear"),
        **dict.fromkeys(("drop", "shape"), "folded"),
        **dict.fromkeys(("relu", "pool", "neuron", "sig", "half", "tanh", "a/neuron"), "spiking"),
        "soft": "analog",
    }
    assert not any(verdict.island for verdict in found.values())
    assert found["tanh"].reason == "the target of GradedIF"
    assert (found["a/neuron"].op, found["a/neuron"].reason) == ("GradedIF", "graded neuron, its own target")
    assert onnx2snn.inspect(model_of(BODY)) == onnx2snn.inspect(model_of(BODY), code="graded")


def test_islands_apart_have_names_of_their_own():
    found = verdicts(
        model_of("""r = Relu(x) [sig] a = Sigmoid(r) b = MatMul(a, w) [tanh] c = Tanh(b) d = MatMul(c, w)
            y = Relu(d)""")
    )
    assert (found["sig"].island, found["tanh"].island) == ("sig", "tanh")


@pytest.mark.parametrize("code", ["burst", "graded"])
@pytest.mark.parametrize(
    "name", ["prelu.script", "vit_gelu.dynamo", "pointnet.script", "tf_cnn", "yolo.dynamo"]
)
def test_every_node_of_a_real_net_in_its_order(name, code):
    model = load_fixture(name)
    inspection = onnx2snn.inspect(model, code=code)
    assert [verdict.op for verdict in inspection.nodes][: len(model.graph.node)] == [
        node.op_type for node in model.graph.node
    ]
    given = [node.name for node in model.graph.node]
    for verdict, own in zip(inspection.nodes, given, strict=False):
        assert verdict.node == own or not own or given.count(own) > 1
    assert {verdict.role for verdict in inspection.nodes} <= set(ROLES)
    for verdict in inspection.nodes:
        assert verdict.reason
        assert bool(verdict.remedy) == (verdict.role == "refused")
        assert not verdict.island or verdict.role == "analog"


@pytest.mark.parametrize("name", ["prelu.script", "vit_gelu.dynamo", "mobilenet_v3.dynamo"])
def test_a_compilation_by_default_makes_what_was_inspected(name):
    model = load_fixture(name)
    compiled = onnx2snn.compile(model, example_feeds(model, 4), timesteps=2, correct_bias=False)
    inspected = onnx2snn.inspect(model)
    assert compiled.report.nodes == inspected.nodes
    assert compiled.report.macs == inspected.macs


@pytest.mark.parametrize("name", ["prelu.script", "tf_cnn"])
def test_the_report_of_a_compilation_names_the_same_nodes(name):
    model = load_fixture(name)
    compiled = onnx2snn.compile(model, example_feeds(model, 4), timesteps=2, correct_bias=False, code="burst")
    inspected = onnx2snn.inspect(model, code="burst").to_dict()
    assert [node["node"] for node in compiled.report.to_dict()["nodes"]] == [
        node["node"] for node in inspected["nodes"]
    ]
    assert compiled.report.to_dict()["roles"] == inspected["roles"]
    spiking = {node["node"] for node in compiled.report.to_dict()["nodes"] if node["role"] == "spiking"}
    assert set(compiled.report.to_dict()["neurons"]) <= spiking


def test_reports_are_json():
    model = model_of(BODY)
    for report in (
        onnx2snn.inspect(model).to_dict(),
        onnx2snn.compile(model, np.ones((4, 2, 4), np.float32), timesteps=2).report.to_dict(),
    ):
        assert json.loads(json.dumps(report, allow_nan=False)) == report
        assert sum(report["roles"].values()) == len(report["nodes"])


EVERYTHING = """<ir_version: 10, opset_import: ["" : 21, "com.unknown" : 1]>
    g (float[4,2,4] x, bool c, string[4] words)
    => (float[4,2,4] y, float[1,2,4] z, int64[M] long, string[4] joined) {
        a = MatMul(x, w) r = Relu(a)
        [branch] b = If(c) <then_branch = one () => (float[4,2,4] p) { p = Identity(r) },
                            else_branch = two () => (float[4,2,4] q) { q = Neg(r) }>
        [recurrent] l, last = LSTM<hidden_size = 4>(b, u, u)
        [foreign] f = com.unknown.Attention(b)
        [noise] n = RandomNormalLike(r)
        [strings] joined = StringConcat(words, words)
        [found] indices = NonZero(r)
        [rows] o = ReduceMax<keepdims = 0>(indices)
        [range] long = Range(zero, o, step)
        s = Add(f, n) y = Relu(s) z = Identity(last) }"""


def everything():
    model = onnx.parser.parse_model(EVERYTHING)
    weights = {
        "w": np.eye(4, dtype=np.float32),
        "u": np.zeros((1, 16, 4), np.float32),
        "zero": np.int64(0),
        "step": np.int64(1),
    }
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in weights.items()
    )
    return model


def test_all_refusals_come_at_once():
    model = everything()
    names = {"branch": "If", "foreign": "com.unknown.Attention"}
    names |= {"noise": "RandomNormalLike", "strings": "StringConcat"}
    inspected = {verdict.node: verdict for verdict in onnx2snn.inspect(model).nodes}
    refused = {name: verdict.op for name, verdict in inspected.items() if verdict.role == "refused"}
    assert names.items() <= refused.items()
    with pytest.raises(onnx2snn.UnsupportedGraphError) as caught:
        onnx2snn.compile(model, np.zeros(1))
    assert {refusal.node: refusal.op for refusal in caught.value.refusals} == refused
    assert [refusal.node for refusal in caught.value.refusals] == [
        verdict.node for verdict in inspected.values() if verdict.role == "refused"
    ]
    for refusal in caught.value.refusals:
        assert f"'{refusal.node}' ({refusal.op}): {refusal.reason}; {refusal.remedy}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_strict_refuses_the_same_before_and_while_compiling_for_graded_spikes():
    model = model_of("[early] p = Sigmoid(x) " + BODY.replace("MatMul(x, w)", "MatMul(p, w)"))
    strict = verdicts(model, strict=True, code="graded")
    assert {name for name, verdict in strict.items() if verdict.role == "refused"} == {"soft"}
    with pytest.raises(onnx2snn.UnsupportedGraphError) as caught:
        onnx2snn.compile(model, np.ones((2, 2, 4), np.float32), strict=True)
    assert [(refusal.node, refusal.reason) for refusal in caught.value.refusals] == [
        ("soft", strict["soft"].reason)
    ]


def test_strict_refuses_islands_and_what_stands_before_and_after():
    model = model_of("[early] p = Sigmoid(x) " + BODY.replace("MatMul(x, w)", "MatMul(p, w)"))
    loose, strict = verdicts(model), verdicts(model, strict=True)
    analog = {name for name, verdict in loose.items() if verdict.role == "analog"}
    assert analog == {"early", "sig", "half", "tanh", "soft"}
    assert {name for name, verdict in strict.items() if verdict.role == "refused"} == analog
    for name in analog:
        assert strict[name].island == loose[name].island
        assert "--strict" in strict[name].reason
        assert "without --strict" in strict[name].remedy
    with pytest.raises(onnx2snn.UnsupportedGraphError) as caught:
        onnx2snn.compile(model, np.ones((2, 2, 4), np.float32), strict=True, code="burst")
    assert {refusal.node for refusal in caught.value.refusals} == analog


@pytest.mark.parametrize(
    ("inputs", "body", "outputs"),
    [
        ("float[N,4] x", "[no] i = NonZero(r) f = Cast<to = 1>(i) y = Relu(f)", "float[2,M] y"),
        ("float[2] x", "i = Cast<to = 7>(r) [no] v = Expand(r, i) y = Relu(v)", "float[A,B] y"),
    ],
)
def test_what_values_shape_is_kept_behind_the_last_neuron(inputs, body, outputs):
    found = verdicts(model_of(f"r = Relu(x) {body}", inputs, outputs))
    assert (found["no"].role, found["no"].reason) == (
        "analog",
        "after the last neuron: applied once, to the mean",
    )
    assert found["y"].role == "analog"
    assert found["y"].reason.startswith("behind operators whose shape depends on activations; after the last")


def test_whole_numbers_that_leave_an_island_are_refused():
    body = "r = Relu(x) [no] i = Cast<to = 7>(r) m = Mul(i, i) f = Cast<to = 1>(m) y = Relu(f) z = Sub(i, m)"
    found = verdicts(model_of(body, "float[N,4] x", "float[N,4] y, int64[N,4] z"))
    assert found["no"].role == "refused"
    assert found["no"].reason.startswith("its result is not of a float type")
    assert found["no"].remedy


def test_a_product_before_the_first_neuron_is_analog(rng):
    text = """(float[N,8] x) => (float[N,8] y) {
        a = MatMul(x, w) s = Neg(x) g = Mul(a, s) r = Relu(g) y = Neg(r) }"""
    model = parse(text, w=rng.normal(size=(8, 8)).astype(np.float32))
    roles = {verdict.op: verdict.role for verdict in onnx2snn.inspect(model, code="burst").nodes}
    assert roles == {"MatMul": "linear", "Neg": "linear", "Mul": "analog", "Relu": "spiking"}


def test_strings_are_refused_by_name():
    model = parse(
        "(float[N,8] x) => (string[N,8] z, float[N,8] y) { r = Relu(x) z = Cast<to=8>(r) y = Neg(r) }"
    )
    (verdict,) = (v for v in onnx2snn.inspect(model).nodes if v.role == "refused")
    assert (verdict.op, verdict.reason) == ("Cast", "it works on strings")
