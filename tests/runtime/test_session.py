"""Running artifacts: every way and every backend gives the same, and what is counted is what there is."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

import onnx2snn
from benchmarks.backends import ratios, tie_distances
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.passes.normalize_weights import NormalizeWeights
from tests.helpers import feeds, normal, parse
from tests.runtime.tiny import NET, SHAPES

PLAIN = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "onnx2snn":
            raise ImportError(name)

sys.meta_path.insert(0, Block())
try:
    import onnx2snn
except ImportError:
    pass
else:
    sys.exit("onnx2snn is importable")
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(y,) = session.run(None, dict(numpy.load(sys.argv[2])))
numpy.save(sys.argv[3], y)
"""


@pytest.fixture
def net(rng) -> onnx.ModelProto:
    return parse(NET, **normal(rng, **SHAPES))


def snn(model: onnx.ModelProto, rng: np.random.Generator, **options) -> onnx.ModelProto:
    return onnx2snn.compile(model, feeds(rng, model, 64), **{"code": "burst", **options}).model


@pytest.mark.parametrize("signed", [False, True])
def test_plain_onnxruntime_without_the_package(net, rng, tmp_path, signed):
    compiled = onnx2snn.compile(net, feeds(rng, net, 64), signed=signed, code="burst")
    compiled.save(tmp_path / "net.snn.onnx")
    x = feeds(rng, net, 9)["x"]
    np.savez(tmp_path / "x.npz", x=x)
    arguments = [str(tmp_path / name) for name in ("net.snn.onnx", "x.npz", "y.npy")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = onnx2snn.SpikingSession(tmp_path / "net.snn.onnx").run(x).outputs["y"]
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
@pytest.mark.parametrize("signed", [False, True])
def test_every_way_to_run_agrees(net, rng, backend, signed):
    model = snn(net, rng, signed=signed, timesteps=4)
    x = feeds(rng, net, 5)["x"]
    session = onnx2snn.SpikingSession(model, backend=backend)
    assert session.timesteps == 4
    assert session.neurons == ("r", "q")
    for steps in (1, 4, 6):
        whole = session.run(x, steps)
        recorded = session.run(x, steps, record=True)
        counted = session.run_counted(x, [steps, 1])
        session.reset()
        streamed = list(session.stream([x] * steps))
        assert whole.timesteps == recorded.timesteps == steps
        assert not whole.steps
        assert not whole.spikes
        assert [point.timesteps for point in counted] == sorted({1, steps})
        for found in (recorded.outputs["y"], counted[-1].outputs["y"], streamed[-1].outputs["y"]):
            np.testing.assert_allclose(found, whole.outputs["y"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            recorded.steps["y"], [out.outputs["y"] for out in streamed], rtol=0, atol=1e-5
        )
        for name in session.neurons:
            assert recorded.spikes[name].shape[:2] == (steps, 5)
            sent = np.abs(recorded.spikes[name].astype(int)).sum(axis=0).reshape(5, -1).sum(axis=1)
            np.testing.assert_array_equal(counted[-1].spikes[name], sent)


def test_stream_keeps_its_state_until_reset(net, rng):
    session = onnx2snn.SpikingSession(snn(net, rng))
    x = feeds(rng, net, 2)["x"]
    first = [out.outputs["y"] for out in session.stream([x, x])]
    later = [out.outputs["y"] for out in session.stream([x])]
    np.testing.assert_array_equal(session.run(x, 3, record=True).steps["y"], [*first, *later])
    session.reset()
    np.testing.assert_array_equal(next(session.stream([x])).outputs["y"], first[0])


@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
def test_inputs_of_earlier_runs_stay_as_they_were(backend):
    """The network reads its input in every timestep, and keeps its memory from run to run."""
    model = parse(
        "(float[N,2] x) => (float[N,2] y) { r = Relu(x) y = Gemm(r, w) }", w=np.eye(2, dtype=np.float32)
    )
    first, second = np.float32([[1, 2]]), np.float32([[2, 0]])
    session = onnx2snn.SpikingSession(
        onnx2snn.compile(model, first, correct_bias=False, code="burst").model, backend=backend
    )
    session.run(first)
    session.run(second)
    list(session.stream([first, second]))
    assert first.tolist() == [[1, 2]]


def test_stream_takes_frames_that_differ(rng):
    """One identity-like layer: the mean over frames of the net's input is what comes out, to one spike."""
    model = parse(
        "(float[N,2] x) => (float[N,2] y) { r = Relu(x) y = Gemm(r, w) }", w=np.eye(2, dtype=np.float32)
    )
    frames = np.abs(rng.standard_normal((40, 1, 2))).astype(np.float32)
    session = onnx2snn.SpikingSession(
        onnx2snn.compile(model, frames[:, 0], signed=True, correct_bias=False).model
    )
    theta = max(float(session.artifact.threshold(cell).max()) for cell in session.artifact.neurons)
    *_, last = session.stream(frames)
    # What is not sent yet is the potential, less than Γ + 1 thresholds of it.
    np.testing.assert_allclose(last.outputs["y"], frames.mean(axis=0), rtol=0, atol=5 * theta / 40)


@pytest.mark.parametrize("signed", [False, True])
def test_numpy_spikes_the_same_but_for_near_ties(net, rng, signed):
    model = snn(net, rng, signed=signed)
    x = feeds(rng, net, 48)["x"]
    numpy = onnx2snn.SpikingSession(model, backend="numpy")
    mine = numpy.run(x, record=True).spikes
    ratio = ratios(numpy, {"x": x}, 8)
    for name in numpy.neurons:  # the ratios are those that the spikes came from
        low = -4 if signed else 0
        unsaturated = (np.floor(ratio[name]) < 4) & (np.floor(ratio[name]) >= low) & (mine[name] >= 0)
        free = unsaturated & (ratio[name] >= 0)
        np.testing.assert_array_equal(mine[name][free], np.floor(ratio[name])[free])
    assert max(tie_distances(onnx2snn.SpikingSession(model), {"x": x}, 8), default=0.0) < 1e-5


@pytest.mark.parametrize("signed", [False, True])
def test_dyadic_numbers_spike_exactly_the_same(rng, signed, monkeypatch):
    """Every sum is exact in float32, so no order of summation can make a difference, not even at ties."""
    monkeypatch.setattr(NormalizeWeights, "run", lambda *_: False)  # θ below, not in the weights
    weights = {name: np.round(w * 4) / 4 for name, w in normal(rng, **SHAPES).items()}
    model = snn(parse(NET, **weights), rng, signed=signed, correct_bias=False)
    body = onnx.helper.get_node_attr_value(next(n for n in model.graph.node if n.op_type == "Loop"), "body")
    for holder in (body, model.graph):
        for item in holder.initializer:
            if item.name.endswith(("/threshold", "/potential")):
                array = onnx.numpy_helper.to_array(item)
                value = 0.25 if item.name.endswith("/potential") else 0.5
                item.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, value), item.name))
    x = rng.integers(-8, 9, (32, 2, 6, 6)).astype(np.float32) / 4
    mine = onnx2snn.SpikingSession(model, backend="numpy").run(x, record=True)
    other = onnx2snn.SpikingSession(model).run(x, record=True)
    for name in ("r", "q"):
        np.testing.assert_array_equal(mine.spikes[name], other.spikes[name])
        assert mine.spikes[name].any()
    assert (mine.spikes["q"] < 0).any() == signed


# --- errors -----------------------------------------------------------------------------------------------

GOOD = np.zeros((1, 2, 6, 6), np.float32)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (GOOD[0], ["input 'x'", "[N, 2, 6, 6]", "[2, 6, 6]"]),
        (np.zeros((1, 6, 6, 2), np.float32), ["input 'x'", "[N, 2, 6, 6]", "[1, 6, 6, 2]", "transpose"]),
        (GOOD.astype(np.float64), ["input 'x'", "float32", "float64", "astype"]),
        (GOOD.astype(np.uint8), ["input 'x'", "float32", "uint8"]),
        (GOOD + np.float32(np.nan), ["input 'x'", "NaN"]),
        (GOOD - np.float32(np.inf), ["input 'x'", "Inf"]),
        ({"image": GOOD}, ["expected x", "found image"]),
        ({"x": GOOD, "z": GOOD}, ["expected x", "found x, z"]),
        ({}, ["expected x", "found none"]),
    ],
)
@pytest.mark.parametrize("method", ["run", "run_counted", "macs_per_sample", "stream"])
def test_inputs_that_do_not_fit(net, rng, inputs, words, method):
    session = onnx2snn.SpikingSession(snn(net, rng, correct_bias=False))
    calls = {
        "run": session.run,
        "run_counted": lambda x: session.run_counted(x, [2]),
        "macs_per_sample": session.macs_per_sample,
        "stream": lambda x: list(session.stream([x])),
    }
    with pytest.raises(onnx2snn.DataError) as caught:
        calls[method](inputs)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("timesteps", [0, -1, 2.5, "4"])
def test_too_few_timesteps(net, rng, timesteps):
    session = onnx2snn.SpikingSession(snn(net, rng, correct_bias=False))
    for call in (lambda: session.run(GOOD, timesteps), lambda: session.run_counted(GOOD, [2, timesteps])):
        with pytest.raises(onnx2snn.OptionError, match=f"at least 1, found {timesteps!r}"):
            call()


def test_not_an_artifact(net, tmp_path):
    with pytest.raises(onnx2snn.ModelError, match="compile the model first"):
        onnx2snn.SpikingSession(net)
    with pytest.raises(onnx2snn.ModelError, match=r"none\.onnx: expected an ONNX file, found nothing there"):
        onnx2snn.SpikingSession(tmp_path / "none.onnx")


def test_unknown_backend(net, rng):
    with pytest.raises(onnx2snn.OptionError, match="expected 'onnxruntime' or 'numpy', found 'torch'"):
        onnx2snn.SpikingSession(snn(net, rng, correct_bias=False), backend="torch")


def test_damaged_metadata(net, rng):
    model = snn(net, rng, correct_bias=False)
    next(entry for entry in model.metadata_props if entry.key == "onnx2snn.options").value = "{"
    with pytest.raises(onnx2snn.ModelError, match=r"onnx2snn\.options.*compile"):
        onnx2snn.SpikingSession(model)


def test_onnxruntime_errors_are_ours():
    broken = parse("(float[N,2] x) => (float[N,2] y) { y = onnx2snn.Unknown(x) }")
    with pytest.raises(onnx2snn.ModelError, match="onnxruntime cannot load the model"):
        OnnxruntimeEngine(broken)


def test_no_timesteps_at_all(net, rng):
    session = onnx2snn.SpikingSession(snn(net, rng, correct_bias=False))
    with pytest.raises(onnx2snn.OptionError, match=r"at least one number, found none; give \[8\]"):
        session.run_counted(GOOD, [])


def test_numpy_integers_are_timesteps(net, rng):
    session = onnx2snn.SpikingSession(snn(net, rng, correct_bias=False))
    assert session.run(GOOD, np.int64(3)).timesteps == 3


def test_unknown_provider(net, rng):
    words = "expected some of .*CPUExecutionProvider.*, found 'TpuExecutionProvider'; choose"
    with pytest.raises(onnx2snn.OptionError, match=words):
        onnx2snn.SpikingSession(snn(net, rng, correct_bias=False), providers=["TpuExecutionProvider"])


def test_stream_refuses_another_batch_until_reset(net, rng):
    session = onnx2snn.SpikingSession(snn(net, rng, correct_bias=False))
    x = feeds(rng, net, 3)["x"]
    first = next(session.stream([x])).outputs["y"]
    for other in (x[:1], x[:2]):
        with pytest.raises(onnx2snn.DataError, match=r"expected 3 samples.*call reset\(\)"):
            next(session.stream([other]))
    session.reset()
    np.testing.assert_allclose(next(session.stream([x[:1]])).outputs["y"], first[:1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
@pytest.mark.parametrize("options", [{}, {"schedule": "layer"}, {"code": "graded", "until_rest": True}])
def test_threads_may_share_a_session(net, rng, options, backend):
    session = onnx2snn.SpikingSession(snn(net, rng, timesteps=4, **options), backend)
    inputs = [feeds(rng, net, 6) for _ in range(2)]
    expected = [session.run(x).outputs["y"] for x in inputs]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda number: session.run(inputs[number % 2]).outputs["y"], range(20)))
    for number, scores in enumerate(found):
        np.testing.assert_array_equal(scores, expected[number % 2])


def test_threads_take_turns_with_the_frames_of_a_stream(net, rng):
    model = snn(net, rng, code="graded")
    frames = [feeds(rng, net, 2)] * 8
    expected = [frame.outputs["y"] for frame in onnx2snn.SpikingSession(model).stream(frames)]
    session = onnx2snn.SpikingSession(model)
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda _: [f.outputs["y"] for f in session.stream(frames[:4])], range(2))
    found = sorted(scores.tolist() for half in halves for scores in half)
    assert found == sorted(scores.tolist() for scores in expected)


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_an_output_that_is_one_number_stays_one(rng, schedule):
    text = """(float[N,4] x) => (float y) {
        s = ReduceSum<keepdims=0>(x) h = Mul(s, k) r = Relu(h) y = Mul(r, k)
    }"""
    model = parse(text, k=np.float32(2))
    session = onnx2snn.SpikingSession(snn(model, rng, schedule=schedule))
    x = np.ones((3, 4), np.float32)
    runs = [session.run(x), session.run(x), session.run(x, record=True), *session.run_counted(x, [8])]
    assert [run.outputs["y"].shape for run in runs] == [()] * 4
