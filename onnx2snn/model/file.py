"""ONNX files in and out: load and check the user's model, bring it to one opset, save an artifact whole."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import uuid
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
from onnx.version_converter import ConvertError

from onnx2snn.errors import ModelError, OutputError, first_line
from onnx2snn.files import check_regular
from onnx2snn.model import weights as in_files
from onnx2snn.model.attributes import check_attributes
from onnx2snn.model.check import check_model, without_own_name
from onnx2snn.model.parking import Parked, park, size_of, unpark
from onnx2snn.model.spill import stored
from onnx2snn.ops import OPSET_VERSION

logger = logging.getLogger(__name__)

#: The newest IR version that onnxruntime ≥ 1.20 accepts.
IR_VERSION = 10
OLDEST_OPSET = 6
#: The opset from which on operators broadcast as NumPy does.
_BROADCASTING = 7
#: The opset in which Resize got its coordinate_transformation_mode.
_RESIZE_WITH_COORDINATES = 11
#: The opset from which on Hardmax works along one axis.
_HARDMAX_ON_ONE_AXIS = 13
#: Domain that marks an operator which ONNX added later, and which has no body in older operators.
NEWER = "ai.onnx.newer"


def load_model(path: str | Path, *, weights: bool = True) -> onnx.ModelProto:
    """Load an ONNX file with its external data and check it.

    Large weights of a model that no one message can hold stay in their files (`onnx2snn.model.weights`).

    Args:
        path: of the file.
        weights: read external data; without, tensors of more than `LARGE` bytes stay what they are.

    Raises:
        ModelError: no such file, not ONNX, truncated, missing external data, or invalid by ONNX's checker.
    """
    path = Path(path)
    check_regular(path, "an ONNX file", ModelError)
    try:
        model = onnx.load(path, load_external_data=False)
        _attach_weights(model, path.parent, weights=weights)
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


def _attach_weights(model: onnx.ModelProto, folder: Path, *, weights: bool) -> None:
    """Read weights from the files that they are in, or see to it that they can be found there."""
    huge = in_files.weight_bytes(model) > in_files.MOST_BYTES
    for tensor in in_files.initializers(model.graph):
        large, outside = in_files.is_large(size_of(tensor)), uses_external_data(tensor)
        if large and not weights:
            continue
        if large and huge and outside:
            in_files.find_external(tensor, folder)
        elif large and huge:
            tensor.CopyFrom(in_files.to_tensor(tensor.name, stored(numpy_helper.to_array(tensor))))
        elif outside:
            load_external_data_for_tensor(tensor, str(folder))
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]


def flatten_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without local functions, every node with a name of its own: what the reports speak of."""
    flat = _inline_functions(without_own_name(model))
    _inline_newer(flat)
    taken: set[str] = set()
    # Names that the user gave come first: an unnamed node must not take one of them.
    for node in sorted(flat.graph.node, key=lambda node: not node.name):
        wanted = node.name or next((name for name in node.output if name), node.op_type)
        numbered = (f"{wanted}_{number}" for number in count(1))
        node.name = next(name for name in chain([wanted], numbered) if name not in taken)
        taken.add(node.name)
    return flat


def _inline_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    if not model.functions:
        return model
    try:
        flat = onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"model: its functions cannot be written out ({first_line(error)}); "
            "export it without local functions"
        ) from error
    check_attributes(flat, "model")  # what functions refer to has values only now
    return flat


def _inline_newer(model: onnx.ModelProto) -> None:
    """Write operators that ONNX added after our opset in older ones, by their own function body.

    What has none gets the domain `NEWER`, by which it is refused.
    """
    newer = sorted({node.op_type for node in model.graph.node if _first_opset(node) > OPSET_VERSION})
    if not newer:
        return
    weights = park(model)
    _write_out_defaults(model)
    model.graph.value_info.extend(  # bodies depend on types, which initializers alone do not give
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in model.graph.initializer
    )
    try:
        model.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))
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
    unpark(model, weights)


def _write_out_defaults(model: onnx.ModelProto) -> None:
    """Give newer operators the attributes that they leave out: inlined bodies refer to each of them."""
    for node in model.graph.node:
        if _first_opset(node) <= OPSET_VERSION:
            continue
        given = {attribute.name for attribute in node.attribute}
        for name, attribute in onnx.defs.get_schema(node.op_type).attributes.items():
            if name not in given and attribute.default_value.name:
                node.attribute.append(attribute.default_value)


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
        ModelError: as `raise_opset`; or shapes contradict each other.
    """
    converted, weights = _raise_parked(model)
    try:
        strict = not any(node.domain for node in converted.graph.node)  # of foreign nodes nothing is known
        # Types as well: without, the body of GroupNormalization is not looked into.
        inferred = onnx.shape_inference.infer_shapes(
            converted, check_type=strict, strict_mode=strict, data_prop=True
        )
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(
            f"model: shapes contradict each other ({first_line(error)}); mend that node or export again"
        ) from error

    unpark(inferred, weights)
    return inferred


def raise_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """A flattened model at the project's opset and IR version; foreign nodes are left as they are.

    Raises:
        ModelError: the opset is older than 6, or ONNX's version converter fails.
    """
    raised, weights = _raise_parked(model)
    unpark(raised, weights)
    return raised


def _raise_parked(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Parked]:
    model = _copy(model)
    weights = park(model)
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
        if opset < _BROADCASTING:
            _align_slopes(model)
        try:
            converted = _convert(model, opset)
        except (RuntimeError, ValueError, ConvertError, onnx.checker.ValidationError) as error:
            raise ModelError(
                f"model opset: ONNX's version converter cannot bring opset {opset} to {OPSET_VERSION} "
                f"({first_line(error)}); export the model with opset {OPSET_VERSION}"
            ) from error
    converted.ir_version = IR_VERSION
    return converted, weights


def _align_slopes(model: onnx.ModelProto) -> None:
    """Let slopes [C] of a PRelu lie along the channels, as they did before opset 7, not on the last axis."""
    inferred = onnx.shape_inference.infer_shapes(model)
    values = (*inferred.graph.input, *inferred.graph.value_info)
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in values}
    slopes = {
        node.input[1]: ranks.get(node.input[0], 0) for node in model.graph.node if node.op_type == "PRelu"
    }
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 1 and tensor.dims[0] > 1 and slopes.get(tensor.name, 0) > 2:
            tensor.dims.extend([1] * (slopes[tensor.name] - 2))


def _convert(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model at our opset, with what ONNX's converter leaves out.

    It lacks the way back for GlobalMaxPool, which has never changed; it lets Upsample and the first Resize
    forget where they took pixels from, and Hardmax that it took several axes as one.
    """
    if opset < _HARDMAX_ON_ONE_AXIS:
        _flatten_hardmax(model)
    pools = {node.name for node in model.graph.node if node.op_type == "GlobalMaxPool"}
    for node in model.graph.node:
        node.op_type = "GlobalAveragePool" if node.name in pools else node.op_type
    converted = onnx.version_converter.convert_version(model, OPSET_VERSION)
    for node in converted.graph.node:
        node.op_type = "GlobalMaxPool" if node.name in pools else node.op_type
        if node.op_type == "Resize" and opset < _RESIZE_WITH_COORDINATES:
            _resize_as_before(converted, node)
    return converted


def _resize_as_before(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """Pixels start at their corner, and the nearest is the last before, or the next where an axis shrinks."""
    scales = next((item for item in model.graph.initializer if item.name == node.input[2]), None)
    factors = np.ones(1) if scales is None else numpy_helper.to_array(scales)
    shrinks = bool((factors < 1).any())
    if shrinks and (factors > 1).any() and not any(item.s == b"linear" for item in node.attribute):
        raise ConvertError(f"'{node.name}' ({node.op_type}) shrinks one axis and stretches another")
    for name, value in (
        ("coordinate_transformation_mode", "asymmetric"),
        ("nearest_mode", "ceil" if shrinks else "floor"),
    ):
        node.attribute.append(onnx.helper.make_attribute(name, value))


def _flatten_hardmax(model: onnx.ModelProto) -> None:
    """Hardmax(axis) → Flatten(axis), Hardmax, Reshape, which is what it did."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type != "Hardmax" or node.domain not in ("", "ai.onnx"):
            model.graph.node.append(node)
            continue
        axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
        (source,), (result,) = node.input, node.output
        flat, largest, shape = (f"{node.name}/{part}" for part in ("flat", "largest", "shape"))
        make = onnx.helper.make_node
        model.graph.node.extend(
            (
                make("Shape", [source], [shape], shape),
                make("Flatten", [source], [flat], flat, axis=axis),
                make("Hardmax", [flat], [largest], node.name, axis=1),
                make("Reshape", [largest, shape], [result], f"{node.name}/reshape"),
            )
        )


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
    """SHA-256 of the model's bytes, in hexadecimal; wherever its weights are."""
    whole = in_files.with_checksums(model) if in_files.references(model) else model
    return hashlib.sha256(serialize(whole)).hexdigest()


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


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
