from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onnx2snn.data import image_folder
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import Dataset, InputSpec, dataset_from_arrays, open_dataset
from tests.data.reader_cases import CHW, GREY, HWC, PAIR, VECTOR, floats, pixels, save_image, spec, whole

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


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any), stride=st.integers(1, 7))
def test_every_so_many_samples_are_taken_across_the_parts(sizes: list[int], stride: int) -> None:
    samples = floats(sum(sizes), 2)
    pieces = np.split(samples, np.cumsum(sizes)[:-1])
    parts = [part for piece in pieces for part in dataset_from_arrays_or_nothing(piece)]
    data = Dataset(tuple(VECTOR), tuple(parts), Preprocessing(), "parts", np.arange(len(samples))).every(
        stride
    )
    np.testing.assert_array_equal(whole(data, 2), samples[::stride])
    np.testing.assert_array_equal(data.labels, np.arange(len(samples))[::stride])
    assert len(data) == len(samples[::stride])


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
