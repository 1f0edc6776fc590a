"""What the browser steps is what `SpikingSession` steps: the same spikes and scores, for every neuron."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import onnx2snn
from onnx2snn.ops.accumulate_fire import spike_train
from onnx2snn.ops.names import TIMESTEPS
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.web.stepping import describe_tensor, take_steps
from tests.helpers import feeds, normal, parse

RELU = "(float[N,3,5,5] x) => (float[N,2] y) { c = Conv(x, w, b) r = Relu(c) d = Conv(r, k) s = Relu(d) "
LEAKY = (
    "(float[N,3,5,5] x) => (float[N,2] y) { c = Conv(x, w, b) r = LeakyRelu<alpha=-0.5>(c) s = Conv(r, k) "
)
QUANTIZED = """(float[N,3,5,5] x) => (float[N,2] y) {
    c = Conv(x, w, b) p = Relu(c) q = QuantizeLinear(p, step, zero) s = DequantizeLinear(q, step, zero)
"""
TAIL = "m = MaxPool<kernel_shape=[3,3]>(s) f = Flatten(m) y = Gemm(f, v) }"

NETS = {
    "BurstIF": (RELU, {}),
    "SignedBurstIF": (RELU, {"signed": True}),
    "LeakyBurstIF": (LEAKY, {}),
    "QuantizedIF": (QUANTIZED, {}),
    "AccumulateFire": (RELU, {"schedule": "layer"}),
    "AccumulateFire, radix": (RELU, {"schedule": "layer", "code": "radix"}),
    "LeakyAccumulateFire": (LEAKY, {"schedule": "layer"}),
    "IntegerAccumulateFire": (RELU, {"schedule": "layer", "weights": "int8"}),
    "GradedIF": (RELU, {"code": "graded"}),
    "GradedFire4": (LEAKY, {"schedule": "layer", "code": "graded", "exponents": 9}),
}


def engine(model: onnx.ModelProto):
    """A plain onnxruntime, as the browser has one."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    reads, gives = ([item.name for item in items] for items in (session.get_inputs(), session.get_outputs()))

    def run(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(gives, session.run(gives, {name: values[name] for name in reads}), strict=True))

    return run


@pytest.mark.parametrize("kind", NETS)
def test_spikes_and_scores(kind, rng):
    body, options = NETS[kind]
    weights = normal(rng, w=(4, 3, 3, 3), b=(4,), k=(4, 4, 1, 1), v=(4, 2))
    quantizer = {"step": np.float32(0.7), "zero": np.uint8(0)}
    net = parse(body + TAIL, **weights, **{name: np.asarray(value) for name, value in quantizer.items()})
    compiled = onnx2snn.compile(
        net, feeds(rng, net, 16), timesteps=4, correct_bias=False, **{"code": "burst", **options}
    )
    session = SpikingSession(compiled.model)
    inputs = feeds(rng, net, 3)
    expected = session.run(inputs, record=True)
    artifact, stepping = session.artifact, take_steps(session.artifact)
    assert {cell.op_type for cell in artifact.neurons} >= {kind.partition(",")[0]}

    parts = {name: engine(model) for name, model in stepping.models.items()}
    bridge = inputs | (parts["prefix"](inputs) if "prefix" in parts else {})
    state = {value.before: value.initial for value in artifact.carried}
    layered = artifact.schedule == "layer"
    sent: list[list[np.ndarray]] = []
    for time in range(1, 5):
        if time == 1 or not layered:
            results = parts["step"](bridge | state)
            state = {value["before"]: results[value["after"]] for value in stepping.carried}
            sent.append([results[name] for name in stepping.spikes])
        finals = {value["final"]: state[value["before"]] for value in stepping.carried}
        scores = parts["head"](bridge | finals | {TIMESTEPS: np.asarray(time)})["y"]
        if not layered:
            np.testing.assert_allclose(scores, expected.steps["y"][time - 1], atol=1e-5)
    np.testing.assert_allclose(scores, expected.outputs["y"], atol=1e-5)

    for number, cell in enumerate(artifact.neurons):
        train = np.stack([spikes[number] for spikes in sent])
        assert train.dtype == np.int32
        if layered and artifact.sums:
            train = np.moveaxis(train[0], 1, 0)  # [N, T, …] of the whole run
        elif layered:
            said = {item.name: onnx.helper.get_attribute_value(item) for item in cell.attribute}
            train = spike_train(train[0], said["code"].decode(), said["levels"], 4)
        np.testing.assert_array_equal(train, expected.spikes[cell.name])
        assert train.any()


def test_a_tensor_in_the_browsers_byte_order():
    described = describe_tensor(np.array([[1, -2]], ">i8"))
    assert described == {"type": "int64", "dims": [1, 2], "data": "AQAAAAAAAAD+/////////w=="}
