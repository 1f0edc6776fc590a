from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.cli import main
from tests.cli.calls import OLD
from tests.helpers import normal, parse

MLP = "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"
CNN = """(float[N,3,4,4] x) => (float[N,2] y) {
    c = Conv(x, k) r = Relu(c) g = GlobalAveragePool(r) f = Flatten(g) y = Gemm(f, w) }"""


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """The embedded net with its data, compiled at T = 8, with its report as JSON."""
    place = tmp_path_factory.mktemp("cli")
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        (place / name).write_bytes(resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    result = CliRunner().invoke(
        main,
        f"compile {place}/digits.onnx --calib {place}/digits_calibration.npz --scale 1/16 --signed "
        f"-o {place}/digits.snn.onnx --json {place}/report.json".split(),
    )
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    (place / "compiled.txt").write_text(result.stdout, encoding="utf-8")
    return place


@pytest.fixture(scope="session")
def mlp(tmp_path_factory) -> Path:
    """A small net, what was compiled from it, and its data."""
    folder = tmp_path_factory.mktemp("mlp")
    model = parse(MLP, **normal(np.random.default_rng(1), w1=(4, 6), w2=(6, 3)))
    x = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)
    onnx.save(model, folder / "net.onnx")
    onnx.save(parse(CNN, **normal(np.random.default_rng(0), k=(2, 3, 3, 3), w=(2, 2))), folder / "cnn.onnx")
    np.savez(folder / "data.npz", images=x, labels=np.arange(16) % 3)
    np.save(folder / "x.npy", x)
    onnx2snn.compile(model, x, code="burst", correct_bias=False).save(folder / "net.snn.onnx")
    onnx2snn.compile(model, x, code="burst", schedule="layer").save(folder / "layer.snn.onnx")
    return folder


@pytest.fixture
def place(mlp, tmp_path, monkeypatch) -> Path:
    """A working directory with that net and its data, and an output that exists already."""
    monkeypatch.chdir(tmp_path)
    for file in mlp.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    Path("out").write_bytes(OLD)
    return tmp_path
