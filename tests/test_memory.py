"""The memory that a process has taken at most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from onnx2snn import memory
from onnx2snn.memory import peak_memory

MEGABYTE = 1 << 20
CODE = """
from onnx2snn.memory import peak_memory
before = peak_memory()
taken = bytearray(256 << 20)
taken[::4096] = bytes(len(taken) // 4096).replace(b"\\0", b"x")
during = peak_memory()
del taken
print(before, during, peak_memory())
"""


def test_the_peak_is_in_bytes_and_stays_when_memory_is_given_back():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    before, during, after = map(int, done.stdout.split())
    assert 5 * MEGABYTE < before < 1000 * MEGABYTE
    assert 250 * MEGABYTE < during - before < 400 * MEGABYTE
    assert after == pytest.approx(during, abs=5 * MEGABYTE)


def status(monkeypatch, path: Path) -> None:
    monkeypatch.setattr(memory, "Path", lambda _: path)
    monkeypatch.setattr(sys, "platform", "linux")


def test_linux_says_it_in_kilobytes(monkeypatch, tmp_path):
    path = tmp_path / "status"
    path.write_text("Name:\tpython\nVmPeak:\t    9000 kB\nVmHWM:\t    3000 kB\nVmRSS:\t    2000 kB\n")
    status(monkeypatch, path)
    assert peak_memory() == 3000 * 1024


@pytest.mark.parametrize("text", [None, "Name:\tpython\nVmRSS:\t    2000 kB\n"])
@pytest.mark.skipif(sys.platform == "win32", reason="has no getrusage")
def test_where_it_is_not_said_the_system_is_asked(monkeypatch, tmp_path, text):
    import resource

    path = tmp_path / "status"
    if text is not None:
        path.write_text(text)
    status(monkeypatch, path)
    asked = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 0 <= peak_memory() / 1024 - asked <= 50_000
    monkeypatch.setattr(sys, "platform", "darwin")  # which counts in bytes
    assert peak_memory() - asked <= 50_000 * 1024
    assert peak_memory() < 1024 * asked


def test_windows_does_not_tell(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_memory() is None
