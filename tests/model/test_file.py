"""ONNX files as they come: weights of gigabytes beside them, old and new opsets, the domain spelled out."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.model.file import digest, flatten_model, load_model, normalize_model, write_atomically
from onnx2snn.model.nodes import nested, tensors
from tests.helpers import normal, of_opset, parse, run

#: Weights of 2.3 GB, and of enough for memory to show what is held twice.
MANY, ENOUGH = (24_000, 24_000), (60_000, 1_000)

#: Bytes that a process had in memory at most while it called one function, and before that.
MEASURE = """
import json, sys
import onnx2snn
from onnx2snn.memory import peak_memory
from onnx2snn.model import weights
before = peak_memory()
if sys.argv[2] == "inspect":
    found = onnx2snn.inspect(sys.argv[1]).to_dict()
else:
    weights.MOST_BYTES = 1 << 26
    found = onnx2snn.compile(sys.argv[1], sys.argv[3]).report.to_dict()["neurons"]
print(json.dumps({"grown": peak_memory() - before, "found": found}))
"""


def large(folder: Path, shape: tuple[int, int]) -> Path:
    """Gemm → Relu → MatMul, the first with weights in a file of their own: zeros, which take no disk."""
    float_, size = TensorProto.FLOAT, 4 * shape[0] * shape[1]
    inputs = [helper.make_tensor_value_info("x", float_, ["N", shape[0]])]
    weights = [
        TensorProto(name="w1", data_type=float_, dims=shape, data_location=TensorProto.EXTERNAL),
        numpy_weight("b1", np.ones(shape[1], np.float32)),
        numpy_weight("w2", np.ones((shape[1], 4), np.float32)),
    ]
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(size))):
        weights[0].external_data.append(onnx.StringStringEntryProto(key=key, value=value))
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "w2"], ["y"], name="second"),
    ]
    outputs = [helper.make_tensor_value_info("y", float_, ["N", 4])]
    graph = helper.make_graph(nodes, "large", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    (folder / "weights.bin").touch()
    os.truncate(folder / "weights.bin", size)
    np.save(folder / "data.npy", np.ones((4, shape[0]), np.float32))
    return folder


def numpy_weight(name: str, array: np.ndarray) -> TensorProto:
    return onnx.numpy_helper.from_array(array, name)


def measure(folder: Path, what: str) -> dict[str, object]:
    command = [sys.executable, "-c", MEASURE, str(folder / "net.onnx"), what, str(folder / "data.npy")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


def test_inspect_does_not_read_gigabytes(tmp_path):
    result = measure(large(tmp_path, MANY), "inspect")
    assert {node["node"]: node["role"] for node in result["found"]["nodes"]} == {
        "first": "linear",
        "relu": "spiking",
        "second": "linear",
    }
    assert result["found"]["macs"]["per_sample"] == MANY[0] * MANY[1] + 4 * MANY[1]
    assert result["grown"] < 500_000_000


def test_compile_holds_large_weights_once(tmp_path):
    result = measure(large(tmp_path, ENOUGH), "compile")
    assert result["found"]
    assert result["grown"] < 1.6 * 4 * ENOUGH[0] * ENOUGH[1]


def external(folder: Path, rng: np.random.Generator) -> Path:
    """A small net whose weights, of more than inspection reads, are in a file of their own."""
    text = "(float[N,4] x) => (float[N,4] y) { a = MatMul(x, w1) r = Relu(a) y = MatMul(r, w2) }"
    model = of_opset(21, text, **normal(rng, w1=(4, 8192), w2=(8192, 4)))
    path = folder / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    return path


def test_missing_weights_are_named_unless_nobody_needs_them(tmp_path, rng):
    path = external(tmp_path, rng)
    before = onnx2snn.inspect(path).to_dict()
    (tmp_path / "net.data").unlink()
    assert onnx2snn.inspect(path).to_dict() == before
    with pytest.raises(onnx2snn.ModelError, match=r"net\.data.*beside the model") as caught:
        onnx2snn.compile(path, rng.standard_normal((4, 4)).astype(np.float32))
    assert len(str(caught.value).splitlines()) == 1


def test_inspection_without_weights_says_what_it_says_with_them(tmp_path, rng):
    path = external(tmp_path, rng)
    assert onnx2snn.inspect(path).to_dict() == onnx2snn.inspect(onnx.load(path)).to_dict()


def test_small_external_weights_are_read_by_inspection(tmp_path, rng):
    """Shapes and bounds come from them: a Clip's bounds decide whether it becomes a neuron."""
    text = "(float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) y = Clip(a, low, high) }"
    model = of_opset(21, text, **normal(rng, w=(4, 4)), low=np.float32(0), high=np.float32(6))
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="data", size_threshold=0)
    roles = {node.op: node.role for node in onnx2snn.inspect(tmp_path / "net.onnx").nodes}
    assert roles == {"MatMul": "linear", "Clip": "spiking"}


CONSTANTS = """(float[N,2] x, bool c) => (float[N,2] y) {
    a = Constant <value = float[2] {9, 9}> () b = o.F (x) d = Add (a, b)
    y = If (c) <then_branch = g1 () => (float[N,2] t) {
                    v = Constant <value = float[2] {9, 9}> () t = Add (d, v) },
                else_branch = g2 () => (float[N,2] e) { e = Neg (d) }> }"""
FUNCTION = """<domain: "o", opset_import: ["" : 21]> F (x) => (y) {
    w = Constant <value = float[2] {9, 9}> () y = Add (x, w) }"""


def test_constants_outside_are_those_of_the_models_folder(tmp_path, monkeypatch):
    """Not those of the folder that somebody works in: of the graph, of a branch and of a function."""
    model = of_opset(21, CONSTANTS)
    model.opset_import.append(helper.make_opsetid("o", 1))
    model.functions.append(onnx.parser.parse_function(FUNCTION))
    held = list(constants(model))
    for number, tensor in enumerate(held):
        tensor.ClearField("float_data")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "c.bin"), ("offset", str(8 * number)), ("length", "8")):
            tensor.external_data.add(key=key, value=value)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "net.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "there" / "c.bin").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    (tmp_path / "c.bin").write_bytes(np.full(6, 666, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    found = [onnx.numpy_helper.to_array(it).tolist() for it in constants(load_model("there/net.onnx"))]
    assert found == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(onnx2snn.ModelError, match="values in the model, found a reference to a file"):
        onnx2snn.inspect(model)
    (tmp_path / "there" / "c.bin").unlink()
    (tmp_path / "there" / "c.bin").symlink_to(tmp_path / "c.bin")
    with pytest.raises(onnx2snn.ModelError, match="its external data cannot be read"):
        load_model("there/net.onnx")


def constants(model):
    nodes = [*nested(model.graph.node), *model.functions[0].node]
    return (tensor for node in nodes for tensor in tensors(node))


def test_weights_outside_of_the_folder_are_not_read(tmp_path, rng):
    (tmp_path / "inside").mkdir()
    path = external(tmp_path, rng)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        (entry,) = [entry for entry in tensor.external_data if entry.key == "location"]
        entry.value = "../net.data"
    (tmp_path / "inside" / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(onnx2snn.ModelError) as caught:
        onnx2snn.compile(tmp_path / "inside" / "net.onnx", rng.standard_normal((4, 4)).astype(np.float32))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("node_domain", ["", "ai.onnx"])
def test_the_domain_of_onnx_may_be_spelled_out(node_domain, rng):
    text = "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"
    weights = normal(rng, w1=(4, 6), w2=(6, 3))
    model = of_opset(18, text, "ai.onnx", **weights)
    for node in model.graph.node:
        node.domain = node_domain
    x = rng.standard_normal((32, 4)).astype(np.float32)
    (found,) = run(onnx2snn.compile(model, x).model, {"x": x})
    (expected,) = run(onnx2snn.compile(of_opset(18, text, **weights), x).model, {"x": x})
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("version", [1, 5])
def test_an_opset_too_old_is_named(version, rng):
    text = "(float[N,4] x) => (float[N,4] y) { y = Relu(x) }"
    model = of_opset(7, text)
    model.opset_import[0].version = version
    with pytest.raises(onnx2snn.ModelError):
        onnx2snn.compile(model, rng.standard_normal((4, 4)).astype(np.float32))


def test_flattening_leaves_the_users_model_alone():
    model = of_opset(24, "(float[N,4] x) => (float[N,4] y) { r = Relu(x) m = Swish(r) y = Relu(m) }")
    before = digest(model)
    flat = flatten_model(model)
    assert digest(model) == before
    assert {"Swish"}.isdisjoint(node.op_type for node in flat.graph.node)
    assert len({node.name for node in flat.graph.node}) == len(flat.graph.node)


def test_shapes_behind_an_operator_with_a_body_are_inferred(rng):
    weights = normal(rng, w=(4, 4, 1, 1), s=(4,), b=(4,))
    text = """(float[N,4,5,5] x) => (float[N,4,5,5] y) {
        a = Conv(x, w) n = GroupNormalization<num_groups=2>(a, s, b) y = Conv(n, w) }"""
    values = {"x": rng.normal(size=(2, 4, 5, 5)).astype(np.float32)}
    model = parse(text, **weights)
    np.testing.assert_allclose(run(normalize_model(model), values)[0], run(model, values)[0], atol=1e-5)


STALE = (
    """(float[N,4] x) => (float[N,3] y) <float[N,9] h> { h = MatMul(x, w1) r = Relu(h) y = MatMul(r, w2) }"""
)


@pytest.mark.parametrize("opset", [13, 21])
@pytest.mark.parametrize("where", ["inside", "output"])
def test_stored_shapes_that_nodes_do_not_make_are_forgotten(where, opset, rng):
    """onnxruntime warns of them and goes on."""
    text = STALE if where == "inside" else STALE.replace("<float[N,9] h>", "").replace("[N,3]", "[N,2,3]")
    model = of_opset(opset, text, **normal(rng, w1=(4, 6), w2=(6, 3)))
    found = normalize_model(flatten_model(model)).graph
    shapes = {item.name: item.type.tensor_type.shape.dim for item in (*found.value_info, *found.output)}
    assert [shapes[name][-1].dim_value for name in "hry"] == [6, 6, 3]
    assert len(shapes["y"]) == 2


@pytest.mark.parametrize("opset", [13, 21])
def test_shapes_that_contradict_each_other(opset, rng):
    model = of_opset(opset, STALE, **normal(rng, w1=(5, 6), w2=(6, 3)))
    message = "contradict each other|cannot bring opset 13 to 21"
    with pytest.raises(onnx2snn.ModelError, match=message) as caught:
        normalize_model(flatten_model(model))
    assert "\n" not in str(caught.value)


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert {path.name for path in target.parent.iterdir()} == {"real"}


def test_new_files_get_the_users_mode_without_a_change_of_the_umask(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _: pytest.fail("the umask is the whole process's"))
            write_atomically(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
