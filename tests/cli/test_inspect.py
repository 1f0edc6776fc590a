"""`onnx2snn inspect`: of an ANN, and of a network."""

from __future__ import annotations

import json
import re

import onnx
import pytest

import onnx2snn
from tests.cli.calls import call, refused
from tests.helpers import parse


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


def test_an_ann_is_counted_and_charged(place):
    text = call("inspect", "net.onnx").stdout
    assert "r     Relu      spiking  the target of GradedIF\n" in text
    assert "\nwork  42 multiply-accumulates a sample, 42.9 % of them fed by spikes" in text
    text = call("inspect", "net.onnx", "--code", "burst").stdout
    assert "r     Relu      spiking  burst integrate-and-fire neuron\n" in text
    assert "\nwork  42 multiply-accumulates a sample, 42.9 % of them fed by spikes\n" in text
    assert "\nenergy  193 pJ an inference of the ANN (45nm-float32: 4.6 pJ a MAC" in text
    other = call("inspect", "net.onnx", "--energy-model", "45nm-int8", "--json", "x.json").stdout
    assert "(45nm-int8: " in other
    assert json.loads((place / "x.json").read_text())["energy"]["model"] == "45nm-int8"


@pytest.mark.usefixtures("place")
def test_a_network_says_how_it_was_compiled():
    version = onnx2snn.__version__
    assert f"\ncompiled  by onnx2snn {version}, T = 8, Γ = 4\n" in call("inspect", "net.snn.onnx").stdout
    text = call("inspect", "layer.snn.onnx").stdout
    assert f"\ncompiled  by onnx2snn {version}, T = 8, schedule layer, code burst\n" in text
    assert "\nadapted  " not in text
    assert "\nearly exit  " not in text


@pytest.mark.usefixtures("place")
def test_a_network_says_what_was_adapted_and_when_it_stops():
    compiled = "compile net.onnx --calib data.npz -o x.onnx"
    call(*compiled.split(), "--compress", "spikes", "--max-loss", 50, "--code", "burst")
    text = call("inspect", "x.onnx").stdout
    assert ", T = 8, Γ by layer\n" in text
    assert "\nadapted  " in text
    call(*compiled.split(), "--early-exit", "confidence:0.5")
    assert "\nearly exit  " in call("inspect", "x.onnx").stdout
    assert "\nrest  the file stops" in call(*compiled.split(), "--code", "graded", "--until-rest").stdout
    text = call("inspect", "x.onnx").stdout
    assert ", T = 8, n = 8\n" in text
    assert "\nrest  the file stops at the first timestep without a spike\n" in text
    layered = (*compiled.split(), "--code", "graded", "--schedule", "layer", "-T", 2)
    assert re.search(
        r"\nneuron layer +n +R, before = 1 +spikes", call(*layered, "--exponents", "auto").stdout
    )
    assert ", T = 2, schedule layer, code graded, n by layer\n" in call("inspect", "x.onnx").stdout


@pytest.mark.usefixtures("place")
def test_a_net_without_neurons_is_noted():
    note = "note  no neurons: compile refuses a net without a ReLU, "
    onnx.save(parse("(float[N,2] x) => (float[N,2] y) { y = Sigmoid(x) }"), "none.onnx")
    assert f"{note}or an activation or weights before weights\n" in call("inspect", "none.onnx").stdout
    text = call("inspect", "none.onnx", "--code", "burst").stdout
    assert f"{note}unless --code graded finds other activations\n" in text
    assert "note  " not in call("inspect", "net.onnx").stdout
    assert "energy  " not in call("inspect", "none.onnx").stdout  # it multiplies nothing
    assert "note  " not in call("inspect", "none.onnx", "--strict").stdout  # there it is refused
    roles = json.loads(call("inspect", "none.onnx", "--strict", "--json", "-").stdout)["roles"]
    assert roles["refused"] == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "--json net.onnx",
            "net.onnx: expected a file of its own, found the input net.onnx; choose another with --json",
        ),
        ("--json gone/x", "gone/x: the folder '{place}/gone' does not exist; create it or choose another"),
        (
            "--energy-model mine",
            "--energy-model: expected 45nm-float32, 45nm-int8, rolls-77fj or a file that ends in .toml, "
            "found 'mine'; choose one of these",
        ),
    ],
)
def test_it_refuses_in_one_line(place, more, message):
    assert refused(place, f"inspect net.onnx {more}") == message.format(place=place)


def test_doctor_writes_what_it_shows(place):
    text = call("doctor", "--json", "x.json").stdout
    found = json.loads((place / "x.json").read_text())
    assert json.loads(call("doctor", "--json", "-").stdout) == found
    assert onnx2snn.__version__ in text
    assert refused(place, "doctor --json gone/x").startswith("gone/x: the folder ")
