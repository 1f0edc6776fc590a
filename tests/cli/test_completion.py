"""`onnx2snn completion`: commands, options and choices are completed, in a shell too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from onnx2snn.cli import PLACES
from tests.cli.calls import call, complete, refused


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


def test_another_shell_is_refused(tmp_path):
    message = refused(tmp_path, "completion csh")
    assert message.startswith("Invalid value for '{bash|zsh|fish}': 'csh' is not one of 'bash', ")
