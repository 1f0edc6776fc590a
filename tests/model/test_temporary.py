"""Files to write into are gone at the end, those of killed writers with the next one's."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from onnx2snn.model.file import write_atomically
from onnx2snn.model.temporary import beside


def test_it_is_empty_and_gone_at_the_end(tmp_path):
    with beside(tmp_path / "a.onnx") as one, beside(tmp_path / "a.onnx") as other:
        assert sorted(tmp_path.iterdir()) == sorted([one, other])
        assert one.read_bytes() == b""
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_renamed_stays(tmp_path):
    with beside(tmp_path / "a.onnx") as made:
        made.replace(tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_what_a_killed_writer_left_is_removed_by_the_next_of_the_same_target(tmp_path):
    script = f"""
import os, signal
from pathlib import Path
from onnx2snn.model.temporary import beside
with beside(Path({str(tmp_path)!r}) / "a.onnx"), beside(Path({str(tmp_path)!r}) / "b.onnx"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    write_atomically(tmp_path / "a.onnx", b"new")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert names[1] == "a.onnx"
    write_atomically(tmp_path / "b.onnx", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_a_long_name_is_no_longer_beside_it(tmp_path):
    target = tmp_path / f"{'n' * 250}.onnx"
    write_atomically(target, b"new")
    assert list(tmp_path.iterdir()) == [target]


def test_no_folder_no_file(tmp_path):
    with pytest.raises(FileNotFoundError), beside(tmp_path / "none" / "a.onnx"):
        pass
