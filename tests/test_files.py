"""Regular files alone are opened: a pipe would be waited for."""

from __future__ import annotations

import os
import socket

import numpy as np
import pytest

from onnx2snn.analysis import sweep
from onnx2snn.analysis.energy import load_energy_model
from onnx2snn.data.array_files import npz_headers, open_npy, read_npz
from onnx2snn.data.coco import read_coco
from onnx2snn.data.event_files import READERS
from onnx2snn.data.readers import InputSpec, open_dataset
from onnx2snn.errors import DataError, ModelError, OptionError, OutputError
from onnx2snn.files import check_regular
from onnx2snn.model.file import load_model
from onnx2snn.web.page import check_folder


def test_a_file_and_a_link_to_one(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    check_regular(tmp_path / "a")
    check_regular(str(tmp_path / "b"))


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: path.mkdir(), "a folder"),
        (os.mkfifo, "a pipe"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/null"), "a device"),
        (lambda path: path.symlink_to(path.with_name("b")), "nothing there"),
    ],
)
def test_anything_else_is_refused(tmp_path, monkeypatch, make, found):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    place = tmp_path.relative_to(tmp_path) / "a"
    make(place if found == "a socket" else tmp_path / "a")
    with pytest.raises(ModelError, match=f"^a: expected an ONNX file, found {found}; check the path"):
        check_regular("a", "an ONNX file", ModelError)


def test_what_cannot_be_looked_at(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match="expected a file, cannot be read"):
        check_regular(tmp_path / "loop")
    with pytest.raises(DataError, match="cannot be read"):
        check_regular("a\0b")


def test_no_reader_opens_a_pipe(tmp_path):
    """Each would wait for ever."""
    readers = [load_model, open_npy, npz_headers, lambda path: read_npz(path, {"x": "x"})]
    readers += [*READERS.values(), lambda path: read_coco(path, 1)]
    for number, read in enumerate(readers):
        pipe = tmp_path / f"{number}.npy"
        os.mkfifo(pipe)
        with pytest.raises((DataError, ModelError), match="found a pipe"):
            read(pipe)
    os.mkfifo(tmp_path / "prices.toml")
    with pytest.raises(OptionError, match="or a TOML file, found a pipe"):
        load_energy_model(str(tmp_path / "prices.toml"))
    with pytest.raises(OutputError, match="expected a point of a sweep, found a pipe"):
        sweep._read(tmp_path / "0.npy")
    os.mkfifo(tmp_path / "index.html")
    with pytest.raises(OutputError, match="found other files"):
        check_folder(tmp_path)
    (tmp_path / "images").mkdir()
    os.mkfifo(tmp_path / "images" / "a.png")
    float32 = InputSpec("x", np.dtype("f4"), (None, 1, 2, None))
    with pytest.raises(DataError, match="found a pipe"):
        open_dataset(tmp_path / "images", [float32])
