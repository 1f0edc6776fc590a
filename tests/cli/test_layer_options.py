"""What the schedule `layer` and its codes take and refuse: in Python, and on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.cli import main
from tests.helpers import normal, parse, run

MLP = "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"
#: A quantiser of 7 levels, as training with it leaves it.
QUANTISED = """(float[N,4] x) => (float[N,3] y) {
    h = Gemm(x, w1) d = Div(h, quarter) [round] f = Round(d) c = Clip(f, zero, seven) q = Mul(c, quarter)
    y = Gemm(q, w2) }"""


def mlp() -> onnx.ModelProto:
    return parse(MLP, **normal(np.random.default_rng(1), w1=(4, 6), w2=(6, 3)))


def quantised() -> onnx.ModelProto:
    weights = normal(np.random.default_rng(1), w1=(4, 6), w2=(6, 3))
    steps = {"quarter": np.float32(0.25), "zero": np.float32(0), "seven": np.float32(7)}
    return parse(QUANTISED, **weights, **steps)


#: name → options, the same as arguments, words of the message
REFUSED: dict[str, tuple[dict[str, object], str, list[str]]] = {
    "radix in stream": (
        {"code": "radix"},
        "--code radix",
        ["--code", "graded or burst with --schedule stream", "found radix", "add --schedule layer"],
    ),
    "radix with Γ": (
        {"code": "radix", "schedule": "layer", "max_spikes": 2},
        "--code radix --schedule layer -G 2",
        ["--max-spikes", "--code radix", "found 2", "leave it out"],
    ),
    "radix with the Γ that burst has": (
        {"code": "radix", "schedule": "layer", "max_spikes": 4},
        "--code radix --schedule layer --max-spikes 4",
        ["--max-spikes", "--code radix", "found 4", "leave it out"],
    ),
    "radix of 17 bits": (
        {"code": "radix", "schedule": "layer", "timesteps": 17},
        "--code radix --schedule layer -T 17",
        ["--timesteps", "at most 16", "found 17", "65535 levels"],
    ),
    "int8 in stream": (
        {"weights": "int8"},
        "--weights int8",
        ["--weights", "--schedule stream", "found int8", "add --schedule layer"],
    ),
    "int8 with more levels than uint8": (
        {"weights": "int8", "schedule": "layer", "code": "radix", "timesteps": 9},
        "--weights int8 --schedule layer --code radix -T 9",
        ["--weights", "at most 255", "found 511", "fewer --timesteps"],
    ),
    "radix of no bits": (
        {"code": "radix", "schedule": "layer", "timesteps": 0},
        "--code radix --schedule layer -T 0",
        ["--timesteps", "found 0"],
    ),
    "signed": (
        {"schedule": "layer", "signed": True},
        "--schedule layer --signed",
        ["--signed", "--schedule stream", "found with layer", "leave it out"],
    ),
    "levels": (
        {"schedule": "layer", "levels": 2},
        "--schedule layer --levels 2",
        ["--levels", "--schedule stream", "found with layer", "leave it out"],
    ),
    "levels = Γ": (
        {"schedule": "layer", "levels": 4},
        "--schedule layer --levels 4",
        ["--levels", "--schedule stream", "leave it out"],
    ),
    "radix with levels": (
        {"schedule": "layer", "code": "radix", "levels": 1},
        "--schedule layer --code radix --levels 1",
        ["--levels", "--schedule stream", "leave it out"],
    ),
    "radix with more levels than Γ": (
        {"schedule": "layer", "code": "radix", "levels": 7},
        "--schedule layer --code radix --levels 7",
        ["--levels", "--schedule stream", "leave it out"],
    ),
    "dynamic timesteps": (
        {"schedule": "layer", "dynamic_timesteps": True},
        "--schedule layer --dynamic-timesteps",
        ["--dynamic-timesteps", "--schedule stream", "made for one T", "leave it out"],
    ),
}

#: Options in which a quantiser of 7 levels does not fit → the timesteps that it needs.
TOO_FEW: dict[str, tuple[dict[str, object], str, int, str]] = {
    "burst": ({"max_spikes": 2, "timesteps": 3}, "-G 2 -T 3", 4, "2·3 = 6"),
    "Γ = 1": ({"max_spikes": 1, "timesteps": 6}, "-G 1 -T 6", 7, "1·6 = 6"),
    "the default Γ": ({"code": "burst", "timesteps": 1}, "--code burst -T 1", 2, "4·1 = 4"),
    "radix": ({"code": "radix", "timesteps": 2}, "--code radix -T 2", 3, "2^2 - 1 = 3"),
}


@pytest.fixture
def place(tmp_path, monkeypatch, rng) -> Path:
    monkeypatch.chdir(tmp_path)
    onnx.save(mlp(), "net.onnx")
    onnx.save(quantised(), "quantised.onnx")
    np.save("x.npy", rng.standard_normal((16, 4)).astype(np.float32))
    return tmp_path


def refused(place: Path, arguments: str, words: list[str]) -> None:
    """Exit code 2, one line, and no file but those that were there."""
    before = {path: path.read_bytes() for path in place.iterdir()}
    result = CliRunner().invoke(main, arguments.split())
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr
    assert {path: path.read_bytes() for path in place.iterdir()} == before


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_python(name):
    options, _, words = REFUSED[name]
    for call in (
        lambda: onnx2snn.CompileOptions(**options),
        lambda: onnx2snn.compile(mlp(), np.zeros((4, 4), np.float32), **options),
    ):
        with pytest.raises(onnx2snn.OptionError) as caught:
            call()
        assert "\n" not in str(caught.value)
        for word in words:
            assert word in str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_on_the_command_line(place, name):
    _, arguments, words = REFUSED[name]
    refused(place, f"compile net.onnx --calib x.npy -o out.onnx {arguments}", words)


@pytest.mark.parametrize("name", TOO_FEW)
def test_too_few_levels_for_a_trained_quantiser(place, name):
    options, arguments, needed, room = TOO_FEW[name]
    words = ["--timesteps", "node 'round'", "7 levels", room, f"give --timesteps {needed}"]
    x = np.load("x.npy")
    with pytest.raises(onnx2snn.OptionError) as caught:
        onnx2snn.compile(quantised(), x, schedule="layer", **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    command = "compile quantised.onnx --calib x.npy -o out.onnx --schedule layer"
    refused(place, f"{command} {arguments}", words)
    # What it asks for is enough, and the network is then what was trained.
    model = onnx2snn.compile(quantised(), x, schedule="layer", **{**options, "timesteps": needed}).model
    found = onnx2snn.SpikingSession(model).run(x, record=True)
    np.testing.assert_allclose(found.outputs["y"], run(quantised(), {"x": x})[0], rtol=0, atol=1e-5)
    assert len(found.spikes["round"]) == needed


@pytest.mark.parametrize("code", ["burst", "graded"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("evaluate {} --data x.npy --timesteps 4 --json out", ["expected 8", "found 4", "--timesteps 4"]),
        ("evaluate {} --data x.npy --timesteps 1,8 --json out", ["expected 8", "found 1"]),
        ("run {} --input x.npy --timesteps 9 -o out", ["expected 8", "found 9", "--timesteps 9"]),
        ("compile {} --calib x.npy -o out", ["expected an ANN", "give the model"]),
    ],
)
def test_other_commands_refuse(place, arguments, words, code):
    onnx2snn.compile(mlp(), np.load("x.npy"), schedule="layer", code=code).save("net.snn.onnx")
    refused(place, arguments.format("net.snn.onnx"), words)
