from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onnx2snn.calibration import image_folder
from onnx2snn.calibration.preprocessing import Preprocessing
from onnx2snn.calibration.readers import Dataset, InputSpec, dataset_from_arrays, open_dataset
from onnx2snn.errors import DataError, OptionError

Write = Callable[[Path], object]


def spec(*shape: int | None, dtype: str = "float32", name: str = "x") -> InputSpec:
    return InputSpec(name, np.dtype(dtype), shape)


VECTOR = [spec(None, 2)]
CHW = [spec(None, 3, 6, 5)]
HWC = [spec(None, 6, 5, 3)]
GREY = [spec(None, 1, 2, 2)]
PAIR = [spec(None, 2, name="a"), spec(None, 1, name="b")]


def floats(samples: int, *shape: int) -> np.ndarray:
    return np.arange(samples * int(np.prod(shape)), dtype=np.float32).reshape(samples, *shape)


def pixels(samples: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (samples, *shape), dtype=np.uint8)


def whole(data: Dataset, batch_size: int = 2, name: str = "x") -> np.ndarray:
    return np.concatenate([batch[name] for batch in data.batches(batch_size)])


def save_image(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)


# --- kinds of array data ---


@pytest.mark.parametrize("key", ["images", "x", "anything"])
def test_npz_of_a_single_input(tmp_path: Path, key: str) -> None:
    np.savez(tmp_path / "d.npz", **{key: floats(3, 2)}, labels=np.array([2, 0, 1], np.uint8))
    data = open_dataset(tmp_path / "d.npz", VECTOR)
    assert len(data) == 3
    assert data.source == "d.npz"
    assert data.label_names is None
    assert data.labels is not None
    assert data.labels.dtype == np.int64
    np.testing.assert_array_equal(data.labels, [2, 0, 1])
    np.testing.assert_array_equal(whole(data), floats(3, 2))


def test_the_input_name_is_preferred_to_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=floats(1, 9), x=floats(1, 2))
    np.testing.assert_array_equal(whole(open_dataset(tmp_path / "d.npz", VECTOR)), floats(1, 2))


def test_labels_are_data_where_an_input_has_that_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", labels=floats(1, 2))
    data = open_dataset(tmp_path / "d.npz", [spec(None, 2, name="labels")])
    assert data.labels is None
    np.testing.assert_array_equal(whole(data, name="labels"), floats(1, 2))


def test_npz_of_several_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", a=floats(3, 2), b=floats(3, 1), unused=np.array([object()]))
    batches = list(open_dataset(tmp_path / "d.npz", PAIR).batches(2))
    assert [set(batch) for batch in batches] == [{"a", "b"}, {"a", "b"}]
    np.testing.assert_array_equal(batches[1]["a"], floats(3, 2)[2:])
    np.testing.assert_array_equal(batches[1]["b"], floats(3, 1)[2:])


@pytest.mark.parametrize("path_type", [str, Path])
def test_npy(tmp_path: Path, path_type: type) -> None:
    np.save(tmp_path / "d.npy", floats(5, 2))
    data = open_dataset(path_type(tmp_path / "d.npy"), VECTOR)
    assert data.labels is None
    assert [len(batch["x"]) for batch in data.batches(2)] == [2, 2, 1]
    np.testing.assert_array_equal(whole(data), floats(5, 2))


def test_directory_is_read_in_order_of_name_and_takes_single_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", floats(5, 2)[2])
    np.savez(tmp_path / "a.npz", images=floats(5, 2)[:2])
    np.save(tmp_path / "C.NPY.npy", np.zeros((0, 2), np.float32))
    np.save(tmp_path / "c.npy", floats(5, 2)[3:])
    (tmp_path / "README.txt").write_text("not data")
    (tmp_path / "._a.npz").write_text("not data either")
    data = open_dataset(tmp_path, VECTOR)
    assert data.source == tmp_path.name
    assert [len(batch["x"]) for batch in data.batches(4)] == [4, 1]
    np.testing.assert_array_equal(whole(data, 4), floats(5, 2))


def test_labels_of_a_directory_are_joined_and_cut(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", images=floats(2, 2), labels=np.array([7, 8]))
    np.savez(tmp_path / "a.npz", images=floats(2, 2), labels=np.array([5, 6]))
    data = open_dataset(tmp_path, VECTOR, max_samples=3)
    assert len(data) == 3
    assert data.labels is not None
    assert data.labels.tolist() == [5, 6, 7]
    np.testing.assert_array_equal(whole(data), np.concatenate([floats(2, 2), floats(1, 2)]))


def test_arrays_in_memory() -> None:
    data = dataset_from_arrays(floats(3, 2), VECTOR, labels=np.array([1, 2, 3]), max_samples=2)
    assert data.source == "arrays"
    assert data.labels is not None
    assert data.labels.tolist() == [1, 2]
    np.testing.assert_array_equal(whole(data), floats(2, 2))


def test_mapping_in_memory_brings_its_labels() -> None:
    data = dataset_from_arrays({"a": floats(2, 2), "b": floats(2, 1), "labels": np.array([3, 4])}, PAIR)
    assert data.labels is not None
    assert data.labels.tolist() == [3, 4]
    np.testing.assert_array_equal(whole(data, name="b"), floats(2, 1))


def test_batches_are_copies() -> None:
    array = floats(1, 2)
    next(dataset_from_arrays(array, VECTOR).batches(1))["x"][:] = -1
    np.testing.assert_array_equal(array, floats(1, 2))


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any), batch_size=st.integers(1, 9))
def test_batches_join_to_the_whole_whatever_their_size(sizes: list[int], batch_size: int) -> None:
    samples = floats(sum(sizes), 2)
    pieces = np.split(samples, np.cumsum(sizes)[:-1])
    parts = [part for piece in pieces for part in dataset_from_arrays_or_nothing(piece)]
    data = Dataset(tuple(VECTOR), tuple(parts), Preprocessing(), "parts")
    for _ in range(2):  # re-iterable, in the same order
        lengths = [len(batch["x"]) for batch in data.batches(batch_size)]
        assert set(lengths[:-1]) <= {batch_size}
        assert 1 <= lengths[-1] <= batch_size
        np.testing.assert_array_equal(whole(data, batch_size), samples)


def dataset_from_arrays_or_nothing(piece: np.ndarray) -> tuple[Any, ...]:
    return dataset_from_arrays(piece, VECTOR).parts if len(piece) else ()


# --- conversion ---


def test_integers_are_preprocessed_and_floats_are_not() -> None:
    rule = Preprocessing(scale=0.5, mean=(1.0,), std=(2.0,))
    for dtype in ("uint8", "int64", "bool"):
        array = np.array([[0, 1]], dtype)
        np.testing.assert_array_equal(whole(dataset_from_arrays(array, VECTOR, rule)), [[-0.5, -0.25]])
    np.testing.assert_array_equal(whole(dataset_from_arrays(floats(1, 2), VECTOR, rule)), [[0, 1]])


@pytest.mark.parametrize("stored", ["float16", "float64", ">f4", "uint8"])
@pytest.mark.parametrize("wanted", ["float16", "float32", "float64"])
def test_batches_have_the_dtype_of_the_input(stored: str, wanted: str) -> None:
    result = whole(dataset_from_arrays(np.array([[1, 2]], stored), [spec(None, 2, dtype=wanted)]))
    assert result.dtype == np.dtype(wanted)
    np.testing.assert_array_equal(result, [[1, 2]])


def test_integer_inputs_take_integers_as_they_are() -> None:
    data = dataset_from_arrays(np.array([[1, 300]]), [spec(None, 2, dtype="int16")], Preprocessing(scale=0.5))
    assert whole(data).dtype == np.int16
    np.testing.assert_array_equal(whole(data), [[1, 300]])


def test_a_fixed_batch_dimension_does_not_bind_the_stored_arrays() -> None:
    assert len(dataset_from_arrays(floats(3, 2), [spec(1, 2)])) == 3


@pytest.mark.parametrize("inputs", [CHW, HWC], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("stored", ["NCHW", "NHWC"])
def test_integers_are_transposed_to_the_model(inputs: list[InputSpec], stored: str) -> None:
    chw = pixels(2, 3, 6, 5)
    rule = Preprocessing(mean=(1.0, 2.0, 3.0))
    expected = chw - np.array([1, 2, 3], np.float32).reshape(3, 1, 1)
    if inputs is HWC:
        expected = expected.transpose(0, 2, 3, 1)
    data = dataset_from_arrays(chw if stored == "NCHW" else chw.transpose(0, 2, 3, 1), inputs, rule)
    np.testing.assert_array_equal(whole(data), expected)


def test_an_array_that_fits_as_it_is_stays_as_it_is() -> None:
    array = pixels(1, 3, 3, 3)
    np.testing.assert_array_equal(whole(dataset_from_arrays(array, [spec(None, 3, 3, 3)])), array)


def test_the_channel_count_tells_where_the_model_is_dynamic() -> None:
    array = pixels(1, 2, 5, 3)
    anything = [spec(None, None, None, None)]
    as_nchw = dataset_from_arrays(array, anything)
    np.testing.assert_array_equal(whole(as_nchw), array.transpose(0, 3, 1, 2))
    as_nhwc = dataset_from_arrays(array, anything, Preprocessing(layout="NHWC"))
    np.testing.assert_array_equal(whole(as_nhwc), array)


def test_layout_option_says_where_the_channels_are() -> None:
    # By its shape alone this input is NHWC.
    inputs = [spec(None, 2, 5, 3)]
    rule = Preprocessing(mean=(1.0, 2.0), layout="NCHW")
    result = whole(dataset_from_arrays(np.zeros((1, 2, 5, 3), np.uint8), inputs, rule))
    np.testing.assert_array_equal(result[0, :, 0, 0], [-1, -2])


# --- image files ---


@pytest.mark.parametrize(
    "suffix", sorted(image_folder.IMAGE_SUFFIXES - {".pgm", ".ppm", ".jpg", ".jpeg", ".gif"})
)
def test_lossless_image_formats(tmp_path: Path, suffix: str) -> None:
    array = pixels(1, 6, 5, 3)
    path = tmp_path / f"a{suffix.upper()}"
    Image.fromarray(array[0]).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(whole(open_dataset(tmp_path, HWC)), array)
    np.testing.assert_array_equal(whole(open_dataset(tmp_path, CHW)), array.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("suffix", [".pgm", ".ppm", ".jpg", ".jpeg", ".gif"])
def test_other_image_formats(tmp_path: Path, suffix: str) -> None:
    array = np.full((2, 2), 200, np.uint8)
    Image.fromarray(array).convert("RGB" if suffix == ".ppm" else "L").save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(whole(open_dataset(tmp_path, GREY)), array[np.newaxis, np.newaxis])


@pytest.mark.parametrize(("channels", "expected"), [(1, [76]), (3, [255, 0, 0]), (4, [255, 0, 0, 255])])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_images_get_the_channels_of_the_model(
    tmp_path: Path, mode: str, channels: int, expected: list[int]
) -> None:
    Image.new("RGB", (2, 2), (255, 0, 0)).convert(mode).save(tmp_path / "a.png")
    result = whole(open_dataset(tmp_path, [spec(None, channels, 2, 2)]))
    np.testing.assert_array_equal(result, np.broadcast_to(np.reshape(expected, (1, -1, 1, 1)), result.shape))


def test_palette_transparency_is_dropped_without_a_warning(tmp_path: Path) -> None:
    image = Image.new("P", (2, 2))
    image.putpalette([9, 9, 9])
    image.save(tmp_path / "a.png", transparency=b"\x00")
    np.testing.assert_array_equal(whole(open_dataset(tmp_path, GREY)), np.full((1, 1, 2, 2), 9))


def test_images_are_preprocessed_and_resized(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", np.repeat(np.array([[0, 255]], np.uint8), 8, axis=0).repeat(4, axis=1))
    rule = Preprocessing(scale=1 / 255, mean=(0.5,), std=(0.5,), resize=(2, 4))
    result = whole(open_dataset(tmp_path, [spec(None, 1, None, None)], rule))
    assert result.shape == (1, 1, 2, 4)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0, 0, :, 0], -1, rtol=0, atol=1e-6)
    np.testing.assert_allclose(result[0, 0, :, 3], 1, rtol=0, atol=1e-6)
    assert -1 < result[0, 0, 0, 1] < result[0, 0, 0, 2] < 1  # bilinear, not nearest


def test_images_feed_an_integer_input_as_they_are(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", pixels(6, 5, 3))
    data = open_dataset(tmp_path, [spec(None, 6, 5, 3, dtype="uint8")], Preprocessing(scale=0.5))
    assert whole(data).dtype == np.uint8
    np.testing.assert_array_equal(whole(data)[0], pixels(6, 5, 3))


def save_classes(root: Path, **classes: int) -> None:
    """Grey 2x2 images; the n-th image of all has the value n, in order of name."""
    value = 0
    for name, count in sorted(classes.items()):
        for index in range(count):
            save_image(root / name / f"{index}.png", np.full((2, 2), value, np.uint8))
            value += 1


def test_class_folders_give_labels_in_order_of_name(tmp_path: Path) -> None:
    save_classes(tmp_path, dog=2, cat=1)
    (tmp_path / ".cache").mkdir()
    data = open_dataset(tmp_path, GREY)
    assert data.label_names == ("cat", "dog")
    assert data.labels is not None
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == [0, 1, 1]
    assert whole(data)[:, 0, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("limit", "labels", "values"),
    [
        (1, [0], [0]),
        (4, [0, 0, 1, 2], [0, 1, 4, 5]),
        (6, [0, 0, 0, 1, 2, 2], [0, 1, 2, 4, 5, 6]),
        (99, [0, 0, 0, 0, 1, 2, 2, 2], list(range(8))),
    ],
)
def test_max_samples_takes_from_every_class(
    tmp_path: Path, limit: int, labels: list[int], values: list[int]
) -> None:
    save_classes(tmp_path, a=4, b=1, c=3)
    data = open_dataset(tmp_path, GREY, max_samples=limit)
    assert len(data) == len(labels)
    assert data.labels is not None
    assert data.labels.tolist() == labels
    assert whole(data)[:, 0, 0, 0].tolist() == values


def test_max_samples_takes_the_first_images_of_a_flat_directory(tmp_path: Path) -> None:
    for index in range(3):
        save_image(tmp_path / f"{index}.png", np.full((2, 2), index, np.uint8))
    data = open_dataset(tmp_path, GREY, max_samples=2)
    assert data.labels is None
    assert whole(data)[:, 0, 0, 0].tolist() == [0, 1]


# --- laziness ---


def test_images_are_decoded_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_classes(tmp_path, a=3, b=3)
    decoded = []
    load = image_folder._load
    monkeypatch.setattr(
        image_folder, "_load", lambda file, mode: decoded.append(file.name) or load(file, mode)
    )
    batches = open_dataset(tmp_path, GREY).batches(2)
    assert decoded == []
    next(batches)
    assert decoded == ["0.png", "1.png"]
    next(batches)
    assert len(decoded) == 4


def test_npy_is_mapped_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", floats(4, 2))
    stored = open_dataset(tmp_path / "d.npy", VECTOR).parts[0].read()["x"]
    assert isinstance(stored, np.memmap)


def test_files_are_opened_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        np.savez(tmp_path / f"{name}.npz", images=pixels(2, 2))
    opened = []
    load = np.load
    monkeypatch.setattr(np, "load", lambda file, **options: opened.append(file.name) or load(file, **options))
    batches = open_dataset(tmp_path, VECTOR).batches(2)
    assert opened == []
    next(batches)
    assert opened == ["a.npz"]


def test_only_one_batch_is_converted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []
    apply = Preprocessing.apply
    monkeypatch.setattr(
        Preprocessing,
        "apply",
        lambda self, array, layout: converted.append(len(array)) or apply(self, array, layout),
    )
    batches = dataset_from_arrays(pixels(10, 2), VECTOR).batches(3)
    next(batches)
    assert converted == [3]


# --- errors ---


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
        r"\['labels'\]: expected integers of shape \[1\], found object",
    ),
    "labels too short": (
        npz("d.npz", x=floats(3, 2), labels=np.arange(2)),
        "d.npz",
        VECTOR,
        r"\['labels'\]: expected 3 labels, one a sample, found 2",
    ),
    "float labels": (
        npz("d.npz", x=floats(3, 2), labels=np.arange(3.0)),
        "d.npz",
        VECTOR,
        "expected integers .* found float64",
    ),
    "one-hot labels": (
        npz("d.npz", x=floats(3, 2), labels=np.eye(3, dtype=int)),
        "d.npz",
        VECTOR,
        r"of shape \[3, 3\]",
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
    "broken link": (lambda root: (root / "a.png").symlink_to("gone"), GREY, r"a\.png: not a readable image"),
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


def test_missing_pillow_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_image(tmp_path / "a.png", pixels(2, 2))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=re.escape("pip install 'onnx2snn[images]'")):
        whole(open_dataset(tmp_path, GREY))


def test_resize_must_be_a_size_of_the_model(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", pixels(2, 2))
    with pytest.raises(OptionError, match="resize: expected 2,2, the size of input 'x', found 2,3"):
        open_dataset(tmp_path, GREY, Preprocessing(resize=(2, 3)))


def test_integer_arrays_are_not_resized() -> None:
    anything = [spec(None, 1, None, None)]
    rule = Preprocessing(resize=(4, 4))
    assert whole(dataset_from_arrays(pixels(1, 1, 4, 4), anything, rule)).shape == (1, 1, 4, 4)
    with pytest.raises(DataError, match=r"expected \[4, 4\] pixels, .* found \[2, 2\]"):
        dataset_from_arrays(pixels(1, 1, 2, 2), anything, rule)


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
