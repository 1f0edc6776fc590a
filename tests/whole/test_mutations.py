"""Broken models of every kind compile or are refused in one line: no traceback, no hang, no file left."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, helper, numpy_helper

import onnx2snn
from benchmarks.topologies import example_feeds, load_fixture
from onnx2snn.cli import main
from tests.helpers import Arrays, batchnorm, normal, parse

Model = onnx.ModelProto
Mutation = Callable[[Model, Random], None]
T = TypeVar("T")

FIXTURES = ("prelu.script", "pointnet.script", "vit_relu.dynamo", "tf_cnn", "keras_sequential.tensorflow")
HAND_MADE = {
    "mlp": "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }",
    "cnn": """(float[N,2,6,6] x) => (float[N,3] y) {
        c = Conv<pads = [1,1,1,1]>(x, k) n = BatchNormalization(c, gamma, beta, mean, var)
        r = Clip(n, low, high) p = MaxPool<kernel_shape = [2,2], strides = [2,2]>(r)
        q, t = Split<axis = 1, num_outputs = 2>(p) a = Add(q, t) l = LeakyRelu<alpha = 0.1>(a)
        g = GlobalAveragePool(l) f = Flatten(g) y = Gemm(f, v) }""",
    "shapes": """(float[N,L,4] x) => (float[M] y) {
        s = Shape(x) b = Gather<axis = 0>(s, i) e = Unsqueeze(b, i) e1 = Reshape(e, one)
        o = Concat<axis = 0>(e1, minus) r = Relu(x) f = Reshape(r, o) p = Pad(f, pads)
        q = Slice(p, one, minus, one) z = Softmax<axis = 1>(q)
        u = Relu(z) y = ReduceSum<keepdims = 0>(u, minus) }""",
    "branch": """(float[N,4] x, bool[1] c) => (float[N,6] y) { h = Gemm(x, w3) r = Relu(h)
        y = If(c) <then_branch = a () => (float[N,6] p) { p = Identity(r) },
                   else_branch = b () => (float[N,6] q) { q = Neg(r) }> }""",
    "quantised": """(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) d = Div(h, step) f = Round(d)
        l = Clip(f, low, high) m = Mul(l, step) q = QuantizeLinear(m, step, zero)
        e = DequantizeLinear(q, step, zero) a = Erf(e) t = Mul(a, e) r = Relu(t) y = MatMul(r, w2) }""",
}


@cache
def seed_models() -> dict[str, Model]:
    rng = np.random.default_rng(5)
    arrays: Arrays = normal(rng, w1=(4, 6), w2=(6, 3), w3=(4, 6), k=(4, 2, 3, 3), v=(2, 3)) | {
        **batchnorm(rng, 4),
        "low": np.float32(0),
        "high": np.float32(6),
        "step": np.float32(0.25),
        "zero": np.uint8(0),
        "i": np.int64(0),
        "one": np.asarray([1], np.int64),
        "minus": np.asarray([-1], np.int64),
        "pads": np.asarray([0, 1, 0, 1], np.int64),
    }
    models = {}
    for name, text in HAND_MADE.items():
        read = {part for node in parse(text).graph.node for part in node.input}
        models[name] = parse(text, **{key: value for key, value in arrays.items() if key in read})
    models["digits"] = onnx.load_from_string(
        resources.files("onnx2snn.demo").joinpath("digits.onnx").read_bytes()
    )
    return models | {name: load_fixture(name) for name in FIXTURES}


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
        except (
            ImpossibleError,
            ValueError,
            TypeError,
            KeyError,
        ):  # not this one, or not after those before it
            continue
    return mutated


def kills_onnx(model: Model) -> bool:
    """A Split into fewer parts than it gives aborts ONNX 1.23's shape inference; into many, it takes memory.

    `test_a_split_of_another_number` has it, in a process of its own.
    """
    return any(
        attribute.name == "num_outputs" and not len(node.output) <= attribute.i < 1 << 20
        for node in model.graph.node
        for attribute in node.attribute
        if node.op_type == "Split" and attribute.i > 0
    )


def samples(model: Model, mutated: Model) -> Arrays:
    """Samples that fit what the mutated model says of its inputs, where there can be any."""
    given_by = example_feeds(model, 2)
    weights = {tensor.name for tensor in mutated.graph.initializer}
    for item in mutated.graph.input:
        sizes = [dim.dim_value if dim.dim_value else 2 for dim in item.type.tensor_type.shape.dim]
        if item.name in weights or not sizes or min(sizes) < 0 or math.prod(sizes) > 1 << 16:
            continue
        known = given_by.get(item.name)
        if known is None or [*known.shape[1:]] != sizes[1:]:
            kind = item.type.tensor_type.elem_type
            dtype = helper.tensor_dtype_to_np_dtype(kind) if 0 < kind < 17 else np.float32
            given_by[item.name] = (
                np.zeros(sizes, dtype) if kind != TensorProto.STRING else np.full(sizes, "a")
            )
    return given_by


def refusal(attempt: Callable[[], object]) -> str | None:
    """The message, one line, of an attempt that is refused."""
    try:
        attempt()
    except onnx2snn.Onnx2SnnError as error:
        message = str(error)
    else:
        return None
    assert message.strip()
    assert len(message.splitlines()) == 1
    assert "this is a bug" not in message
    return message


def check_api(model: Model, mutated: Model) -> None:
    """For bursts; graded spikes, the default, are what the command line is checked with."""
    unread = refusal(lambda: onnx2snn.inspect(mutated, code="burst"))
    refused = refusal(lambda: onnx2snn.compile(mutated, samples(model, mutated), timesteps=2, code="burst"))
    assert unread is None or refused == unread


def check_command_line(content: bytes, samples: Arrays) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.onnx").write_bytes(content)
        np.savez(
            folder / "data.npz", **{key: array for key, array in samples.items() if key and "/" not in key}
        )
        before = sorted(folder.iterdir())
        for arguments, written in (
            (f"inspect {folder}/net.onnx --json {folder}/out", "out"),
            (
                f"compile {folder}/net.onnx --calib {folder}/data.npz -T 2 -o {folder}/net.snn.onnx",
                "net.snn.onnx",
            ),
        ):
            result = CliRunner().invoke(main, arguments.split(), catch_exceptions=False)
            assert result.exit_code in (0, 2), result.output
            assert "Traceback" not in result.output
            if result.exit_code == 2:
                assert result.stderr.startswith("error: ")
                assert result.stderr.count("\n") == 1
                assert result.stdout == ""
            else:
                before = sorted([*before, folder / written])
            assert sorted(folder.iterdir()) == before


EXAMPLES = settings(
    derandomize=True,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
chosen = given(
    name=st.sampled_from([*HAND_MADE, "digits", *FIXTURES]),
    mutations=st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3),
    rng=st.randoms(use_true_random=False),
)


@settings(EXAMPLES, max_examples=150)
@chosen
def test_a_broken_model_compiles_or_is_refused_in_one_line(name, mutations, rng):
    model = seed_models()[name]
    mutated = mutate(model, mutations, rng)
    assume(not kills_onnx(mutated))
    check_api(model, mutated)


@settings(EXAMPLES, max_examples=25)
@chosen
def test_a_broken_file_leaves_nothing_behind(name, mutations, rng):
    model = seed_models()[name]
    mutated = mutate(model, mutations, rng)
    assume(not kills_onnx(mutated))
    content = bytearray(mutated.SerializeToString())
    if rng.randrange(4) == 0:
        content[rng.randrange(len(content))] = rng.randrange(256)
        note("and a byte changed")
    check_command_line(bytes(content), samples(model, mutated))


def small(body: str = "r = Relu(x) y = MatMul(r, w)", **arrays: np.ndarray) -> Model:
    return parse(
        f"(float[N,4] x) => (float[N,4] y) {{ {body} }}", **({"w": np.eye(4, dtype=np.float32)} | arrays)
    )


def with_weight(**fields: int) -> Model:
    model = small()
    for name, value in fields.items():
        setattr(model.graph.initializer[0], name, value)
    return model


def with_rows(rows: int) -> Model:
    model = small()
    model.graph.initializer[0].dims[0] = rows
    return model


def of_type(kind: int) -> Model:
    model = small("y = Relu(x)")
    for item in (*model.graph.input, *model.graph.output):
        item.type.tensor_type.elem_type = kind
    return model


def sparse(version: int) -> Model:
    model = small()
    model.opset_import[0].version = version
    sparse_weight(model, Random(0))
    return model


def of_our_domain() -> Model:
    model = small()
    model.graph.node[0].domain = "onnx2snn"
    return model


def sloped(alpha: float) -> Model:
    model = small("a = MatMul(x, w) r = LeakyRelu<alpha = 0.5>(a) y = MatMul(r, w)")
    model.graph.node[1].attribute[0].f = alpha
    return model


def batchnorm_behind_a_stranger() -> Model:
    model = small(
        "c = com.unknown.Block(x) n = BatchNormalization(c, one, three, one, one) y = Relu(n)",
        one=np.ones(4, np.float32),
        three=np.ones(3, np.float32),
    )
    model.opset_import.append(helper.make_opsetid("com.unknown", 1))
    return model


def batchnorm_of(kind: type) -> Model:
    return small(
        "n = BatchNormalization(x, one, bias, one, one) y = Relu(n)",
        one=np.ones(4, np.float32),
        bias=np.ones(4, kind),
    )


def quantised_to_float8() -> Model:
    body = "a = MatMul(x, w) q = QuantizeLinear(a, s, z) d = DequantizeLinear(q, s, z) y = Relu(d)"
    model = small(body, s=np.float32(0.5), z=np.uint8(0))
    model.graph.initializer[-1].data_type = TensorProto.FLOAT8E4M3FN
    return model


#: The smallest models of what was found once, and what the message must name; None: it may compile.
FOUND: dict[str, tuple[Model, str | None]] = {
    "dims of fewer values than there are": (with_rows(1), "'w'"),
    "a data type that does not exist": (with_weight(data_type=99), "'w'"),
    "a data type of half a byte": (with_weight(data_type=TensorProto.INT4), "'w'"),
    "strings as weights": (small(w=np.full((4, 4), "a", object)), "'w'"),
    "a sparse weight": (sparse(21), "sparse"),
    "a sparse weight of an older opset": (sparse(13), "sparse"),
    "ONNX's operator in our domain": (of_our_domain(), "onnx2snn.Relu"),
    "bfloat16": (of_type(TensorProto.BFLOAT16), "bfloat16"),
    "float8": (of_type(TensorProto.FLOAT8E5M2), "float8"),
    "an input type that does not exist": (of_type(99), "'x'"),
    "NaN in an attribute": (sloped(math.nan), "NaN"),
    "infinity in an attribute": (sloped(math.inf), "Inf"),
    "too many biases behind an unknown operator": (batchnorm_behind_a_stranger(), "com.unknown.Block"),
    "complex biases": (batchnorm_of(np.complex64), "bias"),
    "a branch on a matrix": (
        small(
            "y = If(w) <then_branch = a () => (float[N,4] p) { p = Relu(x) }, "
            "else_branch = b () => (float[N,4] q) { q = Neg(x) }>"
        ),
        "If",
    ),
    "a quantiser to float8": (quantised_to_float8(), None),
    "weights whose squares overflow": (
        small("a = MatMul(x, w) y = Relu(a)", w=np.full((4, 4), 1e30, "f")),
        None,
    ),
    "a slope whose square overflows": (sloped(1e30), None),
}


@pytest.mark.parametrize("code", ["burst", "graded"])
@pytest.mark.parametrize("name", FOUND)
def test_found_before(name, code):
    model, word = FOUND[name]
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    refusal(lambda: onnx2snn.inspect(model, code=code))
    message = refusal(lambda: onnx2snn.compile(model, x, timesteps=2, code=code))
    if word is not None:
        assert message is not None
        assert word in message


@pytest.mark.parametrize("number", [1, 1 << 40])
def test_a_split_of_another_number(tmp_path, number):
    model = small(f"r = Relu(x) p, q = Split<axis = 1, num_outputs = {number}>(r) y = Concat<axis = 1>(p, q)")
    onnx.save(model, tmp_path / "net.onnx")
    command = [sys.executable, "-m", "onnx2snn", "inspect", str(tmp_path / "net.onnx")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "Split" in result.stderr
    assert result.stderr.count("\n") == 1


def test_onnxruntime_adds_no_line_of_its_own(tmp_path):
    """Of a bias with two axes ONNX says nothing, and onnxruntime only once it runs."""
    model = parse(
        "(float[N,2,4,4] x) => (float[N,3,2,2] y) { c = Conv(x, k, b) y = Relu(c) }",
        k=np.ones((3, 2, 3, 3), np.float32),
        b=np.ones((1, 3), np.float32),
    )
    onnx.save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "data.npy", np.ones((2, 2, 4, 4), np.float32))
    command = [sys.executable, "-m", "onnx2snn", "compile", "net.onnx", "--calib", "data.npy"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("code", ["burst", "graded"])
def test_without_a_mutation_all_compile_but_the_one_with_a_branch(code):
    """Else what is said of the mutated ones would be said of models that nobody can compile."""
    for name, model in seed_models().items():
        data = samples(model, model)
        message = refusal(
            lambda model=model, data=data: onnx2snn.compile(model, data, timesteps=2, code=code)
        )
        assert (message is None) == (name != "branch"), message
