"""Every command: its help, how fast it is found, what remains when it is stopped, and how it fails."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

import onnx2snn
from onnx2snn.cli import PLACES, main
from onnx2snn.cli.commands import Command

ROOT = click.Context(main)
COMMANDS = {name: main.get_command(ROOT, name) for name in PLACES}


def call(*arguments: str, **env: str) -> Result:
    return CliRunner(env=env).invoke(main, arguments)


# Help


@pytest.mark.parametrize("name", PLACES)
def test_every_command_has_what_all_have(name):
    command = COMMANDS[name]
    assert isinstance(command, Command)
    assert command.name == name
    assert command.help.startswith(PLACES[name][1].removesuffix("."))


@pytest.mark.parametrize("name", ["", *PLACES])
def test_help_fits_and_ends_in_examples(name):
    text = call(*[name] * bool(name), "--help", COLUMNS="80").stdout
    assert max(map(len, text.splitlines())) <= 80
    examples = text.rpartition("\nExamples:\n")[2].splitlines()
    assert examples
    assert all(line.startswith("  ") for line in examples)
    assert text.count("--quiet") == text.count("--verbose") == text.count("--help ") == 1


@pytest.mark.parametrize("name", PLACES)
def test_every_option_is_in_one_section(name):
    command = COMMANDS[name]
    listed = [parameter for names in command.sections.values() for parameter in names]
    assert len(listed) == len(set(listed))
    assert set(listed) <= {parameter.name for parameter in command.params}


@pytest.mark.parametrize("name", ["", *PLACES])
def test_examples_are_commands_that_work(name):
    found = "\n".join((COMMANDS[name] if name else main).examples).replace("\\\n", "")
    lines = re.findall(r'onnx2snn ([^|>#)"\n]+)', found)
    assert lines
    for typed in lines:
        called, *arguments = shlex.split(typed)
        if "--help" not in arguments:
            COMMANDS[called].make_context(called, arguments)  # fails on what cannot be parsed
        assert not name or called == name


@pytest.mark.parametrize("arguments", [["--help"], ["completion", "bash"], ["compile", "--help"]])
def test_help_imports_no_runtime(arguments):
    code = (
        "import sys; from onnx2snn.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split()
    assert "onnx2snn.cli" in loaded
    assert "onnxruntime" not in loaded
    assert ("numpy" in loaded) == ("compile" in arguments)


# Stopping


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The embedded net, and samples that keep it busy."""
    place = tmp_path_factory.mktemp("stop")
    for name in ("digits.onnx", "digits_test.npz"):
        (place / name).write_bytes(resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    shape = [d.dim_value for d in onnx.load(place / "digits.onnx").graph.input[0].type.tensor_type.shape.dim]
    samples = np.random.default_rng(0).random((40_000, *shape[1:]), dtype=np.float32)
    np.save(place / "many.npy", samples)
    np.save(place / "few.npy", samples[:32])
    return place


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "onnx2snn", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_compilation_that_is_stopped_writes_nothing(folder, signum, code):
    before = sorted(folder.iterdir())
    process = start(folder, "compile", "digits.onnx", "--calib", "many.npy", "-v")
    assert any("ApproximateActivations" in line for line in process.stderr)  # calibration comes next
    process.send_signal(signum)
    told, said = process.communicate(timeout=60)
    assert (process.returncode, told) == (code, "")
    assert said.splitlines()[-1] == "stopped; nothing was written"
    assert "Traceback" not in said
    assert sorted(folder.iterdir()) == before


def test_a_sweep_that_is_stopped_keeps_its_points(folder):
    arguments = ["--calib", "few.npy", "--data", "digits_test.npz", "--scale", "1/16", "--cache", "cache"]
    process = start(folder, "sweep", "digits.onnx", *arguments, "--max-samples", "32", "--json", "x.json")
    cache = folder / "cache"
    for _ in range(600):
        if cache.is_dir() and any(cache.glob("*.json")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, "")
    assert said.endswith("stopped; what is finished is kept in cache: the same command goes on from there\n")
    points = [json.loads(path.read_text()) for path in cache.iterdir()]
    assert points
    assert all("joules_per_sample" in point for point in points)
    assert not (folder / "x.json").exists()


def test_what_was_written_before_the_stop_is_named(folder, monkeypatch, tmp_path):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "onnx2snn.report.tables.macs_line", stop
    )  # the first thing after the artifact is there
    target = tmp_path / "x.onnx"
    arguments = ["compile", f"{folder}/digits.onnx", "--calib", f"{folder}/few.npy", "-T", "2"]
    result = call(*arguments, "-o", str(target), "--json", str(tmp_path / "x.json"))
    assert result.exit_code == 130
    assert result.stderr == f"stopped; {target} is complete\n"
    onnx.checker.check_model(str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]


def test_signals_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    call("doctor", "--nonsense")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_too_little_memory_is_no_bug(monkeypatch, folder):
    def load(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 12 GiB")

    monkeypatch.setattr("onnx2snn.cli.inspect.load_model", load)
    result = call("inspect", f"{folder}/digits.onnx")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: not enough memory (Unable to allocate 12 GiB); use fewer samples")


# All else


def test_no_arguments_give_the_help():
    assert call().stdout == call("--help").stdout
    assert "\nCommands:\n" in call().stdout


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag):
    text = call(flag).stdout
    assert all(f"  {command} " in text for command in PLACES)


@pytest.mark.parametrize("command", PLACES)
def test_help_explains_every_option(command):
    text = call(command, "--help").stdout
    found = COMMANDS[command]
    for parameter in found.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
            assert parameter.opts[-1] in text
    assert len(found.help.splitlines()[0]) > 20


def test_version():
    assert call("--version").stdout == f"onnx2snn {onnx2snn.__version__}\n"


def test_verbose_logs_every_pass(digits, tmp_path):
    # In a process of its own: here pytest holds the root logger.
    arguments = (
        f"-v compile {digits}/digits.onnx --calib {digits}/digits_calibration.npz --scale 1/16 -o x.onnx "
        "--code burst"
    )
    command = [sys.executable, "-m", "onnx2snn", *arguments.split(), "--max-samples", "4"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for name in ("FoldBatchNorm", "Calibrate", "ReplaceRelu", "ReplaceMaxPool", "CorrectBias"):
        assert name in result.stderr


def test_a_bug_is_no_usage_error(digits):
    """Exit code 1 and one line; the traceback is for those who ask for it."""
    broken = (
        "import onnx2snn.cli.inspect as i; i.load_model = lambda *_, **__: 1 / 0;"
        "from onnx2snn.cli import main; main()"
    )
    for options, lines in ([], 1), (["-v"], None):
        command = [sys.executable, "-c", broken, "inspect", str(digits / "digits.onnx"), *options]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert "bug: ZeroDivisionError: division by zero; please report" in result.stderr
        assert lines in (None, result.stderr.count("\n"))
        assert ("Traceback (most recent call last)" in result.stderr) == bool(options)
