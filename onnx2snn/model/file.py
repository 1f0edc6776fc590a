"""ONNX files in and out: load and check the user's model, bring it to one opset, save an artifact whole."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

import onnx
import onnx.inliner
import onnx.shape_inference
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx.checker import ValidationError
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data
from onnx.shape_inference import InferenceError
from onnx.version_converter import ConvertError

from onnx2snn.errors import ModelError, OutputError, first_line
from onnx2snn.files import check_regular
from onnx2snn.model import weights as in_files
from onnx2snn.model.attributes import check_attributes
from onnx2snn.model.check import check_model
from onnx2snn.model.domains import EARLY, own_opset, with_domains
from onnx2snn.model.header import mended
from onnx2snn.model.newer import inline_newer
from onnx2snn.model.nodes import nested, tensors
from onnx2snn.model.opset import convert, write_out_constants
from onnx2snn.model.parking import park, size_of, unpark
from onnx2snn.model.spill import stored
from onnx2snn.model.temporary import beside
from onnx2snn.ops import OPSET_VERSION

logger = logging.getLogger(__name__)

#: The newest IR version that onnxruntime ≥ 1.20 accepts.
IR_VERSION = 10
OLDEST_OPSET = 6


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
    except (OSError, ValueError, ValidationError) as error:
        raise ModelError(
            f"{path}: the model or its external data cannot be read ({first_line(error)}); "
            "keep the data files beside the model and make them readable"
        ) from error
    model = mended(model)
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
            _read(tensor, folder)
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for tensor in chain.from_iterable(map(tensors, nested(nodes))):
            if uses_external_data(tensor):
                _read(tensor, folder)


def _read(tensor: onnx.TensorProto, folder: Path) -> None:
    load_external_data_for_tensor(tensor, str(folder))
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def flatten_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without local functions, every node with a name of its own: what the reports speak of."""
    flat = _inline_functions(with_domains(model))
    if any(node.domain == EARLY for node in flat.graph.node):
        flat = _raise_around(flat)
    inline_newer(flat)
    _name_nodes(flat)
    return flat


def _raise_around(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model at our opset, in which operators that it used before they were there are ordinary ones."""
    _name_nodes(model)
    raised = raise_opset(model)
    for node in raised.graph.node:
        node.domain = "" if node.domain == EARLY else node.domain
    kept = [entry for entry in raised.opset_import if entry.domain != EARLY]
    del raised.opset_import[:]
    raised.opset_import.extend(kept)
    return raised


def _name_nodes(flat: onnx.ModelProto) -> None:
    taken: set[str] = set()
    # Names that the user gave come first: an unnamed node must not take one of them.
    for node in sorted(flat.graph.node, key=lambda node: not node.name):
        wanted = node.name or next((name for name in node.output if name), node.op_type)
        numbered = (f"{wanted}_{number}" for number in count(1))
        node.name = next(name for name in chain([wanted], numbered) if name not in taken)
        taken.add(node.name)


def _inline_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    if not model.functions:
        return model
    try:
        flat = onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError, ValidationError) as error:
        raise ModelError(
            f"model: its functions cannot be written out ({first_line(error)}); "
            "export it without local functions"
        ) from error
    check_attributes(flat, "model")  # what functions refer to has values only now
    return flat


def normalize_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """A flattened model at the project's opset and IR version, shapes inferred.

    Shapes that the file stores, and that nodes do not make, are forgotten.

    Raises:
        ModelError: as `raise_opset`; or shapes contradict each other.
    """
    raised = raise_opset(model)
    weights = park(raised)
    inferred = _despite_stored_shapes(_infer, raised)
    unpark(inferred, weights)
    return inferred


def raise_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """A flattened model at the project's opset and IR version; foreign nodes are left as they are.

    Raises:
        ModelError: the opset is older than 6, or ONNX's version converter fails.
    """
    model = _copy(model)
    weights = park(model)
    write_out_constants(model)
    raised = _despite_stored_shapes(_raise, model)
    raised.ir_version = IR_VERSION
    unpark(raised, weights)
    return raised


def _raise(model: onnx.ModelProto) -> onnx.ModelProto:
    opset = own_opset(model)
    if opset < OLDEST_OPSET:
        raise ModelError(
            f"model opset: expected {OLDEST_OPSET} or newer, found {opset or None}; "
            "export the model again with a newer opset"
        )
    if opset == OPSET_VERSION:
        return model
    logger.info("converting opset %d to %d", opset, OPSET_VERSION)
    try:
        return convert(_copy(model), opset)
    except (RuntimeError, ValueError, ConvertError, ValidationError, InferenceError) as error:
        raise ModelError(
            f"model opset: ONNX's version converter cannot bring opset {opset} to {OPSET_VERSION} "
            f"({first_line(error)}); export the model with opset {OPSET_VERSION}"
        ) from error


def _counts_up(node: onnx.NodeProto) -> bool:
    return any(item.name == "ceil_mode" and item.i for item in node.attribute)


def _infer(model: onnx.ModelProto) -> onnx.ModelProto:
    # Of foreign nodes nothing is known, and pools of ceil_mode have other windows than ONNX counts.
    strict = not any(node.domain or _counts_up(node) for node in model.graph.node)
    try:
        # Types as well: without, the body of GroupNormalization is not looked into.
        return onnx.shape_inference.infer_shapes(model, check_type=strict, strict_mode=strict, data_prop=True)
    except (InferenceError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"model: shapes contradict each other ({first_line(error)}); mend that node or export again"
        ) from error


def _despite_stored_shapes(
    step: Callable[[onnx.ModelProto], onnx.ModelProto], model: onnx.ModelProto
) -> onnx.ModelProto:
    """What a step makes of a model; where it fails, without what the model says of its nodes' results."""
    try:
        return step(model)
    except ModelError as error:
        del model.graph.value_info[:]
        for output in model.graph.output:
            output.type.tensor_type.ClearField("shape")
        try:
            made = step(model)
        except ModelError:
            raise error from error.__cause__
        logger.info("stored shapes are not those that nodes make: inferred anew (%s)", first_line(error))
        return made


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
    try:
        with beside(target) as temporary:
            temporary.write_bytes(content)
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({first_line(error)}); choose another place") from error


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
