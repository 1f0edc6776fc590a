"""`onnx2snn compile`: what it writes, prints and refuses."""

from __future__ import annotations

import json

import pytest

import onnx2snn
from tests.cli.calls import call, refused


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
    assert session.artifact.record.calibration.samples == 8
    options = session.artifact.record.options
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


COMPILE = "compile net.onnx --calib data.npz"


def test_it_prints_what_became_of_the_nodes_and_what_comes_next(digits):
    text = (digits / "compiled.txt").read_text(encoding="utf-8")
    for words in ("spiking", "linear", "folded", "multiply-accumulates a sample"):
        assert words in text
    samples = json.loads((digits / "report.json").read_text())["calibration"]["samples"]
    target = digits / "digits.snn.onnx"
    size = f"{target.stat().st_size / 1e6:.2f} MB"
    assert f"\n{target}  {size}, T = 8, calibrated on {samples} samples\n" in text
    command = f"onnx2snn evaluate {digits}/digits.snn.onnx --data DATA --reference {digits}/digits.onnx"
    assert text.endswith(f"next  {command}\n")


@pytest.mark.parametrize(
    ("more", "name", "key"),
    [
        ("--early-exit confidence:0.5", "early exit", "early_exit"),
        ("--schedule layer --weights int8", "int8", "layers"),
        ("--compress spikes --max-loss 50", "adapted", "adaptation"),
        ("--compress spikes --max-loss 50 --code burst", "adapted", "adaptation"),
    ],
)
def test_what_was_chosen_has_a_line(place, more, name, key):
    text = call(*COMPILE.split(), *more.split(), "-T", 4, "--json", "x.json").stdout
    said = [line for line in text.splitlines() if line.startswith(f"{name}  ")]
    assert (place / "net.snn.onnx").exists()
    assert len(said) == 1
    assert key in json.loads((place / "x.json").read_text())
    assert " MB, T = 4, calibrated on " in text
    plain = call(*COMPILE.split(), "--json", "x.json").stdout
    assert not [line for line in plain.splitlines() if line.startswith(f"{name}  ")]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("-T 0", "--timesteps: expected an integer from 1 to 65536, found 0; leave it out for 8"),
        (
            "-G 0",
            "--max-spikes: expected an integer from 1 to 255, found 0; leave it out for 4 with --code burst",
        ),
        (
            "--levels 0",
            "--levels: expected an integer from 1 to 255, found 0; "
            "leave it out for the value of --max-spikes",
        ),
        (
            "--levels 5",
            "--levels: expected at most --max-spikes = 4, found 5; "
            "a range of more spikes than a neuron can send would always be clipped",
        ),
        (
            "--batch-size 0",
            "--batch-size: expected an integer from 1 to 1048576, found 0; leave it out for 64",
        ),
        ("--max-samples 0", "max samples: expected at least 1, found 0; leave it out for all"),
        (
            "--percentile 0",
            "--percentile: expected more than 0 and at most 100, found 0.0; leave it out for 99.9",
        ),
        (
            "--percentile nan",
            "--percentile: expected more than 0 and at most 100, found nan; leave it out for 99.9",
        ),
        (
            "--scale 1/0",
            "scale: expected a number or a fraction such as 1/255, found '1/0'; leave it out for 1",
        ),
        ("--std 0", "std: expected finite numbers other than 0, found (0.0,); leave it out for 1"),
        ("-o .", ".: expected a file to write, found a folder; add a file name"),
        (
            "-o net.onnx",
            "net.onnx: expected a file of its own, found the input net.onnx; choose another with -o",
        ),
        (
            "--json net.onnx",
            "net.onnx: expected a file of its own, found the input net.onnx; choose another with --json",
        ),
        ("-o link", "link: expected a file of its own, found the input net.onnx; choose another with -o"),
        (
            "-o data.npz",
            "data.npz: expected a file of its own, found the input data.npz; choose another with -o",
        ),
        (
            "--calib . -o ./x.npy",
            "x.npy: expected a file of its own, found the input .; choose another with -o",
        ),
        (
            "-o out --json ./out",
            "out: expected a file of its own, found the output of -o; choose another with --json",
        ),
        ("-o gone/out", "gone/out: the folder '{place}/gone' does not exist; create it or choose another"),
        ("--json gone/x", "gone/x: the folder '{place}/gone' does not exist; create it or choose another"),
    ],
)
def test_it_refuses_in_one_line(place, more, message):
    (place / "link").symlink_to("net.onnx")
    assert refused(place, f"{COMPILE} {more}") == message.format(place=place)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            f"{COMPILE} --threshold best",
            "Invalid value for '--threshold': 'best' is not one of 'max', 'percentile', 'mse'.",
        ),
        (f"{COMPILE} --timestep 8", "No such option '--timestep'."),
        (f"{COMPILE} -T many", "Invalid value for '-T' / '--timesteps': 'many' is not a valid integer."),
        ("compile net.onnx -o out", "Missing option '--calib'."),
        ("compile --calib x.npy", "Missing argument 'MODEL.onnx'."),
    ],
)
def test_what_cannot_be_read_names_the_help(place, line, message):
    found = refused(place, line)
    assert found.startswith(message)
    assert found.endswith(" compile --help'.")
