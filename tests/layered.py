"""Random nets for the schedule `layer`, and where its flat graph and its explicit timesteps agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from hypothesis import strategies as st

import onnx2snn
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.runtime.explicit import Simulation, simulate
from onnx2snn.runtime.session import Run
from tests.helpers import Arrays, batchnorm, parse

#: Operators from [N,4,4,4] to [N,4,4,4] in the tensors a and b; in the constants of `constants`, and {i}.
NEURONS = [
    "{y} = Relu({a})",
    "{y} = Clip({a}, none, most)",
    "{y} = LeakyRelu<alpha=0.25>({a})",
    "{y} = PRelu({a}, slopes)",
    "u{i} = Conv<pads=[1,1,1,1]>({a}, w33, channel) {y} = Relu(u{i})",
    "u{i} = Conv<pads=[1,1,1,1]>({a}, w33, channel) v{i} = Add(u{i}, {b}) {y} = Relu(v{i})",
    "u{i} = Flatten({a}) v{i} = Gemm(u{i}, w64, b64) w{i} = Reshape(v{i}, whole) {y} = Relu(w{i})",
    "u{i} = BatchNormalization({a}, gamma, beta, mean, var) {y} = Relu(u{i})",
]
LINEAR = [
    "{y} = Conv<pads=[1,1,1,1], group=4>({a}, w133, channel)",
    "u{i} = Conv<strides=[2,2]>({a}, w22, channel) {y} = ConvTranspose<strides=[2,2]>(u{i}, w22, channel)",
    "{y} = Add({a}, {b})",
    "{y} = Sub({a}, plane)",
    "u{i} = Concat<axis=1>({a}, {b}) {y} = Conv(u{i}, w8, channel)",
    "{y} = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>({a})",
    'u{i} = AveragePool<kernel_shape=[2,2], strides=[2,2]>({a}) {y} = Resize<mode="linear">(u{i}, , twice)',
    "u{i} = BatchNormalization({a}, gamma, beta, mean, var) {y} = Add(u{i}, {b})",
    "u{i} = Pad({a}, around, half) {y} = AveragePool<kernel_shape=[3,3]>(u{i})",
]
POOLS = [
    "{y} = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>({a})",
    """u{i} = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,0,0]>({a})
    {y} = Resize<mode="nearest">(u{i}, , twice)""",
    "u{i} = MaxPool<kernel_shape=[2,2], strides=[2,2]>({a}) {y} = ConvTranspose<strides=[2,2]>(u{i}, w22)",
    "u{i} = ReduceMax({a}, pixels) {y} = Sub({b}, u{i})",
]
ISLANDS = [
    "{y} = Sigmoid({a})",
    "u{i} = Softmax<axis=1>({a}) {y} = Conv(u{i}, w11, channel)",
    "u{i} = Tanh({a}) {y} = Mul(u{i}, {b})",
    "u{i} = Greater({a}, {b}) v{i} = Not(u{i}) {y} = Where(v{i}, {b}, {a})",
    "u{i} = LayerNormalization<axis=2, epsilon=1.0>({a}, plane, plane) {y} = Add(u{i}, {b})",
    "u{i} = Abs({b}) v{i} = Log(u{i}) w{i} = Exp(v{i}) {y} = Mul(w{i}, half)",
]
STEPS = [*NEURONS, *LINEAR, *POOLS, *ISLANDS]


#: What Hypothesis draws for a random net, and for its code.
DRAWN = {
    "steps": st.lists(
        st.tuples(st.sampled_from(STEPS), st.integers(0), st.integers(0)), min_size=1, max_size=6
    ),
    "given_out": st.integers(0),
    "timesteps": st.integers(1, 8),
    "code": st.sampled_from(["burst", "radix"]),
    "seed": st.integers(0, 2**32 - 1),
}


def constants(rng: np.random.Generator) -> Arrays:
    """What the operators read; they keep a standard normal value about as large as it was."""
    shapes = {"w33": (4, 4, 3, 3), "w133": (4, 1, 3, 3), "w22": (4, 4, 2, 2), "w8": (4, 8, 1, 1)}
    shapes |= {"w11": (4, 4, 1, 1), "w64": (64, 64)}
    weights = {n: rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:])) for n, shape in shapes.items()}
    offsets = {"channel": (4,), "plane": (4, 4), "b64": (64,)}
    weights |= {name: rng.standard_normal(shape) for name, shape in offsets.items()}
    weights["slopes"] = rng.uniform(-0.5, 1, (4, 1, 1))
    return (
        {name: value.astype(np.float32) for name, value in weights.items()}
        | batchnorm(rng, 4)
        | {
            "none": np.float32(0),
            "most": np.float32(1.5),
            "half": np.float32(0.5),
            "twice": np.float32([1, 1, 2, 2]),
            "around": np.int64([0, 0, 1, 1, 0, 0, 1, 1]),
            "pixels": np.int64([2, 3]),
            "whole": np.int64([-1, 4, 4, 4]),
        }
    )


def net(steps: list[tuple[str, int, int]], given_out: int, values: Arrays) -> onnx.ModelProto:
    """A net of such operators, each with the operands that its two numbers pick, and with two outputs.

    The newest tensor is the likeliest, so that chains get long; p is an analog value before all neurons.
    """
    tensors, body = ["p", "r"], []
    for i, (step, *picks) in enumerate(steps):
        a, b = ([*tensors, tensors[-1], tensors[-1]][pick % (len(tensors) + 2)] for pick in picks)
        body.append(step.format(y=f"y{i}", a=a, b=b, i=i))
        tensors.append(f"y{i}")
    other = tensors[1:][given_out % (len(tensors) - 1)]
    text = f"""(float[N,4,4,4] x) => (float[N,3] y, float[N,4,4,4] {other}) {{
        p = Conv<pads=[1,1,1,1]>(x, w33, channel) r = Relu(p) {" ".join(body)}
        last = Relu({tensors[-1]}) g = GlobalAveragePool(last) f = Flatten(g) y = Gemm(f, head, offset) }}"""
    values = {
        **values,
        "head": np.float32(np.arange(12).reshape(4, 3) % 5 - 2) / 4,
        "offset": np.float32([0.25, -0.5, 1]),
    }
    read = {name for node in parse(text).graph.node for name in node.input}
    return parse(text, **{name: value for name, value in values.items() if name in read})


@dataclass(frozen=True)
class Twins:
    """A run of the flat graph in onnxruntime, and of the explicit timesteps in NumPy."""

    flat: Run
    explicit: Simulation
    near_ties: Mapping[str, np.ndarray]

    def outputs_agree(self, samples: np.ndarray, tolerance: float) -> None:
        assert self.flat.outputs.keys() == self.explicit.outputs.keys()
        for name, found in self.flat.outputs.items():
            expected = self.explicit.outputs[name]
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            largest = max(1e-30, float(np.abs(expected).max()))
            gap = np.subtract(found, expected, dtype=np.float64)[samples]
            assert np.abs(gap).max(initial=0) <= tolerance * largest, name

    def spikes_agree(self, samples: np.ndarray) -> None:
        assert self.flat.spikes.keys() == self.explicit.spikes.keys()
        for name, sent in self.flat.spikes.items():
            np.testing.assert_array_equal(sent[:, samples], self.explicit.spikes[name][:, samples], name)


def run_both(model: onnx.ModelProto, x: np.ndarray, margin: float) -> Twins:
    """Run an artifact both ways.

    Args:
        model: the artifact.
        x: its only input, [N, …].
        margin: how close U/θ + v_0 must come to an integer between its bounds to be a near tie.
    """
    session = onnx2snn.SpikingSession(model)
    artifact = session.artifact
    found = simulate(artifact, {artifact.inputs[0].name: x})
    levels_of = _levels_before_rounding(model, x)
    ties = {}
    for cell in artifact.neurons:
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in cell.attribute}
        levels, start = attributes["levels"], attributes.get("potential", 0.5)
        least = -levels if cell.op_type.startswith("Leaky") else 0
        if len(cell.input) == 1:
            level = levels_of.get(cell.input[0], np.zeros((len(x), 1), np.float32)).astype(np.float64)
            ratio = level + start
        else:
            ratio = found.currents[cell.name] / artifact.threshold(cell).astype(np.float64) + start
        nearest = np.rint(ratio)
        near = (np.abs(ratio - nearest) <= margin) & (nearest > least) & (nearest <= levels)
        ties[cell.name] = near.reshape(len(x), -1).any(axis=1)
    return Twins(session.run(x, record=True), found, ties)


def _levels_before_rounding(model: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    """What the QuantizeLinear before neurons of integers round, by the names of their results."""
    rounded = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    if not rounded:
        return {}
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, set(rounded.values())))
    values = OnnxruntimeEngine(shown).run({model.graph.input[0].name: x})
    return {name: values[source] for name, source in rounded.items()}
