"""Image files: formats, channels, sizes, and one folder a class."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnx2snn.data import image_folder
from onnx2snn.data.image_folder import image_parts, label_folders
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import InputSpec, open_dataset
from onnx2snn.errors import DataError, Onnx2SnnError, OptionError
from tests.data.reader_cases import CHW, GREY, HWC, PAIR, VECTOR, pixels, save_image, spec, whole


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
    image = Image.new("P", (2, 2), 1)
    image.putpalette([5, 5, 5, 9, 9, 9])
    image.save(tmp_path / "a.png", transparency=b"\x40\x80")  # of each colour its own
    np.testing.assert_array_equal(whole(open_dataset(tmp_path, GREY)), np.full((1, 1, 2, 2), 9))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((2, 3), np.uint8),
            "expected an image of 2x2 pixels (height x width), found 2x3; give --resize 2,2",
        ),
        (
            np.zeros((2, 2), np.uint16),
            "expected 8 bits a channel, found mode I;16; store it as .npy or in 8 bits",
        ),
    ],
)
def test_images_that_are_not_read(tmp_path: Path, array: np.ndarray, message: str) -> None:
    save_image(tmp_path / "a.png", array)
    with pytest.raises(DataError) as caught:
        whole(open_dataset(tmp_path, GREY))
    assert str(caught.value) == f"{tmp_path / 'a.png'}: {message}"
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        whole(open_dataset(tmp_path, GREY))
    assert str(caught.value).startswith(f"{tmp_path / 'a.png'}: not a readable image (")
    assert str(caught.value).endswith("); repair or remove the file")


def test_floats_are_no_pixels(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="expected 8 bits a channel, found mode F; store it as"):
        whole(open_dataset(tmp_path, GREY))


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


def test_missing_pillow_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_image(tmp_path / "a.png", pixels(2, 2))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=re.escape("pip install 'onnx2snn[images]'")):
        whole(open_dataset(tmp_path, GREY))


def test_resize_must_be_a_size_of_the_model(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", pixels(2, 2))
    with pytest.raises(OptionError, match="resize: expected 2,2, the size of input 'x', found 2,3"):
        open_dataset(tmp_path, GREY, Preprocessing(resize=(2, 3)))


@pytest.mark.parametrize(
    ("limit", "expected", "labels"),
    [
        (None, ["a0", "a1", "a2", "b0", "c0", "c1"], [0, 0, 0, 1, 2, 2]),
        (3, ["a0", "b0", "c0"], [0, 1, 2]),
        (4, ["a0", "a1", "b0", "c0"], [0, 0, 1, 2]),
        (5, ["a0", "a1", "b0", "c0", "c1"], [0, 0, 1, 2, 2]),
    ],
)
def test_files_of_class_folders(limit: int | None, expected: list[str], labels: list[int]) -> None:
    folders = {"c": ["c0", "c1"], "a": ["a0", "a1", "a2"], "b": ["b0"]}
    paths = {name: [Path(file) for file in files] for name, files in folders.items()}
    files, found, names = label_folders(paths, limit)
    assert [file.name for file in files] == expected
    assert (found.tolist(), found.dtype) == (labels, np.int64)
    assert names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("inputs", "size"),
    [
        ([spec(None, 3, None, None)], (3, 6, 5)),
        ([spec(None, None, None, 3)], (6, 5, 3)),
        ([spec(None, 3, 6, None)], (3, 6, 5)),
        ([spec(None, 3, None, 5)], (3, 6, 5)),
    ],
)
def test_the_first_image_gives_the_size_that_the_model_leaves_open(
    tmp_path: Path, inputs: list[InputSpec], size: tuple[int, ...]
) -> None:
    save_image(tmp_path / "a.png", pixels(6, 5, 3))
    (part,) = image_parts(tmp_path, [tmp_path / "a.png"], inputs, Preprocessing())
    assert part.sample_shapes == {"x": size}
    assert part.samples == 1
    assert part.where == {"x": str(tmp_path / "a.png")}
    assert part.read()["x"].shape == (1, *size)


@pytest.mark.parametrize(
    ("inputs", "rule", "message"),
    [
        (
            PAIR,
            {},
            "data: expected a model with 1 input for image files, found 2 (a, b); store the inputs in an "
            ".npz under their names",
        ),
        (
            [spec(None, 2, 2, 2)],
            {},
            "data: expected a NCHW model input of 1, 3 or 4 channels for image files, found 'x' of shape "
            "[None, 2, 2, 2]; give --layout, or store the data as .npy",
        ),
        (
            [spec(None, 1, 4, 5)],
            {"layout": "NHWC"},
            "data: expected a NHWC model input of 1, 3 or 4 channels for image files, found 'x' of shape "
            "[None, 1, 4, 5]; give --layout, or store the data as .npy",
        ),
        (
            VECTOR,
            {},
            "data: expected a NCHW model input of 1, 3 or 4 channels for image files, found 'x' of shape "
            "[None, 2]; give --layout, or store the data as .npy",
        ),
        (CHW, {"resize": (7, 5)}, "resize: expected 6,5, the size of input 'x', found 7,5"),
        (CHW, {"resize": (6, 4)}, "resize: expected 6,5, the size of input 'x', found 6,4"),
        (
            [spec(None, 3, None, 5)],
            {"resize": (6, 4)},
            "resize: expected any,5, the size of input 'x', found 6,4",
        ),
    ],
)
def test_models_that_do_not_take_images(inputs: list[InputSpec], rule: dict[str, Any], message: str) -> None:
    with pytest.raises(Onnx2SnnError) as caught:
        image_parts(Path("data"), [Path("data/a.png")], inputs, Preprocessing(**rule))
    assert str(caught.value) == message


def test_images_that_unpack_to_more_than_memory_should_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(tmp_path / "a.png", np.zeros((20, 20), np.uint8))
    for most in (300, 100):  # Pillow warns of the one and refuses the other
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(
            DataError, match=r"a\.png: not a readable image \(Image size \(400 pixels\) exceeds"
        ):
            whole(open_dataset(tmp_path, [spec(None, 1, 20, 20)]))
