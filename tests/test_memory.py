"""The memory that a process has taken at most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from onnx2snn import memory
from onnx2snn.errors import OptionError
from onnx2snn.memory import MemoryBound, default_memory, parse_memory, peak_memory, write_memory

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


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("2GiB", 2 << 30),
        ("512 MB", 512 << 20),
        ("1.5g", 3 << 29),
        ("64KiB", 1 << 16),
        ("1T", 1 << 40),
        (7, 7),
    ],
)
def test_sizes_are_read(written, size):
    assert parse_memory(written) == size


@pytest.mark.parametrize("written", ["", "GiB", "-1", "0", "1e9", "2 gigabytes", True, None, 1 << 60])
def test_what_is_no_size(written):
    with pytest.raises(OptionError) as caught:
        parse_memory(written)
    assert str(caught.value) == (
        f"--memory: expected a size, such as 2GiB or 512MiB, found {written!r}; leave it out for a share of "
        "what the system has"
    )


@pytest.mark.parametrize(
    ("size", "written"), [(1, "1KiB"), (1 << 20, "1024KiB"), ((1 << 20) + 1, "2MiB"), (5 << 29, "2560MiB")]
)
def test_a_size_that_is_written_is_enough(size, written):
    assert write_memory(size) == written
    assert parse_memory(written) >= size


@pytest.mark.parametrize(("pages", "size"), [(1 << 20, 1 << 29), (1 << 24, 3 << 29), (None, 1 << 30)])
def test_the_default_is_a_share_of_what_the_system_has(pages, size, monkeypatch):
    def sysconf(name):
        if pages is None:
            raise ValueError(name)
        return {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": pages}[name]

    monkeypatch.setattr(memory.os, "sysconf", sysconf, raising=False)
    assert default_memory() == size


@pytest.mark.parametrize(
    ("sample", "most", "fixed", "batch"),
    [
        (1, 64, None, 64),
        (4, 64, None, 32),
        (128, 64, None, 1),
        (512, 64, None, 1),
        (0, 64, None, 64),
        (64, 9, 8, 8),
    ],
)
def test_a_batch_takes_its_share_and_one_sample_up_to_half(sample, most, fixed, batch):
    assert MemoryBound(1024).batch(sample, most, fixed) == batch


@pytest.mark.parametrize(
    ("sample", "fixed", "what"),
    [(600 << 10, None, "one sample takes"), (75 << 10, 8, "one batch of 8 samples takes")],
)
def test_a_bound_below_one_sample_says_how_much(sample, fixed, what):
    with pytest.raises(OptionError) as caught:
        MemoryBound(MEGABYTE).batch(sample, 64, fixed)
    assert str(caught.value) == (
        f"--memory: expected at least 2MiB, since {what} 600KiB of activations, found 1024KiB; give more"
    )
    assert MemoryBound(2 * MEGABYTE).batch(sample, 64, fixed) == (fixed or 1)
    assert MemoryBound(MEGABYTE, strict=False).batch(sample, 64, fixed) == (fixed or 1)
