"""The flat artifact of the schedule `layer`: its text, its structure, and that it runs in any batch."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import onnx.printer
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.artifact.artifact import final_name, is_artifact, take_apart
from onnx2snn.cli import main
from onnx2snn.emit.layer import emit_layer
from onnx2snn.engine.engines import OnnxruntimeEngine
from tests.helpers import Arrays, batchnorm, feeds, graph_of, normal, parse, relative_error, run

GOLDEN = Path(__file__).parent / "golden"
#: Write the golden files anew: ONNX2SNN_REGENERATE=1 pytest -n0 tests/emit/test_layer.py
REGENERATE = "ONNX2SNN_REGENERATE"

IMAGE = "h = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(h)"
POOL = "MaxPool<kernel_shape=[2,2], strides=[2,2]>"

#: name → signature, nodes, shapes of the weights
NETS: dict[str, tuple[str, str, dict[str, tuple[int, ...]]]] = {
    "mlp": (
        "(float[N,4] x) => (float[N,3] y)",
        "h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2)",
        {"w1": (4, 6), "w2": (6, 3)},
    ),
    "pool of spikes": (
        "(float[N,2,6,6] x) => (float[N,3,3,3] y)",
        f"{IMAGE} m = {POOL}(r) y = Conv<pads=[1,1,1,1]>(m, w2)",
        {"w1": (4, 2, 3, 3), "w2": (3, 4, 3, 3)},
    ),
    "residual, leaky, BatchNormalization and island": (
        "(float[N,4,5,5] x) => (float[N,4] y, float[N,4,5,5] s)",
        f"{IMAGE} n = BatchNormalization(r, gamma, beta, mean, var) a = Add(n, h) "
        "l = LeakyRelu<alpha=0.5>(a) s = Sigmoid(l) t = Mul(s, r) q = Relu(t) g = GlobalAveragePool(q) "
        "y = Flatten(g)",
        {"w1": (4, 4, 3, 3)},
    ),
    "outputs of prefix, neuron and head": (
        "(float[N,4] x) => (float[N,6] h, float[N,6] r, float[N,3] y)",
        "h = Gemm(x, w1) r = Relu(h) z = Gemm(r, w2) y = Softmax(z)",
        {"w1": (4, 6), "w2": (6, 3)},
    ),
    "shape arithmetic": (
        "(float[N,2,4,4] x) => (float[N,3] y)",
        f"{IMAGE} d = Shape(r) b = Gather(d, zero) k = Concat<axis=0>(b, rest) f = Reshape(r, k) "
        "z = Gemm(f, w2) q = Relu(z) e = Reshape(q, k) y = Gemm(e, w3)",
        {"w1": (2, 2, 3, 3), "w2": (32, 8), "w3": (8, 3)},
    ),
}
CODES = [{"code": "burst", "timesteps": 16}, {"code": "radix", "timesteps": 7}]


def build(name: str, rng: np.random.Generator) -> onnx.ModelProto:
    signature, nodes, shapes = NETS[name]
    weights = {key: w / np.sqrt(np.float32(w[0].size)) for key, w in normal(rng, **shapes).items()}
    if "BatchNormalization" in nodes:
        weights |= batchnorm(rng, 4)
    if "zero" in nodes:
        weights |= {"zero": np.int64([0]), "rest": np.int64([-1])}
    return parse(f"{signature} {{ {nodes} }}", **weights)


def compiled(model: onnx.ModelProto, rng: np.random.Generator, **options) -> onnx.ModelProto:
    return onnx2snn.compile(
        model, feeds(rng, model, 96), schedule="layer", **{"code": "burst", **options}
    ).model


def execute(model: onnx.ModelProto, values: Arrays) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, values)


@pytest.mark.parametrize(("neuron", "code"), [("AccumulateFire", "burst"), ("LeakyAccumulateFire", "radix")])
def test_golden_text(neuron, code):
    parameters = "slope, theta" if neuron.startswith("Leaky") else "theta"
    graph = graph_of(
        parse(
            f"""(float[N,1,4] x) => (float[N,2] y) {{
                h = Conv<pads=[1,1]>(x, w1, b1)
                r = onnx2snn.{neuron}<levels=7, code="{code}", potential=0.5>(h, {parameters})
                p = MaxPool<kernel_shape=[2], strides=[2]>(r)
                f = Flatten(p)
                y = Gemm(f, w2)
            }}""",
            w1=np.float32([[[0.5, 1, 0.5]], [[-1, 0, 1]]]),
            b1=np.float32([0.25, -0.25]),
            theta=np.float32([[[0.5], [0.25]]]),
            w2=np.float32([[1, 0], [0, 1], [1, 1], [-1, 0.5]]),
            **({"slope": np.float32(0.125)} if neuron.startswith("Leaky") else {}),
        )
    )
    model = emit_layer(graph)
    onnx.checker.check_model(model, full_check=True)
    text = onnx.printer.to_text(model) + "\n"
    file = GOLDEN / f"{neuron}.txt"
    if os.environ.get(REGENERATE):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("options", CODES, ids=["burst", "radix"])
@pytest.mark.parametrize("name", NETS)
def test_artifact_is_the_net(name, options, rng):
    model = build(name, rng)
    artifact = compiled(model, rng, **options)
    onnx.checker.check_model(artifact, full_check=True)
    assert [(entry.domain, entry.version) for entry in artifact.opset_import] == [("", 21), ("onnx2snn", 1)]
    assert artifact.ir_version == 10
    assert "Loop" not in {node.op_type for node in artifact.graph.node}
    assert list(artifact.graph.input) == list(model.graph.input)
    assert list(artifact.graph.output) == list(model.graph.output)
    # Every function is there, and used.
    ops = {node.op_type for node in artifact.graph.node if node.domain == "onnx2snn"}
    assert {function.name for function in artifact.functions} == ops
    assert ops <= {"AccumulateFire", "LeakyAccumulateFire"}
    samples = feeds(rng, model, 16)
    found = execute(artifact, samples)
    # Anything wired wrongly is off by as much as the output itself.
    assert relative_error(found, run(model, samples)) < 0.1
    assert relative_error(ReferenceEvaluator(artifact).run(None, samples), found) < 1e-5


@pytest.mark.parametrize("name", NETS)
def test_parts_give_what_the_whole_gives(name, rng):
    model = build(name, rng)
    artifact = compiled(model, rng)
    parts = take_apart(artifact)
    assert is_artifact(artifact)
    assert parts.schedule == "layer"
    assert parts.timesteps == 8
    assert parts.outputs == tuple(item.name for item in model.graph.output)
    samples = feeds(rng, model, 5)
    values = dict(samples)
    for part in (parts.prefix, parts.step):
        if part is not None:
            values |= OnnxruntimeEngine(part).run(values)
    values |= {final_name(value): values[value.after] for value in parts.carried}
    found = OnnxruntimeEngine(parts.head).run(values)
    np.testing.assert_equal(list(found), list(parts.outputs))
    assert relative_error(list(found.values()), execute(artifact, samples)) < 1e-6
    assert not any(node.domain for node in parts.head.graph.node)
    neurons = [node.name for node in artifact.graph.node if node.domain]
    assert [cell.name for cell in parts.neurons] == neurons
    assert set(parts.record.neurons) == set(neurons)


@pytest.mark.parametrize("name", NETS)
def test_no_batch_size_is_baked_in(name, rng):
    model = build(name, rng)
    artifact = compiled(model, rng)
    samples = feeds(rng, model, 7)
    whole = execute(artifact, samples)
    for batch in (1, 3):
        part = execute(artifact, {key: value[:batch] for key, value in samples.items()})
        for found, expected in zip(part, whole, strict=True):
            np.testing.assert_allclose(found, expected[:batch], rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", CODES, ids=["burst", "radix"])
def test_same_bytes_every_time(options, rng):
    model = build("residual, leaky, BatchNormalization and island", rng)
    before, data = model.SerializeToString(deterministic=True), feeds(rng, model, 32)
    first, second = (
        onnx2snn.compile(
            model, data, schedule="layer", **{"code": "burst", **options}
        ).model.SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert first == second
    assert model.SerializeToString(deterministic=True) == before


def test_metadata(rng):
    artifact = compiled(build("mlp", rng), rng, code="radix", timesteps=5)
    held = {entry.key: json.loads(entry.value) for entry in artifact.metadata_props}
    assert held["onnx2snn.schedule"] == "layer"
    options = held["onnx2snn.options"]
    assert onnx2snn.CompileOptions(schedule="layer", code="radix", timesteps=5).to_dict() == options
    (cell,) = take_apart(artifact).neurons
    theta, said = take_apart(artifact).threshold(cell), held["onnx2snn.neurons"][cell.name]
    assert said["op"] == cell.op_type == "AccumulateFire"
    assert said["levels"] == 31
    assert said["channels"] == 6
    assert theta == 1  # its thresholds are in the weights
    assert said["theta"] in {item.name for item in artifact.graph.initializer}
    assert 0 < said["threshold"]["least"] < said["threshold"]["greatest"]
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in cell.attribute}
    assert attributes == {"levels": 31, "code": b"radix", "potential": 0.0}


def test_an_artifact_is_no_ann(rng):
    model = build("mlp", rng)
    with pytest.raises(onnx2snn.ModelError, match="give the model that the network came from"):
        compiled(compiled(model, rng), rng)


TRICKY = {
    "final": ("x", "h", "r", "w1", "r/final"),
    "prefix final": ("x", "r/final", "r", "w1", "y"),
    "in": ("r/in", "h", "r", "w1", "z/in"),
    "counts": ("x", "r/levels/ratio", "r", "r/levels/start", "r/size"),
    "threshold": ("r/threshold", "h", "r", "q/threshold", "y"),
}


@pytest.mark.parametrize("name", TRICKY)
def test_no_name_is_reserved(name, rng):
    x, h, r, w, y = (f'"{word}"' for word in TRICKY[name])
    text = f"{h} = Gemm({x}, {w}) {r} = Relu({h}) z = Gemm({r}, {w}) q = Relu(z) {y} = Gemm(q, w2)"
    weights = normal(rng, w2=(4, 3)) | {w.strip('"'): normal(rng, w=(4, 4))["w"]}
    model = parse(f"(float[N,4] {x}) => (float[N,3] {y}, float[N,4] {r}) {{ {text} }}", **weights)
    artifact = compiled(model, rng, timesteps=32)
    onnx.checker.check_model(artifact, full_check=True)
    samples = feeds(rng, model, 16)
    whole = execute(artifact, samples)
    assert relative_error(whole, run(model, samples)) < 0.05
    session = onnx2snn.SpikingSession(artifact)
    (counted,) = session.run_counted(samples, [32])
    assert relative_error(list(counted.outputs.values()), whole) < 1e-5
    assert session.macs_per_sample(samples) == (16 + 16 + 12, 16)
    assert set(counted.spikes) == {"r", "q"}


# --- the command line -------------------------------------------------------------------------------------


def call(*arguments: object):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("options", [["-G", 8], ["--code", "radix"]], ids=["burst", "radix"])
def test_every_command(tmp_path, monkeypatch, options):
    """The embedded net: compiled, inspected, run and evaluated."""
    monkeypatch.chdir(tmp_path)
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        Path(name).write_bytes(resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    layer = ["--schedule", "layer", "--scale", "1/16", "-o", "net.snn.onnx", "--json", "report.json"]
    call("compile", "digits.onnx", "--calib", "digits_calibration.npz", *layer, *options)
    report = json.loads(Path("report.json").read_text())
    assert report["options"]["schedule"] == "layer"

    shown = call("inspect", "net.snn.onnx").stdout
    assert "AccumulateFire" in shown
    found = json.loads(call("inspect", "net.snn.onnx", "--json", "-").stdout)
    assert found["kind"] == "snn"
    assert found["nodes"] == report["nodes"]
    assert {node["role"] for node in found["nodes"] if node["op"] in ("Relu", "MaxPool")} == {"spiking"}

    figures = json.loads(
        call(
            *("evaluate", "net.snn.onnx", "--data", "digits_test.npz", "--max-samples", 200),
            *("--reference", "digits.onnx", "--json", "-"),
        ).stdout
    )
    assert figures["timesteps"] == [8]
    assert figures["accuracy"][0] >= 0.97
    assert figures["agreement"][0] >= 0.98
    assert figures["uncounted"] == []
    assert sum(figures["spikes_by_neuron"].values()) == pytest.approx(
        figures["spikes_per_sample"][0], rel=1e-9
    )
    assert figures["synaptic_operations_per_sample"][0] > 0

    call("run", "net.snn.onnx", "--input", "digits_test.npz", "-o", "y.npz", "--timesteps", 8)
    session = onnxruntime.InferenceSession("net.snn.onnx", providers=["CPUExecutionProvider"])
    (fed,), (given,) = session.get_inputs(), session.get_outputs()
    images = np.load("digits_test.npz")["images"].astype(np.float32) / 16
    (expected,) = session.run(None, {fed.name: images})
    np.testing.assert_allclose(np.load("y.npz")[given.name], expected, rtol=0, atol=1e-5)
    assert (expected.argmax(axis=1) == np.load("digits_test.npz")["labels"]).mean() >= 0.97
