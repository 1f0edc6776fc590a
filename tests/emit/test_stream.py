"""The artifact: its text, its structure, and that it computes what the equations say, in any batch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnx.printer
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.emit.stream import PUBLIC_TIMESTEPS, emit_stream
from onnx2snn.ops.names import LOOP
from tests.helpers import Arrays, feeds, graph_of, normal, parse, relative_error, run

GOLDEN = Path(__file__).parent / "golden"
#: Write the golden files anew: ONNX2SNN_REGENERATE=1 pytest -n0 tests/emit/test_stream.py
REGENERATE = "ONNX2SNN_REGENERATE"

DENSE = "h = Gemm(x, w1) r = Relu(h)"
IMAGE = "h = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(h)"
TAKE_BATCH = "d{0} = Shape({1}) b{0} = Gather(d{0}, zero) k{0} = Concat<axis=0>(b{0}, rest)"
SHAPES = {"zero": np.asarray([0], np.int64), "rest": np.asarray([-1], np.int64)}
POOL = "MaxPool<kernel_shape=[2,2], strides=[2,2]>"

#: name → signature, nodes, shapes of the weights
NETS: dict[str, tuple[str, str, dict[str, tuple[int, ...]]]] = {
    "mlp": ("(float[N,4] x) => (float[N,3] y)", f"{DENSE} y = Gemm(r, w2)", {"w1": (4, 6), "w2": (6, 3)}),
    "softmax head": (
        "(float[N,4] x) => (float[N,3] y)",
        f"{DENSE} z = Gemm(r, w2) y = Softmax<axis=1>(z)",
        {"w1": (4, 6), "w2": (6, 3)},
    ),
    "pool before the first neuron": (
        "(float[N,2,6,6] x) => (float[N,3,3,3] y)",
        f"m = {POOL}(x) h = Conv<pads=[1,1,1,1]>(m, w1) r = Relu(h) y = Conv<pads=[1,1,1,1]>(r, w2)",
        {"w1": (4, 2, 3, 3), "w2": (3, 4, 3, 3)},
    ),
    "pool of spikes": (
        "(float[N,2,6,6] x) => (float[N,3,3,3] y)",
        f"{IMAGE} m = {POOL}(r) y = Conv<pads=[1,1,1,1]>(m, w2)",
        {"w1": (4, 2, 3, 3), "w2": (3, 4, 3, 3)},
    ),
    "output from the middle": (
        "(float[N,4] x) => (float[N,3] y, float[N,6] r)",
        f"{DENSE} z = Gemm(r, w2) q = Relu(z) y = Gemm(q, w3)",
        {"w1": (4, 6), "w2": (6, 6), "w3": (6, 3)},
    ),
    "two outputs": (
        "(float[N,4] x) => (float[N,3] y, float[N,6] z)",
        f"{DENSE} z = Gemm(r, w2) q = Relu(z) y = Gemm(q, w3)",
        {"w1": (4, 6), "w2": (6, 6), "w3": (6, 3)},
    ),
    "outputs of prefix and neuron": ("(float[N,4] x) => (float[N,6] h, float[N,6] r)", DENSE, {"w1": (4, 6)}),
    "analog prefix joins spikes": (
        "(float[N,2,5,5] x) => (float[N,2] y)",
        f"{IMAGE} c = Conv<pads=[1,1,1,1]>(r, w2) s = Add(c, h) q = Relu(s) "
        "g = GlobalAveragePool(q) y = Flatten(g)",
        {"w1": (2, 2, 3, 3), "w2": (2, 2, 3, 3)},
    ),
    "shape arithmetic in body and head": (
        "(float[N,2,4,4] x) => (float[N,3] y)",
        f"{IMAGE} {TAKE_BATCH.format(1, 'r')} f = Reshape(r, k1) z = Gemm(f, w2) q = Relu(z) "
        f"{TAKE_BATCH.format(2, 'q')} g = Reshape(q, k2) y = Gemm(g, w3)",
        {"w1": (2, 2, 3, 3), "w2": (32, 8), "w3": (8, 3)},
    ),
    "shape arithmetic shared by body and head": (
        "(float[N,2,4,4] x) => (float[N,3] y)",
        f"{IMAGE} {TAKE_BATCH.format(1, 'r')} f = Reshape(r, k1) z = Gemm(f, w2) q = Relu(z) "
        "g = Reshape(q, k1) y = Gemm(g, w3)",
        {"w1": (2, 2, 3, 3), "w2": (32, 8), "w3": (8, 3)},
    ),
    "shape arithmetic of the input": (
        "(float[N,2,4,4] x) => (float[N,3] y)",
        f"{TAKE_BATCH.format(1, 'x')} {IMAGE} f = Reshape(r, k1) z = Gemm(f, w2) q = Relu(z) y = Gemm(q, w3)",
        {"w1": (2, 2, 3, 3), "w2": (32, 8), "w3": (8, 3)},
    ),
    "weight shared by prefix, body and head": (
        "(float[N,4] x) => (float[N,4] y)",
        f"{DENSE} z = Gemm(r, w1) q = Relu(z) y = Gemm(q, w1)",
        {"w1": (4, 4)},
    ),
}


def build(name: str, rng: np.random.Generator) -> onnx.ModelProto:
    signature, nodes, shapes = NETS[name]
    weights = normal(rng, **shapes)
    # Columns of one norm keep thresholds of one size, so that one tolerance fits every net.
    weights = {key: w / np.sqrt(np.float32(w[0].size)) for key, w in weights.items()}
    return parse(f"{signature} {{ {nodes} }}", **weights, **(SHAPES if "zero" in nodes else {}))


def compiled(model: onnx.ModelProto, rng: np.random.Generator, **options) -> onnx.ModelProto:
    return onnx2snn.compile(model, feeds(rng, model, 96), **{"code": "burst", **options}).model


def execute(model: onnx.ModelProto, values: Arrays) -> list[np.ndarray]:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return session.run(None, values)


def loop_body(model: onnx.ModelProto) -> onnx.GraphProto:
    (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
    assert loop.name == LOOP
    return onnx.helper.get_node_attr_value(loop, "body")


@pytest.mark.parametrize("neuron", ["BurstIF", "SignedBurstIF"])
def test_golden_text(neuron):
    graph = graph_of(
        parse(
            f"""(float[N,1,4] x) => (float[N,2] y) {{
                h = Conv<pads=[1,1]>(x, w1, b1)
                r = onnx2snn.{neuron}<max_spikes=2>(h, theta)
                p = onnx2snn.LIPool<auto_pad="NOTSET", ceil_mode=0, dilations=[1], kernel_shape=[2],
                    pads=[0,0], strides=[2]>(r)
                f = Flatten(p)
                y = Gemm(f, w2)
            }}""",
            w1=np.float32([[[0.5, 1, 0.5]], [[-1, 0, 1]]]),
            b1=np.float32([0.25, -0.25]),
            theta=np.float32([[[0.5], [0.25]]]),
            w2=np.float32([[1, 0], [0, 1], [1, 1], [-1, 0.5]]),
        )
    )
    model = emit_stream(graph, 4)
    onnx.checker.check_model(model, full_check=True)
    text = onnx.printer.to_text(model) + "\n"
    file = GOLDEN / f"{neuron}.txt"
    if os.environ.get(REGENERATE):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_artifact_is_the_net(name, signed, rng):
    model = build(name, rng)
    artifact = compiled(model, rng, signed=signed, timesteps=32)
    onnx.checker.check_model(artifact, full_check=True)
    assert [(entry.domain, entry.version) for entry in artifact.opset_import] == [("", 21), ("onnx2snn", 1)]
    assert artifact.ir_version == 10
    assert list(artifact.graph.input) == list(model.graph.input)
    assert list(artifact.graph.output) == list(model.graph.output)
    samples = feeds(rng, model, 16)
    found, expected = execute(artifact, samples), run(model, samples)
    # Anything wired wrongly is off by as much as the output itself.
    assert relative_error(found, expected) < 0.15


@pytest.mark.parametrize("name", NETS)
def test_reference_evaluator_agrees(name, rng):
    model = build(name, rng)
    artifact = compiled(model, rng, signed=True)
    samples = feeds(rng, model, 3)
    found = ReferenceEvaluator(artifact).run(None, samples)
    assert relative_error(found, execute(artifact, samples)) < 1e-5


@pytest.mark.parametrize("name", NETS)
def test_no_batch_size_is_baked_in(name, rng):
    model = build(name, rng)
    artifact = compiled(model, rng, signed=True)
    samples = feeds(rng, model, 7)
    whole = execute(artifact, samples)
    for batch in (1, 3):
        part = execute(artifact, {key: value[:batch] for key, value in samples.items()})
        for found, expected in zip(part, whole, strict=True):
            np.testing.assert_allclose(found, expected[:batch], rtol=0, atol=1e-6)


def test_sections(rng):
    """Prefix before the loop, head after it, and all that the loop multiplies by is its own."""
    model = build("shape arithmetic in body and head", rng)
    artifact = compiled(model, rng)
    names = [node.name for node in artifact.graph.node]
    at = names.index(LOOP)
    assert names[:at] == ["h"]
    assert {"y", "g", "d2"} <= set(names[at + 1 :])
    body = loop_body(artifact)
    # The sum over time, by which r crosses into the head, is last but for the condition.
    assert [node.name for node in body.node][:8] == ["r", "d1", "r/value", "b1", "k1", "f", "z", "q"]
    # Head and body both gather the batch size: the constants for it exist twice.
    assert {item.name for item in body.initializer} == {
        "r/one",
        "q/one",
        "r/value/theta",
        "w2_1",
        "z/bias_1",
        "onnx2snn/zero/step",
        "onnx2snn/rest/step",
    }


@pytest.mark.parametrize("name", NETS)
def test_loop_reads_no_weight_from_outside(name, rng):
    """What onnxruntime prepacks must be an initializer of the body."""
    artifact = compiled(build(name, rng), rng)
    body = loop_body(artifact)
    outer = {item.name for item in artifact.graph.initializer}
    assert not outer & {read for node in body.node for read in node.input}
    read_outside = {read for node in artifact.graph.node for read in node.input}
    assert outer <= read_outside
    assert {item.name for item in body.initializer} <= {read for node in body.node for read in node.input}


def test_the_loop_is_the_equations():
    """Dyadic numbers: every operation is exact, so a simulation by hand gives the very same bits."""
    w1, w2 = np.float32([[0.5, -1, 0.25], [1, 0.75, -0.5]]), np.float32([[1], [-2], [0.5]])
    model = parse(
        "(float[N,2] x) => (float[N,1] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }", w1=w1, w2=w2
    )
    x = np.float32([[1, 1], [-0.5, 2], [0.125, -0.25]])
    theta = np.maximum(x @ w1, 0).max(axis=0) / 4
    assert theta.tolist() == [0.4375, 0.5, 0.0390625]
    artifact = onnx2snn.compile(
        model, x, threshold="max", correct_bias=False, timesteps=4, code="burst"
    ).model
    v, total = np.tile(theta / 2, (3, 1)), np.zeros((3, 1))
    for _ in range(4):
        u = v + x @ w1
        spikes = np.clip(np.floor(u / theta), 0, 4)
        v = u - spikes * theta
        total += (spikes * theta) @ w2
    np.testing.assert_array_equal(execute(artifact, {"x": x})[0], np.float32(total / 4))


def test_dynamic_timesteps(rng):
    model = build("pool of spikes", rng)
    data = feeds(rng, model, 32)

    def make(timesteps: int, *, dynamic: bool) -> onnx.ModelProto:
        options = {"threshold": "max", "correct_bias": False, "dynamic_timesteps": dynamic}
        return onnx2snn.compile(model, data, timesteps=timesteps, **{"code": "burst", **options}).model

    flexible = make(8, dynamic=True)
    onnx.checker.check_model(flexible, full_check=True)
    assert [item.name for item in flexible.graph.input] == ["x", PUBLIC_TIMESTEPS]
    np.testing.assert_array_equal(execute(flexible, data)[0], execute(make(8, dynamic=False), data)[0])
    for steps in (1, 3, 16):
        given = {**data, PUBLIC_TIMESTEPS: np.asarray(steps, np.int64)}
        expected = execute(make(steps, dynamic=False), data)[0]
        np.testing.assert_array_equal(execute(flexible, given)[0], expected)
        reference = ReferenceEvaluator(flexible).run(None, given)
        assert relative_error(reference, [expected]) < 1e-5


@pytest.mark.parametrize("dtype", ["double", "float16"])
def test_other_float_types(dtype, rng):
    kind = {"double": np.float64, "float16": np.float16}[dtype]
    weights = {name: w.astype(kind) for name, w in normal(rng, w1=(4, 6), w2=(6, 3)).items()}
    model = parse(f"({dtype}[N,4] x) => ({dtype}[N,3] y) {{ {DENSE} y = Gemm(r, w2) }}", **weights)
    data = rng.standard_normal((64, 4)).astype(kind)
    artifact = onnx2snn.compile(model, data, timesteps=32, signed=True, correct_bias=False).model
    onnx.checker.check_model(artifact, full_check=True)
    (found,) = execute(artifact, {"x": data})
    assert found.dtype == kind
    assert relative_error([found], run(model, {"x": data})) < 0.05


@pytest.mark.parametrize("signed", [False, True])
def test_float16_keeps_converging(signed, rng):
    """What adds up over time adds up in float32: the error falls to float16's own and stays there."""
    nodes = f"{IMAGE} m = {POOL}(r) z = Conv(m, w2) q = Relu(z) f = Flatten(q) y = Gemm(f, w3)"
    shapes = {"w1": (4, 2, 3, 3), "w2": (4, 4, 1, 1), "w3": (16, 3)}
    weights = {name: (w / 4).astype(np.float16) for name, w in normal(rng, **shapes).items()}
    model = parse(f"(float16[N,2,4,4] x) => (float16[N,3] y) {{ {nodes} }}", **weights)
    data = rng.standard_normal((32, 2, 4, 4)).astype(np.float16)
    options = {"threshold": "max", "signed": signed, "correct_bias": False}
    artifact = onnx2snn.compile(model, data, timesteps=8, **{"code": "burst", **options}).model
    session = onnx2snn.SpikingSession(artifact)
    expected = run(model, {"x": data})
    error = {
        steps: relative_error([session.run(data, steps).outputs["y"]], expected) for steps in (8, 128, 4096)
    }
    assert error[128] < error[8] / 4
    assert error[4096] < 0.004
    assert onnx2snn.SpikingSession(artifact, backend="numpy").run(data).outputs["y"].dtype == np.float16


TRICKY = {
    "input": ("timesteps", "h", "r", "w1", "y"),
    "input timestep": ("timestep", "h", "r", "w1", "y"),
    "inner tensors": ("x", "condition", "timestep", "w1", "y"),
    "timesteps inside": ("x", "timesteps", "condition", "w1", "y"),
    "weight": ("x", "h", "r", "timesteps", "y"),
    "weight timestep": ("x", "h", "r", "timestep", "y"),
    "output": ("x", "h", "r", "w1", "timesteps"),
    "output timestep": ("x", "h", "r", "w1", "timestep"),
    "sums and states": ("x", "r/sum", "r", "r/potential", "y/mean"),
    "suffixes": ("x", "condition/out", "r/final", "r/step", "r/in"),
}


@pytest.mark.parametrize("name", TRICKY)
@pytest.mark.parametrize("dynamic", [False, True])
def test_no_name_is_reserved(name, dynamic, rng):
    x, h, r, w, y = (f'"{word}"' for word in TRICKY[name])
    text = f"{h} = Gemm({x}, {w}) {r} = Relu({h}) z = Gemm({r}, {w}) q = Relu(z) {y} = Gemm(q, w2)"
    weights = normal(rng, w2=(4, 3)) | {w.strip('"'): normal(rng, w=(4, 4))["w"]}
    model = parse(f"(float[N,4] {x}) => (float[N,3] {y}, float[N,4] {r}) {{ {text} }}", **weights)
    artifact = compiled(model, rng, signed=True, timesteps=32, dynamic_timesteps=dynamic)
    onnx.checker.check_model(artifact, full_check=True)
    samples = feeds(rng, model, 16)
    expected = run(model, samples)
    whole = execute(artifact, samples)
    assert relative_error(whole, expected) < 0.15
    session = onnx2snn.SpikingSession(artifact)
    assert [spec.name for spec in session.inputs] == [x.strip('"')]
    (counted,) = session.run_counted(samples, [32])
    assert relative_error(list(counted.outputs.values()), whole) < 1e-5
    assert session.macs_per_sample(samples) == (16 + 16 + 12, 16)


def test_nodes_that_share_a_name():
    """ONNX allows it; each cell still has states of its own."""
    graph = graph_of(
        parse(
            """(float[N,2] x) => (float[N,2] y) {
                r = onnx2snn.BurstIF<max_spikes=2>(x, theta1)
                z = Gemm(r, w)
                y = onnx2snn.BurstIF<max_spikes=2>(z, theta2)
            }""",
            theta1=np.float32([0.5]),
            theta2=np.float32([0.25]),
            w=np.eye(2, dtype=np.float32),
        )
    )
    for node in graph.nodes:
        node.name = "layer"
    model = emit_stream(graph, 4)
    onnx.checker.check_model(model, full_check=True)
    assert [node.name for node in graph.nodes] == ["layer"] * 3  # the caller's graph is left as it was
    x = np.float32([[0.5, 1]])
    np.testing.assert_array_equal(execute(model, {"x": x})[0], [[0.5, 0.5]])
