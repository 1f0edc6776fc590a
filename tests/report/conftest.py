from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner

from onnx2snn.cli import main
from onnx2snn.report import recording
from onnx2snn.report.page import render
from tests.report.subjects import HOSTILE, SUBJECTS

#: Command → what is typed in the folder of the files.
LINES = {
    "compile": "compile digits.onnx --calib digits_calibration.npz --scale 1/16 --signed --max-samples 50 "
    "-o digits.snn.onnx --report compile.html",
    "evaluate": "evaluate digits.snn.onnx --data digits_test.npz --reference digits.onnx --max-samples 40 "
    "--timesteps 1,8 --early-exit confidence:0.9 --report evaluate.html",
    "sweep": "sweep digits.onnx --calib digits_calibration.npz --data digits_test.npz --scale 1/16 "
    "--calib-samples 40 --max-samples 40 --kinds stream,radix --timesteps 2 --max-spikes 2 --max-loss none "
    "--report sweep.html",
    "diagnose": "diagnose digits.snn.onnx --reference digits.onnx --data digits_test.npz --max-samples 10 "
    "--report diagnose.html",
}

_FILES = {".html", ".npz", ".onnx"}


def call(folder: Path, line: str):
    """Run a command with its files named from inside their folder; rasters are small, to be drawn soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(recording, "SAMPLES", 2)
        patch.setattr(recording, "_ROWS", 6)
        return CliRunner().invoke(main, line.split())


@cache
def made_up(command: str) -> str:
    """The page of a subject made by hand with the worst names; drawing takes a second, so once."""
    return render(SUBJECTS[command](HOSTILE))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The digits, and the report of every command on them."""
    place = tmp_path_factory.mktemp("reports")
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        (place / name).write_bytes(resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    for line in LINES.values():
        # Absolute paths, of which nothing may be left.
        words = [f"{place}/{word}" if Path(word).suffix in _FILES else word for word in line.split()]
        result = call(place, " ".join(words))
        assert result.exit_code == 0, result.output
    return place
