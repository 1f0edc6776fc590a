"""`onnx2snn compile`: what it writes, prints and refuses."""

from __future__ import annotations

import json

import onnx2snn
from tests.cli.calls import call


def test_compile_report(digits):
    report = json.loads((digits / "report.json").read_text())
    assert report["output"] == str(digits / "digits.snn.onnx")
    assert report["version"] == onnx2snn.__version__
    assert report["options"]["signed"] is True
    assert report["calibration"]["source"] == "digits_calibration.npz"
    assert report["roles"]["refused"] == 0
    assert sum(report["roles"].values()) == len(report["nodes"])
    assert report["seconds"]["Calibrate"] >= 0


def test_compile_writes_beside_the_user_by_default(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(
        "compile",
        digits / "digits.onnx",
        "--calib",
        digits / "digits_calibration.npz",
        "--scale",
        "1/16",
        "--max-samples",
        8,
        "-T",
        2,
        "-G",
        2,
        "--levels",
        1,
        "--threshold",
        "max",
        "--granularity",
        "layer",
        "--no-correct-bias",
        "--strict",
        "--dynamic-timesteps",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["digits.snn.onnx"]
    session = onnx2snn.SpikingSession("digits.snn.onnx")
    assert session.artifact.metadata["calibration"]["samples"] == 8
    options = session.artifact.metadata["options"]
    assert {
        key: options[key] for key in ("timesteps", "max_spikes", "levels", "threshold", "granularity")
    } == {"timesteps": 2, "max_spikes": 2, "levels": 1, "threshold": "max", "granularity": "layer"}
    assert options["strict"]
    assert options["dynamic_timesteps"]
    assert not options["correct_bias"]


def test_compile_json_on_stdout_is_json_alone(digits, tmp_path):
    result = call(
        "compile",
        digits / "digits.onnx",
        "--calib",
        digits / "digits_calibration.npz",
        "--scale",
        "1/16",
        "-o",
        tmp_path / "x.onnx",
        "--json",
        "-",
    )
    assert json.loads(result.stdout)["roles"]["spiking"] > 0
    assert "evaluate" in result.stderr
