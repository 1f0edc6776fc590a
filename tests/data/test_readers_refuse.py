from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx2snn.data.readers import InputSpec, dataset_from_arrays, open_dataset
from onnx2snn.errors import DataError, OptionError
from tests.data.reader_cases import CHW, GREY, PAIR, VECTOR, Write, floats, pixels, save_image, spec, whole


def npy(name: str, array: np.ndarray) -> Write:
    return lambda root: np.save(root / name, array)


def npz(name: str, **arrays: np.ndarray) -> Write:
    return lambda root: np.savez(root / name, **arrays)


def text(name: str, content: bytes = b"garbage") -> Write:
    return lambda root: (root / name).write_bytes(content)


def image(name: str, *shape: int) -> Write:
    return lambda root: save_image(root / name, pixels(*shape))


def cut(write: Write, name: str, keep: float) -> Write:
    def run(root: Path) -> None:
        write(root)
        whole_file = (root / name).read_bytes()
        (root / name).write_bytes(whole_file[: int(len(whole_file) * keep)])

    return run


def both(*writes: Write) -> Write:
    return lambda root: [write(root) for write in writes]


def nothing(root: Path) -> None:
    pass


OBJECTS = np.array([[{}, {}]], object)

REFUSED = {
    # case: (what is stored, what is opened, inputs, message)
    "missing": (nothing, "no.npz", VECTOR, r"no\.npz: cannot be read \(.*No such file"),
    "unknown kind": (text("d.csv"), "d.csv", VECTOR, r"d\.csv: expected an \.npz, .* file of another kind"),
    "empty directory": (nothing, ".", VECTOR, "found nothing in the directory"),
    "no known files": (text("d.csv"), ".", VECTOR, "found no file of these kinds"),
    "no images in sub-folders": (
        lambda root: (root / "a").mkdir(),
        ".",
        VECTOR,
        "found no file of these kinds",
    ),
    "arrays and images": (
        both(npy("a.npy", floats(1, 2)), image("a.png", 2, 2)),
        ".",
        VECTOR,
        "expected one kind of data, found array files and image files",
    ),
    "images in and beside folders": (
        both(image("a.png", 2, 2), image("c/a.png", 2, 2)),
        ".",
        GREY,
        "found image files and class sub-folders",
    ),
    "arrays beside class folders": (
        both(npy("a.npy", floats(1, 2)), image("c/a.png", 2, 2)),
        ".",
        GREY,
        "found array files and class sub-folders",
    ),
    "arrays in class folders": (
        both(image("c/a.png", 2, 2), npy("c/a.npy", floats(1, 2))),
        ".",
        GREY,
        "c: expected image files .* found array files",
    ),
    "empty class folder": (
        both(image("c/a.png", 2, 2), lambda root: (root / "b").mkdir()),
        ".",
        GREY,
        "b: expected image files .* found no image file; .* order",
    ),
    "mixed shapes": (
        both(npy("a.npy", floats(1, 2)), npy("b.npy", floats(1, 3))),
        ".",
        [spec(None, None)],
        r"b\.npy: expected samples of shape \[2\] as in .*a\.npy, found \[3\]",
    ),
    "npy not an array": (text("d.npy"), "d.npy", VECTOR, r"d\.npy: expected plain .* cannot be read"),
    "npy empty": (text("d.npy", b""), "d.npy", VECTOR, r"d\.npy: expected plain"),
    "npy truncated": (cut(npy("d.npy", floats(99, 2)), "d.npy", 0.5), "d.npy", VECTOR, "cannot be read"),
    "npy of objects": (npy("d.npy", OBJECTS), "d.npy", VECTOR, r"d\.npy: expected plain numeric arrays"),
    "npz not a zip": (text("d.npz"), "d.npz", VECTOR, r"d\.npz: expected plain .* cannot be read"),
    "npz truncated": (cut(npz("d.npz", x=floats(99, 2)), "d.npz", 0.5), "d.npz", VECTOR, "cannot be read"),
    "npz of objects": (npz("d.npz", x=OBJECTS), "d.npz", VECTOR, r"\['x'\]: expected floats .* dtype object"),
    "labels of objects": (
        npz("d.npz", x=floats(1, 2), labels=OBJECTS[0, :1]),
        "d.npz",
        VECTOR,
        r"\['labels'\]: expected numbers of shape \[1, …\], found object",
    ),
    "labels too short": (
        npz("d.npz", x=floats(3, 2), labels=np.arange(2)),
        "d.npz",
        VECTOR,
        r"\['labels'\]: expected 3 labels, one a sample, found 2",
    ),
    "one label for all": (
        npz("d.npz", x=floats(3, 2), labels=np.float32(1)),
        "d.npz",
        VECTOR,
        r"\['labels'\]: expected numbers of shape \[3, …\], found float32 of shape \[\]",
    ),
    "labels of two kinds": (
        both(
            npz("a.npz", x=floats(1, 2), labels=np.arange(1)),
            npz("b.npz", x=floats(1, 2), labels=floats(1, 3)),
        ),
        ".",
        VECTOR,
        r"expected labels of one kind in all files, found float32 \[1, 3\] and int64 \[1\]",
    ),
    "labels in some files": (
        both(npz("a.npz", x=floats(1, 2), labels=np.arange(1)), npy("b.npy", floats(1, 2))),
        ".",
        VECTOR,
        "expected labels in every file or in none, found them in 1 of 2",
    ),
    "missing key": (
        npz("d.npz", q=floats(1, 2), p=floats(1, 2)),
        "d.npz",
        VECTOR,
        r"d\.npz: expected the key 'images' or 'x', found 'p', 'q'",
    ),
    "empty npz": (npz("d.npz"), "d.npz", VECTOR, "found none"),
    "only labels": (npz("d.npz", labels=np.arange(1)), "d.npz", VECTOR, "found 'labels'"),
    "one of two inputs": (
        npz("d.npz", a=floats(1, 2)),
        "d.npz",
        PAIR,
        "expected the key 'a', 'b', found 'a'",
    ),
    "npy for two inputs": (npy("d.npy", floats(1, 2)), "d.npy", PAIR, "model's 2 inputs, .* keys 'a', 'b'"),
    "images for two inputs": (
        image("a.png", 2, 2),
        ".",
        PAIR,
        r"expected a model with 1 input .* 2 \(a, b\)",
    ),
    "inputs of different lengths": (
        npz("d.npz", a=floats(3, 2), b=floats(2, 1)),
        "d.npz",
        PAIR,
        r"\['b'\]: expected 3 samples as in .*\['a'\], found 2",
    ),
    "wrong rank": (npy("d.npy", floats(2)), "d.npy", VECTOR, r"expected shape \[N, 2\] .* found \[2\]"),
    "wrong rank in directory": (npy("d.npy", floats(1, 1, 2)), ".", VECTOR, r"found \[1, 1, 2\]"),
    "scalar": (npy("d.npy", np.array(1.0)), "d.npy", VECTOR, r"found \[\]"),
    "wrong shape": (
        npy("d.npy", floats(2, 3)),
        "d.npy",
        [spec(None, 2)],
        r"d\.npy: expected shape \[N, 2\] for input 'x', found \[2, 3\]",
    ),
    "dynamic dimension shown": (npy("d.npy", floats(2, 3)), "d.npy", [spec(None, None, 2)], r"\[N, \?, 2\]"),
    "floats in the other layout": (npy("d.npy", floats(1, 6, 5, 3)), "d.npy", CHW, "transpose the array"),
    "complex": (npy("d.npy", floats(1, 2) * 1j), "d.npy", VECTOR, "expected floats or integers .* complex64"),
    "strings": (npy("d.npy", np.array([["a", "b"]])), "d.npy", VECTOR, "found dtype <U1"),
    "floats for an integer input": (
        npy("d.npy", floats(1, 2)),
        "d.npy",
        [spec(None, 2, dtype="int64")],
        r"expected integers for input 'x' \(int64\), found dtype float32",
    ),
    "no samples": (npy("d.npy", floats(0, 2)), "d.npy", VECTOR, "expected at least 1 sample, found 0"),
    "images for a vector": (
        image("a.png", 2, 2),
        ".",
        VECTOR,
        "expected a NCHW model input of 1, 3 or 4 channels",
    ),
    "images of two channels": (
        image("a.png", 2, 2),
        ".",
        [spec(None, 2, 2, 2)],
        r"of shape \[None, 2, 2, 2\]",
    ),
}


@pytest.mark.parametrize(("write", "name", "inputs", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_on_opening(
    tmp_path: Path, write: Write, name: str, inputs: list[InputSpec], message: str
) -> None:
    write(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(tmp_path / name, inputs)
    assert "\n" not in str(caught.value)


REFUSED_READING = {
    "NaN": (
        npy("d.npy", np.array([[0, 0], [1, 1], [2, np.nan]])),
        VECTOR,
        r"d\.npy, sample 2: expected finite .* found NaN",
    ),
    "infinity": (
        npz("d.npz", a=floats(3, 2), b=np.array([[0], [np.inf], [np.inf]])),
        PAIR,
        r"d\.npz\['b'\], sample 1: expected finite",
    ),
    "past float32": (npy("d.npy", np.array([[0, 1e300]])), VECTOR, "sample 0: expected .* range of float32"),
    "past int8": (
        npy("d.npy", np.array([[0, 200]])),
        [spec(None, 2, dtype="int8")],
        "sample 0: .* range of int8",
    ),
    "not an image": (text("a.png"), GREY, r"a\.png: not a readable image"),
    "truncated image": (cut(image("a.png", 2, 2), "a.png", 0.7), GREY, r"a\.png: not a readable image"),
    "broken link": (
        lambda root: (root / "a.png").symlink_to("gone"),
        GREY,
        r"a\.png: expected a file, found nothing",
    ),
    "wrong size": (
        image("a.png", 4, 3),
        GREY,
        r"a\.png: expected an image of 2x2 pixels .* found 4x3; give --resize 2,2",
    ),
    "mixed sizes": (
        both(image("a.png", 4, 3), image("b.png", 3, 4)),
        [spec(None, 1, None, None)],
        r"b\.png: expected an image of 4x3 .* found 3x4; give --resize 4,3",
    ),
    "16 bits": (
        lambda root: save_image(root / "a.png", np.full((2, 2), 40000, np.uint16)),
        GREY,
        r"a\.png: expected 8 bits a channel, found mode I;16",
    ),
}


@pytest.mark.parametrize(("write", "inputs", "message"), REFUSED_READING.values(), ids=REFUSED_READING)
def test_refused_while_reading(tmp_path: Path, write: Write, inputs: list[InputSpec], message: str) -> None:
    write(tmp_path)
    data = open_dataset(tmp_path, inputs)
    with pytest.raises(DataError, match=message) as caught:
        list(data.batches(2))
    assert "\n" not in str(caught.value)


def test_corrupt_npz_content_is_refused_when_it_is_read(tmp_path: Path) -> None:
    array = floats(9999, 2)  # longer than the chunk that reading the header buffers
    np.savez(tmp_path / "d.npz", x=array)
    content = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(content.replace(array.tobytes(), array[::-1].tobytes()))
    data = open_dataset(tmp_path / "d.npz", VECTOR)
    with pytest.raises(DataError, match=r"cannot be read \(Bad CRC-32"):
        whole(data)


def test_encrypted_npz_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=floats(1, 2))
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[6] |= 1  # the flag in the local header …
    content[content.index(b"PK\x01\x02") + 8] |= 1  # … and in the directory
    (tmp_path / "d.npz").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "d.npz") as archive:
        assert archive.infolist()[0].flag_bits & 1
    with pytest.raises(DataError, match="encrypted"):
        open_dataset(tmp_path / "d.npz", VECTOR)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["d.npy", "d.npz"])
def test_never_unpickles(tmp_path: Path, name: str) -> None:
    bomb = np.array([[Bomb(tmp_path / "trace"), 0]], object)
    (np.save if name == "d.npy" else np.savez)(tmp_path / name, bomb)
    with pytest.raises(DataError):
        open_dataset(tmp_path / name, VECTOR)
    assert not (tmp_path / "trace").exists()


def test_causes_are_chained(tmp_path: Path) -> None:
    with pytest.raises(DataError) as missing:
        open_dataset(tmp_path / "no", VECTOR)
    assert isinstance(missing.value.__cause__, FileNotFoundError)
    (tmp_path / "d.npy").write_bytes(b"")
    with pytest.raises(DataError) as broken:
        open_dataset(tmp_path / "d.npy", VECTOR)
    assert broken.value.__cause__ is not None


@pytest.mark.parametrize("limit", [0, -1])
def test_limits_below_one(tmp_path: Path, limit: int) -> None:
    with pytest.raises(OptionError, match=f"max samples: expected at least 1, found {limit}"):
        open_dataset(tmp_path, VECTOR, max_samples=limit)
    with pytest.raises(OptionError, match="max samples"):
        dataset_from_arrays(floats(1, 2), VECTOR, max_samples=limit)
    with pytest.raises(OptionError, match=f"batch size: expected at least 1, found {limit}"):
        dataset_from_arrays(floats(1, 2), VECTOR).batches(limit)


def test_arrays_in_memory_are_checked_too() -> None:
    with pytest.raises(DataError, match="labels: expected 2 labels"):
        dataset_from_arrays(floats(2, 2), VECTOR, labels=np.arange(3))
    with pytest.raises(DataError, match="model's 2 inputs"):
        dataset_from_arrays(floats(2, 2), PAIR)
    with pytest.raises(DataError, match=r"arrays\['images'\]: expected shape"):
        dataset_from_arrays(floats(2, 3), VECTOR)
