"""`onnx2snn sweep`: what is tried, and what is refused in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from onnx2snn.analysis.candidates import KINDS
from onnx2snn.cli.sweep import sweep
from tests.cli.calls import call, refused

SWEEP = "sweep net.onnx --calib x.npy --data data.npz"
SMALL = f"{SWEEP} --kinds radix --timesteps 2 --max-loss none"


def test_the_kinds_are_all_that_there_are():
    (kinds,) = (parameter for parameter in sweep.params if parameter.name == "kinds")
    assert kinds.default.split(",") == list(KINDS)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--plot x.txt", "--plot: expected a file name in .png, .svg, .pdf, found 'x.txt'; rename it"),
        (
            "--kinds stream,analog",
            "--kinds: expected some of stream, signed, layer, radix, graded, graded-layer, found 'analog'; "
            "separate them by commas",
        ),
        (
            "--max-spikes 2,two",
            "--max-spikes: expected numbers separated by commas, found '2,two'; give one or more",
        ),
        (
            "--max-loss none,1",
            "--max-loss: expected numbers separated by commas, found 'none,1'; give one or more",
        ),
        (
            "--timesteps 4,0",
            "--timesteps: expected numbers of at least 1, found 0; leave it out for all to T",
        ),
        ("--batch-size 0", "--batch-size: expected at least 1, found 0; leave it out for the default"),
        ("--cache out", "out: cannot be made a folder (File exists); choose --cache"),
        (
            "--json same --plot ./same.svg --report same.html --plot same",
            "--plot: expected a file name in .png, .svg, .pdf, found 'same'; rename it",
        ),
    ],
)
def test_bad_options_get_one_line(place, more, message):
    assert refused(place, f"{SWEEP} {more}") == message


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("--max-loss 0", "--max-loss: expected more than 0"),
        ("--json net.onnx", "net.onnx: expected a file of its own, found the input"),
        ("--plot gone/x.svg", "gone/x.svg: "),
        ("--calib-samples 0", "expected at least 1, found 0"),
        ("--max-samples 0", "expected at least 1, found 0"),
    ],
)
def test_what_is_checked_before_any_point(place, more, words):
    assert words in refused(place, f"{SWEEP} {more}")


def test_without_matplotlib_it_says_what_to_install(place, monkeypatch):
    monkeypatch.setattr("onnx2snn.report.plots.find_spec", lambda _: None)
    assert refused(place, f"{SWEEP} --plot x.png").endswith("pip install 'onnx2snn[report]'")


def test_points_are_kept_beside_the_user_and_the_command_has_all_that_was_typed(place):
    text = call(*f"{SMALL} --calib-samples 8 --max-samples 10 --batch-size 3 --json x.json".split()).stdout
    found = json.loads((place / "x.json").read_text())
    assert len(list((place / "net.sweep").glob("*.json"))) == len(found["points"]) == 1
    assert found["command"] == (
        "onnx2snn compile net.onnx --calib x.npy --max-samples 8 --schedule layer --code radix --timesteps 2"
    )
    assert "no labels" not in text
    assert f"\nANN  {100 * found['reference_accuracy']:.1f} %" in text


def test_without_labels_answers_are_compared(place):
    np.save("y.npy", np.load("x.npy"))
    text = call(*SMALL.replace("data.npz", "y.npy").split(), "--cache", "kept", "--json", "x.json").stdout
    assert "note  no labels, so no accuracy: the answers are compared with the ANN's" in text
    assert (place / "kept").is_dir()
    assert not (place / "net.sweep").exists()


def test_preprocessing_is_repeated_in_the_command(place):
    np.save("bytes.npy", np.arange(64, dtype=np.uint8).reshape(16, 4))
    line = SMALL.replace("x.npy", "bytes.npy").replace("data.npz", "bytes.npy")
    call(*line.split(), "--scale", "1/64", "--json", "x.json")
    assert json.loads((place / "x.json").read_text())["command"] == (
        "onnx2snn compile net.onnx --calib bytes.npy --scale 1/64 --schedule layer --code radix --timesteps 2"
    )
