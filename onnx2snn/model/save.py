"""Write a model: one file, or one with its weights in a file beside it where one cannot hold them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError

from onnx2snn.errors import OutputError, first_line
from onnx2snn.model import weights as in_files
from onnx2snn.model.file import check_writable, serialize, write_atomically
from onnx2snn.model.temporary import beside
from onnx2snn.model.weights import contents, inline, locate, place_of, references, weight_bytes

#: Offsets of weights are multiples of it, since systems map whole pages.
_PAGE = 1 << 12
#: Hexadecimal digits of its content's SHA-256 in a weight file's name.
_DIGITS = 16


def save_model(path: str | Path, model: onnx.ModelProto) -> list[Path]:
    """Write a model, whole or not at all.

    One of more weights than one file can hold gets a file of these beside it, named after its content: what a
    model's file refers to is never overwritten by other weights. The one that it replaces is removed at the
    end.

    Returns:
        The files: the model's, and that of its weights if it has one.

    Raises:
        OutputError: a file cannot be written; what was there is left as it was.
    """
    check_writable(path)
    before = _weight_files(Path(os.path.realpath(path)))
    written = [Path(path)]
    if references(model) and weight_bytes(model) > in_files.MOST_BYTES:
        written.append(_write_pair(path, model))
    else:
        write_atomically(path, serialize(_whole(model)))
    for file in before:
        if file.name != written[-1].name:
            file.unlink(missing_ok=True)
    return written


def _whole(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with what it refers to."""
    if not references(model):
        return model
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    inline(whole)
    return whole


def _write_pair(path: str | Path, model: onnx.ModelProto) -> Path:
    target = Path(os.path.realpath(path))
    light = onnx.ModelProto()
    light.CopyFrom(model)
    with _said(path), beside(target) as weights, beside(target) as temporary:
        with weights.open("wb") as file:
            checksum = _write_weights(file, light)
        data = target.with_name(f"{target.name.removesuffix('.onnx')}.{checksum[:_DIGITS]}.data")
        for tensor in references(light):
            tensor.external_data[0].value = data.name
        temporary.write_bytes(serialize(light))
        if target.exists():
            for made in (weights, temporary):
                shutil.copymode(target, made)
        fresh = not data.exists()
        try:
            weights.replace(data)
            temporary.replace(target)
        finally:
            # Whether the model got its name tells whether somebody needs the weights, whenever Ctrl-C came.
            if fresh and temporary.exists():
                data.unlink(missing_ok=True)
    return Path(path).with_name(data.name)


def _write_weights(file: BinaryIO, model: onnx.ModelProto) -> str:
    """Write what a model refers to, once each, and let it refer to offsets in this file.

    Returns:
        The SHA-256 of all that was written.
    """
    checksum, end = hashlib.sha256(), 0
    offsets: dict[tuple[str, int, int], int] = {}
    for tensor in references(model):
        *_, length = (entry.value for entry in tensor.external_data)
        place = (*place_of(tensor), int(length))
        if place not in offsets:
            filling = bytes(-end % _PAGE)
            for piece in chain([filling], contents(tensor)):
                checksum.update(piece)
                file.write(piece)
            offsets[place] = end + len(filling)
            end = offsets[place] + int(length)
        locate(tensor, "", offsets[place])
    return checksum.hexdigest()


def _weight_files(model: Path) -> list[Path]:
    """The weight files that belong to a model's file: those that bear its name."""
    name = re.compile(rf"{re.escape(model.name.removesuffix('.onnx'))}\.[0-9a-f]{{{_DIGITS}}}\.data")
    with suppress(DecodeError, OSError):
        found = [file for file in model.parent.iterdir() if name.fullmatch(file.name)]
        old = onnx.load(model, load_external_data=False) if found and model.is_file() else onnx.ModelProto()
        named = {entry.value for tensor in references(old) for entry in tensor.external_data}
        return [file for file in found if file.name in named]
    return []


@contextmanager
def _said(path: str | Path) -> Iterator[None]:
    """Say in one line that a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({first_line(error)}); choose another place") from error
