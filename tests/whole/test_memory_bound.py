"""A compilation keeps to its memory, and what comes of it does not depend on that."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import onnx2snn
from onnx2snn.calibration import bias
from onnx2snn.calibration.shelf import Shelf
from tests.helpers import normal, parse

NET = """(float[N,3,16,16] x) => (float[N,5] y) {
    c1 = Conv<pads=[1,1,1,1]>(x, w1) r1 = Relu(c1) c2 = Conv<pads=[1,1,1,1]>(r1, w2)
    s = Add(c2, r1) r2 = Relu(s)
    p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r2) g = GlobalAveragePool(p) f = Flatten(g) y = Gemm(f, w3)
}"""
SETTINGS = {
    "stream, graded": {"code": "graded", "timesteps": 4},
    "layer, graded": {"code": "graded", "schedule": "layer", "timesteps": 3},
    "stream, burst": {"code": "burst", "timesteps": 6},
    "layer, radix": {"code": "radix", "schedule": "layer", "timesteps": 4},
    "int8": {"code": "burst", "schedule": "layer", "weights": "int8"},
    "auto": {"exponents": "auto", "timesteps": 3},
    "compressed": {"compress": "energy", "code": "burst", "timesteps": 4},
    "early exit": {"early_exit": "auto", "timesteps": 6},
}
#: Bytes of a sample's largest activation.
LARGEST = 8 * 16 * 16 * 4


def net(rng):
    return parse(NET, **normal(rng, w1=(8, 3, 3, 3), w2=(8, 8, 3, 3), w3=(8, 5)))


@pytest.mark.parametrize("setting", SETTINGS)
def test_little_memory_gives_the_same_network(setting, rng, monkeypatch):
    model, x = net(rng), rng.standard_normal((16, 3, 16, 16)).astype(np.float32)
    options = SETTINGS[setting] | {"max_search_samples": 8}
    wide = onnx2snn.compile(model, x, **options)
    shelves = []

    def shelf(most):
        shelves.append(Shelf(most))
        return shelves[-1]

    monkeypatch.setattr(bias, "Shelf", shelf)
    memory = 8 * LARGEST * (8 + 2 * (1 if options.get("schedule") == "layer" else options["timesteps"]))
    narrow = onnx2snn.compile(model, x, memory=memory, **options)
    assert any(shelf.spilled for shelf in shelves)
    runs = [onnx2snn.SpikingSession(made.model).run(x).outputs["y"] for made in (wide, narrow)]
    np.testing.assert_allclose(runs[1], runs[0], atol=1e-4)
    assert "memory" not in narrow.report.to_dict()["options"]


def test_too_little_for_one_sample_says_how_much(rng, tmp_path):
    np.save(tmp_path / "x.npy", rng.standard_normal((4, 3, 16, 16)).astype(np.float32))
    (tmp_path / "net.onnx").write_bytes(net(rng).SerializeToString())
    command = [
        sys.executable,
        "-m",
        "onnx2snn",
        "compile",
        "net.onnx",
        "--calib",
        "x.npy",
        "--memory",
        "1KiB",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: --memory: expected at least 32KiB, since one sample takes 16KiB of activations, found 1KiB; "
        "give more\n",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "x.npy"]


@pytest.mark.parametrize("size", ["0", "-1GiB", "many", "1.5.2GB", True, float("nan")])
def test_a_size_that_is_none(size, rng):
    with pytest.raises(
        onnx2snn.OptionError, match="--memory: expected a size, such as 2GiB or 512MiB, found"
    ):
        onnx2snn.compile(net(rng), np.zeros((1, 3, 16, 16), np.float32), memory=size)
