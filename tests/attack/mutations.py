"""Everything that may be wrong with a model: one function breaks one thing, by chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import numpy as np
import onnx
import onnx.checker
from onnx import AttributeProto, TensorProto, helper, numpy_helper

Model = onnx.ModelProto
Mutation = Callable[[Model, Random], None]
T = TypeVar("T")


class ImpossibleError(Exception):
    """The model has nothing that the mutation could change."""


def pick(rng: Random, items: Sequence[T]) -> T:
    if not items:
        raise ImpossibleError
    return items[rng.randrange(len(items))]


def some_node(model: Model, rng: Random, *, reading: bool = False) -> onnx.NodeProto:
    """A node, now and then one inside of an If; `reading`: one with inputs."""
    graphs = [model.graph]
    graphs += [a.g for node in model.graph.node for a in node.attribute if a.type == AttributeProto.GRAPH]
    return pick(rng, [node for node in pick(rng, graphs).node if node.input or not reading])


def some_weight(model: Model, rng: Random) -> TensorProto:
    held = [a.t for node in model.graph.node for a in node.attribute if a.type == AttributeProto.TENSOR]
    return pick(rng, [*model.graph.initializer, *held])


def some_attribute(model: Model, rng: Random) -> AttributeProto:
    nodes = [node for node in model.graph.node if node.attribute]
    return pick(rng, pick(rng, nodes).attribute)


def some_item(model: Model, rng: Random) -> onnx.ValueInfoProto:
    return pick(rng, [*model.graph.input, *model.graph.output, *model.graph.value_info])


def dangling_input(model: Model, rng: Random) -> None:
    node = some_node(model, rng, reading=True)
    node.input[rng.randrange(len(node.input))] = pick(rng, ["nowhere", ""])


def cycle(model: Model, rng: Random) -> None:
    place = rng.randrange(len(model.graph.node))
    node, later = model.graph.node[place], pick(rng, model.graph.node[place:])
    if not node.input or not later.output:
        raise ImpossibleError
    node.input[rng.randrange(len(node.input))] = later.output[0]


def rewired_input(model: Model, rng: Random) -> None:
    node = some_node(model, rng, reading=True)
    names = [name for other in model.graph.node for name in (*other.input, *other.output)]
    node.input[rng.randrange(len(node.input))] = pick(rng, names)


def swapped_inputs(model: Model, rng: Random) -> None:
    node = pick(rng, [node for node in model.graph.node if len(node.input) > 1])
    node.input[:] = rng.sample(list(node.input), len(node.input))


def one_input_more_or_less(model: Model, rng: Random) -> None:
    node = some_node(model, rng, reading=True)
    if rng.randrange(2):
        node.input.append(pick(rng, node.input))
    else:
        del node.input[-1]


def other_attribute_type(model: Model, rng: Random) -> None:
    attribute = some_attribute(model, rng)
    value = pick(
        rng, ["text", b"\xff", 1, -1.5, [1, 2], [0.5], ["a", "b"], numpy_helper.from_array(np.zeros(2))]
    )
    attribute.CopyFrom(helper.make_attribute(attribute.name, value))


def attribute_type_field(model: Model, rng: Random) -> None:
    some_attribute(model, rng).type = pick(rng, [0, 1, 2, 3, 4, 5, 6, 7, 11])


EXTREMES = (-(1 << 63), -(1 << 31), -7, -1, 0, 1, 2, 3, 7, 1 << 20, 1 << 40, (1 << 63) - 1)


def other_attribute_value(model: Model, rng: Random) -> None:
    attribute = some_attribute(model, rng)
    match attribute.type:
        case AttributeProto.INTS:
            values = list(attribute.ints)
            if values and rng.randrange(2):
                values[rng.randrange(len(values))] = pick(rng, EXTREMES)
            else:
                values = values[:-1] if rng.randrange(2) else [*values, 1]
            attribute.CopyFrom(helper.make_attribute(attribute.name, values, attr_type=AttributeProto.INTS))
        case AttributeProto.INT:
            attribute.i = pick(rng, EXTREMES)
        case AttributeProto.FLOAT:
            attribute.f = pick(rng, [-1.0, 0.0, 1e30, math.nan, math.inf])
        case AttributeProto.STRING:
            attribute.s = pick(rng, [b"", b"OTHER", b"SAME_UPPER", b"VALID", b"reflect", b"\xff"])
        case _:
            raise ImpossibleError


def renamed_attribute(model: Model, rng: Random) -> None:
    some_attribute(model, rng).name = pick(rng, ["", "alpha", "axis", "kernel_shape", "to", "unheard_of"])


def missing_attribute(model: Model, rng: Random) -> None:
    node = pick(rng, [node for node in model.graph.node if node.attribute])
    del node.attribute[rng.randrange(len(node.attribute))]


def duplicate_attribute(model: Model, rng: Random) -> None:
    node = pick(rng, [node for node in model.graph.node if node.attribute])
    node.attribute.append(pick(rng, node.attribute))


def weight_of_other_rank(model: Model, rng: Random) -> None:
    tensor = some_weight(model, rng)
    array = numpy_helper.to_array(tensor)
    shapes = [array.shape[::-1], (1, *array.shape), (array.size,), (*array.shape, 1), (1, 1, array.size)]
    tensor.CopyFrom(numpy_helper.from_array(array.reshape(pick(rng, shapes)), tensor.name))


def weight_of_other_size(model: Model, rng: Random) -> None:
    tensor = some_weight(model, rng)
    array = numpy_helper.to_array(tensor)
    if array.ndim == 0:
        raise ImpossibleError
    axis, size = rng.randrange(array.ndim), pick(rng, [0, 1, 2, 5])
    array = np.take(array, np.arange(size) % max(1, array.shape[axis]), axis) if array.size else array
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def weight_dims_alone(model: Model, rng: Random) -> None:
    tensor = some_weight(model, rng)
    if tensor.dims and rng.randrange(2):
        tensor.dims[rng.randrange(len(tensor.dims))] = pick(rng, EXTREMES)
    else:
        tensor.dims.append(pick(rng, EXTREMES))


def weight_of_other_type(model: Model, rng: Random) -> None:
    tensor = some_weight(model, rng)
    dtype = pick(rng, [np.int64, np.int32, np.uint8, np.float16, np.float64, np.bool_, np.complex64, np.str_])
    with np.errstate(all="ignore"):
        array = numpy_helper.to_array(tensor).astype(dtype)
    tensor.CopyFrom(numpy_helper.from_array(array.astype(object) if dtype is np.str_ else array, tensor.name))


def weight_type_field(model: Model, rng: Random) -> None:
    some_weight(model, rng).data_type = pick(rng, [*range(27), 99, -1])


def integer_constant(model: Model, rng: Random) -> None:
    """Where to reshape, slice, gather or pad to."""
    held = [a.t for node in model.graph.node for a in node.attribute if a.type == AttributeProto.TENSOR]
    tensor = pick(rng, [t for t in (*model.graph.initializer, *held) if t.data_type == TensorProto.INT64])
    array = numpy_helper.to_array(tensor).copy()
    if not array.size:
        raise ImpossibleError
    array.flat[rng.randrange(array.size)] = pick(rng, EXTREMES)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def truncated_weight(model: Model, rng: Random) -> None:
    tensor = some_weight(model, rng)
    tensor.raw_data = tensor.raw_data[: rng.randrange(1 + len(tensor.raw_data))]


def weight_in_two_fields(model: Model, rng: Random) -> None:
    some_weight(model, rng).float_data.extend([1.0, 2.0])


def odd_weight(model: Model, rng: Random) -> None:
    tensor = pick(rng, [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT])
    array = numpy_helper.to_array(tensor).copy()
    if not array.size:
        raise ImpossibleError
    array.flat[rng.randrange(array.size)] = pick(rng, [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45])
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def scaled_weight(model: Model, rng: Random) -> None:
    tensor = pick(rng, [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT])
    with np.errstate(all="ignore"):
        array = numpy_helper.to_array(tensor) * np.float32(pick(rng, [0, -1, 1e-38, 1e30]))
    tensor.CopyFrom(numpy_helper.from_array(np.nan_to_num(array), tensor.name))


def missing_weight(model: Model, rng: Random) -> None:
    model.graph.initializer.remove(pick(rng, model.graph.initializer))


def duplicate_weight(model: Model, rng: Random) -> None:
    model.graph.initializer.append(pick(rng, model.graph.initializer))


def weight_as_input(model: Model, rng: Random) -> None:
    tensor = pick(rng, model.graph.initializer)
    model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    if rng.randrange(2):
        model.graph.initializer.remove(tensor)


def weight_elsewhere(model: Model, rng: Random) -> None:
    tensor = pick(rng, model.graph.initializer)
    tensor.data_location = TensorProto.EXTERNAL
    location = pick(rng, ["gone.data", "../gone.data", "/etc/hostname", ""])
    tensor.external_data.append(onnx.StringStringEntryProto(key="location", value=location))
    if rng.randrange(2):
        tensor.ClearField("raw_data")


def sparse_weight(model: Model, rng: Random) -> None:
    tensor = pick(rng, [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT])
    values = numpy_helper.from_array(np.ones(1, np.float32), tensor.name)
    indices = numpy_helper.from_array(np.zeros(1, np.int64))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, tensor.dims))
    model.graph.initializer.remove(tensor)


def same_node_names(model: Model, rng: Random) -> None:
    some_node(model, rng).name = some_node(model, rng).name


def same_tensor_names(model: Model, rng: Random) -> None:
    nodes = [node for node in model.graph.node if node.output]
    names = [node.output[0] for node in nodes] + [item.name for item in model.graph.input]
    names += [tensor.name for tensor in model.graph.initializer]
    pick(rng, nodes).output[0] = pick(rng, names)


def odd_names(model: Model, rng: Random) -> None:
    """Names with line breaks, brackets of the console's markup, none at all; kept where they are read."""
    node = pick(rng, [node for node in model.graph.node if node.output])
    name, old = (
        pick(rng, ["", "two\nlines", "[bold]x[/nothing]", "a" * 5000, "né🙂", "\x1b[0m", "/"]),
        node.output[0],
    )
    node.name = name
    if rng.randrange(2):
        for reader in model.graph.node:
            reader.input[:] = [name if read == old else read for read in reader.input]
        node.output[0] = name


OPS = (
    *(
        "Abs",
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "ConstantOfShape",
    ),
    *("Conv", "ConvTranspose", "CumSum", "Div", "Dropout", "Einsum", "Elu", "Expand", "Flatten", "Gather"),
    *("Gelu", "Gemm", "GlobalMaxPool", "Identity", "If", "LSTM", "LayerNormalization", "LeakyRelu", "Loop"),
    *("LpNormalization", "MatMul", "Max", "MaxPool", "NonZero", "OneHot", "Pad", "PRelu", "QuantizeLinear"),
    *("RandomNormalLike", "Range", "ReduceMax", "ReduceMean", "Relu", "Reshape", "Resize", "Round", "Scan"),
    *(
        "ScatterND",
        "SequenceConstruct",
        "Shape",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Split",
        "Squeeze",
        "StringSplit",
    ),
    *("Swish", "Tile", "TopK", "Transpose", "Unsqueeze", "Where", "Unknown", ""),
)


def other_operator(model: Model, rng: Random) -> None:
    some_node(model, rng).op_type = pick(rng, OPS)


def other_domain(model: Model, rng: Random) -> None:
    some_node(model, rng).domain = domain = pick(rng, ["com.unknown", "ai.onnx", "onnx2snn", "ai.onnx.ml"])
    if rng.randrange(2):
        model.opset_import.append(helper.make_opsetid(domain, 1))


def missing_node(model: Model, rng: Random) -> None:
    model.graph.node.remove(pick(rng, model.graph.node))


def shuffled_nodes(model: Model, rng: Random) -> None:
    nodes = rng.sample(list(model.graph.node), len(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def duplicate_node(model: Model, rng: Random) -> None:
    model.graph.node.append(pick(rng, model.graph.node))


def dropped_output(model: Model, rng: Random) -> None:
    node = pick(rng, [node for node in model.graph.node if node.output])
    match rng.randrange(3):
        case 0:
            del node.output[-1]
        case 1:
            node.output[rng.randrange(len(node.output))] = ""
        case _:
            node.output.append("one_more")


def inner_graph(model: Model, rng: Random) -> None:
    """An attribute that is a graph where none belongs, or of a graph that lacks something."""
    graphs = [a for node in model.graph.node for a in node.attribute if a.type == AttributeProto.GRAPH]
    if graphs and rng.randrange(4):
        graph = pick(rng, graphs).g
        del getattr(graph, pick(rng, ["node", "output"]))[:]
    else:
        node, body = some_node(model, rng), helper.make_graph([], "body", [], [])
        body.node.append(node)
        node.attribute.append(helper.make_attribute(pick(rng, ["body", "then_branch", "axis"]), body))


def opset(model: Model, rng: Random) -> None:
    if model.opset_import:
        model.opset_import[0].version = pick(rng, [*range(41), -1, 1 << 40])


def opset_imports(model: Model, rng: Random) -> None:
    match rng.randrange(3):
        case 0:
            del model.opset_import[:]
        case 1:
            model.opset_import.append(helper.make_opsetid("", rng.randrange(6, 25)))
        case _:
            model.opset_import.append(helper.make_opsetid("ai.onnx", rng.randrange(6, 25)))


def ir_version(model: Model, rng: Random) -> None:
    model.ir_version = pick(rng, [*range(15), -1, 1 << 40])


def own_function(model: Model, rng: Random) -> None:
    """A local function for one of the nodes: whole, without its end, or without a domain to call it in."""
    node = some_node(model, rng, reading=True)
    inputs, outputs = [f"i{n}" for n in range(len(node.input))], [f"o{n}" for n in range(len(node.output))]
    body = onnx.NodeProto()
    body.CopyFrom(node)
    body.input[:], body.output[:] = inputs, outputs if rng.randrange(2) else outputs[:-1]
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    model.functions.append(helper.make_function("own", "Block", inputs, outputs, [body], imports))
    node.domain, node.op_type = "own", "Block"
    del node.attribute[:]
    if rng.randrange(3):
        model.opset_import.append(helper.make_opsetid("own", 1))


def item_type(model: Model, rng: Random) -> None:
    item = some_item(model, rng)
    match rng.randrange(4):
        case 0:
            item.ClearField("type")
        case 1:
            item.type.CopyFrom(helper.make_sequence_type_proto(item.type))
        case _:
            item.type.tensor_type.elem_type = pick(rng, [*range(27), 99])


def item_shape(model: Model, rng: Random) -> None:
    shape = some_item(model, rng).type.tensor_type.shape
    match rng.randrange(4):
        case 0 if shape.dim:
            del shape.dim[-1]
        case 1:
            shape.dim.add().dim_value = pick(rng, EXTREMES)
        case _:
            dim = pick(rng, shape.dim)
            if rng.randrange(2):
                dim.dim_param = pick(rng, ["N", "another", "", "2*N"])
            else:
                dim.dim_value = pick(rng, EXTREMES)


def item_name(model: Model, rng: Random) -> None:
    some_item(model, rng).name = pick(rng, ["", "nowhere", some_item(model, rng).name])


def missing_item(model: Model, rng: Random) -> None:
    items = pick(rng, [model.graph.input, model.graph.output])
    if items:
        del items[rng.randrange(len(items))]


def duplicate_item(model: Model, rng: Random) -> None:
    items = pick(rng, [model.graph.input, model.graph.output])
    items.append(pick(rng, items))


def inner_output(model: Model, rng: Random) -> None:
    """Another output: a tensor inside, an input, a weight."""
    names = [name for node in model.graph.node for name in (*node.input, *node.output)]
    model.graph.output.append(onnx.ValueInfoProto(name=pick(rng, names)))


MUTATIONS: tuple[Mutation, ...] = (
    *(dangling_input, cycle, rewired_input, swapped_inputs, one_input_more_or_less),
    *(
        other_attribute_type,
        attribute_type_field,
        other_attribute_value,
        renamed_attribute,
        missing_attribute,
    ),
    *(
        duplicate_attribute,
        weight_of_other_rank,
        weight_of_other_size,
        weight_dims_alone,
        weight_of_other_type,
    ),
    *(weight_type_field, integer_constant, truncated_weight, weight_in_two_fields, odd_weight, scaled_weight),
    *(missing_weight, duplicate_weight, weight_as_input, weight_elsewhere, sparse_weight, same_node_names),
    *(
        same_tensor_names,
        odd_names,
        other_operator,
        other_domain,
        missing_node,
        shuffled_nodes,
        duplicate_node,
    ),
    *(dropped_output, inner_graph, opset, opset_imports, ir_version, own_function, item_type, item_shape),
    *(item_name, missing_item, duplicate_item, inner_output),
)


def mutate(model: Model, mutations: Sequence[Mutation], rng: Random) -> Model:
    mutated = Model()
    mutated.CopyFrom(model)
    for mutation in mutations:
        try:
            mutation(mutated, rng)
        except (ImpossibleError, ValueError, TypeError, KeyError, OSError, onnx.checker.ValidationError):
            continue  # not this one, or not after those before it
    return mutated
