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
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.model.file import digest, flatten_model, normalize_model, write_atomically
from tests.helpers import normal, parse, run

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


def of_opset(version: int, text: str, domain: str = "", **weights: np.ndarray) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["{domain}" : {version}]> g {text}')
    model.graph.initializer.extend(numpy_weight(name, array) for name, array in weights.items())
    return model


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


def compiled_error(model: onnx.ModelProto, x: np.ndarray, timesteps: int) -> float:
    """How far what the artifact gives is from what the ANN gives, as a share of its spread."""
    artifact = onnx2snn.compile(model, x, timesteps=timesteps, signed=True).model
    (expected,) = stock(model, x)
    (found,) = stock(artifact, x)
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected - expected.mean(axis=0)))


def stock(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


#: opset, operator from r to m, shape of the input
NEWER = {
    "Swish": (24, "m = Swish<alpha = 1.0>(r)", "N,8"),
    "Swish without its attribute": (24, "m = Swish(r)", "N,8"),
    "RMSNormalization": (23, "m = RMSNormalization(r, scale)", "N,8"),
    "Attention": (23, "m = Attention(r, r, r)", "N,2,5,8"),
    "RMSNormalization at opset 24": (24, "m = RMSNormalization(r, scale)", "N,8"),
    "GlobalMaxPool": (22, "m = GlobalMaxPool(r)", "N,2,5,8"),
    "Gelu": (22, "m = Gelu(r)", "N,8"),
    "LayerNormalization": (23, "m = LayerNormalization(r, scale)", "N,8"),
}


@pytest.mark.parametrize("name", NEWER)
def test_newer_opsets(name, rng):
    version, body, shape = NEWER[name]
    text = f"(float[{shape}] x) => (float[] y) {{ r = Relu(x) {body} y = Relu(m) }}"
    weights = {"scale": rng.uniform(0.5, 2, 8).astype(np.float32)} if "scale" in body else {}
    model = of_opset(version, text, **weights)
    sizes = [24, *map(int, shape.split(",")[1:])]
    dims = ["N", *([2, 1, 1] if "Pool" in name else sizes[1:])]
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, dims))
    x = rng.standard_normal(sizes).astype(np.float32)
    assert compiled_error(model, x, 128) < 0.03
    names = {node.op for node in onnx2snn.inspect(model).nodes if node.role == "spiking"}
    assert "Relu" in names


def test_an_operator_too_new_is_refused_with_all_the_others():
    text = """(float[N,4] x) => (float[N,4] y) { r = Relu(x) [product] c = CumProd(r, axis)
        [noise] n = RandomNormalLike(c) y = Relu(n) }"""
    model = of_opset(26, text, axis=np.int64(1))
    with pytest.raises(onnx2snn.UnsupportedGraphError, match=r"'product' \(CumProd\): .*opset 21") as caught:
        onnx2snn.compile(model, np.ones((4, 4), np.float32))
    assert {refusal.node: refusal.op for refusal in caught.value.refusals} == {
        "product": "CumProd",
        "noise": "RandomNormalLike",
    }


def test_opset_six(rng):
    """ONNX's converter wants a fixed batch for the broadcasts that opset 7 changed, such as a Gemm's bias."""
    text = """(float[8,3,6,6] x) => (float[8,5] y) {
        c = Conv<pads = [1,1,1,1]>(x, w) n = BatchNormalization(c, s, b, b, s) r = Relu(n)
        p = MaxPool<kernel_shape = [2,2], strides = [2,2]>(r) f = Flatten(p) y = Gemm(f, g, h) }"""
    weights = normal(rng, w=(4, 3, 3, 3), b=(4,), g=(36, 5), h=(8, 5))
    weights["s"] = rng.uniform(0.5, 1.5, 4).astype(np.float32)
    model, newer = of_opset(6, text, **weights), of_opset(9, text, **weights)
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in weights.items()
    )
    model.ir_version = 3
    x = rng.standard_normal((32, 3, 6, 6)).astype(np.float32)
    (found,) = stock(onnx2snn.compile(model, x, timesteps=128, signed=True).model, x[:8])
    (expected,) = run(newer, {"x": x[:8]})
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)


@pytest.mark.parametrize("node_domain", ["", "ai.onnx"])
def test_the_domain_of_onnx_may_be_spelled_out(node_domain, rng):
    text = "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"
    weights = normal(rng, w1=(4, 6), w2=(6, 3))
    model = of_opset(18, text, "ai.onnx", **weights)
    for node in model.graph.node:
        node.domain = node_domain
    x = rng.standard_normal((32, 4)).astype(np.float32)
    (found,) = stock(onnx2snn.compile(model, x).model, x)
    (expected,) = stock(onnx2snn.compile(of_opset(18, text, **weights), x).model, x)
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


OLD_OPERATORS = {
    "Upsample, linear": (9, "float[N,2,4,4]", 'Upsample<mode="linear">(r, s)', [1, 1, 2, 2]),
    "Upsample, nearest": (9, "float[N,2,4,4]", 'Upsample<mode="nearest">(r, s)', [1, 1, 1.25, 2.5]),
    "Resize, linear": (10, "float[N,2,4,4]", 'Resize<mode="linear">(r, s)', [1, 1, 2, 2]),
    "Resize, nearest, smaller": (10, "float[N,2,9,9]", 'Resize<mode="nearest">(r, s)', [1, 1, 0.4, 0.7]),
    "Resize, nearest, larger": (10, "float[N,2,5,5]", 'Resize<mode="nearest">(r, s)', [1, 1, 1, 2.6]),
    "Hardmax over two axes": (12, "float[N,3,4]", "Hardmax<axis=1>(r)", None),
    "Hardmax over the last axis": (12, "float[N,3,4]", "Hardmax<axis=2>(r)", None),
}


@pytest.mark.parametrize("case", OLD_OPERATORS)
def test_what_operators_meant_in_their_opset(case, rng):
    """ONNX's version converter forgets it."""
    opset, kind, node, scales = OLD_OPERATORS[case]
    weights = {} if scales is None else {"s": np.float32(scales)}
    model = parse(f"({kind} x) => ({kind} y) {{ r = Neg(x) y = {node} }}", **weights)
    model.opset_import[0].version, model.ir_version = opset, 4
    model.graph.output[0].type.tensor_type.ClearField("shape")
    for item in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(item.name, item.data_type, item.dims))
    dims = [dim.dim_value or 3 for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = rng.normal(size=dims).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    (found,) = run(normalize_model(flatten_model(model)), {"x": x})
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_resize_that_means_two_things_is_refused():
    text = '(float[N,2,5,5] x) => (float[N,2,2,13] y) { y = Resize<mode="nearest">(x, s) }'
    model = parse(text, s=np.float32([1, 1, 0.4, 2.6]))
    model.opset_import[0].version = 10
    with pytest.raises(onnx2snn.ModelError, match="shrinks one axis and stretches another"):
        normalize_model(flatten_model(model))


def test_shapes_behind_an_operator_with_a_body_are_inferred(rng):
    weights = normal(rng, w=(4, 4, 1, 1), s=(4,), b=(4,))
    text = """(float[N,4,5,5] x) => (float[N,4,5,5] y) {
        a = Conv(x, w) n = GroupNormalization<num_groups=2>(a, s, b) y = Conv(n, w) }"""
    values = {"x": rng.normal(size=(2, 4, 5, 5)).astype(np.float32)}
    model = parse(text, **weights)
    np.testing.assert_allclose(run(normalize_model(model), values)[0], run(model, values)[0], atol=1e-5)


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
