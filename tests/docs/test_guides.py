"""The guides' examples, put into a copy of the package as they say, pass the tests that they bring."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

GUIDES = [f"docs/writing-{what}.md" for what in ("a-pass", "a-neuron", "a-threshold-rule", "an-option")]


def apply(diff: str, root: Path) -> None:
    """A diff of one place without line numbers: its first line names the file."""
    head, *lines = diff.splitlines()
    path = root / head.removeprefix("--- ")
    before, after = (
        "".join(f"{line[1:]}\n" for line in lines if line[:1] in kept) for kept in ((" ", "-"), (" ", "+"))
    )
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name}: the guide changes lines that are not there:\n{before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its tests with what all guides add."""
    root = tmp_path_factory.mktemp("guides")
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "fixtures", "docs")
    for name in ("onnx2snn", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    # An editable install leads imports to the checkout by a finder of its own; paths come first here.
    path_first = "import importlib.machinery, sys\nsys.meta_path.insert(0, importlib.machinery.PathFinder)\n"
    (root / "sitecustomize.py").write_text(path_first, encoding="utf-8")
    for guide in GUIDES:
        for block in blocks(guide):
            if block.language == "diff":
                apply(block.text, root)
            else:
                assert block.file is not None, f"{guide}:{block.line}: a block that is no file"
                (root / block.file).write_text(block.text, encoding="utf-8")
    return root


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(copy)}
    return subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


def test_the_examples_pass_their_tests(copy):
    files = [block.file for guide in GUIDES for block in blocks(guide) if block.file]
    tests = [file for file in files if file.startswith("tests/")]
    assert len(tests) == len(GUIDES)
    done = run(copy, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_neuron_passes_the_tests_of_all_operators(copy):
    done = run(
        copy,
        "-m",
        "pytest",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        "tests/ops/test_cell.py",
        "-k",
        "HardResetIF",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert str(copy) in run(copy, "-c", "import onnx2snn; print(onnx2snn.__file__)").stdout


def test_the_examples_are_written_as_the_project_is(copy):
    """Lint, format and types, as CI asks them of every file."""
    files = [block.file for guide in GUIDES for block in blocks(guide) if block.file]
    for command in (("ruff", "check"), ("ruff", "format", "--check", "--diff")):
        done = run(copy, "-m", *command, "--no-cache", *files)
        assert done.returncode == 0, done.stdout + done.stderr
