"""Models as exporters really write them: functions, unnamed nodes, constants of every form, dynamic axes."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import onnx2snn
from onnx2snn.analysis.evaluation import evaluate
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.model.file import digest, flatten_model
from tests.helpers import normal, parse


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def error(model: onnx.ModelProto, x: np.ndarray, timesteps: int) -> float:
    compiled = onnx2snn.compile(model, x, timesteps=timesteps, signed=True)
    expected = run(model, x=x)
    return float(np.linalg.norm(run(compiled.model, x=x) - expected) / np.linalg.norm(expected))


def assert_converges(model: onnx.ModelProto, x: np.ndarray) -> None:
    short, long = error(model, x, 4), error(model, x, 128)
    assert long < 0.02
    assert long < short / 4


def test_nodes_inside_a_function_are_judged(rng):
    text = """<ir_version: 10, opset_import: ["" : 21, "own" : 1]>
        g (float[N,4] x) => (float[N,4] y) { a = own.block(x) b = Relu(a) y = Gemm(b, w) }
        <domain: "own", opset_import: ["" : 21]> block (x) => (y) { r = Relu(x) y = Sigmoid(r) }"""
    model = onnx.parser.parse_model(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(rng.normal(size=(4, 4)).astype("f"), "w"))
    with pytest.raises(onnx2snn.UnsupportedGraphError, match=r"\(Sigmoid\).*--strict"):
        onnx2snn.compile(model, rng.standard_normal((8, 4)).astype(np.float32), strict=True, code="burst")
    assert sorted(verdict.op for verdict in onnx2snn.inspect(model).nodes) == [
        "Gemm",
        "Relu",
        "Relu",
        "Sigmoid",
    ]


def test_an_operator_of_another_domain_is_refused_by_name(rng):
    model = parse("(float[N,4] x) => (float[N,4] y) { r = Relu(x) y = com.microsoft.MurmurHash3(r) }")
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(onnx2snn.UnsupportedGraphError, match=r"'y' \(com.microsoft.MurmurHash3\)"):
        onnx2snn.compile(model, rng.standard_normal((8, 4)).astype(np.float32))


def test_every_node_gets_a_name_of_its_own():
    model = parse("(float[N,4] x) => (float[N,4] y) { a = Relu(x) b = Neg(a) y = Relu(b) }")
    for node, name in zip(model.graph.node, ("", "a", "a"), strict=True):
        node.name = name
    names = [node.name for node in flatten_model(model).graph.node]
    assert names[1] == "a"
    assert len(set(names)) == 3
    assert [node.name for node in model.graph.node] == ["", "a", "a"]


@pytest.mark.parametrize("constant", ["value_float = 1.5", "value_floats = [1.5, 1.5, 1.5, 1.5]"])
def test_constants_given_as_plain_numbers_are_float32(rng, constant):
    text = f"(float[N,4] x) => (float[N,4] y) {{ r = Relu(x) c = Constant<{constant}>() y = Mul(r, c) }}"
    assert_converges(parse(text), rng.standard_normal((32, 4)).astype(np.float32))


def test_unread_indices_of_a_pool_do_not_matter(rng):
    model = parse("""(float[N,2,6,6] x) => (float[N,2,3,3] y) {
        r = Relu(x) p, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) y = Neg(p) }""")
    assert_converges(model, rng.standard_normal((16, 2, 6, 6)).astype(np.float32))


def test_global_max_pooling_spikes(rng):
    model = parse(
        """(float[N,2,6,5] x) => (float[N,3] y) {
            c = Conv(x, w) r = Relu(c) p = GlobalMaxPool(r) f = Flatten(p) y = Gemm(f, v) }""",
        **normal(rng, w=(4, 2, 3, 3), v=(4, 3)),
    )
    assert_converges(model, rng.standard_normal((32, 2, 6, 5)).astype(np.float32))


def test_global_max_pooling_of_unknown_size_spikes(rng):
    model = parse("(float[N,2,H,W] x) => (float[N,2,1,1] y) { r = Relu(x) p = GlobalMaxPool(r) y = Relu(p) }")
    assert_converges(model, rng.standard_normal((32, 2, 5, 5)).astype(np.float32))


def test_no_threshold_is_tied_to_a_dynamic_axis(rng):
    model = parse(
        "(float[N,L,6] x) => (float[N,L,3] y) { r = Relu(x) y = MatMul(r, w) }", **normal(rng, w=(6, 3))
    )
    compiled = onnx2snn.compile(model, rng.standard_normal((16, 7, 6)).astype(np.float32), timesteps=64)
    longer = rng.uniform(-1, 1, (3, 9, 6)).astype(np.float32)
    np.testing.assert_allclose(run(compiled.model, x=longer), run(model, x=longer), rtol=0, atol=0.2)


def test_clipping_a_shape_is_no_neuron(rng):
    model = parse(
        """(float[N,4] x) => (float[N,2] y) {
            r = Relu(x) s = Shape(r) t = Clip(s, low, high) q = Reshape(r, t) y = Gemm(q, w) }""",
        low=np.asarray(0, np.int64),
        high=np.asarray(1000, np.int64),
        **normal(rng, w=(4, 2)),
    )
    assert_converges(model, rng.standard_normal((32, 4)).astype(np.float32))


def test_infinity_is_a_bound_but_no_weight(rng):
    x = rng.standard_normal((8, 4)).astype(np.float32)
    text = "(float[N,4] x) => (float[N,4] y) { r = Clip(x, low, high) y = Mul(r, b) }"
    zero, infinity = np.zeros((), np.float32), np.asarray(np.inf, np.float32)
    onnx2snn.compile(parse(text, low=zero, high=infinity, b=np.ones(4, np.float32)), x)
    with pytest.raises(onnx2snn.ModelError, match=r"constant 'b'.*finite weights"):
        onnx2snn.compile(parse(text, low=zero, high=infinity, b=np.full(4, infinity)), x)


def test_a_variance_below_zero_is_found_at_its_node(rng):
    model = parse(
        """(float[N,2,4,4] x) => (float[N,2,2,2] y) {
            c = Conv(x, w) n = BatchNormalization(c, one, one, one, minus) y = Relu(n) }""",
        one=np.ones(2, np.float32),
        minus=-np.ones(2, np.float32),
        **normal(rng, w=(2, 2, 3, 3)),
    )
    with pytest.raises(onnx2snn.ModelError, match=r"node 'n' \(BatchNormalization\).*variances"):
        onnx2snn.compile(model, rng.standard_normal((4, 2, 4, 4)).astype(np.float32))


@pytest.mark.parametrize("model", [b"bytes", None, 3])
def test_only_paths_and_models_are_models(model):
    with pytest.raises(onnx2snn.ModelError, match="expected a path"):
        onnx2snn.compile(model, np.zeros((1, 1), np.float32))


@pytest.mark.parametrize("package", ["passes", "emit"])
def test_neither_passes_nor_emission_import_the_runtime(package):
    for file in (Path(onnx2snn.__file__).parent / package).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("onnx2snn.runtime"), file


def test_a_layer_that_reads_no_spikes_is_named_in_the_figures(rng):
    """A linear bottleneck: the second convolution adds up what the first gives, which is no spikes."""
    model = parse(
        """(float[N,2,6,6] x) => (float[N,3] y) {
            r = Relu(x) a = Conv(r, w) b = Conv(a, w) q = Relu(b) p = GlobalAveragePool(q)
            f = Flatten(p) y = Gemm(f, v) }""",
        **normal(rng, w=(2, 2, 3, 3), v=(2, 3)),
    )
    x = rng.standard_normal((8, 2, 6, 6)).astype(np.float32)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, code="burst").model)
    figures = evaluate(session, dataset_from_arrays(x, session.inputs), [8]).to_dict()
    assert figures["uncounted"] == ["b"]


def exported(rng: np.random.Generator, opset: int) -> onnx.ModelProto:
    """Conv, BatchNormalization, Relu, MaxPool, Dropout, Flatten, Gemm: as old as opset 7."""
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]> g (float[N,3,6,6] x) => (float[N,5] y) {{
        c = Conv<pads=[1,1,1,1]>(x, w) n = BatchNormalization(c, s, b, b, s) r = Relu(n)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) d = Dropout(p)
        f = Flatten(d) y = Gemm(f, g, h) }}"""
    model = onnx.parser.parse_model(text)
    weights = normal(rng, w=(4, 3, 3, 3), b=(4,), g=(36, 5), h=(5,))
    weights["s"] = rng.uniform(0.5, 1.5, 4).astype(np.float32)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in weights.items()
    )
    return model


@pytest.mark.parametrize("opset", [7, 8, 9, 11, 13, 15, 18, 20, 21, 22])
def test_every_opset_from_seven_up(rng, opset):
    model, x = exported(rng, opset), rng.standard_normal((32, 3, 6, 6)).astype(np.float32)
    compiled = onnx2snn.compile(model, x, timesteps=128, signed=True)
    assert compiled.report.to_dict()["roles"] == {
        "spiking": 2,
        "linear": 3,
        "analog": 0,
        "folded": 2,
        "refused": 0,
    }
    expected = run(model, x=x)
    assert np.linalg.norm(run(compiled.model, x=x) - expected) < 0.02 * np.linalg.norm(expected)


def test_external_data_is_read(rng, tmp_path):
    model, x = exported(rng, 17), rng.standard_normal((8, 3, 6, 6)).astype(np.float32)
    inside = onnx2snn.compile(model, x).model
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    outside = onnx2snn.compile(tmp_path / "m.onnx", x).model
    np.testing.assert_array_equal(run(outside, x=x), run(inside, x=x))


@pytest.mark.parametrize("kind", ["float16", "float", "double"])
def test_metadata_names_the_source_and_the_thresholds(rng, kind):
    model = parse(f"({kind}[N,4] x) => ({kind}[N,4] y) {{ r = Relu(x) y = Neg(r) }}")
    assert not any(node.name for node in model.graph.node)  # naming them must not change the hash
    dtype = {"float16": np.float16, "float": np.float32, "double": np.float64}[kind]
    compiled = onnx2snn.compile(model, rng.standard_normal((8, 4)).astype(dtype))
    artifact = onnx2snn.SpikingSession(compiled.model).artifact
    assert artifact.record.source_sha256 == digest(model)
    held = {item.name for item in artifact.step.graph.initializer}
    assert {neuron.theta for neuron in artifact.record.neurons.values()} <= held
