from __future__ import annotations

import json

import onnxruntime
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.cli import doctor, main
from onnx2snn.engine import native


def call(*arguments):
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert result.exit_code == 0
    return result.output


def test_versions_providers_and_kernels():
    found = json.loads(call("--json", "-").partition("\n{")[2].join(["{", ""]))
    assert found["versions"]["onnx2snn"] == onnx2snn.__version__
    assert found["versions"]["onnxruntime"] == onnxruntime.__version__
    assert "CPUExecutionProvider" in found["providers"]
    kernels = native.find_kernels()
    assert found["native"]["library"] == (None if kernels.path is None else str(kernels.path))


def test_it_says_why_there_are_no_kernels(monkeypatch):
    monkeypatch.setenv("ONNX2SNN_NATIVE", "0")
    assert "none (ONNX2SNN_NATIVE=0): standard operators, same results, slower" in call()


@pytest.mark.parametrize("missing", [True, False])
def test_it_says_how_to_get_an_extra(monkeypatch, missing):
    installed = doctor._is_installed
    monkeypatch.setattr(
        doctor, "_is_installed", lambda r: installed(r) if r.name != "Pillow" else not missing
    )
    assert ("Pillow missing: pip install 'onnx2snn[images]'" in call()) == missing
    assert "Pillow" in doctor.examine()["extras"]["images"] or not missing


def test_a_release_that_is_too_old_is_missing(monkeypatch):
    version = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: "1.0" if name == "Pillow" else version(name))
    assert doctor.examine()["extras"]["images"] == ["Pillow"]
