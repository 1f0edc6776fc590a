"""Event recordings as DATA: what is recorded is not typed again, and what is broken is said in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx2snn
from tests.cli.calls import call, refused
from tests.data.event_cases import FIELDS, HEIGHT, WIDTH, fields, rows
from tests.helpers import normal, parse

NET = """(float[N,2,6,8] x) => (float[N,3] y) {
    c = Conv(x, k) r = Relu(c) g = GlobalAveragePool(r) f = Flatten(g) y = Gemm(f, w) }"""
FRAMES = "--frames count:2 --polarity channels --sensor 6,8 --normalize max --scale 1/2"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a net and recordings of eight classes' worth of noise."""
    monkeypatch.chdir(tmp_path)
    model = parse(NET, **normal(np.random.default_rng(0), k=(4, 2, 3, 3), w=(4, 3)))
    onnx.save(model, "net.onnx")
    events = [rows(40 + number, number) for number in range(8)]
    offsets = np.cumsum([0, *map(len, events)])
    np.savez("d.npz", events=np.concatenate(events), offsets=offsets, labels=np.arange(8) % 3)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_what_is_recorded_is_not_typed_again() -> None:
    call("compile", "net.onnx", "--calib", "d.npz", *FRAMES.split(), "-T", 4)
    metadata = {item.key: item.value for item in onnx.load("net.snn.onnx").metadata_props}
    assert json.loads(metadata["onnx2snn.preprocessing"]) == {
        "scale": 0.5,
        "mean": [],
        "std": [],
        "layout": "NCHW",
        "resize": None,
        "frames": "count:2",
        "polarity": "channels",
        "sensor": [HEIGHT, WIDTH],
        "normalize": "max",
    }
    result = call(
        "evaluate", "net.snn.onnx", "--data", "d.npz", "--reference", "net.onnx", "--json", "-", "--quiet"
    )
    figures = json.loads(result.stdout)
    assert figures["samples"] == 16
    assert figures["agreement"][-1] >= 0.9
    assert len(figures["accuracy"]) == len(figures["timesteps"])
    call("run", "net.snn.onnx", "--input", "d.npz", "-o", "scores.npz")
    assert np.load("scores.npz")["y"].shape == (16, 3)
    # Four frames a recording, for once.
    call("run", "net.snn.onnx", "--input", "d.npz", "-o", "more.npz", "--frames", "count:4")
    assert np.load("more.npz")["y"].shape == (32, 3)
    session = onnx2snn.SpikingSession("net.snn.onnx")
    recorded = onnx2snn.Preprocessing.from_dict(session.artifact.record.preprocessing)
    assert (recorded.frames, recorded.sensor, recorded.normalize) == ("count:2", (HEIGHT, WIDTH), "max")


@pytest.mark.usefixtures("here")
def test_every_command_reads_recordings() -> None:
    call("compile", "net.onnx", "--calib", "d.npz", "--frames", "events:20", "-T", 4)
    call("diagnose", "net.snn.onnx", "--data", "d.npz", "--reference", "net.onnx", "--report", "page.html")
    text = Path("page.html").read_text(encoding="utf-8")
    assert "frames events:20, polarity channels" in text
    call(
        *("sweep", "net.onnx", "--calib", "d.npz", "--data", "d.npz", "--frames", "count:1"),
        *("--kinds", "layer", "--max-loss", "none", "--timesteps", "2"),
    )


def planted(event: int, column: int, value: int) -> Callable[[], None]:
    """A recording with one thing wrong."""

    def write() -> None:
        events = rows(10)
        events[event, column] = value
        np.save("bad.npy", fields(events))

    return write


def cut(name: str, content: bytes) -> Callable[[], None]:
    return lambda: (Path(name).write_bytes(content), None)[1]


def no_events() -> None:
    np.save("bad.npy", np.zeros(0, FIELDS))


def no_offsets() -> None:
    np.savez("bad.npz", events=rows(10), offsets=np.array([0, 4]))


def arrays() -> None:
    np.savez("bad.npz", images=np.zeros((2, 2, HEIGHT, WIDTH), np.float32))


ONE = "--frames count:1"
BAD = {
    # what is wrong: (how it comes about, its file, options, the message behind the file's name)
    "outside the sensor": (
        planted(3, 0, 8),
        "bad.npy",
        ONE,
        ", event 3: expected x from 0 to 7, a sensor of 8 columns, found 8; "
        "give --sensor H,W as the camera has it",
    ),
    "backwards": (
        planted(1, 3, 5),
        "bad.npy",
        ONE,
        f", event 1: expected a time of at least {rows(10)[0, 3]} µs, that of the event before, found 5; "
        "sort the events, or mend a clock that wraps around",
    ),
    "no events": (
        no_events,
        "bad.npy",
        ONE,
        ": expected at least 1 event, found none; leave empty recordings out",
    ),
    "three polarities": (
        planted(3, 2, -1),
        "bad.npy",
        ONE,
        ": expected polarities of two values, 0 and 1 or -1 and 1, found -1, 0, 1; "
        "convert the column, or leave out events of other kinds",
    ),
    "a cut .bin": (
        cut("bad.bin", b"123456"),
        "bad.bin",
        ONE,
        ": expected 5 bytes an event, as in N-MNIST, found 6 bytes in all; "
        "the file is cut or of another format: copy it again",
    ),
    "a cut .aedat4": (
        cut("bad.aedat4", b"#!AER-DAT4.0\r\n1234"),
        "bad.aedat4",
        ONE,
        ": expected a whole AEDAT4 file, found one that cannot be read (failed to fill whole buffer); "
        "copy or record it again",
    ),
    "no rule": (
        planted(0, 0, 0),
        "bad.npy",
        "",
        ": expected --frames with event recordings, found none; give --frames count:1 for one frame a "
        "recording, time:10ms or events:2000 for frames of some length, as the net was trained",
    ),
    "wrong offsets": (
        no_offsets,
        "bad.npz",
        ONE,
        "['offsets']: expected ascending integers from 0 to 10, the number of events, found int64 [0 4]; "
        "recording i is events[offsets[i]:offsets[i + 1]]",
    ),
    "no recordings": (
        arrays,
        "bad.npz",
        ONE,
        ": expected event recordings with --frames, found arrays or images; leave --frames out",
    ),
}


@pytest.mark.parametrize(("prepare", "file", "options", "message"), BAD.values(), ids=BAD)
def test_one_line(here: Path, prepare: Callable[[], None], file: str, options: str, message: str) -> None:
    prepare()
    assert refused(here, f"compile net.onnx --calib {file} {options} -o out.onnx") == file + message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--frames time:0ms", "frames: expected at least time:1us, found 'time:0ms'; give time:10ms, events"),
        ("--frames 30fps", "frames: expected one such as time:10ms, events:2000 or count:30, found '30fps'"),
        ("--frames count:1 --sensor 6", "sensor: expected HEIGHT,WIDTH such as 32,32, found '6'"),
        ("--frames count:1 --sensor 6,0", "sensor: expected a positive height and width, found (6, 0)"),
        (
            "--frames count:1 --polarity both",
            "Invalid value for '--polarity': 'both' is not one of",
        ),
    ],
)
def test_options_that_mean_nothing(here: Path, options: str, message: str) -> None:
    assert refused(here, f"compile net.onnx --calib d.npz {options} -o out.onnx").startswith(message)
