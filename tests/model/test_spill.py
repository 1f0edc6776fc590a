"""Weights made of weights in files: in files too, for as long as they are needed."""

from __future__ import annotations

import errno
import gc
from pathlib import Path

import numpy as np
import pytest

from onnx2snn.errors import OutputError
from onnx2snn.model import spill, weights
from onnx2snn.model.spill import product, spilling, store, stored, stored_like
from onnx2snn.model.weights import is_mapped, place_in_file

pytestmark = pytest.mark.usefixtures("small_messages")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Where files go."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(spill.tempfile, "tempdir", None)
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("shape", [(7, 10), (70,), (1, 70), (7, 5, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_an_array_comes_back_from_its_file(folder, rng, monkeypatch, shape, dtype):
    monkeypatch.setattr(weights, "PIECE", 100)
    array = (10 * rng.standard_normal(shape)).astype(dtype)
    with spilling():
        found = stored(array)
        assert (found.dtype, found.shape, is_mapped(found)) == (array.dtype, shape, True)
        np.testing.assert_array_equal(found, array)
        assert len(files(folder)) == 1


def test_files_live_as_long_as_those_around_them(folder):
    with spilling() as outer:
        with spilling():
            stored(np.ones(10))
            stored(np.zeros(10))
        gc.collect()
        assert files(folder) == ["0.bin", "1.bin"]
        with spilling() as inner:
            stored(np.ones(10))
        inner.close()
        assert files(folder) == ["0.bin", "1.bin"]
        stored(np.ones(10))
        outer.close()
        assert list(folder.iterdir()) == []


def test_those_that_nobody_needs_go_earlier(folder):
    with spilling() as spill:
        _, kept, _ = (stored(np.ones(10)) for _ in range(3))
        spill.keep_only({place_in_file(kept)[0]})
        assert files(folder) == ["1.bin"]
        spill.close()
    with spilling() as empty:
        empty.keep_only(set())
        empty.close()


def test_an_array_that_is_written_to(folder):
    with spilling():
        array = stored(np.zeros((3, 4)), writable=True)
        array[1] += 2
        weights.let_go()
        assert array.sum() == 8
        assert np.fromfile(next(folder.rglob("0.bin"))).sum() == 8
        assert not stored(np.zeros(3)).flags.writeable


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_after_an_error_or_ctrl_c(folder, error):
    def stop() -> None:
        with spilling():
            stored(np.ones(10))
            raise error

    with pytest.raises(error):
        stop()
    assert list(folder.iterdir()) == []


def test_a_folder_is_made_only_when_it_is_needed(folder):
    with spilling():
        assert stored_like(np.ones(1000), np.ones(3)).base is None
    assert list(folder.iterdir()) == []


def test_no_room(folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with spilling():
        kept = stored(np.ones(10))
        with monkeypatch.context() as patch:
            patch.setattr(spill, "map_file", full)
            with pytest.raises(OSError, match="No space"):  # only what is written is told in our words
                stored(np.ones(10))
        with pytest.raises(OutputError, match=rf"^{folder}: .* \(\[Errno 28\] No space .* TMPDIR$") as caught:
            store((full() for _ in range(1)), np.dtype(np.float32), (3,))
        assert len(str(caught.value).splitlines()) == 1
        assert files(folder) == ["0.bin", "1.bin"]
        np.testing.assert_array_equal(kept, np.ones(10))


def test_a_folder_that_is_none(folder, monkeypatch):
    monkeypatch.setattr(spill, "_temporary", lambda: str(folder / "gone"))
    with spilling(), pytest.raises(OutputError, match=r"gone: .* cannot be written there"):
        stored(np.ones(10))


def test_large_files_go_where_systems_keep_them(folder, monkeypatch):
    assert spill._temporary() == str(folder)
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(spill, "_LARGE_FILES", folder / "large")
    assert spill._temporary() == spill.tempfile.gettempdir()
    (folder / "large").mkdir()
    assert spill._temporary() == str(folder / "large")


@pytest.mark.parametrize("factor", [np.float64(3), np.arange(1, 7.0), np.arange(1, 9.0)[:, None]])
def test_a_product_is_the_same_in_a_file(rng, monkeypatch, factor):
    monkeypatch.setattr(weights, "PIECE", 50)
    array = rng.standard_normal((8, 6)).astype(np.float32)
    inside = product(array, factor)
    with spilling():
        found = product(stored(array), factor)
        assert found.dtype == np.float32
        assert place_in_file(found) is not None
        np.testing.assert_array_equal(found, inside.astype(np.float32))


def test_what_is_made_of_weights_in_files_goes_there_if_it_is_large():
    with spilling():
        like, large = stored(np.ones(10)), np.ones(1000)
        assert is_mapped(stored_like(large, like))
        assert stored_like(large, large) is large
        assert stored_like(np.ones(2), like).base is None
        assert stored_like(like, like) is like
