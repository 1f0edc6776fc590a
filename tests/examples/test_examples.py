"""Each example runs as it stands and reaches what it is there to show; so do the commands that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from examples import denoise, event_camera, moving_image, policy
from onnx2snn.cli import main


def started(example: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """What an example prints; the commands of its docstring run on what it leaves in the folder."""
    monkeypatch.chdir(folder)
    lines = re.findall(r"^    (python -m|onnx2snn) (.+)$", example.__doc__ or "", re.MULTILINE)
    (out,) = (words for program, words in lines if "--out" in words)
    result = CliRunner().invoke(example.main, [*shlex.split(out)[1:], "--plot", "plot.png"])
    assert result.exit_code == 0, result.output
    assert Path("plot.png").read_bytes().startswith(b"\x89PNG")
    for program, words in lines:
        if program == "onnx2snn":
            done = CliRunner().invoke(main, shlex.split(words))
            assert done.exit_code == 0, f"{words}\n{done.output}"
    return result.output


def found(pattern: str, output: str) -> list[float]:
    """The numbers of a line, one for each group."""
    match = re.search(pattern, output)
    assert match, f"no {pattern} in:\n{output}"
    return [float(group.replace(",", "")) for group in match.groups()]


def test_denoise(monkeypatch, tmp_path):
    output = started(denoise, monkeypatch, tmp_path)
    noisy, ann, spiking = found(r"noisy (\S+) dB  ANN (\S+) dB  spiking (\S+) dB", output)
    assert noisy == pytest.approx(12.1, abs=0.1)  # -20·log10 of the noise
    assert spiking > noisy + 3
    assert abs(spiking - ann) < 0.05


def test_event_camera(monkeypatch, tmp_path):
    output = started(event_camera, monkeypatch, tmp_path)
    accuracy, of_the_ann, agreement = found(r"in the end +(\S+)%, .* (\S+)%; (\S+)% of frames", output)
    assert accuracy >= 90
    assert accuracy == of_the_ann
    assert agreement >= 99
    operations, anew, ratio = found(r"a frame +(\S+) operations, anew (\S+): (\S+)", output)
    assert ratio == pytest.approx(operations / anew, abs=0.006)
    assert ratio <= 0.35


def test_event_camera_takes_all_of_a_set_or_nothing(tmp_path):
    (tmp_path / "net.onnx").touch()
    result = CliRunner().invoke(event_camera.main, ["--model", str(tmp_path / "net.onnx")])
    assert result.exit_code == 2
    assert "expected --model, --train and --test together, or none of them" in result.output


def test_bad_data_are_said_in_a_line(tmp_path):
    np.savez(tmp_path / "flat.npz", images=np.zeros((2, 9), np.float32))
    result = CliRunner().invoke(moving_image.main, ["--data", str(tmp_path / "flat.npz")])
    assert result.exit_code == 2
    assert re.search(r"Error: \S+flat\.npz.*: expected .*, found ", result.output)


def test_moving_image(monkeypatch, tmp_path):
    output = started(moving_image, monkeypatch, tmp_path)
    ratio, events = found(r"all frames: (\S+) of the operations; (\S+) events in pauses", output)
    assert ratio <= 0.5
    assert events == 0
    assert found(r"(\S+)% of answers", output)[0] >= 99
    costs = re.findall(r"frame +\d+  shift +(\S+) +(\S+) operations, anew +(\S+)", output)
    shifts, operations, anew = (
        [int(value.replace(",", "")) for value in column] for column in zip(*costs, strict=True)
    )
    assert operations[0] == anew[0]
    for number in range(1, len(shifts)):
        if shifts[number] == shifts[number - 1]:
            assert operations[number] == 0
        else:
            assert 0 < operations[number] < 0.8 * anew[number]


def test_policy(monkeypatch, tmp_path):
    output = started(policy, monkeypatch, tmp_path)
    mean, worst = found(r"actions of .*: (\S+) apart, (\S+) at worst", output)
    assert 0 < mean < worst < 0.005
    assert found(r"at most (\S+) rad from those in the loop of the ANN", output)[0] < 0.005
    assert found(r"at most (\S+) rad from those in the loop of the controller", output)[0] < 0.1
    first, last = found(r"events an action: (\S+) for the first, (\S+) for the last", output)
    assert last < first / 2
