"""ONNX files in and out: load and check the user's model, bring it to one opset, save an artifact whole."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnx.defs
import onnx.inliner
import onnx.shape_inference
import onnx.version_converter
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from onnx2snn.errors import ModelError, OutputError
from onnx2snn.ops import OPSET_VERSION

logger = logging.getLogger(__name__)

#: The newest IR version that onnxruntime ≥ 1.20 accepts.
IR_VERSION = 10
OLDEST_OPSET = 6
#: Initializers of more bytes are weights: shape inference and version conversion do without them.
LARGE = 1 << 16
#: What one protobuf message, and so one ONNX file without external data, can hold.
_MOST_BYTES = (1 << 31) - 1
#: Domain that marks an operator which ONNX added later, and which has no body in older operators.
NEWER = "ai.onnx.newer"
#: Operators whose further inputs may be infinite: bounds, padding, masks.
_BOUNDED = ("Clip", "Max", "Min", "Pad", "Where")


def load_model(path: str | Path, *, weights: bool = True) -> onnx.ModelProto:
    """Load an ONNX file with its external data and check it.

    Args:
        path: of the file.
        weights: read external data; without, tensors of more than `LARGE` bytes stay references to it.

    Raises:
        ModelError: no such file, not ONNX, truncated, missing external data, or invalid by ONNX's checker.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: expected an ONNX file, found {_what_is(path)}; check the path")
    try:
        model = onnx.load(path, load_external_data=False)
        total = sum(map(_bytes, model.graph.initializer))
        if weights and total > _MOST_BYTES:
            raise ModelError(
                f"{path}: expected less than {_MOST_BYTES / 1e9:.1f} GB of weights, as one file holds, "
                f"found {total / 1e9:.1f} GB; use a smaller model"
            )
        for tensor in model.graph.initializer:
            if uses_external_data(tensor) and (weights or _bytes(tensor) <= LARGE):
                load_external_data_for_tensor(tensor, str(path.parent))
                tensor.data_location = onnx.TensorProto.DEFAULT
                del tensor.external_data[:]
    except DecodeError as error:
        raise ModelError(
            f"{path}: expected an ONNX file, found bytes that are not a whole ONNX model; "
            "it may be truncated or of another format: export it again"
        ) from error
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"{path}: the model or its external data cannot be read ({first_line(error)}); "
            "keep the data files beside the model and make them readable"
        ) from error
    check_model(model, str(path))
    return model


def check_model(model: onnx.ModelProto, source: str) -> None:
    """Check a model as ONNX does, and that its weights are finite.

    Raises:
        ModelError: the model is not valid ONNX or holds NaN or infinite weights.
    """
    if not model.graph.node:
        raise ModelError(f"{source}: expected an ONNX model, found no graph with nodes; export it again")
    try:
        if any(uses_external_data(tensor) for tensor in model.graph.initializer):
            light = _copy(model)
            _park(light)
            onnx.checker.check_model(light)
        else:
            onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        node = re.search(r"Name: (\S+) OpType: (\S+)", str(error))
        where = f"node '{node[1]}' ({node[2]}): " if node else ""
        raise ModelError(
            f"{source}: {where}not valid ONNX ({first_line(error)}); export it again, or mend that place"
        ) from error
    bounds = {name for node in model.graph.node if node.op_type in _BOUNDED for name in node.input[1:]}
    for name, tensor in _constants(model):
        if uses_external_data(tensor):
            continue
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind != "f" or np.isfinite(values).all():
            continue
        if np.isnan(values).any() or name not in bounds:
            raise ModelError(
                f"{source}: constant '{name}': expected finite weights, found NaN or Inf; "
                "retrain or repair the model"
            )


def _constants(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Initializers, and what Constant nodes hold, by name."""
    for initializer in model.graph.initializer:
        yield initializer.name, initializer
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                yield node.output[0], attribute.t


def flatten_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without local functions, every node with a name of its own: what the reports speak of."""
    flat = onnx.inliner.inline_local_functions(model) if model.functions else _copy(model)
    _inline_newer(flat)
    taken: set[str] = set()
    # Names that the user gave come first: an unnamed node must not take one of them.
    for node in sorted(flat.graph.node, key=lambda node: not node.name):
        wanted = node.name or next((name for name in node.output if name), node.op_type)
        numbered = (f"{wanted}_{number}" for number in count(1))
        node.name = next(name for name in chain([wanted], numbered) if name not in taken)
        node.domain = "" if node.domain == "ai.onnx" else node.domain
        taken.add(node.name)
    return flat


def _inline_newer(model: onnx.ModelProto) -> None:
    """Write operators that ONNX added after our opset in older ones, by their own function body.

    What has none gets the domain `NEWER`, by which it is refused.
    """
    newer = sorted({node.op_type for node in model.graph.node if _first_opset(node) > OPSET_VERSION})
    if not newer:
        return
    weights = _park(model)
    try:
        model.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))  # bodies depend on types
    except onnx.shape_inference.InferenceError as error:
        logger.info("types are not known before newer operators are inlined: %s", first_line(error))
    for op in newer:
        try:
            inlined = onnx.inliner.inline_selected_functions(model, [("", op)], inline_schema_functions=True)
        except (RuntimeError, ValueError) as error:
            logger.info("%s cannot be written in older operators: %s", op, first_line(error))
            inlined = model
        for node in inlined.graph.node:
            if node.op_type == op:
                node.domain = NEWER
        model.CopyFrom(inlined)
    if any(node.domain == NEWER for node in model.graph.node):
        model.opset_import.append(onnx.helper.make_opsetid(NEWER, 1))
    _unpark(model, weights)


@cache
def _opsets() -> dict[str, int]:
    """For every operator of ONNX's own domain, the opset that brought it."""
    first: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            first[schema.name] = min(schema.since_version, first.get(schema.name, schema.since_version))
    return first


def _first_opset(node: onnx.NodeProto) -> int:
    return 0 if node.domain not in ("", "ai.onnx") else _opsets().get(node.op_type, 0)


def normalize_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """A flattened model at the project's opset and IR version, shapes inferred.

    Raises:
        ModelError: the opset is older than 6, or ONNX's version converter fails.
    """
    model = _copy(model)
    weights = _park(model)
    _write_out_constants(model)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
    if opset is None or opset < OLDEST_OPSET:
        raise ModelError(
            f"model opset: expected {OLDEST_OPSET} or newer, found {opset}; "
            "export the model again with a newer opset"
        )
    if opset == OPSET_VERSION:
        converted = model
    else:
        logger.info("converting opset %d to %d", opset, OPSET_VERSION)
        try:
            converted = _convert(model)
        except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
            raise ModelError(
                f"model opset: ONNX's version converter cannot bring opset {opset} to {OPSET_VERSION} "
                f"({first_line(error)}); export the model with opset {OPSET_VERSION}"
            ) from error
    converted.ir_version = IR_VERSION
    try:
        strict = not any(node.domain for node in converted.graph.node)  # of foreign nodes nothing is known
        inferred = onnx.shape_inference.infer_shapes(converted, strict_mode=strict, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(
            f"model: shapes contradict each other ({first_line(error)}); mend that node or export again"
        ) from error

    _unpark(inferred, weights)
    return inferred


def _convert(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model at our opset. ONNX lacks the way back for GlobalMaxPool, which has never changed."""
    pools = {node.name for node in model.graph.node if node.op_type == "GlobalMaxPool"}
    for node in model.graph.node:
        node.op_type = "GlobalAveragePool" if node.name in pools else node.op_type
    converted = onnx.version_converter.convert_version(model, OPSET_VERSION)
    for node in converted.graph.node:
        node.op_type = "GlobalMaxPool" if node.name in pools else node.op_type
    return converted


@dataclass(frozen=True)
class _Parked:
    """Large initializers, out of their model, and which of them became inputs of it for the time being."""

    tensors: list[onnx.TensorProto]
    inputs: set[str]


def _park(model: onnx.ModelProto) -> _Parked:
    """Take large initializers out, so that nothing copies them; inputs of the same type stand for them."""
    tensors = [tensor for tensor in model.graph.initializer if _bytes(tensor) > LARGE]
    small = [tensor for tensor in model.graph.initializer if _bytes(tensor) <= LARGE]
    fresh = {tensor.name for tensor in tensors} - {item.name for item in model.graph.input}
    del model.graph.initializer[:]
    model.graph.initializer.extend(small)
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in tensors
        if tensor.name in fresh
    )
    return _Parked(tensors, fresh)


def _unpark(model: onnx.ModelProto, parked: _Parked) -> None:
    kept = [item for item in model.graph.input if item.name not in parked.inputs]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(parked.tensors)


def _bytes(tensor: onnx.TensorProto) -> int:
    return math.prod(tensor.dims) * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _write_out_constants(model: onnx.ModelProto) -> None:
    """Constants given as plain numbers become tensors of the type that ONNX says they have."""
    types = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    for node in model.graph.node:
        for attribute in list(node.attribute) if node.op_type == "Constant" else ():
            if attribute.name in types:
                value = np.asarray(onnx.helper.get_attribute_value(attribute), types[attribute.name])
                node.attribute.remove(attribute)
                node.attribute.append(onnx.helper.make_attribute("value", numpy_helper.from_array(value)))


def serialize(model: onnx.ModelProto) -> bytes:
    """The model's bytes, the same every time for the same model."""
    return model.SerializeToString(deterministic=True)


def digest(model: onnx.ModelProto) -> str:
    """SHA-256 of the model's bytes, in hexadecimal."""
    return hashlib.sha256(serialize(model)).hexdigest()


def check_writable(path: str | Path) -> None:
    """Find out before any work that a file cannot be written there.

    Raises:
        OutputError: the folder does not exist or cannot be written to, or the path is no regular file.
    """
    target = Path(os.path.realpath(path))
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"{path}: the folder '{folder}' does not exist; create it or choose another")
    if target.exists() and not target.is_file():
        found = "a folder" if target.is_dir() else "a device or pipe"
        raise OutputError(f"{path}: expected a file to write, found {found}; add a file name")
    if not os.access(folder, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise OutputError(f"{path}: no permission to write there; choose another place with -o")


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write to a temporary file beside the target and rename it: the target is whole, old or new.

    A symbolic link stays one, its target is written; an existing file keeps its permissions.

    Raises:
        OutputError: the file cannot be written; an existing one is left as it was.
    """
    check_writable(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({first_line(error)}); choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something: ours are all one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _what_is(path: Path) -> str:
    return "a folder" if path.is_dir() else "nothing there"
