"""Random nets, compiled with random options and run by every backend: all have to give the same.

    python -m tests.attack.nets --count 2000 --seed 0

A net is convolutions, pools with every attribute, branches, slices, residual connections and a head, of one
to three axes. What differs between backends is held against the artifact itself with weights that are moved
in their last bits: a spike within 1e-5 of its threshold may fall on either side. Exit code 1 where anything
else differs.
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.engine.numpy_ops import AveragePool, ConvTranspose, GlobalMaxPool, MaxPool, QLinearConv
from onnx2snn.errors import Onnx2SnnError
from onnx2snn.model.file import IR_VERSION
from onnx2snn.ops import OPSET_VERSION
from tests.pools import random_pool

Array = np.ndarray
Options = dict[str, Any]
#: What ONNX's own implementation gets wrong; the bodies of our functions are read by the rest of it.
RIGHT = [AveragePool, ConvTranspose, GlobalMaxPool, MaxPool, QLinearConv]
#: What a neuron may send, by schedule.
CODES = {"stream": ["graded", "burst", "burst"], "layer": ["graded", "burst", "radix"]}
#: Samples to calibrate on, and to compare on.
CALIBRATION, SAMPLES = 24, 5
#: What float32 may make of the order of its sums, relative to the largest output.
TOLERANCE = 1e-5
#: By how much weights are moved, and how often, to find spikes at their thresholds.
MOVED, DRAWS = 3e-6, 8


@dataclass
class Net:
    """A net while it grows, with the values of its tensors on some samples.

    Attributes:
        rng: draws it.
        x: the samples.
        nodes, weights: of the net.
        values: tensor → what onnxruntime makes of it.
    """

    rng: np.random.Generator
    x: Array
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)

    def add(self, op: str, *inputs: str | Array, **attributes: Any) -> str | None:
        """A node; None, and no node, where onnxruntime takes none, or nothing is left."""
        name = f"t{len(self.nodes)}"
        given = {f"{name}/{i}": item for i, item in enumerate(inputs) if not isinstance(item, str)}
        names = [item if isinstance(item, str) else f"{name}/{i}" for i, item in enumerate(inputs)]
        node = helper.make_node(op, names, [name], name=name, **attributes)
        feeds = {item: self.values[item] for item in dict.fromkeys(names) if item in self.values}
        value = _run(_model([node], given, feeds, name), feeds)
        if value is None or not value.size or value.size > 20_000 or not np.isfinite(value).all():
            return None
        self.nodes.append(node)
        self.weights |= given
        self.values[name] = value
        return name

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        """Weights."""
        return (scale * self.rng.standard_normal(shape)).astype(np.float32)

    def chance(self, share: float) -> bool:
        """True so often."""
        return bool(self.rng.random() < share)

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor, batch and all."""
        return self.values[name].shape


def random_net(seed: int) -> tuple[onnx.ModelProto, Array]:
    """A net, and samples [N, …]."""
    rng = np.random.default_rng([seed, 0])
    dims = int(rng.choice([1, 2, 2, 2, 3]))
    sizes = rng.integers(5, 10, dims) if dims < 3 else rng.integers(3, 6, dims)
    x = rng.standard_normal((CALIBRATION + SAMPLES, int(rng.integers(1, 5)), *sizes)).astype(np.float32)
    net = Net(rng, x, values={"x": x})
    at = "x"
    for _ in range(int(rng.integers(1, 5))):
        grown = [_layer, _layer, _layer, _pool, _branches, _residual, _cut, _maximum, _transposed]
        at = grown[rng.integers(len(grown))](net, at)
    out = _head(net, _layer(net, at))
    return _whole(net, out, dims), x


def random_options(seed: int) -> Options:
    """Options of `compile`; some are refused."""
    rng = np.random.default_rng([seed, 1])
    options: Options = {"timesteps": int(rng.integers(1, 6)), "correct_bias": bool(rng.random() < 0.6)}
    options["schedule"] = str(rng.choice(["stream", "layer"]))
    options["code"] = str(rng.choice(CODES[options["schedule"]]))
    options["granularity"] = str(rng.choice(["channel", "layer"]))
    options["threshold"] = str(rng.choice(["max", "percentile", "mse"]))
    if options["code"] == "graded":
        options["exponents"] = int(rng.integers(3, 10)) if rng.random() < 0.9 else "auto"
        options["until_rest"] = bool(options["schedule"] == "stream" and rng.random() < 0.2)
    if options["code"] == "burst":
        options["max_spikes"] = int(rng.choice([1, 2, 4, 16])) if rng.random() < 0.9 else "auto"
        options["signed"] = bool(options["schedule"] == "stream" and rng.random() < 0.3)
    if options["schedule"] == "layer" and options["code"] != "graded" and rng.random() < 0.4:
        options["weights"] = "int8"
    if rng.random() < 0.1 and "auto" not in options.values():
        options |= {"compress": str(rng.choice(["spikes", "energy"])), "max_loss": 5.0}
    return options


def compare(model: onnx.ModelProto, x: Array, options: Options) -> str:
    """What happened to a net: `same`, `tie`, `refused: …`, or what differs."""
    calibration, samples = x[:CALIBRATION], x[CALIBRATION:]
    try:
        artifact = onnx2snn.compile(model, calibration, **options).model
    except Onnx2SnnError as error:
        return f"refused: {error}"
    expected = _run(artifact, {"x": samples})
    if expected is None:
        return "the plain file does not run"
    size = float(np.abs(expected).max()) or 1.0
    worst = "same"
    for name, run in _backends(artifact, samples).items():
        try:
            found = run()
        except Onnx2SnnError as error:
            return f"{name} fails: {error}"
        if found.shape != expected.shape:
            return f"{name}: shape {found.shape} in the place of {expected.shape}"
        far = np.abs(found.astype(np.float64) - expected) > TOLERANCE * size
        if far.any():
            spread = _spread(artifact, samples, expected)
            if (np.abs(found - expected) > 2 * spread + TOLERANCE * size).any():
                return f"{name} differs by {np.abs(found - expected).max() / size:.2g}"
            worst = "tie"
    return worst


def _backends(artifact: onnx.ModelProto, x: Array) -> dict[str, Callable[[], Array]]:
    """Everything that runs an artifact, but the plain file."""

    def session(backend: Any = "onnxruntime", *, native: bool = True, record: bool = False) -> Array:
        return onnx2snn.SpikingSession(artifact, backend, native=native).run(x, record=record).outputs["y"]

    def counted() -> Array:
        runs = onnx2snn.SpikingSession(artifact)
        return runs.run_counted(x, [runs.timesteps])[-1].outputs["y"]

    return {
        "session": session,
        "session without kernels": partial(session, native=False),
        "recorded run": partial(session, record=True),
        "counted run": counted,
        "numpy": partial(session, "numpy"),
        "ReferenceEvaluator": lambda: ReferenceEvaluator(artifact, new_ops=RIGHT).run(["y"], {"x": x})[0],
    }


def _spread(artifact: onnx.ModelProto, x: Array, expected: Array) -> Array:
    """How far each sample's outputs move, at most, with weights that are moved in their last bits."""
    rng, spread = np.random.default_rng(0), np.zeros_like(expected)
    for _ in range(DRAWS):
        moved = onnx.ModelProto()
        moved.CopyFrom(artifact)
        graphs = [moved.graph, *(item.g for node in moved.graph.node for item in node.attribute)]
        for item in (item for graph in graphs for item in graph.initializer):
            value = numpy_helper.to_array(item)
            if value.dtype == np.float32:
                noise = 1 + MOVED * rng.uniform(-1, 1, value.shape)
                item.CopyFrom(numpy_helper.from_array((value * noise).astype(np.float32), item.name))
        found = _run(moved, {"x": x})
        if found is not None:
            spread = np.maximum(spread, np.abs(found - expected))
    rows = spread.reshape(len(spread), -1).max(axis=1) if spread.ndim else spread
    return rows.reshape(-1, *[1] * (spread.ndim - 1))


def _layer(net: Net, at: str) -> str:
    """Convolution, or none, with what follows it."""
    shape = net.shape(at)
    dims, channels = len(shape) - 2, shape[1]
    group = channels if net.chance(0.15) else 1
    made = int(net.rng.integers(1, 4)) * group if group > 1 else int(net.rng.integers(1, 7))
    kernel = [int(k) for k in net.rng.integers(1, 4, dims)]
    attributes: Options = {"kernel_shape": kernel, "group": group}
    if net.chance(0.6):
        attributes["pads"] = [int(net.rng.integers(0, k)) for k in 2 * kernel]
    if net.chance(0.2):
        attributes["strides"] = [int(s) for s in net.rng.integers(1, 3, dims)]
    if net.chance(0.1):
        attributes["dilations"] = [2] * dims
    scale = 1.5 / np.sqrt(channels / group * np.prod(kernel))
    inputs = [at, net.normal(made, channels // group, *kernel, scale=scale)]
    if net.chance(0.7):
        inputs.append(net.normal(made, scale=0.3))
    return _activation(net, _normalisation(net, net.add("Conv", *inputs, **attributes) or at))


def _normalisation(net: Net, at: str) -> str:
    if net.chance(0.7):
        return at
    channels = net.shape(at)[1]
    gamma, beta, mean = (net.normal(channels, scale=0.5) for _ in range(3))
    var = net.rng.uniform(0.5, 2, channels).astype(np.float32)
    return net.add("BatchNormalization", at, gamma + np.float32(1), beta, mean, var) or at


def _activation(net: Net, at: str) -> str:
    low, six, one = np.float32(0), np.float32(6), np.float32(1)
    slopes = (net.shape(at)[1], *[1] * (len(net.shape(at)) - 2))
    kinds: list[Callable[[], str | None]] = [
        *[lambda: net.add("Relu", at)] * 4,
        lambda: net.add("Clip", at, low, six),
        lambda: net.add("Clip", at, low, one),
        lambda: net.add("Clip", at, -one, one),
        lambda: net.add("LeakyRelu", at, alpha=float(net.rng.uniform(0.01, 0.3))),
        lambda: net.add("PRelu", at, net.rng.uniform(-0.2, 0.4, slopes).astype(np.float32)),
        lambda: net.add(str(net.rng.choice(["Sigmoid", "Tanh", "HardSwish", "Elu", "Softplus"])), at),
        lambda: at,
    ]
    return kinds[net.rng.integers(len(kinds))]() or at


def _pool(net: Net, at: str) -> str:
    dims = len(net.shape(at)) - 2
    op = str(net.rng.choice(["MaxPool", "MaxPool", "AveragePool"]))
    pool = random_pool(net.rng, op, dims)
    kernel, size = pool["kernel_shape"], net.shape(at)[2:]
    wide = any(
        (k - 1) * d + 1 > n for k, d, n in zip(kernel, pool.get("dilations", [1] * dims), size, strict=True)
    )
    return at if wide else net.add(op, at, **pool) or at


def _branches(net: Net, at: str) -> str:
    return net.add("Concat", _pointwise(net, at), _pointwise(net, at), axis=1) or at


def _pointwise(net: Net, at: str, channels: int | None = None) -> str:
    """A branch that keeps the size."""
    shape = net.shape(at)
    made = int(net.rng.integers(1, 5)) if channels is None else channels
    weight = net.normal(made, shape[1], *[1] * (len(shape) - 2), scale=1 / np.sqrt(shape[1]))
    return _activation(net, net.add("Conv", at, weight, net.normal(made, scale=0.3)) or at)


def _residual(net: Net, at: str) -> str:
    inner = _pointwise(net, at)
    back = _pointwise(net, inner, net.shape(at)[1])
    op = "Add" if net.chance(0.8) else "Mul"
    return _activation(net, net.add(op, back, at) or at)


def _maximum(net: Net, at: str) -> str:
    return net.add("Max", at, _pointwise(net, at, net.shape(at)[1])) or at


def _cut(net: Net, at: str) -> str:
    """Some of the channels or places, or more of them."""
    axis = int(net.rng.integers(1, len(net.shape(at))))
    size = net.shape(at)[axis]
    if net.chance(0.5) and axis > 1:
        pads = np.zeros((2, len(net.shape(at))), np.int64)
        pads[:, axis] = net.rng.integers(0, 3, 2)
        return net.add("Pad", at, pads.ravel()) or at
    first = int(net.rng.integers(0, max(1, size // 2)))
    step = int(net.rng.choice([1, 1, 2]))
    return net.add("Slice", at, *(np.int64([v]) for v in (first, 10**6, axis, step))) or at


def _transposed(net: Net, at: str) -> str:
    shape = net.shape(at)
    dims, made = len(shape) - 2, int(net.rng.integers(1, 5))
    weight = net.normal(shape[1], made, *[2] * dims, scale=1 / np.sqrt(shape[1]))
    return _activation(
        net, net.add("ConvTranspose", at, weight, strides=[int(net.rng.integers(1, 3))] * dims) or at
    )


def _head(net: Net, at: str) -> str:
    if net.chance(0.2):
        return at
    pooled = (
        net.add("GlobalAveragePool" if net.chance(0.7) else "GlobalMaxPool", at) if net.chance(0.6) else at
    )
    flat = net.add("Flatten", pooled or at) or at
    for last in (False, True) if net.chance(0.4) else (True,):
        inputs = net.shape(flat)[1]
        made = int(net.rng.integers(2, 8))
        weight = net.normal(inputs, made, scale=1 / np.sqrt(inputs))
        if net.chance(0.5):
            flat = net.add("Gemm", flat, weight, net.normal(made, scale=0.3)) or flat
        else:
            flat = net.add("MatMul", flat, weight) or flat
        flat = flat if last else net.add("Relu", flat) or flat
    return net.add("Softmax", flat) or flat if net.chance(0.15) else flat


def _whole(net: Net, out: str, dims: int) -> onnx.ModelProto:
    """The net as a model, some with sizes left open."""
    net.nodes.append(helper.make_node("Identity", [out], ["y"]))
    open_sizes = net.chance(0.15)
    model = _model(net.nodes, net.weights, {"x": net.x}, "y")
    rank = [None] * len(net.shape(out))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, rank))
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim[0].dim_param = "N"
    for axis in range(2, dims + 2) if open_sizes else ():
        shape.dim[axis].dim_param = "DHW"[axis - 2]
    return model


def _model(
    nodes: list[onnx.NodeProto], weights: dict[str, Array], feeds: dict[str, Array], output: str
) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    made = [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "net", inputs, made, constants)
    opsets = [helper.make_opsetid("", OPSET_VERSION)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _run(model: onnx.ModelProto, feeds: dict[str, Array]) -> Array | None:
    """The first output in a plain session; None where onnxruntime refuses."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), settings).run(None, feeds)[0]
    except Exception:  # noqa: BLE001 - whatever it raises
        return None


def attempt(seed: int) -> tuple[str, onnx.ModelProto, Array, Options]:
    """What happened to the net of a seed, and the net."""
    (model, x), options = random_net(seed), random_options(seed)
    try:
        return compare(model, x, options), model, x, options
    except Exception as error:  # noqa: BLE001 - a fault to be told of
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {place.name}: {error}", model, x, options


def main() -> None:
    """Try nets one after another; write what differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000, help="how many nets")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument(
        "--out", type=Path, default=Path("build/attack/nets"), help="where nets that differ are written"
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    happened: Counter[str] = Counter()
    for seed in range(given.seed, given.seed + given.count):
        what, model, x, options = attempt(seed)
        kind = what.partition(":")[0]
        happened[kind if kind in ("same", "tie", "refused") else "differs"] += 1
        if kind not in ("same", "tie"):
            print(f"{seed}  {what}  {options}", flush=True)
        if kind not in ("same", "tie", "refused"):
            given.out.mkdir(parents=True, exist_ok=True)
            onnx.save(model, given.out / f"{seed}.onnx")
            np.savez(given.out / f"{seed}.npz", calibration=x[:CALIBRATION], x=x[CALIBRATION:])
    print(", ".join(f"{count} {kind}" for kind, count in happened.most_common()))
    sys.exit(happened["differs"] > 0)


if __name__ == "__main__":
    main()
