"""Weights that stay in files: of a model that no one message can hold, so that memory need not hold them.

Large initializers of such a model are *references*: they name a file, an offset and a length, as ONNX's
external data do, but with the file's whole path. Arrays are maps of these files, of which the system keeps in
memory what is being read, and can let go of it at any time.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
from onnx import numpy_helper
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from onnx2snn.errors import ModelError
from onnx2snn.model import parking
from onnx2snn.model.parking import size_of

Array = npt.NDArray[Any]

#: Models with more bytes of weights keep them in files: one protobuf message holds 2 GiB, the graph included.
MOST_BYTES = (1 << 31) - (1 << 26)
#: Bytes of weights that are read, computed or written at a time.
PIECE = 1 << 24

#: Files that were looked at before anything refers to them; a model cannot make others be read.
_files: set[str] = set()
_maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_arrays: weakref.WeakValueDictionary[tuple[object, ...], Array] = weakref.WeakValueDictionary()


def initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """All initializers of a graph, those of the bodies of its loops and branches as well."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from initializers(attribute.g)


def references(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """The initializers of a model whose values are in a file, its loops' and branches' as well."""
    return [tensor for tensor in initializers(model.graph) if uses_external_data(tensor)]


def take_references(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """Take the references out of a graph, and out of its loops and branches."""
    taken = [tensor for tensor in graph.initializer if uses_external_data(tensor)]
    kept = [tensor for tensor in graph.initializer if not uses_external_data(tensor)]
    if taken:
        del graph.initializer[:]
        graph.initializer.extend(kept)
    for node in graph.node:
        for attribute in node.attribute:
            taken += take_references(attribute.g) if attribute.HasField("g") else []
    return taken


def weight_bytes(model: onnx.ModelProto) -> int:
    """Bytes of all initializers, wherever they are."""
    return sum(map(size_of, initializers(model.graph)))


def model_bytes(model: onnx.ModelProto) -> int:
    """Bytes of a model with what it refers to."""
    return model.ByteSize() + sum(map(size_of, references(model)))


def is_present(tensor: onnx.TensorProto) -> bool:
    """Whether the values can be had: not so of external data that `load_model` did not look for."""
    return not uses_external_data(tensor) or _location(tensor) in _files


def refer(name: str, array: Array) -> onnx.TensorProto | None:
    """A reference to where an array's values are; None where these are not one after another in a file."""
    place = place_in_file(array)
    if place is None:
        return None
    tensor = onnx.TensorProto(
        name=name,
        data_type=onnx.helper.np_dtype_to_tensor_dtype(array.dtype),
        dims=array.shape,
        data_location=onnx.TensorProto.EXTERNAL,
    )
    _files.add(place[0])
    locate(tensor, *place)
    return tensor


def to_tensor(name: str, array: Array) -> onnx.TensorProto:
    """An initializer of an array's values; a reference where these are large and in a file."""
    reference = refer(name, array) if is_large(array.nbytes) else None
    return numpy_helper.from_array(array, name) if reference is None else reference


def locate(tensor: onnx.TensorProto, location: str, offset: int) -> None:
    """Let a reference name another place."""
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", offset), ("length", size_of(tensor))):
        tensor.external_data.add(key=key, value=str(value))


def place_of(tensor: onnx.TensorProto) -> tuple[str, int]:
    """The file that a reference names, and the offset in it.

    Raises:
        ModelError: the file is none that this process has looked at, or it is gone.
    """
    path = _location(tensor)
    if path not in _files or not Path(path).is_file():
        raise ModelError(
            f"weights '{tensor.name}': expected them in the model or in a file that is still there, found a "
            "reference to none; give the path of the model's file"
        )
    return path, int(_entries(tensor)["offset"])


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _location(tensor: onnx.TensorProto) -> str:
    return _entries(tensor).get("location", "")


def find_external(tensor: onnx.TensorProto, folder: Path) -> None:
    """Make a reference of external data, which is looked for but not read.

    Args:
        tensor: names a file in the folder of its model; changed.
        folder: of the model.

    Raises:
        ValueError, OSError, onnx.checker.ValidationError: no such file, one that is too short, or one that is
            not in the folder.
    """
    entries = _entries(tensor)
    offset = int(entries.get("offset", 0))
    # ONNX says itself which files it opens: it is asked for the first byte.
    probe = onnx.TensorProto(name=tensor.name, data_location=onnx.TensorProto.EXTERNAL)
    for key, value in {**entries, "length": "1"}.items():
        probe.external_data.add(key=key, value=value)
    load_external_data_for_tensor(probe, str(folder))
    path, size = os.path.realpath(folder / entries["location"]), size_of(tensor)
    given, found = int(entries.get("length", size)), Path(path).stat().st_size
    if given != size or offset + size > found:
        raise ValueError(
            f"'{tensor.name}' needs {size} bytes from {offset} on of {entries['location']}, "
            f"found {min(given, max(0, found - offset))}"
        )
    _files.add(path)
    locate(tensor, path, offset)


def values_of(tensor: onnx.TensorProto) -> Array:
    """The values of an initializer; those of a reference as a map of its file, which cannot be written to.

    Raises:
        ModelError: see `place_of`.
    """
    if not uses_external_data(tensor):
        return numpy_helper.to_array(tensor)
    path, offset = place_of(tensor)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return map_file(path, dtype, tuple(tensor.dims), offset)


def map_file(
    path: str, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int = 0, *, writable: bool = False
) -> Array:
    """A file's values as an array, the same one as long as anybody has it: each would count as memory."""
    key = (path, str(dtype), shape, offset, writable)
    array = _arrays.get(key)
    if array is None:
        array = np.memmap(path, dtype, "r+" if writable else "r", offset, shape)
        base: Any = array.base
        _maps.add(base)
        _arrays[key] = array
    return array


def place_in_file(array: Array) -> tuple[str, int] | None:
    """The file and the offset of an array's values; None where these are not one after another in a file."""
    root = _root(array)
    if root is None or not array.flags.c_contiguous:
        return None
    return os.fspath(root.filename), root.offset + _address(array) - _address(root)


def is_mapped(array: Array) -> bool:
    """Whether an array's values are in a file."""
    return _root(array) is not None


def _root(array: Array) -> Any:
    """The map that an array is a view of; None where it is none."""
    view: Any = array
    while not isinstance(view.base, mmap.mmap):
        if not isinstance(view.base, np.ndarray):
            return None
        view = view.base
    return view if view.base in _maps else None


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def let_go() -> None:
    """Take what is mapped out of this process's memory; whoever reads it again gets it again."""
    for mapped in list(_maps):
        if hasattr(mapped, "madvise") and not mapped.closed:
            mapped.madvise(mmap.MADV_DONTNEED)


def pieces(array: Array) -> Iterator[tuple[slice, Array]]:
    """An array in parts along its first axis, of about `PIECE` bytes, each with its place."""
    rows = max(1, PIECE * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        part = slice(start, min(len(array), start + rows))
        yield part, array[part]


def contents(tensor: onnx.TensorProto) -> Iterator[bytes]:
    """The bytes of a reference, piece by piece.

    Raises:
        ModelError: see `place_of`.
        OSError: they cannot be read.
    """
    path, offset = place_of(tensor)
    with Path(path).open("rb") as file:
        file.seek(offset)
        left = size_of(tensor)
        while left:
            piece = file.read(min(PIECE, left))
            if not piece:
                raise OSError(f"{path} ends before '{tensor.name}' does")
            left -= len(piece)
            yield piece


def inline(model: onnx.ModelProto) -> None:
    """Read all references of a model into it."""
    for tensor in references(model):
        tensor.raw_data = b"".join(contents(tensor))
        tensor.ClearField("data_location")
        del tensor.external_data[:]


def with_checksums(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which references say what they refer to, wherever that is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in references(copy):
        checksum = hashlib.sha256()
        for piece in contents(tensor):
            checksum.update(piece)
        del tensor.external_data[:]
        tensor.external_data.add(key="checksum", value=checksum.hexdigest())
    return copy


def is_large(size: int) -> bool:
    """Whether so many bytes are better left in a file."""
    return size > parking.LARGE
