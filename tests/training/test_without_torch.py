"""What happens where PyTorch is not installed."""

from __future__ import annotations

import subprocess
import sys

HIDE_TORCH = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "torch" else find(name)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_importing_the_training_says_in_one_line_what_to_install():
    result = run(HIDE_TORCH + "import onnx2snn.training")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "ImportError: onnx2snn.training: expected PyTorch, found none; pip install 'onnx2snn[train]'"
    )


def test_the_compiler_does_not_need_it():
    result = run("import sys, onnx2snn, onnx2snn.cli; print('torch' in sys.modules)")
    assert (result.stdout, result.returncode) == ("False\n", 0)
