"""What old and careless exporters leave in a model's header, written as it is meant.

Every runtime takes these files; ONNX's own checker and shape inference stumble over them.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx.defs
import onnx.shape_inference
from onnx import AttributeProto, TensorShapeProto

from onnx2snn.errors import ModelError
from onnx2snn.model.nodes import nested
from onnx2snn.model.parking import park, unpark

#: No net is exported for more samples at a time: it is a number that tracing has left where any is meant.
_MOST_SAMPLES = 4096
#: The IR version from which on initializers need not be inputs.
_FREE_INITIALIZERS = 4

#: The fields that hold an attribute's value, and the types that they stand for.
_FIELDS = {
    "f": AttributeProto.FLOAT,
    "i": AttributeProto.INT,
    "s": AttributeProto.STRING,
    "t": AttributeProto.TENSOR,
    "g": AttributeProto.GRAPH,
    "floats": AttributeProto.FLOATS,
    "ints": AttributeProto.INTS,
    "strings": AttributeProto.STRINGS,
    "tensors": AttributeProto.TENSORS,
    "graphs": AttributeProto.GRAPHS,
}


def mended(model: onnx.ModelProto) -> onnx.ModelProto:
    """What a model's header means; its nodes stay what they are.

    Cases:
        1. An attribute without a type (Caffe2 of 2018) → the type of its value.
        2. A dimension of 0 or below, of an input, an output or a stored shape → any number.
        3. A first dimension of all inputs of more samples than any net is exported for → any number, where
           nothing in the net counts on it.
        4. Initializers that are no inputs in a file of IR 3, which had none of these → IR 4.

    Returns:
        The model itself, where there is nothing to do; a copy otherwise.

    Raises:
        ModelError: names that are no text.
    """
    if not all(isinstance(name, str) for name in _names(model)):
        raise ModelError(
            "model: expected names in UTF-8, found other bytes; the file may be damaged: export it again"
        )
    untyped, unknown = any(True for _ in _untyped(model)), any(True for _ in _unknown(model))
    fixed, bound = _samples(model) > _MOST_SAMPLES, model.ir_version < _FREE_INITIALIZERS and _has_free(model)
    if not (untyped or unknown or fixed or bound):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node, attribute in _untyped(copy):
        attribute.type = _type_of(node, attribute)
    for dim in _unknown(copy):
        dim.Clear()
    if bound:
        copy.ir_version = _FREE_INITIALIZERS
    return _with_any_samples(copy) if fixed else copy


def _names(model: onnx.ModelProto) -> Iterator[object]:
    """All names; of one that is no text protobuf gives the bytes."""
    graph = model.graph
    yield from (entry.domain for entry in model.opset_import)
    yield from (item.name for items in (graph.input, graph.output, graph.value_info) for item in items)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (function.name for function in model.functions)
    for nodes in (graph.node, *(function.node for function in model.functions)):
        for node in nested(nodes):
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)


def _untyped(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, AttributeProto]]:
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in nested(nodes):
            for attribute in node.attribute:
                if not attribute.type and not attribute.ref_attr_name:
                    yield node, attribute


def _unknown(model: onnx.ModelProto) -> Iterator[TensorShapeProto.Dimension]:
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value <= 0:
                yield dim


def _fed(model: onnx.ModelProto) -> Iterator[onnx.ValueInfoProto]:
    held = {tensor.name for tensor in model.graph.initializer}
    return (item for item in model.graph.input if item.name not in held)


def _has_free(model: onnx.ModelProto) -> bool:
    """Whether an initializer is no input."""
    return not {tensor.name for tensor in model.graph.initializer} <= {
        item.name for item in model.graph.input
    }


def _samples(model: onnx.ModelProto) -> int:
    """The first dimension of all inputs; 0 where they differ or one is open."""
    sizes = {item.type.tensor_type.shape.dim[0].dim_value for item in _fed(model) if _rank(item)}
    return sizes.pop() if len(sizes) == 1 else 0


def _rank(item: onnx.ValueInfoProto) -> int:
    return len(item.type.tensor_type.shape.dim)


def _with_any_samples(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model for any number of samples; as it is, where something in it has theirs."""
    samples = _samples(model)
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    del freed.graph.value_info[:]
    for item in (*freed.graph.input, *freed.graph.output):
        for dim in item.type.tensor_type.shape.dim:
            if dim.dim_value == samples:
                dim.dim_param = "samples"
    weights = park(freed)
    try:
        made = onnx.shape_inference.infer_shapes(freed, strict_mode=True, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return model
    unpark(freed, weights)
    sizes = (dim for item in (*made.value_info, *made.output) for dim in item.type.tensor_type.shape.dim)
    return model if any(dim.dim_value == samples for dim in sizes) else freed


def _type_of(node: onnx.NodeProto, attribute: AttributeProto) -> AttributeProto.AttributeType:
    given = [type_ for name, type_ in _FIELDS.items() if _is_given(attribute, name)]
    if len(given) == 1:
        return given[0]
    try:  # an empty list, or a zero that nobody wrote
        declared = onnx.defs.get_schema(node.op_type, domain=node.domain).attributes[attribute.name].type
    except (onnx.defs.SchemaError, KeyError):
        return AttributeProto.INTS
    return next(type_ for type_ in _FIELDS.values() if _name_of(type_) == str(declared).rpartition(".")[2])


def _name_of(type_: AttributeProto.AttributeType) -> str:
    return AttributeProto.AttributeType.Name(type_)


def _is_given(attribute: AttributeProto, field: str) -> bool:
    value = getattr(attribute, field)
    return bool(len(value)) if field.endswith("s") and field != "s" else attribute.HasField(field)
