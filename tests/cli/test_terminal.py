"""What is printed, and what is not: pipes, colours, --quiet, --verbose, the progress bar."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

import onnx2snn
from onnx2snn.cli import main, terminal
from onnx2snn.cli.invocation import Invocation
from onnx2snn.model.file import serialize
from tests.helpers import parse

LONG = "/features/features.1/features.1.0/block/block.1/scale_activation/" + "Relu" * 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The embedded net with its data, and a net with a long name."""
    place = tmp_path_factory.mktemp("terminal")
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        (place / name).write_bytes(resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    model = parse("(float[N,3] x) => (float[N,3] y) { y = Relu(x) }")
    model.graph.node[0].name = LONG
    (place / "long.onnx").write_bytes(serialize(model))
    return place


def call(*arguments: object, code: int = 0, **env: str) -> Result:
    result = CliRunner(env=env).invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def compiling(folder: Path, target: Path) -> list[object]:
    calibration = folder / "digits_calibration.npz"
    return [
        *("compile", folder / "digits.onnx", "--calib", calibration, "--scale", "1/16"),
        *("--max-samples", 4, "-T", 2, "--code", "burst", "-o", target),
    ]


def test_a_pipe_gets_plain_lines_as_long_as_they_are(folder):
    text = call("inspect", folder / "long.onnx", COLUMNS="40").stdout
    (line,) = (line for line in text.splitlines() if LONG in line)
    assert line.split()[1:3] == ["Relu", "spiking"]
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("command", ["inspect", "doctor"])
def test_columns_says_how_wide_a_terminal_is(folder, command):
    arguments = [command, *([folder / "long.onnx"] if command == "inspect" else [])]
    text = call(*arguments, FORCE_COLOR="1", COLUMNS="60", TERM="xterm").stdout
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in text.splitlines()]
    assert max(map(len, lines)) == 60


@pytest.mark.parametrize(
    ("env", "escapes", "colours"),
    [
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, False),
        ({}, False, False),
    ],
)
@pytest.mark.parametrize("bad", [False, True])
def test_colours_are_for_those_who_see_them(folder, env, escapes, colours, bad):
    env = {"TERM": "xterm", "COLUMNS": "80"} | env
    result = call("inspect", folder / ("no.onnx" if bad else "digits.onnx"), code=2 * bad, **env)
    text = result.stderr if bad else result.stdout
    assert ("\x1b[" in text) == escapes
    assert ("\x1b[32m" in text or "\x1b[1;31m" in text) == colours


@pytest.mark.parametrize("first", [True, False])
def test_quiet_prints_nothing(folder, tmp_path, first):
    command, *more = compiling(folder, tmp_path / "x.onnx")
    result = call(*(["-q", command, *more] if first else [command, "--quiet", *more]))
    assert result.output == ""
    assert (tmp_path / "x.onnx").is_file()


def test_quiet_prints_the_json_and_errors(folder):
    result = call("-q", "inspect", folder / "digits.onnx", "--json", "-")
    assert json.loads(result.stdout)["kind"] == "ann"
    assert result.stderr == ""
    result = call("-q", "inspect", folder / "no.onnx", code=2)
    assert result.stderr.startswith("error: ")


def test_quiet_hides_warnings(monkeypatch, folder):
    def warn(*_, **__):
        for _ in range(2):
            logging.getLogger("onnx2snn.anything").warning("this is odd: [1] of %s", [2])
        raise onnx2snn.ModelError("but not that")

    monkeypatch.setattr("onnx2snn.cli.inspect.load_model", warn)
    said = call("inspect", folder / "digits.onnx", code=2).stderr
    assert said == "warning: this is odd: [1] of [2]\nerror: but not that\n"
    assert call("-q", "inspect", folder / "digits.onnx", code=2).stderr == "error: but not that\n"


@pytest.mark.parametrize("flags", [["-v"], ["-vv"], ["-v", "-v"]])
def test_verbose_before_and_after_the_command(folder, tmp_path, flags):
    before, after = flags if len(flags) == 2 else (flags[0], "--strict")
    result = call(before, *compiling(folder, tmp_path / "x.onnx"), after)
    assert " s  CorrectBias: " in result.stderr
    assert ("MaxPool '/pool/MaxPool' spiking: " in result.stderr) == (flags != ["-v"])
    assert "work" in result.stdout
    assert logging.getLogger("onnx2snn").handlers == []


def test_quiet_and_verbose_at_once(folder):
    result = call("-q", "inspect", folder / "digits.onnx", "-v", code=2)
    assert result.stderr.count("\n") == 1
    assert "--quiet, --verbose: expected one of them, found both; leave one out" in result.stderr


@pytest.mark.parametrize("json_too", [False, True])
def test_a_reader_that_leaves_is_no_error(folder, json_too):
    command = [
        sys.executable,
        "-m",
        "onnx2snn",
        "inspect",
        folder / "digits.onnx",
        *["--json", "-"] * json_too,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert "Error" not in told
    assert "Exception" not in told
    assert json_too or told == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "command", ["doctor", "doctor --json -", "inspect {} --json -", "inspect --help", "--version"]
)
def test_a_full_disk_behind_stdout_is_an_error(folder, command):
    words = command.format(folder / "digits.onnx").split()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "onnx2snn", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.endswith("error: stdout: cannot be written (No space left on device)\n")
    assert "bug" not in done.stderr
    assert "Exception" not in done.stderr


def test_another_full_disk_is_not_said_to_be_stdout(folder, monkeypatch):
    def fill(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("onnx2snn.cli.inspect.load_model", fill)
    assert isinstance(call("inspect", folder / "digits.onnx", code=1).exception, OSError)


def test_an_encoding_without_greek_letters(tmp_path):
    model = parse("(float[N,3] x) => (float[N,3] y) { y = Relu(x) }")
    model.graph.node[0].name = "Γ"
    (tmp_path / "greek.onnx").write_bytes(serialize(model))
    command = [sys.executable, "-m", "onnx2snn", "inspect", tmp_path / "greek.onnx"]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    text = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert "?     Relu      spiking" in text


class Screen(io.StringIO):
    """A terminal that remembers all that it was sent."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def invocation(monkeypatch) -> Invocation:
    """One with a terminal, whose user waits a twentieth of a second for a bar."""
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=Screen(), force_terminal=True, width=80)
    found = Invocation(console=console)
    monkeypatch.setattr(terminal, "current", lambda: found)
    monkeypatch.setattr(terminal, "_PATIENCE", 0.05)
    return found


def test_a_bar_appears_when_it_takes_long_and_vanishes(invocation):
    with terminal.progress_bar("load") as advance:
        advance("CorrectBias", 0.0)
        time.sleep(0.1)
        advance("CorrectBias", 0.5)
        time.sleep(0.15)
    text = invocation.console.file.getvalue()
    assert "correct bias" in text
    assert "0:00:00 left" in text
    assert text.endswith("\x1b[2K")  # the line is erased
    assert "\x1b[?25h" in text  # and the cursor is back


@pytest.mark.parametrize("why", ["quick", "quiet", "dumb", "no terminal"])
def test_there_is_no_bar(invocation, monkeypatch, why):
    if why == "quiet":
        invocation.quiet = True
    elif why == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    elif why == "no terminal":
        monkeypatch.setattr(Screen, "isatty", lambda _: False)
    with terminal.progress_bar():
        time.sleep(0 if why == "quick" else 0.15)
    assert invocation.console.file.getvalue() == ""


def test_a_bar_inside_of_another_is_that_one(invocation):
    with terminal.progress_bar() as outer, terminal.progress_bar("inner") as inner:
        assert inner == outer
    assert invocation.advance is None


@pytest.fixture
def left(monkeypatch):
    """A function that goes to a time, may advance the bar, and says what the bar then gives as time left."""
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    bar = terminal._Bar(Console(file=io.StringIO()), "load")
    bar.progress.get_time = lambda: now[0]
    bar.begin("load")

    def at(seconds: float, *step: object) -> str:
        now[0] = seconds
        if step:
            bar.advance(*step)
        (task,) = bar.progress.tasks
        return f"{task.description}: {terminal._TimeLeft().render(task)}"

    return at


def test_time_left_counts_down_and_starts_again_with_each_phase(left):
    assert left(1) == "load: "
    assert left(10, "Calibrate", 0.0) == "calibrate: "
    assert left(20, "Calibrate", 0.25) == "calibrate: 0:00:30 left"
    assert left(25) == "calibrate: 0:00:25 left"
    assert left(30, "Calibrate", 0.5) == "calibrate: 0:00:20 left"
    assert left(99) == "calibrate: 0:00:00 left"
    assert left(100, "CorrectBias", 0.0) == "correct bias: "
    assert left(4100, "CorrectBias", 0.5) == "correct bias: 1:06:40 left"


def test_the_points_of_a_sweep_are_one_phase(left):
    left(0, "stream, T = 2, Γ = 2", 0.0)
    assert left(60, "layer, T = 2, Γ = 2", 0.25) == "layer, T = 2, Γ = 2: 0:03:00 left"
    assert left(90) == "layer, T = 2, Γ = 2: 0:02:30 left"


@pytest.mark.parametrize("env", [{}, {"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"}])
def test_names_of_nodes_command_no_terminal(tmp_path, env):
    hostile = "a\x1b[2J\x1b]0;title\x07\x9b31m\u202eb"
    model = parse(
        "(float[N,3] x) => (float[N,3] y) { h = Relu(x) z = MatMul(h, w) y = Relu(z) }",
        w=np.eye(3, dtype=np.float32),
    )
    model.graph.node[0].name = hostile
    (tmp_path / "net.onnx").write_bytes(serialize(model))
    model.graph.node[1].op_type = hostile
    (tmp_path / "bad.onnx").write_bytes(serialize(model))
    np.save(tmp_path / "x.npy", np.ones((8, 3), np.float32))
    net, snn = tmp_path / "net.onnx", tmp_path / "net.snn.onnx"
    said = [
        call("inspect", net, **env),
        call("inspect", net, "--json", "-", **env),
        call("compile", net, "--calib", tmp_path / "x.npy", "-vv", "-o", snn, **env),
        call("inspect", snn, **env),
        call("diagnose", snn, "--data", tmp_path / "x.npy", "--reference", net, **env),
        call("inspect", tmp_path / "bad.onnx", code=2, **env),
    ]
    for result in said:
        text = re.sub(r"\x1b\[[0-9;]*m", "", result.output) if env else result.output
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), ascii(text)
    assert "a�[2J�]0;title��31m�b" in said[0].stdout
    assert hostile in json.loads(said[1].stdout)["nodes"][0].values()
