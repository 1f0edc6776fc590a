"""Nets of more weights than one message holds, the whole road: no other numbers than those of small nets.

What counts as many is changed for these tests; `benchmarks.large` takes nets of gigabytes.
"""

from __future__ import annotations

import gc
import json
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest

import onnx2snn
from onnx2snn.model import spill
from onnx2snn.model.spill import spilling
from onnx2snn.model.weights import model_bytes, references
from onnx2snn.web import page
from tests.cli.calls import call, refused, snapshot
from tests.helpers import batchnorm, normal, parse, save_outside

NETS = {
    "mlp": """(float[N,16] x) => (float[N,4] y) {
        a = MatMul(x, w1) b = Add(a, b1) r = Relu(b)
        n = BatchNormalization(r, gamma, beta, mean, var) c = Gemm<transB = 1>(n, w2, b2)
        m = BatchNormalization(c, gamma, beta, mean, var) s = Relu(m)
        t = Transpose<perm = [1, 0]>(w3) y = MatMul(s, t) }""",
    "cnn": """(float[N,3,6,6] x) => (float[N,4] y) {
        a = Conv<pads = [1, 1, 1, 1]>(x, k1) r = Relu(a) n = BatchNormalization(r, gamma, beta, mean, var)
        c = Conv<pads = [1, 1, 1, 1], group = 2>(n, k2) s = Relu(c) d = ConvTranspose<group = 2>(s, k3, b4)
        e = BatchNormalization(d, gamma, beta, mean, var) u = Relu(e) p = MaxPool<kernel_shape = [2, 2]>(u)
        g = GlobalAveragePool(p) f = Flatten(g) y = Gemm(f, w4) }""",
    "attention": """(float[N,5,16] x) => (float[N,5,16] y) {
        q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv) t = Transpose<perm = [0, 2, 1]>(k)
        s = MatMul(q, t) p = Softmax(s) z = MatMul(p, v) h = Add(x, z) l = MatMul(h, wu) i = Gelu(l)
        y = MatMul(i, wd) }""",
}
SHAPES = {
    "mlp": {"w1": (16, 32), "b1": (32,), "w2": (32, 32), "b2": (32,), "w3": (4, 32)},
    "cnn": {"k1": (32, 3, 3, 3), "k2": (32, 16, 3, 3), "k3": (32, 16, 3, 3), "b4": (32,), "w4": (32, 4)},
    "attention": {"wq": (16, 16), "wk": (16, 16), "wv": (16, 16), "wu": (16, 64), "wd": (64, 16)},
}
SETTINGS = {
    "stream": {},
    "layer": {"schedule": "layer"},
    "burst": {"code": "burst", "max_spikes": 4},
    "radix": {"schedule": "layer", "code": "radix"},
    "int8": {"schedule": "layer", "code": "radix", "weights": "int8"},
    "at rest": {"until_rest": True},
}


def net(name: str) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weights = {key: array / array.shape[0] ** 0.5 for key, array in normal(rng, **SHAPES[name]).items()}
    return parse(NETS[name], **weights, **(batchnorm(rng, 32) if "gamma" in NETS[name] else {}))


def samples(name: str, count: int = 24) -> np.ndarray:
    shape = {"mlp": (16,), "cnn": (3, 6, 6), "attention": (5, 16)}[name]
    return np.random.default_rng(1).standard_normal((count, *shape)).astype(np.float32)


def stock(path: Path | bytes, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"]).run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        *(("mlp", setting) for setting in SETTINGS),
        *(("cnn", setting) for setting in ("stream", "layer", "int8")),
        ("attention", "stream"),
        ("attention", "layer"),
    ],
)
def test_the_numbers_are_those_of_one_file(name, setting, tmp_path, request):
    model, x = net(name), samples(name)
    path = save_outside(model, tmp_path / "net.onnx")
    whole = onnx2snn.compile(model, x, **SETTINGS[setting])
    request.getfixturevalue("small_messages")
    compiled = onnx2snn.compile(path, x, **SETTINGS[setting])
    assert references(compiled.model)
    artifact, data = compiled.save(tmp_path / "net.snn.onnx")
    assert artifact.stat().st_size + data.stat().st_size < 1.5 * model_bytes(whole.model)
    onnx.checker.check_model(artifact)
    assert_close(stock(artifact, x), stock(onnx2snn_bytes(whole), x), setting)
    expected = onnx2snn.SpikingSession(whole.model).run(x)
    for given in (artifact, compiled.model):
        session = onnx2snn.SpikingSession(given)
        assert_close(session.run(x).outputs["y"], expected.outputs["y"], setting)
        counted = session.run_counted(x[:4], [session.timesteps])[-1]
        assert all(sent.sum() > 0 for sent in counted.spikes.values())


def assert_close(found: np.ndarray, expected: np.ndarray, setting: str) -> None:
    """Sums in another order; where they decide how integers are rounded, few may be rounded the other way."""
    if setting == "int8":
        assert np.linalg.norm(found - expected) < 1e-3 * np.linalg.norm(expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def onnx2snn_bytes(compiled: onnx2snn.CompiledModel) -> bytes:
    return compiled.model.SerializeToString()


@pytest.mark.usefixtures("small_messages")
def test_numpy_and_events_read_the_same_weights(tmp_path):
    x = samples("mlp", 4)
    compiled = onnx2snn.compile(save_outside(net("mlp"), tmp_path / "net.onnx"), x)
    expected = onnx2snn.SpikingSession(compiled.model).run(x).outputs["y"]
    found = onnx2snn.SpikingSession(compiled.model, "numpy").run(x).outputs["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("small_messages")
def test_the_same_bytes_every_time(tmp_path):
    x = samples("mlp")
    path = save_outside(net("mlp"), tmp_path / "net.onnx")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        onnx2snn.compile(path, x).save(tmp_path / name / "net.snn.onnx")
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")


@pytest.mark.usefixtures("small_messages")
def test_early_exit_and_a_search_of_firing(tmp_path):
    x = samples("mlp", 64)
    path = save_outside(net("mlp"), tmp_path / "net.onnx")
    exits = onnx2snn.compile(path, x, early_exit="confidence:0.9", code="burst")
    assert onnx2snn.SpikingSession(exits.save(tmp_path / "e.onnx")[0]).artifact.exit_rule is not None
    tried = onnx2snn.compile(path, x, compress="spikes", code="burst", loss_measure="agreement")
    assert stock(tried.save(tmp_path / "c.onnx")[0], x).shape == (64, 4)


@pytest.mark.usefixtures("small_messages")
def test_files_are_there_as_long_as_they_are_needed(tmp_path, monkeypatch):
    folder = tmp_path / "spill"
    folder.mkdir()
    monkeypatch.setattr(spill, "_temporary", lambda: str(folder))
    path = save_outside(net("mlp"), tmp_path / "net.onnx")
    with spilling() as held, closing(held):
        session = onnx2snn.SpikingSession(onnx2snn.compile(path, samples("mlp")).model)
        gc.collect()
        used = {item.external_data[0].value for item in references(session.artifact.model)}
        assert {str(file) for file in folder.rglob("*.bin")} == used - {str(tmp_path / "net.data")}
        assert session.run(samples("mlp")).outputs["y"].shape == (24, 4)
    assert list(folder.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        onnx2snn.compile(path, samples("mlp"), progress=stop_at("CorrectBias"))
    assert list(folder.iterdir()) == []


def stop_at(phase: str):
    def progress(name: str, _: float) -> None:
        if name == phase:
            raise KeyboardInterrupt

    return progress


@pytest.mark.usefixtures("small_messages")
def test_models_in_memory_without_their_weights(tmp_path):
    path = save_outside(net("mlp"), tmp_path / "net.onnx")
    light = onnx.load(path, load_external_data=False)
    with pytest.raises(onnx2snn.ModelError, match="expected its weights, found some left out"):
        onnx2snn.compile(light, samples("mlp"))
    onnx2snn.compile(path, samples("mlp")).save(tmp_path / "net.snn.onnx")
    light = onnx.load(tmp_path / "net.snn.onnx", load_external_data=False)
    with pytest.raises(onnx2snn.ModelError, match="give the path of the model's file"):
        onnx2snn.SpikingSession(light)


@pytest.fixture
def place(tmp_path, monkeypatch, request) -> Path:
    """A working directory with a net, its weights beside it, and data."""
    monkeypatch.chdir(tmp_path)
    x = samples("mlp", 16)
    np.savez("data.npz", images=x, labels=np.arange(16) % 4)
    np.save("x.npy", x)
    save_outside(net("mlp"), Path("net.onnx"))
    request.getfixturevalue("small_messages")
    return tmp_path


def test_the_command_line(place):
    said = call("compile", "net.onnx", "--calib", "data.npz").stdout
    (data,) = place.glob("net.snn.*.data")
    assert f"{data.name} " in said
    assert "its weights" in said
    call("run", "net.snn.onnx", "--input", "x.npy", "-o", "out.npz")
    found = np.load("out.npz")["y"]
    np.testing.assert_allclose(found, stock(place / "net.snn.onnx", np.load("x.npy")), rtol=1e-4, atol=1e-5)
    both = ("net.snn.onnx", "--data", "data.npz", "--reference", "net.onnx")
    call("evaluate", *both, "--json", "evaluated.json")
    assert json.loads(Path("evaluated.json").read_text())["samples"] == 16
    assert "MatMul" in call("inspect", "net.onnx").stdout
    data.rename("elsewhere")
    assert "compiled" in call("inspect", "net.snn.onnx").stdout
    Path("elsewhere").rename(data)
    assert call("diagnose", *both).stdout
    small = ["layer", "--calib", "data.npz"]
    call("compile", "net.onnx", "--schedule", *small, "-o", "net.snn.onnx")
    assert not data.exists()
    call("evaluate", *both)


def test_bad_files(place):
    call("compile", "net.onnx", "--calib", "data.npz")
    (data,) = place.glob("net.snn.*.data")
    os_truncate(data, 100)
    said = refused(place, "run net.snn.onnx --input x.npy -o out.npz")
    assert said.startswith("net.snn.onnx: the model or its external data cannot be read")
    assert data.name in said
    data.unlink()
    said = refused(place, "evaluate net.snn.onnx --data data.npz")
    assert said.startswith("net.snn.onnx: the model or its external data cannot be read")
    assert "beside the model" in said
    os_truncate(place / "net.data", 3000)
    said = refused(place, "compile net.onnx --calib data.npz -o new.snn.onnx")
    assert said.startswith("net.onnx: the model or its external data cannot be read")
    assert "net.data" in said


def os_truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def test_nan_in_a_file(place):
    values = np.fromfile("net.data", np.float32)
    values[5] = np.nan
    values.tofile("net.data")
    said = refused(place, "compile net.onnx --calib data.npz -o new.snn.onnx")
    assert said.startswith("net.onnx: constant 'w1': expected numbers, found NaN")


def test_no_room_for_what_is_computed(place, monkeypatch):
    monkeypatch.setattr(spill, "_temporary", lambda: str(place / "gone"))
    said = refused(place, "compile net.onnx --calib data.npz -o new.snn.onnx")
    assert "gone: weights of more than memory should hold cannot be written there" in said
    assert "TMPDIR" in said


def test_another_reference(place):
    call("compile", "net.onnx", "--calib", "data.npz")
    values = np.fromfile("net.data", np.float32)
    values[5] += 1
    values.tofile("net.data")
    said = refused(place, "evaluate net.snn.onnx --data data.npz --reference net.onnx")
    assert "expected the ANN that the network was compiled from" in said


@pytest.mark.usefixtures("place")
def test_no_page_of_a_large_net():
    call("compile", "net.onnx", "--calib", "data.npz")
    session = onnx2snn.SpikingSession("net.snn.onnx")
    stepping = SimpleNamespace(models={"step": session.artifact.step})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "_LARGEST", 5000)
        with pytest.raises(onnx2snn.ModelError, match=r"net\.snn\.onnx: expected at most 0 MB for a page"):
            page._models(Path("net.snn.onnx"), stepping, None)
