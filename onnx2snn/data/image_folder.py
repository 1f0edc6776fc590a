"""Image files, in a directory or in one sub-folder a class, as parts of a data set."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.dataset import InputSpec, Part
from onnx2snn.data.preprocessing import Layout, Preprocessing, infer_layout
from onnx2snn.errors import DataError, OptionError
from onnx2snn.files import check_regular

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
)

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

# What Pillow's decoders let through on broken files, besides its own UnidentifiedImageError (an OSError).
_BROKEN_IMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class _Target:
    """What every image is decoded to."""

    mode: str
    size: tuple[int, int]
    resize: bool
    layout: Layout


def label_folders(
    folders: Mapping[str, Sequence[Path]], max_samples: int | None
) -> tuple[list[Path], NDArray[np.int64], tuple[str, ...]]:
    """The files of all class folders in order of folder, their labels, and the classes' names.

    `max_samples` takes about as many from every class, since the first ones alone would all be of one class.
    """
    names = tuple(sorted(folders))
    files = [file for name in names for file in folders[name]]
    labels = np.repeat(np.arange(len(names), dtype=np.int64), [len(folders[name]) for name in names])
    kept = np.sort(balanced(labels)[:max_samples])
    return [files[index] for index in kept], labels[kept], names


def balanced(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """An order of ascending labels of which every beginning has about as many of each class."""
    rank_in_class = np.arange(len(labels)) - np.searchsorted(labels, labels)
    return np.lexsort((labels, rank_in_class))


def image_parts(
    root: Path, files: Sequence[Path], inputs: Sequence[InputSpec], preprocessing: Preprocessing
) -> list[Part]:
    """One part an image file; nothing is decoded before the part is read.

    Raises:
        DataError: the model does not take one image input, or Pillow is missing.
        OptionError: images resized to a size that the model does not take.
    """
    if len(inputs) != 1:
        names = ", ".join(spec.name for spec in inputs)
        raise DataError(
            f"{root}: expected a model with 1 input for image files, found {len(inputs)} ({names}); "
            f"store the inputs in an .npz under their names"
        )
    spec = inputs[0]
    target = _target(root, files[0], spec, preprocessing)
    height, width = target.size
    channels = len(target.mode)
    shape = (channels, height, width) if target.layout == "NCHW" else (height, width, channels)
    return [
        Part(1, {spec.name: str(file)}, {spec.name: shape}, partial(_read, file, spec.name, target))
        for file in files
    ]


def _target(root: Path, first: Path, spec: InputSpec, preprocessing: Preprocessing) -> _Target:
    layout = preprocessing.layout or infer_layout(spec.shape)
    channels = None
    if len(spec.shape) == 4:
        channels = spec.shape[1 if layout == "NCHW" else 3]
    if channels not in _MODES:
        raise DataError(
            f"{root}: expected a {layout} model input of 1, 3 or 4 channels for image files, found "
            f"'{spec.name}' of shape {list(spec.shape)}; give --layout, or store the data as .npy"
        )
    height, width = spec.shape[2:] if layout == "NCHW" else spec.shape[1:3]
    if preprocessing.resize is not None:
        if height not in (None, preprocessing.resize[0]) or width not in (None, preprocessing.resize[1]):
            raise OptionError(
                f"resize: expected {height or 'any'},{width or 'any'}, the size of input '{spec.name}', "
                f"found {preprocessing.resize[0]},{preprocessing.resize[1]}"
            )
        return _Target(_MODES[channels], preprocessing.resize, True, layout)
    if height is None or width is None:
        opened = _load(first, _MODES[channels])
        height, width = height or opened.height, width or opened.width
    return _Target(_MODES[channels], (height, width), False, layout)


def _read(file: Path, name: str, target: _Target) -> dict[str, NDArray[np.uint8]]:
    """The image as uint8 [1, C, H, W] or [1, H, W, C] under the input's name."""
    image = _load(file, target.mode)
    height, width = target.size
    if target.resize:
        image = image.resize((width, height), _pillow().Resampling.BILINEAR)
    elif (image.height, image.width) != target.size:
        raise DataError(
            f"{file}: expected an image of {height}x{width} pixels (height x width), "
            f"found {image.height}x{image.width}; give --resize {height},{width}"
        )
    pixels = np.asarray(image, np.uint8).reshape(1, height, width, len(target.mode))
    return {name: pixels.transpose(0, 3, 1, 2) if target.layout == "NCHW" else pixels}


def _load(file: Path, mode: str) -> Any:
    """The file's (first) image, a PIL.Image.Image, in the given mode."""
    pillow = _pillow()
    check_regular(file)
    try:
        # Pillow warns of images of more than 89 million pixels, and refuses twice as many.
        with warnings.catch_warnings(action="error", category=pillow.DecompressionBombWarning):
            opened = pillow.open(file)
        with opened as image:
            stored = image.mode
            # Without this step Pillow warns about the transparency of a palette.
            through_rgba = stored == "P" and "transparency" in image.info
            converted = (image.convert("RGBA") if through_rgba else image).convert(mode)
    except (*_BROKEN_IMAGE, pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: not a readable image ({reason}); repair or remove the file") from error
    if stored.startswith(("I", "F")):
        # Pillow clips these to 255 instead of scaling them.
        raise DataError(
            f"{file}: expected 8 bits a channel, found mode {stored}; store it as .npy or in 8 bits"
        )
    return converted


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            "image files need Pillow, which is missing; pip install 'onnx2snn[images]'"
        ) from error
    return Image
