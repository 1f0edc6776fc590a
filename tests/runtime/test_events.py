"""Graded spikes event by event: the potentials of any net are those of its file, in a stock onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import onnx2snn
from onnx2snn import SpikingSession
from onnx2snn.ops.graded_if import next_word, zone_at
from onnx2snn.runtime.events import run_events
from tests.helpers import parse
from tests.layered import STEPS, constants

#: Sums of float32 in one order, and of float64 in another; of values about one.
ROUNDING = 2e-5
#: More operators from [N,4,4,4] to [N,4,4,4], as `STEPS` has them: smooth activations, gates, attention.
MORE = [
    "u{i} = Conv<pads=[1,1,1,1], group=2>({a}, w233, channel) {y} = Gelu(u{i})",
    "u{i} = Conv(z, w11, channel) v{i} = Add(u{i}, {a}) w{i} = Sigmoid(v{i}) {y} = Mul(v{i}, w{i})",
    "u{i} = GlobalAveragePool({a}) v{i} = Conv(u{i}, w11, channel) w{i} = Sigmoid(v{i}) {y} = Mul(w{i}, {b})",
    "u{i} = Conv({a}, w11) v{i} = MatMul(u{i}, {b}) w{i} = Softmax(v{i}) {y} = MatMul(w{i}, {a})",
    "u{i} = Concat<axis=1>({a}, z) v{i} = Conv(u{i}, w8) {y} = Tanh(v{i})",
    "u{i} = Conv({a}, w11) v{i} = Conv(u{i}, w11) {y} = Elu(v{i})",
]


def net(steps, given_out, values):
    """A net of such operators in two inputs, each with the operands that its numbers pick; see `layered`."""
    tensors, body = ["p", "z", "r"], []
    for i, (step, *picks) in enumerate(steps):
        a, b = ([*tensors, tensors[-1], tensors[-1]][pick % (len(tensors) + 2)] for pick in picks)
        body.append(step.format(y=f"y{i}", a=a, b=b, i=i))
        tensors.append(f"y{i}")
    other = tensors[2:][given_out % (len(tensors) - 2)]
    text = f"""(float[N,4,4,4] x, float[N,4,4,4] z) => (float[N,3] y, float[N,4,4,4] {other}) {{
        p = Conv<pads=[1,1,1,1]>(x, w33, channel) r = Relu(p) {" ".join(body)}
        last = Relu({tensors[-1]}) g = GlobalAveragePool(last) f = Flatten(g) y = Gemm(f, head) }}"""
    head = np.float32(np.arange(12).reshape(4, 3) % 5 - 2) / 4
    values = {**values, "head": head, "w233": values["w33"][:, :2] * np.sqrt(np.float32(2))}
    read = {name for node in parse(text).graph.node for name in node.input}
    return parse(text, **{name: value for name, value in values.items() if name in read})


def of_the_file(model, names, feeds):
    """Tensors of a step after each timestep, [T, …], as further outputs of the file itself."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    loop = next((node for node in shown.graph.node if node.op_type == "Loop"), None)
    if loop is None:  # all timesteps at once
        del shown.graph.output[:]
        shown.graph.output.extend(map(helper.make_empty_tensor_value_info, names))
    else:
        body = helper.get_node_attr_value(loop, "body")
        made = {item.name: item for item in body.value_info}
        for number, name in enumerate(names):
            scanned = made.get(name) or helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            body.node.append(helper.make_node("Identity", [name], [f"scanned/{number}"]))
            body.output.append(onnx.ValueInfoProto())
            body.output[-1].CopyFrom(scanned)
            body.output[-1].name = f"scanned/{number}"
            loop.output.append(f"all/{number}")
        next(item for item in loop.attribute if item.name == "body").g.CopyFrom(body)
        del shown.graph.output[:]
        infos = [helper.make_empty_tensor_value_info(f"all/{number}") for number in range(len(names))]
        shown.graph.output.extend(infos)
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    results = session.run(None, feeds)
    return dict(zip(names, results if loop is not None else [[value] for value in results], strict=True))


def check(model, feeds, tolerance=ROUNDING):
    """The events that a run records make the potentials of the file, and these potentials ask for them."""
    session = SpikingSession(model)
    recorded = session.run(feeds, record=True)
    found = run_events(session.artifact, feeds, told=recorded.spikes)
    dense = of_the_file(model, list(found.potentials), feeds)
    for name, expected in dense.items():
        for after, given_ in zip(found.potentials[name][-len(expected) :], expected, strict=True):
            finite = np.isfinite(given_)
            largest = max(1, np.abs(given_[finite]).max(initial=0))
            gap = np.abs(after.astype(np.float64) - given_)[finite]
            assert gap.max(initial=0) <= tolerance * largest, name
    for cell in session.artifact.neurons:
        _asked_for(session, cell, found.potentials[cell.input[0]], recorded.spikes[cell.name], tolerance)
    assert found.events == sum(map(np.count_nonzero, recorded.spikes.values()))
    return found


def _asked_for(session, cell, targets, spikes, tolerance):
    """A spike lies between those of targets a rounding below and above."""
    attributes = {item.name: helper.get_attribute_value(item) for item in cell.attribute}
    reach = session.artifact.threshold(cell).astype(np.float64)
    sent = np.zeros(spikes.shape[1:])
    for time, codes in enumerate(spikes):
        target = targets[-1 if session.artifact.schedule == "layer" else time]
        size = np.where(codes, np.ldexp(np.sign(codes), np.abs(codes) - attributes["exponents"]), 0) * reach
        room, zone = tolerance * max(1, np.abs(target).max()), zone_at(attributes, time)
        low, high = (next_word(target + by, sent, reach, zone) for by in (-room, room))
        assert (low - sent <= size + 1e-9).all()
        assert (size <= high - sent + 1e-9).all()
        sent = sent + size


def compiled(model, rng, **options):
    feeds = {name: rng.standard_normal((16, 4, 4, 4)).astype(np.float32) for name in "xz"}
    made = onnx2snn.compile(
        model, feeds, code="graded", correct_bias=False, threshold="percentile", **options
    )
    return made.model, {name: value[:1] for name, value in feeds.items()}


@pytest.mark.parametrize("step", [*STEPS, *MORE])
def test_one_step_event_by_event(step, rng):
    model = net([(step, 2, 0)], 1, constants(rng))
    for schedule, timesteps in (("stream", 4), ("layer", 2)):
        found = check(*compiled(model, rng, schedule=schedule, timesteps=timesteps, exponents=5))
        assert found.events


@settings(deadline=None, max_examples=15)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from([*STEPS, *MORE]), st.integers(0), st.integers(0)), min_size=2, max_size=4
    ),
    given_out=st.integers(0),
    schedule=st.sampled_from(["stream", "layer"]),
    timesteps=st.integers(1, 5),
    exponents=st.integers(1, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_net_event_by_event(steps, given_out, schedule, timesteps, exponents, seed):
    rng = np.random.default_rng(seed)
    model = net(steps, given_out, constants(rng))
    check(*compiled(model, rng, schedule=schedule, timesteps=timesteps, exponents=exponents))


BY_HAND = "(float[N,2] x) => (float[N,2] y) { r = Relu(x) c = Gemm(r, w, b) q = Relu(c) y = MatMul(q, w) }"
CONSTANTS = {"w": np.float32([[1, -1], [2, 4]]), "b": np.float32([10, 0.5])}
X = np.float32([[1, 0.7], [0, 1]])


def by_hand(**options):
    """r has R = 1 in both channels; of five sizes the smallest is 1/16."""
    options = {"threshold": "max", "granularity": "layer", "correct_bias": False, "exponents": 5, **options}
    return SpikingSession(onnx2snn.compile(parse(BY_HAND, **CONSTANTS), X, code="graded", **options).model)


def test_potentials_begin_with_the_bias_and_events_add_up():
    """0.7 is sent as ½ + ¼, and 1 at once: c is 10 + 1 + 2/2, then 2/4 more; ½ - 1 + 4/2, then 4/4 more."""
    found = run_events(by_hand(timesteps=2).artifact, {"x": X[:1]})
    np.testing.assert_array_equal(found.spikes["r/neuron"], [[[5, 4]], [[0, 3]]])
    np.testing.assert_allclose(found.potentials["c"], [[[12, 1.5]], [[12.5, 2.5]]])
    assert found.events == 3 + np.count_nonzero(found.spikes["q/neuron"])


def test_in_the_schedule_layer_a_neuron_waits_for_all_of_its_input():
    found = run_events(by_hand(schedule="layer", timesteps=2).artifact, {"x": X[:1]})
    np.testing.assert_allclose(found.potentials["c"], [[[12, 1.5]], [[12.5, 2.5]]])
    reach = by_hand(schedule="layer", timesteps=2).artifact
    (threshold,) = {float(reach.threshold(cell).max()) for cell in reach.neurons if cell.name == "q/neuron"}
    sizes = np.ldexp(np.sign(found.spikes["q/neuron"]), abs(found.spikes["q/neuron"]) - 5) * threshold
    assert abs(sizes.sum(axis=0) - [[12.5, 2.5]]).max() < threshold / 8


def test_neurons_send_what_they_are_told_and_ask_for_what_they_miss():
    told = {"r/neuron": np.int16([[[0, -5]], [[0, 0]]])}
    found = run_events(by_hand(timesteps=2).artifact, {"x": X[:1]}, told=told)
    np.testing.assert_array_equal(found.spikes["r/neuron"], [[[5, 4]], [[5, 5]]])
    np.testing.assert_allclose(found.potentials["c"], [[[8, -3.5]], [[8, -3.5]]])


def test_it_runs_longer_or_shorter_in_the_schedule_stream_alone():
    assert len(run_events(by_hand(timesteps=2).artifact, {"x": X}, 5).potentials["c"]) == 5
    layered = by_hand(schedule="layer", timesteps=2).artifact
    assert len(run_events(layered, {"x": X}, 5).potentials["c"]) == 2


def test_a_neuron_that_waits_is_silent_at_first():
    session = by_hand(timesteps=4)
    spikes = run_events(session.artifact, {"x": X}).spikes
    assert spikes["r/neuron"][0].any()
    assert not spikes["q/neuron"][0].any()
    assert spikes["q/neuron"][1].any()
    for name, sent in session.run(X, record=True).spikes.items():
        np.testing.assert_array_equal(sent, spikes[name])
