"""Real topologies with random weights: the stripped exports of tests/fixtures, and the light nets of onnx.

Neither comes with trained weights, and a compiler is not asked whether a net classifies. Weights are drawn so
that a net behaves like a trained one where it matters here: activations keep their order of magnitude through
the depth, and outputs depend on the input. `python -m benchmarks.topologies [name ...]` measures both.
"""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]

FIXTURE_FOLDER = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
LIGHT_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
FIXTURES: tuple[str, ...] = tuple(sorted(path.stem for path in FIXTURE_FOLDER.glob("*.onnx")))
LIGHT_NETS: tuple[str, ...] = tuple(sorted(path.stem for path in LIGHT_FOLDER.glob("light_*.onnx")))

KEPT = 8  # float tensors of at most so many elements are constants of an operator, not weights
BATCH = "N"
DATA_FIELDS = ("raw_data", "float_data", "double_data", "int32_data")
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")
NORMS = ("BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization")
SCALED = (*NORMS, *LINEAR, "Mul", "Div")  # operators whose weight sets the scale of what they put out
# How much smaller the variance is behind an operator: a linear operator makes up for what its input lost.
LOSSES = {
    **dict.fromkeys(("Relu", "Clip", "LeakyRelu", "PRelu"), 2.0),
    **dict.fromkeys(("HardSwish", "Gelu", "GlobalAveragePool", "ReduceMean", "Mul"), 4.0),  # Mul: by a gate
}
# The same of x·sigmoid(x), a rectifier where x is large: with more, deep nets of it amplify errors tenfold.
OWN_GATE = 1.7
MOST = 16.0
# Standard deviation of the biases, where what varies with the input has one of about 1. Channels that are on
# or off whatever the input are what keeps a deep net from amplifying the error of its first layers without
# bound, which no trained net does, and every random net with small biases.
SPREAD = 1.0
VIEWS = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Identity", "Dropout")


def fill_weights(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """Random weights for a stripped model.

    Args:
        model: a model in which weights (initializers, or values of Constant nodes) have dims but no data.
        seed: of the weights.

    Returns:
        The model with data for each of them, of the scale that suits the operator which consumes it.
    """
    filled = onnx.ModelProto()
    filled.CopyFrom(model)
    wiring = _Wiring.of(filled.graph)
    damping = wiring.damping()
    for position, (name, tensor) in enumerate(wiring.weights.items()):
        use = wiring.use(name, tuple(tensor.dims))
        values = wiring.draw(np.random.default_rng([seed, position]), use)
        values *= np.float32(damping.get(name, 1.0))
        values = use.undo(values).astype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
        tensor.raw_data = np.ascontiguousarray(values).tobytes()
    return filled


def load_fixture(name: str, seed: int = 0) -> onnx.ModelProto:
    """One of `FIXTURES`, with random weights."""
    return fill_weights(onnx.load(FIXTURE_FOLDER / f"{name}.onnx"), seed)


def light_net(name: str, seed: int = 0) -> onnx.ModelProto:
    """One of `LIGHT_NETS`, with random weights, any batch size, and logits as its output.

    Args:
        name: of the net; the onnx package has its topology, in which ConstantOfShape stands for most weights.
        seed: of the weights.

    Returns:
        The net. Its one input is the image.
    """
    model = onnx.load(LIGHT_FOLDER / f"{name}.onnx")
    graph = model.graph
    model.ir_version = max(model.ir_version, 4)  # from 4 on, initializers need not be inputs as well
    del graph.value_info[:]
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {node.output[0]: node for node in graph.node if node.op_type == "ConstantOfShape"}
    shapes = {name: tuple(arrays.pop(node.input[0]).tolist()) for name, node in weights.items()}
    used = {name for node in graph.node for name in node.input}
    given = {tensor.name for tensor in graph.initializer}
    for value in [value for value in graph.input if value.name in given or value.name not in used]:
        graph.input.remove(value)
    for node in weights.values():
        graph.node.remove(node)
    del graph.initializer[:]
    for name, array in arrays.items():
        if array.dtype.kind == "f" and array.size > KEPT:
            shapes[name] = array.shape
        elif name in used:
            graph.initializer.append(numpy_helper.from_array(array, name))
    for name, shape in shapes.items():
        graph.initializer.append(onnx.TensorProto(name=name, dims=shape, data_type=onnx.TensorProto.FLOAT))
    _free_batch(graph)
    _drop_softmax(graph)
    return fill_weights(model, seed)


def images(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> Array:
    """Smooth random images of order 1: coarse noise, interpolated, and a little white noise.

    Args:
        rng: source of randomness.
        count: how many.
        shape: of one image, (channels, height, width) or (height, width, channels).

    Returns:
        Images, float32 [count, *shape].
    """
    last = shape[-1] < shape[0]
    channels, height, width = (shape[-1], *shape[:-1]) if last else shape
    result = 0.2 * rng.standard_normal((count, channels, height, width))
    for cells, scale in ((2, 0.6), (5, 0.8)):
        coarse = rng.standard_normal((count, channels, cells, cells))
        result += scale * _interpolation(height, cells) @ coarse @ _interpolation(width, cells).T
    return np.ascontiguousarray(np.moveaxis(result, 1, -1) if last else result, dtype=np.float32)


def example_feeds(model: onnx.ModelProto, count: int, seed: int = 0) -> dict[str, Array]:
    """Random values for all inputs of a model: images where they have four axes, plain noise elsewhere.

    Args:
        model: the model.
        count: size of the first axis where that is symbolic; other symbolic axes get 1.
        seed: of the values.

    Returns:
        An array for each input name.
    """
    rng = np.random.default_rng(seed)
    weights = {tensor.name for tensor in model.graph.initializer}
    feeds: dict[str, Array] = {}
    for value in model.graph.input:
        if value.name in weights:
            continue
        first, *rest = value.type.tensor_type.shape.dim
        shape = tuple(axis.dim_value or 1 for axis in rest)
        batch = first.dim_value or count
        if len(shape) == 3:
            feeds[value.name] = images(rng, batch, shape)
        else:
            feeds[value.name] = rng.standard_normal((batch, *shape)).astype(np.float32)
    return feeds


def _interpolation(size: int, cells: int) -> Array:
    """The matrix [size, cells] of linear interpolation, scaled to keep the mean square of white noise."""
    places = np.linspace(0, cells - 1, size)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(cells)))
    return np.asarray(weights / np.sqrt((weights**2).sum(axis=1).mean()))


def _free_batch(graph: onnx.GraphProto) -> None:
    """Makes the batch axis symbolic, in inputs, outputs, and the shape of each Reshape of activations."""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[0] not in weights:
            shape = numpy_helper.to_array(weights[node.input[1]]).copy()
            shape[0] = 0  # that is: as the input has it
            weights[node.input[1]].CopyFrom(numpy_helper.from_array(shape, node.input[1]))


def _drop_softmax(graph: onnx.GraphProto) -> None:
    """Lets the logits be the output where a Softmax ends the net: of random weights, it is near uniform."""
    last = graph.node[-1]
    if last.op_type == "Softmax":
        for node in graph.node:
            node.output[:] = [last.output[0] if name == last.input[0] else name for name in node.output]
        graph.node.remove(graph.node[-1])


@dataclass
class _Use:
    """What becomes of a weight: the node that computes with it, at which slot, and the shape it has there."""

    node: onnx.NodeProto | None
    slot: int
    shape: tuple[int, ...]
    views: list[tuple[tuple[int, ...], list[int] | None]] = field(default_factory=list)

    def undo(self, values: Array) -> Array:
        """Values in the shape of the weight itself, from values in the shape that the node sees."""
        for shape, permutation in reversed(self.views):
            values = values.transpose(np.argsort(permutation)) if permutation else values.reshape(shape)
        return values


@dataclass
class _Wiring:
    """Who computes what from what in a graph."""

    weights: dict[str, onnx.TensorProto]
    constants: dict[str, Array]
    producers: dict[str, onnx.NodeProto]
    consumers: dict[str, list[tuple[onnx.NodeProto, int]]]
    fixed: dict[str, str | None]  # names that no input reaches, each with the weight that it is a view of

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> _Wiring:
        """The wiring of a graph (of its subgraphs, nothing is known)."""
        wiring = cls({}, {}, {}, defaultdict(list), {})
        for tensor in graph.initializer:
            wiring._add_tensor(tensor.name, tensor)
        for node in graph.node:
            for slot, name in enumerate(node.input):
                wiring.consumers[name].append((node, slot))
            wiring.producers.update(dict.fromkeys(node.output, node))
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                wiring._add_tensor(node.output[0], node.attribute[0].t)
            elif all(name in wiring.fixed for name in node.input if name):
                source = wiring.fixed.get(node.input[0]) if node.input and node.op_type in VIEWS else None
                wiring.fixed.update(dict.fromkeys(node.output, source))
        return wiring

    def _add_tensor(self, name: str, tensor: onnx.TensorProto) -> None:
        empty = tensor.data_type in FLOATS and not any(getattr(tensor, data) for data in DATA_FIELDS)
        if empty and 0 not in tensor.dims:
            self.weights[name] = tensor
        else:
            self.constants[name] = numpy_helper.to_array(tensor)
        self.fixed[name] = name if name in self.weights else None

    def use(self, name: str, shape: tuple[int, ...]) -> _Use:
        """The first use of a weight, behind operators that only view it."""
        use = _Use(None, 0, shape)
        while self.consumers[name]:
            node, slot = self.consumers[name][0]
            if node.op_type not in VIEWS or slot > 0:
                use.node, use.slot = node, slot
                break
            if node.op_type == "Transpose":
                permutation = list(_attribute(node, "perm", range(len(use.shape))[::-1]))
                use.views.append((use.shape, permutation))
                use.shape = tuple(use.shape[axis] for axis in permutation)
            elif node.op_type not in ("Cast", "Identity", "Dropout"):
                use.views.append((use.shape, None))
                use.shape = self._viewed(node, use.shape)
            name = node.output[0]
        return use

    def _viewed(self, node: onnx.NodeProto, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a Reshape, Flatten, Squeeze or Unsqueeze of a tensor of this shape."""
        given = len(node.input) > 1  # as an input; of old, as an attribute
        operand = self.constants[node.input[1]].tolist() if given else _attribute(node, "axes", ())
        if node.op_type == "Unsqueeze":
            return np.expand_dims(np.empty(shape), tuple(operand)).shape
        if node.op_type == "Squeeze":
            return np.empty(shape).squeeze(tuple(operand) or None).shape
        if node.op_type == "Flatten":
            axis = _attribute(node, "axis", 1)
            return (math.prod(shape[:axis]), math.prod(shape[axis:]))
        return np.empty(shape).reshape([size or shape[axis] for axis, size in enumerate(operand)]).shape

    def draw(self, rng: np.random.Generator, use: _Use) -> Array:
        """Random values for a use, float32 in the shape that its node sees."""
        op, slot, shape = use.node.op_type if use.node is not None else "", use.slot, use.shape
        vector = sum(size > 1 for size in shape) <= 1
        if use.node is not None and op in LINEAR and slot < 2:
            gain = np.float32(math.sqrt(self._loss(use.node, 1 - slot)))
            return gain * _filters(rng, use.node, slot, shape)
        if op in LINEAR or (op == "Add" and vector and self._is_bias(use.node, slot)):
            return _normal(rng, shape, SPREAD)
        if op in NORMS:
            spread = SPREAD if op == "BatchNormalization" and slot == 2 else 0.1
            return _near_one(rng, shape) if slot in (1, 4) else _normal(rng, shape, spread)
        if op == "PRelu":
            return rng.uniform(0.05, 0.3, shape).astype(np.float32)
        if op in ("Mul", "Div"):
            return _near_one(rng, shape)
        return _normal(rng, shape, 0.1 if vector and op in ("Add", "Sub") else 0.2)

    def _loss(self, node: onnx.NodeProto, slot: int) -> float:
        """By how much the variance of an input shrank since an operator that keeps it near one."""
        loss, name = 1.0, node.input[slot]
        while name in self.producers:
            node = self.producers[name]
            varying = [other for other in node.input if other not in self.fixed]
            gate = node.op_type == "Mul" and len(varying) > 1
            if not varying or node.op_type in (*LINEAR, "LayerNormalization", "InstanceNormalization"):
                break
            if len(varying) > 1 and node.op_type in ("Add", "Sum", "Div"):
                break
            if gate and self._gates_itself(varying):
                loss *= OWN_GATE
            elif gate or node.op_type != "Mul":
                loss *= LOSSES.get(node.op_type, 1.0)
            name = varying[0]
        return min(loss, MOST)

    def _gates_itself(self, factors: list[str]) -> bool:
        """Whether one of two factors is the sigmoid of the other."""
        gates = [self.producers.get(name) for name in factors]
        return any(
            gate is not None and gate.op_type == "Sigmoid" and gate.input[0] == other
            for gate, other in zip(gates, reversed(factors), strict=True)
        )

    def _is_bias(self, node: onnx.NodeProto | None, slot: int) -> bool:
        """Whether an Add with a weight at this slot adds it to what a linear operator puts out."""
        other = self.producers.get(node.input[1 - slot]) if node is not None else None
        return other is not None and other.op_type in LINEAR

    def damping(self) -> dict[str, float]:
        """Factors for the last weight of each branch that ends in a sum, so that sums do not grow.

        Branches that add to the identity get 0.45 (0.1 where that is a constant matrix, as in a T-Net);
        branches that add to each other share a variance of one.
        """
        factors: dict[str, float] = {}
        for node in {id(node): node for node in self.producers.values()}.values():
            branches = [name for name in node.input if name not in self.fixed]
            if node.op_type not in ("Add", "Sum") or not branches:
                continue
            found = [weight for weight in map(self._last_scale, branches) if weight]
            factor = 0.45 if len(found) < len(branches) else len(branches) ** -0.5
            if len(branches) < len(node.input):
                others = [self.constants[name] for name in node.input if name in self.constants]
                factor = 0.1 if any(other.ndim > 1 and other.size > KEPT for other in others) else 1.0
            for weight in found:
                factors[weight] = factor * factors.get(weight, 1.0)
        return factors

    def _last_scale(self, name: str) -> str | None:
        """The weight that sets the scale of a value which only one node consumes, if a weight does."""
        while len(self.consumers[name]) == 1 and name in self.producers:
            node = self.producers[name]
            varying = [other for other in node.input if other not in self.fixed]
            if len(varying) != 1:
                return None
            if node.op_type in SCALED:
                weights = [self.fixed.get(other) for other in node.input[:2]]
                if any(weights):
                    return next(weight for weight in weights if weight)
            if node.op_type not in (*VIEWS, "Add", "Sub", "Mul", "Div"):
                return None
            name = varying[0]
        return None


def _filters(rng: np.random.Generator, node: onnx.NodeProto, slot: int, shape: tuple[int, ...]) -> Array:
    """Weights of a linear operator, of variance 1 / fan-in; the mean of each filter is zero.

    A filter is what one output channel is computed with. What all of its inputs have in common, it does not
    see; so the output varies with the input even after many layers of rectified (hence positive) activations.
    """
    values = rng.standard_normal(shape, dtype=np.float32)
    rank = len(shape)
    fan_in: float
    if node.op_type == "Conv":
        axes = tuple(range(1, rank))
        fan_in = math.prod(shape[1:])
        if shape[1] == 1:  # of one channel, it does not see what neighbours share either
            fan_in /= 2
    elif node.op_type == "ConvTranspose":  # an output sees some of the taps only: each tap is a filter
        groups = _attribute(node, "group", 1)
        values = values.reshape(groups, -1, *shape[1:])
        axes = (1,)
        fan_in = shape[0] / groups * math.prod(shape[2:]) / math.prod(_attribute(node, "strides", (1,)))
    else:
        transposed = node.op_type == "Gemm" and bool(_attribute(node, ("transA", "transB")[slot], 0))
        axis = max(rank - 2 + (slot == transposed), 0) if rank > 1 else 0
        axes = (axis,)
        fan_in = shape[axis]
    count = math.prod(values.shape[axis] for axis in axes)
    if count > KEPT:
        values -= values.mean(axis=axes, keepdims=True)
    values *= np.float32(math.sqrt(1 / fan_in))
    return values.reshape(shape)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], std: float) -> Array:
    return np.float32(std) * rng.standard_normal(shape, dtype=np.float32)


def _near_one(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.uniform(0.7, 1.3, shape).astype(np.float32)


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def load(name: str, seed: int = 0) -> onnx.ModelProto:
    """One of `FIXTURES` or `LIGHT_NETS`, with random weights."""
    return light_net(name, seed) if name in LIGHT_NETS else load_fixture(name, seed)


@dataclass(frozen=True)
class Behaviour:
    """What a net does with random images.

    Attributes:
        stds: standard deviation of each float activation, in the order of the graph.
        dependence: for each output, how far those of two images are apart, relative to the size of one.
        milliseconds: median time for one image.
    """

    stds: tuple[float, ...]
    dependence: tuple[float, ...]
    milliseconds: float


def behaviour(model: onnx.ModelProto) -> Behaviour:
    """Runs a net in onnxruntime, on two images."""
    feeds = example_feeds(model, 2, seed=1)
    first = {name: array[:1] for name, array in feeds.items()}
    session = _session(model)
    outputs = session.run(None, feeds)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        session.run(None, first)
        times.append(time.perf_counter() - start)
    dependence = (float(np.linalg.norm(a - b) / np.linalg.norm(a)) for a, b in outputs)
    return Behaviour(tuple(_activation_stds(model, first)), tuple(dependence), 1e3 * float(np.median(times)))


def _session(model: onnx.ModelProto) -> Any:
    import onnxruntime  # the rest of this module needs onnx and NumPy only

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def _activation_stds(model: onnx.ModelProto, feeds: dict[str, Array]) -> Iterator[float]:
    for array in activations(model, feeds).values():
        if array.dtype.kind == "f" and array.size > 1:
            yield float(array.std())


def activations(model: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    """What the nodes of a net put out, by name in the order of the graph, where the input reaches it."""
    wiring = _Wiring.of(model.graph)
    outputs = [value.name for value in model.graph.output]
    used = {*wiring.consumers, *outputs}
    names = [
        name for node in model.graph.node for name in node.output if name in used and name not in wiring.fixed
    ]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    return dict(zip(names, _session(probe).run(names, feeds), strict=True))


def main() -> None:
    """Prints, for each net: nodes, range and last of the activations' spread, input dependence, time."""
    print(f"{'net':<34}{'nodes':>6}{'std min':>9}{'max':>8}{'output':>8}{'depends':>9}{'ms':>9}")
    for name in sys.argv[1:] or (*FIXTURES, *LIGHT_NETS):
        model = load(name)
        found = behaviour(model)
        print(
            f"{name:<34}{len(model.graph.node):>6}{min(found.stds):>9.3f}{max(found.stds):>8.2f}"
            f"{found.stds[-1]:>8.3f}{min(found.dependence):>9.2f}{found.milliseconds:>9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
