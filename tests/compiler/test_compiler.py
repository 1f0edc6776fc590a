"""The public API, and the whole road on the embedded net and on random small ones."""

from __future__ import annotations

import hashlib
import importlib
import json
from importlib import resources
from itertools import pairwise
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import onnx2snn
from onnx2snn.passes.normalize_weights import NormalizeWeights
from onnx2snn.passes.pipeline import COMPLETION, PIPELINE
from onnx2snn.runtime.session import SpikingSession
from tests.helpers import feeds, normal, parse, relative_error, run

DEMO = resources.files("onnx2snn.demo")
SCALE = onnx2snn.Preprocessing(scale=1 / 16)
MLP = "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"


@pytest.fixture
def mlp(rng) -> onnx.ModelProto:
    return parse(MLP, **normal(rng, w1=(4, 6), w2=(6, 3)))


@pytest.fixture
def samples(rng) -> np.ndarray:
    return rng.standard_normal((64, 4)).astype(np.float32)


def digits(**options) -> onnx2snn.CompiledModel:
    return onnx2snn.compile(
        str(DEMO / "digits.onnx"), str(DEMO / "digits_calibration.npz"), preprocessing=SCALE, **options
    )


# --- the embedded net -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"code": "burst"}])
def test_same_bytes_every_time(options, tmp_path):
    """From a path, from a loaded model, and from a caller's model that stays as it was."""
    digits(**options).save(tmp_path / "first.onnx")
    digits(**options).save(tmp_path / "second.onnx")
    model = onnx.load(str(DEMO / "digits.onnx"))
    before = model.SerializeToString(deterministic=True)
    loaded = onnx2snn.compile(model, DEMO / "digits_calibration.npz", preprocessing=SCALE, **options)
    loaded.save(str(tmp_path / "third.onnx"))
    first = (tmp_path / "first.onnx").read_bytes()
    assert (tmp_path / "second.onnx").read_bytes() == first
    assert (tmp_path / "third.onnx").read_bytes() == first
    assert model.SerializeToString(deterministic=True) == before


def test_every_node_is_accounted_for_once():
    model = onnx.load(str(DEMO / "digits.onnx"))
    report = digits(code="burst").report.to_dict()
    assert [node["node"] for node in report["nodes"]] == [node.name for node in model.graph.node]
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)
    assert {op for node in report["nodes"] if node["role"] == "spiking" for op in [node["op"]]} == {
        "Relu",
        "MaxPool",
    }
    assert all(node["reason"] for node in report["nodes"])
    assert set(report["neurons"]) == {node["node"] for node in report["nodes"] if node["op"] == "Relu"}
    before = onnx2snn.inspect(model, code="burst").nodes
    assert [(v.node, v.op, v.role) for v in before] == [
        (n["node"], n["op"], n["role"]) for n in report["nodes"]
    ]


@pytest.mark.parametrize(
    "options", [{}, {"timesteps": 4}, {"signed": True}, {"code": "burst"}, {"signed": True, "timesteps": 4}]
)
def test_accuracy_on_digits(options):
    session = SpikingSession(digits(**options).model)
    with np.load(str(DEMO / "digits_test.npz")) as test:
        images, labels = test["images"], test["labels"]
    scores = session.run(images.astype(np.float32) / 16).outputs[session.artifact.outputs[0]]
    assert (scores.argmax(axis=1) == labels).mean() >= 0.97


@pytest.mark.parametrize("normalized", [True, False])
def test_metadata(normalized, monkeypatch):
    """It tells the thresholds that were found, whether they stand at the neurons or in the weights."""
    run, found = NormalizeWeights.run, {}

    def watched(self, graph, context):
        cells = [node for node in graph.nodes if node.op == "SignedBurstIF"]
        found.update({cell.name: cell.inputs[1].values for cell in cells})
        return normalized and run(self, graph, context)

    monkeypatch.setattr(NormalizeWeights, "run", watched)
    compiled = digits(signed=True, max_spikes=3, timesteps=5)
    held = {entry.key: json.loads(entry.value) for entry in compiled.model.metadata_props}
    assert [entry.key for entry in compiled.model.metadata_props] == sorted(held)
    assert held["onnx2snn.version"] == onnx2snn.__version__
    model = onnx.load(str(DEMO / "digits.onnx"))
    digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    assert held["onnx2snn.source_sha256"] == digest
    assert onnx2snn.Preprocessing.from_dict(held["onnx2snn.preprocessing"]) == SCALE
    with np.load(str(DEMO / "digits_calibration.npz")) as data:
        calibration = held["onnx2snn.calibration"]
        assert calibration["samples"] == len(data["images"])
        assert calibration["source"] == "digits_calibration.npz"
        (fed,) = calibration["inputs"].values()
        assert (fed["least"], fed["greatest"], len(fed["mean"])) == (0.0, 1.0, 1)
    assert onnx2snn.CompileOptions(**held["onnx2snn.options"]) == onnx2snn.CompileOptions(
        signed=True, max_spikes=3, timesteps=5
    )
    session = SpikingSession(compiled.model)
    assert set(held["onnx2snn.neurons"]) == set(session.neurons)
    for cell in session.artifact.neurons:
        theta, said = session.artifact.threshold(cell), held["onnx2snn.neurons"][cell.name]
        assert said["op"] == cell.op_type == "SignedBurstIF"
        assert said["max_spikes"] == 3
        if normalized:
            assert theta == 1
            theta = found[cell.name]
        assert said["channels"] == theta.size
        assert said["threshold"]["least"] == pytest.approx(float(theta.min()), rel=1e-6)
        assert said["threshold"]["greatest"] == pytest.approx(float(theta.max()), rel=1e-6)
    assert held["onnx2snn.nodes"] == compiled.report.to_dict()["nodes"]
    assert compiled.model.producer_name == "onnx2snn"


def test_report_is_json_and_progress_is_told():
    seen: list[tuple[str, float]] = []
    report = digits(progress=lambda name, done: seen.append((name, done)), max_samples=32).report.to_dict()
    assert json.loads(json.dumps(report)) == report
    assert report["calibration"]["samples"] == 32
    assert list(report["seconds"]) == list(report["peak_megabytes"])
    assert list(report["seconds"])[:2] == ["read", PIPELINE[0].name]
    # One pass runs twice: what it says is from its second end.
    peaks = [peak for name, peak in report["peak_megabytes"].items() if name != "RefuseUnsupported"]
    assert peaks == sorted(peaks)
    assert peaks[0] > 10
    names = list(dict.fromkeys(name for name, _ in seen))
    assert names[0] == "RemoveIdentity"
    assert names[-1] == COMPLETION[-1].name
    assert all(0 <= done <= 1 for _, done in seen)
    assert seen[-3:-1] == [("CorrectBias", 1.0), ("NormalizeWeights", 0.0)]


# --- options and refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timesteps": 0}, "--timesteps: expected an integer from 1"),
        ({"timesteps": 2.0}, "--timesteps: expected an integer"),
        ({"timesteps": True}, "--timesteps: expected an integer"),
        ({"max_spikes": 0}, "--max-spikes: expected an integer from 1"),
        ({"levels": 0}, "--levels: expected an integer from 1"),
        ({"levels": 5, "max_spikes": 4}, "--levels: expected at most --max-spikes = 4"),
        ({"percentile": 0.0}, "--percentile: expected more than 0"),
        ({"percentile": "99"}, "--percentile: expected more than 0 and at most 100, found '99'"),
        ({"percentile": True}, "--percentile: expected more than 0 and at most 100, found True"),
        ({"timesteps": "8"}, "--timesteps: expected an integer from 1 to 65536, found '8'"),
        ({"signed": "yes"}, "--signed: expected True or False, found 'yes'"),
        ({"correct_bias": 1}, "--correct-bias: expected True or False, found 1"),
        ({"threshold": ["mse"]}, "--threshold: expected one of max, percentile, mse, found ['mse']"),
        ({"early_exit": 0.9}, "--early-exit: expected auto, confidence, entropy or change"),
        ({"percentile": 100.1}, "--percentile: expected more than 0 and at most 100"),
        ({"threshold": "best"}, "--threshold: expected one of max, percentile, mse, found 'best'"),
        ({"granularity": "pixel"}, "--granularity: expected one of channel, layer, found 'pixel'"),
        ({"batch_size": 0}, "--batch-size: expected an integer from 1"),
        ({"max_samples": 0}, "max samples: expected at least 1, found 0"),
        ({"steps": 8}, "found steps; see"),
    ],
)
def test_options_are_checked(mlp, samples, options, words):
    with pytest.raises(onnx2snn.OptionError) as caught:
        onnx2snn.compile(mlp, samples, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_strict_refuses_what_would_not_spike(rng, samples):
    text = MLP.replace("y = Gemm(r, w2)", "z = Gemm(r, w2) [soft] y = Softmax<axis=1>(z)")
    model = parse(text, **normal(rng, w1=(4, 6), w2=(6, 3)))
    assert onnx2snn.compile(model, samples, code="burst").report.to_dict()["roles"]["analog"] == 1
    with pytest.raises(
        onnx2snn.UnsupportedGraphError, match=r"'soft' \(Softmax\): analog .* --strict"
    ) as caught:
        onnx2snn.compile(model, samples, strict=True, code="burst")
    assert [refusal.node for refusal in caught.value.refusals] == ["soft"]


def test_strict_accepts_shape_arithmetic(rng):
    model = parse(
        """(float[N,2,2,2] x) => (float[N,3] y) {
            r = Relu(x) d = Shape(r) b = Gather(d, zero) k = Concat<axis=0>(b, rest) f = Reshape(r, k)
            y = Gemm(f, w)
        }""",
        **normal(rng, w=(8, 3)),
        zero=np.asarray([0]),
        rest=np.asarray([-1]),
    )
    roles = onnx2snn.compile(model, feeds(rng, model, 8)["x"], strict=True, code="burst").report.to_dict()[
        "roles"
    ]
    assert roles == {"spiking": 1, "linear": 5, "analog": 0, "folded": 0, "refused": 0}


def test_all_refusals_are_listed_and_no_data_is_opened():
    nodes = "a = Relu(x) [one] b = RandomNormalLike(a) c = Add(a, b) [two] d = own.Thing(c) y = Relu(d)"
    text = f"(float[N,4] x) => (float[N,4] y) {{ {nodes} }}"
    model = parse(text)
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    with pytest.raises(onnx2snn.UnsupportedGraphError) as caught:
        onnx2snn.compile(model, "no such file.npz")
    assert [refusal.node for refusal in caught.value.refusals] == ["one", "two"]


def test_an_input_with_our_name_is_the_users(rng):
    model = parse("(float[N,4] timesteps) => (float[N,4] y) { y = Relu(timesteps) }")
    x = rng.uniform(0, 1, (8, 4)).astype(np.float32)
    compiled = onnx2snn.compile(model, x, timesteps=64, code="burst")
    result = onnx2snn.SpikingSession(compiled.model).run({"timesteps": x}, 32)
    np.testing.assert_allclose(result.outputs["y"], x, rtol=0, atol=0.05)


def test_save_leaves_the_old_file_when_it_cannot_write(mlp, samples, tmp_path, monkeypatch):
    target = tmp_path / "net.snn.onnx"
    target.write_bytes(b"old")
    compiled = onnx2snn.compile(mlp, samples)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(onnx2snn.OutputError, match="No space left on device"):
        compiled.save(target)
    assert [path.name for path in tmp_path.iterdir()] == ["net.snn.onnx"]
    assert target.read_bytes() == b"old"


def test_two_inputs_by_name(rng):
    model = parse(
        "(float[N,4] a, float[N,4] b) => (float[N,3] y) { s = Add(a, b) r = Relu(s) y = Gemm(r, w) }",
        **normal(rng, w=(4, 3)),
    )
    data = feeds(rng, model, 32)
    artifact = onnx2snn.compile(model, data, signed=True, timesteps=16).model
    found = SpikingSession(artifact).run(data).outputs["y"]
    assert relative_error([found], run(model, data)) < 0.1
    with pytest.raises(onnx2snn.DataError, match="expected the key 'a', 'b', found 'a'"):
        onnx2snn.compile(model, {"a": data["a"]})


@pytest.mark.parametrize("code", ["burst", "graded"])
@pytest.mark.parametrize("opset", [7, 9, 12, 13, 18])
def test_every_opset_gives_the_same_scores(opset, code, rng):
    text = """(float[N,2,4,4] x) => (float[N,3] y) {
        c = Conv<pads=[1,1,1,1]>(x, k) r = Relu(c) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
        f = Flatten(m) y = Gemm(f, w, b) }"""
    weights = normal(rng, k=(3, 2, 3, 3), w=(12, 3), b=(3,))
    new, old = parse(text, **weights), parse(text, **weights)
    old.opset_import[0].version, old.ir_version = opset, 8
    data = feeds(rng, new, 32)["x"]
    expected = SpikingSession(onnx2snn.compile(new, data, code=code).model).run(data).outputs["y"]
    np.testing.assert_array_equal(
        SpikingSession(onnx2snn.compile(old, data, code=code).model).run(data).outputs["y"], expected
    )


# --- properties -------------------------------------------------------------------------------------------

STEPS = 64


@st.composite
def nets(draw) -> tuple[onnx.ModelProto, list[np.ndarray], list[np.ndarray]]:
    """A ReLU MLP of one to three hidden layers, with its weights and biases."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=3, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = [rng.standard_normal(pair).astype(np.float32) for pair in pairwise(sizes)]
    biases = [(rng.standard_normal(size) * 0.3).astype(np.float32) for size in sizes[1:]]
    nodes, last = [], "x"
    for number in range(len(weights)):
        final = number == len(weights) - 1
        nodes.append(f"{'y' if final else f'h{number}'} = Gemm({last}, w{number}, b{number})")
        if not final:
            nodes.append(f"r{number} = Relu(h{number})")
            last = f"r{number}"
    text = f"(float[N,{sizes[0]}] x) => (float[N,{sizes[-1]}] y) {{ {' '.join(nodes)} }}"
    named = {f"w{i}": w for i, w in enumerate(weights)} | {f"b{i}": b for i, b in enumerate(biases)}
    return parse(text, **named), weights, biases


def error_bound(session: SpikingSession, weights: list[np.ndarray], steps: int) -> np.ndarray:
    """Bound of |SNN - ANN| at every output.

    A neuron's spikes and its potential account for all current: T·(y - I) = v_0 - v_T. Where 0 ≤ v_T < θ
    that is at most θ/2 either way (and y is never below 0, as ReLU(I) is not); where the potential ended
    below 0 with no spike left to take back, I < 0 and y = 0 = ReLU(I). So |y - ReLU(I)| ≤ θ/(2T) as long as
    the neuron is *settled* after its last step; and ReLU never widens an error that comes in, which W widens
    by |W| at most.
    """
    bound = np.zeros((1, weights[0].shape[0]))
    for cell, weight in zip(session.artifact.neurons, weights, strict=False):
        theta = session.artifact.threshold(cell).astype(np.float64)
        bound = bound @ np.abs(weight) + np.broadcast_to(theta, (1, weight.shape[1])) / (2 * steps)
    return bound @ np.abs(weights[-1])


def settled(session: SpikingSession, x: np.ndarray) -> np.ndarray:
    """Samples whose every neuron ends with 0 ≤ v < θ, or with v < 0 and no spike to take back; [N]."""
    carried = {value.before: value.after for value in session.artifact.carried}
    model = onnx.ModelProto()
    model.CopyFrom(session.artifact.model)
    wanted = []
    for cell in session.artifact.neurons:
        for state in cell.input[1:3]:
            assert state in carried
            wanted.append(state.removesuffix("/in") + "/final")
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in wanted)
    plain = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = plain.run(wanted, {"x": x})
    good = np.ones(len(x), dtype=bool)
    for cell, potential, sent in zip(session.artifact.neurons, values[::2], values[1::2], strict=True):
        theta = session.artifact.threshold(cell)
        slack = 1e-4 * theta
        fine = ((potential >= -slack) & (potential < theta + slack)) | ((potential < 0) & (sent == 0))
        good &= fine.all(axis=1)
    return good


@settings(max_examples=30, deadline=None)
@given(nets())
def test_mean_output_is_within_the_bound(drawn):
    """Signed neurons on 64 timesteps: θ/(2T) a neuron, widened by the weights behind it, and no more."""
    model, weights, _ = drawn
    x = np.random.default_rng(0).standard_normal((48, weights[0].shape[0])).astype(np.float32)
    options = {"signed": True, "timesteps": STEPS, "threshold": "max", "correct_bias": False}
    with mock.patch.object(NormalizeWeights, "run", return_value=False):  # the bound speaks of θ
        session = SpikingSession(onnx2snn.compile(model, x, **options).model)
    (expected,) = run(model, {"x": x})
    found = session.run(x).outputs["y"]
    good = settled(session, x)
    assume(good.mean() > 0.5)  # were this rare, Hypothesis would complain
    bound = error_bound(session, weights, STEPS)
    scale = np.abs(expected).max()
    assert (np.abs(found - expected)[good] <= bound + 1e-4 * scale).all()


# Derandomized: a statement about averages, which an unlucky draw of one neuron may miss.
@settings(max_examples=15, deadline=None, derandomize=True)
@given(nets())
def test_more_timesteps_make_a_smaller_error(drawn):
    model, weights, _ = drawn
    x = np.random.default_rng(0).standard_normal((64, weights[0].shape[0])).astype(np.float32)
    options = {"signed": True, "threshold": "max", "correct_bias": False}
    session = SpikingSession(onnx2snn.compile(model, x, **options).model)
    (expected,) = run(model, {"x": x})
    few, many = (np.abs(point.outputs["y"] - expected).mean() for point in session.run_counted(x, [4, 256]))
    assert many <= few / 4 + 1e-5


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    pad=st.integers(0, 1),
    dilation=st.integers(1, 2),
    ceil=st.booleans(),
    signed=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_pool_of_spikes_is_exact(kernel, stride, pad, dilation, ceil, signed, seed):
    """Whatever the neurons send: the pool's mean output is MaxPool of their mean outputs."""
    pad = min(pad, kernel // 2)
    pool = (
        f"MaxPool<kernel_shape=[{kernel},{kernel}], strides=[{stride},{stride}], ceil_mode={int(ceil)}, "
        f"dilations=[{dilation},{dilation}], pads=[{pad},{pad},{pad},{pad}]>"
    )
    text = f"(float[N,2,7,6] x) => (float[N,2,P,Q] y, float[N,2,7,6] r) {{ r = Relu(x) y = {pool}(r) }}"
    x = np.random.default_rng(seed).standard_normal((4, 2, 7, 6)).astype(np.float32)
    outputs = (
        SpikingSession(onnx2snn.compile(parse(text), x, signed=signed, code="burst").model).run(x).outputs
    )
    (expected,) = run(
        parse(f"(float[N,2,7,6] r) => (float[N,2,P,Q] y) {{ y = {pool}(r) }}"), {"r": outputs["r"]}
    )
    np.testing.assert_allclose(outputs["y"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("code", ["burst", "graded"])
@pytest.mark.parametrize("schedule", ["stream", "layer"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "size"), [(1, 2, 0, 6), (2, 3, 0, 6), (2, 2, 1, 5), (3, 3, 1, 5)]
)
def test_pools_whose_last_window_lies_behind_the_input(kernel, stride, pad, size, schedule, code, rng):
    """ONNX's shape inference counts it, onnxruntime's kernel does not; a session runs where the file does."""
    text = f"""(float[N,2,{size},{size}] x) => (float[N,2,P,Q] y) {{
        r = Relu(x)
        y = MaxPool<kernel_shape=[{kernel},{kernel}], strides=[{stride},{stride}], ceil_mode=1,
            pads=[{pad},{pad},{pad},{pad}]>(r)
    }}"""
    x = rng.standard_normal((4, 2, size, size)).astype(np.float32)
    model = onnx2snn.compile(parse(text), x, schedule=schedule, code=code, timesteps=6).model
    (expected,) = run(model, {"x": x})
    for session in (
        SpikingSession(model),
        SpikingSession(model, native=False),
        SpikingSession(model, "numpy"),
    ):
        for _ in range(2):  # in the memory of the run before
            np.testing.assert_allclose(session.run(x).outputs["y"], expected, rtol=1e-6)
        np.testing.assert_allclose(session.run_counted(x, [6])[0].outputs["y"], expected, rtol=1e-6)


# --- the public surface -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", onnx2snn.__all__)
def test_public_names_are_there(name):
    assert getattr(importlib.import_module("onnx2snn"), name) is not None


def test_public_surface_is_what_the_documentation_says():
    assert set(onnx2snn.__all__) == {
        "CompileOptions",
        "CompiledModel",
        "DataError",
        "ModelError",
        "Onnx2SnnError",
        "OptionError",
        "OutputError",
        "Preprocessing",
        "SpikingSession",
        "UnsupportedGraphError",
        "__version__",
        "compile",
        "inspect",
    }
    errors = [
        value for value in vars(onnx2snn).values() if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert all(issubclass(error, onnx2snn.Onnx2SnnError) for error in errors)


def test_types_and_demo_ship_with_the_package():
    package = resources.files("onnx2snn")
    assert (package / "py.typed").is_file()
    assert sum(len(path.read_bytes()) for path in DEMO.iterdir() if path.is_file()) < 400_000
