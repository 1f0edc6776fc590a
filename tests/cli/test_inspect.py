"""`onnx2snn inspect`: of an ANN, and of a network."""

from __future__ import annotations

import json

import onnx2snn
from tests.cli.calls import call


def test_inspect_an_ann(digits, tmp_path):
    result = call("inspect", digits / "digits.onnx", "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kind"] == "ann"
    assert report["roles"]["spiking"] > 0
    for node in report["nodes"]:
        assert node["node"] in result.stdout
        assert node["reason"]
    on_stdout = call("inspect", digits / "digits.onnx", "--json", "-").stdout
    assert json.loads(on_stdout) == report


def test_inspect_an_snn(digits):
    text = call("inspect", digits / "digits.snn.onnx").stdout
    for words in ("SignedBurstIF", "median θ", f"onnx2snn {onnx2snn.__version__}", "T = 8, Γ = 4"):
        assert words in text
    report = json.loads(call("inspect", digits / "digits.snn.onnx", "--json", "-").stdout)
    assert report["kind"] == "snn"
    assert report["nodes"] == json.loads((digits / "report.json").read_text())["nodes"]
