"""`python -m onnx2snn` is the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

import onnx2snn


@pytest.mark.parametrize(
    ("words", "code", "stdout", "stderr"),
    [
        (["--version"], 0, f"onnx2snn {onnx2snn.__version__}\n", ""),
        (["inspect", "missing.onnx"], 2, "", "error: "),
    ],
)
def test_it_is_the_command_line(words, code, stdout, stderr, tmp_path):
    command = [sys.executable, "-m", "onnx2snn", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, stdout)
    assert done.stderr.startswith(stderr)
    assert done.stderr.count("\n") == bool(stderr)
