"""What waits in memory, and beyond a bound in files, comes back as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from onnx2snn.calibration.shelf import Shelf
from onnx2snn.errors import OutputError

ARRAYS = {
    "floats": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "bytes": np.arange(-3, 4, dtype=np.int8),
    "halves": np.float16([[0.5], [-2]]),
    "not in order": np.arange(24, dtype=np.float64).reshape(4, 6).T,
    "a number": np.float32(7),
    "nothing": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize("most", [0, 60, 1 << 20])
def test_what_was_put_away_comes_back(most):
    with Shelf(most) as shelf:
        for array in ARRAYS.values():
            shelf.put("one", array)
            shelf.put(f"of {array.dtype}", array)
        for number, array in enumerate(ARRAYS.values()):
            found = shelf.get("one", number)
            assert (found.dtype, found.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(found, array)
        assert [array.shape for array in shelf.row("one")] == [array.shape for array in ARRAYS.values()]
        assert shelf.row("one")[2].tolist() == [[0.5], [-2]]
        assert len(shelf.row("one")) == len(ARRAYS)
        with pytest.raises(IndexError):
            shelf.row("one")[len(ARRAYS)]
        assert ("one" in shelf, "two" in shelf) == (True, False)


def test_memory_is_used_up_to_the_bound_and_free_again_behind_a_row():
    with Shelf(100) as shelf:
        shelf.put("a", np.zeros(60, np.int8))
        assert shelf.spilled == 0
        shelf.put("b", np.zeros(60, np.int8))
        assert shelf.spilled == 60
        shelf.drop("a")
        shelf.drop("never put")
        shelf.put("c", np.zeros(100, np.int8))
        assert shelf.spilled == 60


def test_an_array_outlives_its_row():
    with Shelf(0) as shelf:
        shelf.put("a", ARRAYS["floats"])
        found = shelf.get("a", 0)
        shelf.drop("a")
    np.testing.assert_array_equal(found, ARRAYS["floats"])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux to look at open files")
def test_no_file_is_left_even_by_a_killed_process(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Shelf(0) as shelf:
        shelf.put("a", ARRAYS["floats"])
        shelf.put("b", ARRAYS["bytes"])
        assert len(list(Path("/proc/self/fd").iterdir())) == before + 2
        assert list(tmp_path.iterdir()) == []  # they have no name
        shelf.drop("a")
        assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    class Full:
        def seek(self, *_):
            return 0

        def write(self, _):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with Shelf(9) as shelf:
        shelf.put("a", np.zeros(9, np.int8))
        with pytest.raises(OutputError) as caught:
            shelf.put("b", np.zeros(1, np.int8))
    assert str(caught.value) == (
        f"{tmp_path}: cannot hold what is beyond --memory ([Errno 28] No space left on device); free some "
        "room there, set TMPDIR to another folder, or give more --memory"
    )
