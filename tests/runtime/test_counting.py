"""What a run counts: spikes, events and synaptic operations by hand, and arithmetic from real shapes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import onnx2snn
from onnx2snn.runtime.counting import Counting
from onnx2snn.runtime.results import Work
from tests.helpers import feeds, normal, parse
from tests.runtime.tiny import AFTER_2, AFTER_4, NET, SHAPES, X, network, tiny


def snn(model, rng, **options):
    return onnx2snn.compile(model, feeds(rng, model, 64), **{"code": "burst", **options}).model


def test_checkpoints_are_those_by_hand():
    first, last = Counting(network(tiny())).checkpoints({"x": X}, [2, 4])
    assert [first.timesteps, last.timesteps] == [2, 4]
    np.testing.assert_array_equal(first.outputs["y"], AFTER_2)
    np.testing.assert_array_equal(last.outputs["y"], AFTER_4)
    assert first.spikes["r"].tolist() == [3, 3, 2]
    assert last.spikes["r"].tolist() == [6, 5, 4]
    assert last.events["r"].tolist() == [6, 5, 4]
    assert {name: n.tolist() for name, n in last.synaptic_operations.items()} == {"y": [12, 10, 8]}
    assert {name: n.tolist() for name, n in last.synaptic_events.items()} == {"y": [12, 10, 8]}
    assert last.spikes["r"].dtype == last.synaptic_operations["y"].dtype == np.int64
    assert 0 < first.seconds < last.seconds


def test_a_burst_is_one_event():
    model = parse("(float[N,1] x) => (float[N,3] y) { r = Relu(x) y = MatMul(r, w) }", w=np.ones((1, 3), "f"))
    x = np.float32([[2], [1]])
    compiled = onnx2snn.compile(model, x, timesteps=2, max_spikes=4, threshold="max", correct_bias=False)
    (point,) = onnx2snn.SpikingSession(compiled.model).run_counted(x, [2])
    assert point.spikes["r"].tolist() == [8, 4]
    assert point.events["r"].tolist() == [2, 2]
    assert point.synaptic_operations["y"].tolist() == [24, 12]
    assert point.synaptic_events["y"].tolist() == [6, 6]


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_fan_out_is_what_one_spike_causes(schedule):
    assert Counting(network(tiny(schedule))).fan_out({"x": X}) == {"r": 2.0}
    silent = np.zeros((1, 2), np.float32)
    assert Counting(network(tiny(schedule))).fan_out({"x": silent}) == {"r": 0.0}


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_work_is_of_a_sample(schedule):
    counting = Counting(network(tiny(schedule)))
    assert counting.uncounted == ()
    assert counting.work({"x": X}) == Work(
        ann_macs=8, prefix_macs=4, joined_macs=0, analog_macs=0, head_macs=0, neurons={"r": 2}
    )


def conv_connections(
    counts: np.ndarray, outputs: int, kernel: tuple[int, int], stride: int, pad: int, group: int
) -> int:
    """Σ over spikes of the outputs that each really reaches, one connection at a time."""
    channels, height, width = counts.shape
    rows = (height + 2 * pad - kernel[0]) // stride + 1
    columns = (width + 2 * pad - kernel[1]) // stride + 1
    total = 0
    for o, i, j, c, k, m in itertools.product(
        range(outputs),
        range(rows),
        range(columns),
        range(channels // group),
        range(kernel[0]),
        range(kernel[1]),
    ):
        row, column = i * stride + k - pad, j * stride + m - pad
        if 0 <= row < height and 0 <= column < width:
            total += int(counts[o // (outputs // group) * (channels // group) + c, row, column])
    return total


@pytest.mark.parametrize(
    ("stride", "pad", "group", "outputs"),
    [(1, 0, 1, 3), (1, 1, 1, 3), (2, 1, 1, 2), (3, 2, 2, 4), (2, 0, 4, 8), (2, 2, 4, 4)],
)
def test_convolution_counts(rng, stride, pad, group, outputs):
    text = (
        "(float[N,4,6,5] x) => (float[N,M,P,Q] y) { r = Relu(x) "
        f"y = Conv<strides=[{stride},{stride}], pads=[{pad},{pad},{pad},{pad}], group={group}>(r, w) }}"
    )
    model = parse(text, **normal(rng, w=(outputs, 4 // group, 3, 2)))
    session = onnx2snn.SpikingSession(snn(model, rng, signed=True))
    x = feeds(rng, model, 3)["x"]
    (counted,) = session.run_counted(x, [8])
    spikes = np.abs(session.run(x, record=True).spikes["r"].astype(int)).sum(axis=0)
    np.testing.assert_array_equal(counted.spikes["r"], spikes.reshape(3, -1).sum(axis=1))
    expected = [conv_connections(sample, outputs, (3, 2), stride, pad, group) for sample in spikes]
    np.testing.assert_array_equal(counted.synaptic_operations["y"], expected)
    assert min(expected) > 0
    macs = conv_connections(np.ones((4, 6, 5), int), outputs, (3, 2), stride, pad, group)
    assert session.macs_per_sample(x) == (macs, 0)


def test_every_kind_of_layer_counts(rng):
    """Conv, residual Add, MaxPool, AveragePool, Concat with analog values, MatMul and Gemm in one net."""
    text = """(float[N,2,4,4] x) => (float[N,3] y) {
        h = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(h)
        c = Conv<pads=[1,1,1,1]>(r, w2) s = Add(c, r) q = Relu(s)
        j = Concat<axis=1>(q, x)
        m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(q)
        a = AveragePool<kernel_shape=[2,2], strides=[2,2]>(j)
        k = Concat<axis=1>(m, a) f = Flatten(k)
        d = MatMul(f, w3) e = Relu(d) y = Gemm<transB=1>(e, w4, b4)
    }"""
    shapes = {"w1": (2, 2, 3, 3), "w2": (2, 2, 3, 3), "w3": (24, 5), "w4": (3, 5), "b4": (3,)}
    model = parse(text, **normal(rng, **shapes))
    session = onnx2snn.SpikingSession(snn(model, rng))
    x = feeds(rng, model, 3)["x"]
    (counted,) = session.run_counted(x, [8])
    spikes = {name: s.astype(int).sum(axis=0) for name, s in session.run(x, record=True).spikes.items()}
    operations = counted.synaptic_operations
    assert set(operations) == {"c", "q", "d", "y"}
    np.testing.assert_array_equal(
        operations["c"], [conv_connections(s, 2, (3, 3), 1, 1, 1) for s in spikes["r"]]
    )
    np.testing.assert_array_equal(operations["q"], spikes["r"].reshape(3, -1).sum(axis=1))
    np.testing.assert_array_equal(operations["y"], 3 * spikes["e"].sum(axis=1))
    # Every spike of q reaches the MatMul over the AveragePool; over the MaxPool only those that it lets pass.
    cell = next(cell for cell in session.artifact.neurons if cell.name == "q")
    theta = session.artifact.threshold(cell)
    levels = session.run(x, record=True).spikes["q"] * theta
    windows = levels.cumsum(axis=0).reshape(8, 3, 2, 2, 2, 2, 2).max(axis=(4, 6))
    passed = np.abs(np.diff(windows, axis=0, prepend=0)) / theta
    through = np.rint(passed).sum(axis=(0, 2, 3, 4)) + spikes["q"].reshape(3, -1).sum(axis=1)
    np.testing.assert_array_equal(operations["d"], 5 * through)
    dense = conv_connections(np.ones((2, 4, 4), int), 2, (3, 3), 1, 1, 1)
    assert session.macs_per_sample(x) == (2 * dense + 24 * 5 + 5 * 3, dense)


def test_counts_are_per_sample(rng):
    net = parse(NET, **normal(rng, **SHAPES))
    session = onnx2snn.SpikingSession(snn(net, rng))
    x = feeds(rng, net, 4)["x"]
    together = session.run_counted(x, [8])[0]
    for sample in range(4):
        alone = session.run_counted(x[sample : sample + 1], [8])[0]
        for found, expected in (
            (alone.spikes, together.spikes),
            (alone.synaptic_operations, together.synaptic_operations),
        ):
            assert {k: v.tolist() for k, v in found.items()} == {k: [v[sample]] for k, v in expected.items()}


def test_nothing_behind_the_last_neuron_counts_nothing(rng):
    model = parse("(float[N,3] x) => (float[N,3] y) { y = Relu(x) }")
    session = onnx2snn.SpikingSession(snn(model, rng))
    x = feeds(rng, model, 2)["x"]
    (counted,) = session.run_counted(x, [8])
    assert counted.synaptic_operations == {}
    assert counted.spikes["y"].sum() > 0
    assert session.macs_per_sample(x) == (0, 0)
