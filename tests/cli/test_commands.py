"""Every command: its help, its completion, how fast it is found, and what remains when it is stopped."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
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
from click.shell_completion import BashComplete
from click.testing import CliRunner, Result

from onnx2snn.analysis.sweep import KINDS
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


def test_the_kinds_of_a_sweep():
    (kinds,) = (parameter for parameter in COMMANDS["sweep"].params if parameter.name == "kinds")
    assert kinds.default.split(",") == list(KINDS)


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


# Completion


def complete(typed: str) -> list[tuple[str, str]]:
    *arguments, incomplete = typed.split(" ")
    found = BashComplete(main, {}, "onnx2snn", "_ONNX2SNN_COMPLETE").get_completions(arguments, incomplete)
    return [(item.type, item.value) for item in found]


def test_commands_and_options_are_completed():
    assert complete("") == [("plain", name) for name in PLACES]
    assert complete("in") == [("plain", "inspect")]
    assert complete("-q co") == [("plain", "compile"), ("plain", "completion")]
    assert ("plain", "--quiet") in complete("--")
    options = complete("compile --")
    assert {("plain", name) for name in ("--calib", "--schedule", "--quiet", "--no-refit")} <= {*options}


def test_choices_are_completed():
    assert complete("compile --schedule ") == [("plain", "stream"), ("plain", "layer")]
    assert complete("compile --layout N") == [("plain", "NCHW"), ("plain", "NHWC")]
    assert complete("completion z") == [("plain", "zsh")]


def test_files_are_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("net.onnx", "net.snn.onnx", "net.npz"):
        (tmp_path / name).touch()
    assert complete("inspect ") == [("plain", "net.onnx"), ("plain", "net.snn.onnx")]
    assert complete("inspect net.s") == [("plain", "net.snn.onnx")]
    assert complete(f"inspect {tmp_path}/net.s") == [("plain", f"{tmp_path}/net.snn.onnx")]
    assert complete("evaluate x.onnx --reference net.o") == [("plain", "net.onnx")]
    assert complete("compile net.onnx --calib n") == [("file", "n")]
    assert complete("demo --out n") == [("dir", "n")]
    (tmp_path / "nets").mkdir()  # the shell may want to go there
    assert complete("inspect n") == [("file", "n")]
    (tmp_path / "two words.onnx").touch()  # only the shell quotes
    assert complete("inspect two") == [("file", "two")]
    assert complete("inspect nowhere/x") == [("file", "nowhere/x")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell):
    result = call("completion", shell)
    assert result.exit_code == 0
    assert f"_ONNX2SNN_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(tmp_path):
    run = "from onnx2snn.cli import main; main(prog_name='onnx2snn')"
    (tmp_path / "onnx2snn").write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{run}" "$@"\n')
    (tmp_path / "onnx2snn").chmod(0o755)
    script = (
        'eval "$(onnx2snn completion bash)"; COMP_WORDS=(onnx2snn compile --sched); COMP_CWORD=2; '
        '_onnx2snn_completion onnx2snn; echo "${COMPREPLY[@]}"'
    )
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "--schedule\n"


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
    assert said == "stopped; what is finished is kept in cache: the same command goes on from there\n"
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
