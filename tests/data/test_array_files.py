"""Arrays in files: large ones are mapped, whatever holds them, and leave memory again."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from onnx2snn.data import array_files
from onnx2snn.data.array_files import npz_headers, open_npy, read_npz, release
from onnx2snn.errors import DataError

ARRAYS = {
    "a": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "b": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "c": np.zeros((0, 3)),
}


@pytest.fixture(params=[np.savez, np.savez_compressed])
def file(tmp_path, request):
    path = tmp_path / "arrays.npz"
    request.param(path, **ARRAYS)
    return path


@pytest.mark.parametrize("large", [0, 1 << 20])
def test_arrays_of_an_npz_come_back_mapped_or_read(file, large, monkeypatch):
    monkeypatch.setattr(array_files, "LARGE", large)
    found = read_npz(file, {"x": "a", "y": "b"})
    for name, key in (("x", "a"), ("y", "b")):
        assert isinstance(found[name], np.memmap) == (large == 0)
        np.testing.assert_array_equal(found[name], ARRAYS[key])
        assert found[name].dtype == ARRAYS[key].dtype


def test_headers_tell_shape_dtype_and_order(file):
    headers = npz_headers(file)
    assert {key: (header.shape, header.dtype) for key, header in headers.items()} == {
        key: (array.shape, array.dtype) for key, array in ARRAYS.items()
    }
    assert (headers["a"].fortran, headers["b"].fortran) == (False, True)


@pytest.mark.parametrize("large", [0, 1 << 20])
def test_objects_are_refused(tmp_path, large, monkeypatch):
    monkeypatch.setattr(array_files, "LARGE", large)
    path = tmp_path / "objects.npz"
    np.savez(path, x=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="expected plain numeric arrays"):
        read_npz(path, {"x": "x"})


def test_a_released_array_can_still_be_read(tmp_path):
    np.save(tmp_path / "x.npy", ARRAYS["a"])
    mapped = open_npy(tmp_path / "x.npy")
    for array in (mapped, mapped[::2], ARRAYS["a"]):
        release(array)
        np.testing.assert_array_equal(array, np.array(array))
    np.testing.assert_array_equal(mapped, ARRAYS["a"])


def test_what_an_array_may_unpack_to(tmp_path, monkeypatch):
    """Two million zeros in a few kB: as a stored file they would be as they say."""
    monkeypatch.setattr(array_files, "MOST_UNPACKED", 1 << 20)
    zeros = np.zeros(2_000_000, np.uint8)
    np.savez(tmp_path / "stored.npz", x=zeros)
    np.testing.assert_array_equal(read_npz(tmp_path / "stored.npz", {"x": "x"})["x"], zeros)
    np.savez_compressed(tmp_path / "d.npz", x=zeros)
    with pytest.raises(
        DataError, match=r"'x\.npy' would unpack to 0\.0 GB, more than the 0\.0 GB that one may"
    ):
        npz_headers(tmp_path / "d.npz")


def test_an_array_of_fewer_values_than_its_header_says(tmp_path):
    """Or NumPy would first make room for all of them."""
    np.save(tmp_path / "x.npy", np.zeros(1000, np.uint8))
    content = (tmp_path / "x.npy").read_bytes().replace(b"(1000,)", b"(9000,)")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError, match=r"'x\.npy' has 1,000 bytes of 9,000"):
        npz_headers(tmp_path / "d.npz")
