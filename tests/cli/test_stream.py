"""`run --stream` and `evaluate --stream` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.calls import call, refused
from tests.data.event_cases import rows
from tests.helpers import normal, parse

NET = """(float[N,2,6,8] x) => (float[N,3] y) {
    c = Conv(x, k) r = Relu(c) g = GlobalAveragePool(r) f = Flatten(g) y = Gemm(f, w) }"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a compiled net and four recordings of noise."""
    monkeypatch.chdir(tmp_path)
    onnx.save(parse(NET, **normal(np.random.default_rng(0), k=(4, 2, 3, 3), w=(4, 3))), "net.onnx")
    events = [rows(60, number) for number in range(4)]
    np.savez(
        "d.npz",
        events=np.concatenate(events),
        offsets=np.cumsum([0, *map(len, events)]),
        labels=np.arange(4) % 3,
    )
    call(
        *("compile", "net.onnx", "--calib", "d.npz", "--frames", "count:6", "--accumulate", "2"),
        *("--sensor", "6,8", "--code", "graded"),
    )
    return tmp_path


@pytest.mark.usefixtures("here")
def test_evaluate_follows_recordings():
    result = call(
        *(
            "evaluate",
            "net.snn.onnx",
            "--data",
            "d.npz",
            "--reference",
            "net.onnx",
            "--stream",
            "--frame-rate",
            25,
        ),
        *("--json", "figures.json"),
    )
    figures = json.loads(Path("figures.json").read_text())
    assert (figures["recordings"], figures["frames"], figures["steps_per_frame"]) == (4, 24, "rest")
    assert len(figures["accuracy_by_frame"]) == len(figures["timesteps_by_frame"]) == 6
    assert figures["operations_ratio"] < 1
    assert figures["real_time_factor"] == pytest.approx(figures["frames_per_second"] / 25)
    for words in ("4 of 24 frames", "same answer as the ANN", "times real time", "first right answer"):
        assert words in result.output
    call("evaluate", "net.snn.onnx", "--data", "d.npz", "--stream", "--steps-per-frame", 3, "--tolerance", 4)


@pytest.mark.usefixtures("here")
def test_frames_that_are_typed_again_tell_their_time():
    """The file was compiled with frames of no known length."""
    call("evaluate", "net.snn.onnx", "--data", "d.npz", "--stream", "--json", "no.json")
    assert json.loads(Path("no.json").read_text())["real_time_factor"] is None
    call(
        "evaluate", "net.snn.onnx", "--data", "d.npz", "--stream", "--frames", "time:5ms", "--json", "f.json"
    )
    figures = json.loads(Path("f.json").read_text())
    assert figures["real_time_factor"] == pytest.approx(figures["frames_per_second"] * 0.005)


@pytest.mark.usefixtures("here")
def test_run_follows_frames():
    result = call("run", "net.snn.onnx", "--stream", "d.npz", "-o", "out.npz", "--steps-per-frame", "rest")
    with np.load("out.npz") as found:
        assert found["y"].shape == (24, 3)
        assert {name: found[name].shape for name in found.files if name != "y"} == dict.fromkeys(
            ("timesteps", "events", "operations", "prefix_macs"), (24,)
        )
        mean = found["timesteps"].mean()
    assert f"24; on average {mean:.3g} timesteps" in result.output
    assert "frames/s while counting" in result.output
    assert "…" in result.output, "more frames than the table has rows"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run", "expected either --input X.npy or --stream DATA, found neither"),
        ("run --input d.npz --stream d.npz", "found both; give one of the two"),
        ("run --input d.npz --tolerance 2", "--tolerance: expected only with --stream"),
        ("run --stream d.npz --tolerance 3", "expected a power of two"),
        ("run --stream d.npz --steps-per-frame 0", "or rest, found 0"),
        ("run --stream d.npz --timesteps 4", "--timesteps: expected none with --stream"),
        ("run --stream d.npz --frame-rate 0", "expected a positive number of frames a second, found 0"),
        ("evaluate --data d.npz --frame-rate 9", "--frame-rate: expected only with --stream"),
        ("evaluate --data d.npz --stream --early-exit auto", "--early-exit: expected none with --stream"),
        ("evaluate --data d.npz --accumulate 0", "accumulate: expected a whole number of at least 1, or all"),
    ],
)
def test_what_cannot_be(here, line, words):
    command, *options = line.split(" ", 1)
    assert words in refused(here, " ".join([command, "net.snn.onnx", *options]))
