"""Streams: frames cost what they change, members begin and end when they like, and nothing drifts."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.ops import CELLS
from onnx2snn.runtime import streaming
from onnx2snn.runtime.frames import Frame, Pace
from onnx2snn.runtime.streaming import Stream
from tests.helpers import feeds, normal, parse
from tests.runtime.tiny import NET, SHAPES

REST = Pace("rest", count=True)


def sessions(rng: np.random.Generator, **options) -> tuple[onnx.ModelProto, onnx2snn.SpikingSession]:
    net = parse(NET, **normal(rng, **SHAPES))
    options = {"code": "graded", "correct_bias": False, **options}
    return net, onnx2snn.SpikingSession(onnx2snn.compile(net, feeds(rng, net, 64), **options).model)


def frames_of(rng: np.random.Generator, net: onnx.ModelProto, count: int, streams: int) -> list[np.ndarray]:
    """Frames [streams, …] that change here and there."""
    frames = [feeds(rng, net, streams)["x"]]
    for _ in range(count - 1):
        frame = frames[-1].copy()
        frame[..., rng.integers(frame.shape[-1])] += 0.3 * rng.standard_normal(frame.shape[:-1])
        frames.append(frame)
    return frames


def same(found: Frame, expected: Frame, rows: slice | list[int] = slice(None)) -> None:
    np.testing.assert_array_equal(found.events[rows], expected.events)
    np.testing.assert_array_equal(found.operations[rows], expected.operations)
    np.testing.assert_array_equal(found.prefix_macs[rows], expected.prefix_macs)
    np.testing.assert_array_equal(found.timesteps[rows], expected.timesteps)
    np.testing.assert_allclose(found.outputs["y"][rows], expected.outputs["y"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
def test_the_first_frame_is_a_run_and_a_pause_costs_nothing(rng, backend):
    net, session = sessions(rng)
    session = onnx2snn.SpikingSession(session.artifact.model, backend=backend)
    x, other = frames_of(rng, net, 2, 3)
    first, pause, moved, again = session.stream([x, x, other, other], "rest", count=True)
    whole = session.run(x, 64, until_rest=True)
    np.testing.assert_allclose(first.outputs["y"], whole.outputs["y"], rtol=0, atol=1e-6)
    (counted,) = session.run_counted(x, [64])
    np.testing.assert_array_equal(first.events, sum(counted.events.values()))
    np.testing.assert_array_equal(first.operations, sum(counted.synaptic_events.values()))
    for still in (pause, again):
        assert not still.events.any()
        assert not still.operations.any()
        assert not still.prefix_macs.any()
        assert not still.timesteps.any()
    assert 0 < moved.events.sum() < first.events.sum()
    assert 0 < moved.prefix_macs.sum() < first.prefix_macs.sum()
    for frame in (pause, again):
        before = first if frame is pause else moved
        np.testing.assert_array_equal(frame.outputs["y"], before.outputs["y"])


def test_at_rest_it_stands_where_a_network_that_sees_only_that_frame_does(rng):
    """Both are within what their neurons leave unsent; with twelve exponents that is little."""
    net, session = sessions(rng, exponents=12)
    frames = frames_of(rng, net, 12, 4)
    for frame, found in zip(frames, session.stream(frames, "rest"), strict=True):
        alone = session.run(frame, 64, until_rest=True).outputs["y"]
        assert np.abs(found.outputs["y"] - alone).max() < 0.01 * np.abs(alone).max()


def test_steps_a_frame(rng):
    """So many timesteps of a frame that stays are a run; without counting the same comes out."""
    net, session = sessions(rng)
    x = feeds(rng, net, 3)["x"]
    counted = list(session.stream([x, x], 2, count=True))
    session.reset()
    plain = list(session.stream([x, x], 2))
    for frame, other, steps in zip(counted, plain, (2, 4), strict=True):
        whole = session.run(x, steps).outputs["y"]
        np.testing.assert_allclose(frame.outputs["y"], whole, rtol=0, atol=1e-6)
        np.testing.assert_allclose(other.outputs["y"], whole, rtol=0, atol=1e-6)
        assert frame.timesteps.tolist() == other.timesteps.tolist() == [2, 2, 2]
        assert frame.seconds > 0
    assert not plain[0].events.any()
    assert not plain[0].spikes


def test_one_of_several_begins_anew(rng):
    net, session = sessions(rng)
    frames = frames_of(rng, net, 6, 3)
    together = []
    for place, frame in enumerate(frames):
        if place == 3:
            session.reset([1])
        together.append(next(session.stream([frame], "rest", count=True)))
    session.reset()
    rest = session.stream([frame[[0, 2]] for frame in frames], "rest", count=True)
    for found, expected in zip(together, rest, strict=True):
        same(found, expected, [0, 2])
    session.reset()
    for found, expected in zip(
        together[3:], session.stream([f[1:2] for f in frames[3:]], "rest", count=True), strict=True
    ):
        same(found, expected, [1])


@pytest.mark.parametrize("options", [{"code": "burst"}, {"code": "burst", "signed": True}], ids=str)
def test_other_codes_give_means_also_of_members_of_different_ages(rng, options):
    net, session = sessions(rng, **options)
    frames = frames_of(rng, net, 5, 2)
    together = []
    for place, frame in enumerate(frames):
        if place == 2:
            session.reset([0])
        together.append(next(session.stream([frame], 3)))
    session.reset()
    for found, expected in zip(together[2:], session.stream([f[:1] for f in frames[2:]], 3), strict=True):
        np.testing.assert_allclose(found.outputs["y"][:1], expected.outputs["y"], rtol=0, atol=1e-5)


def test_sums_of_other_codes_are_taken_out_of_float32(rng, monkeypatch):
    net, session = sessions(rng, code="burst")
    frames = frames_of(rng, net, 20, 2)
    expected = [frame.outputs["y"] for frame in session.stream(frames)]
    session.reset()
    monkeypatch.setattr(streaming, "_ANCHOR", 4)
    found = [frame.outputs["y"] for frame in session.stream(frames)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    (cohort,) = session._stream._cohorts
    assert cohort.anchored == 20
    assert all(total.any() for total in cohort.totals.values())


POOLED = """(float[N,1,4,4] x) => (float[N,2] y) { c = Conv(x, k) r = Relu(c)
    m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) f = Flatten(m) y = Gemm(f, w) }"""


def test_where_sums_in_pools_leave_what_float32_counts_it_says_so(rng, caplog):
    """From 2^24/Γ timesteps on; once, and not of a stream that begins anew."""
    net = parse(POOLED, **normal(rng, k=(2, 1, 3, 3), w=(2, 2)))
    x = feeds(rng, net, 4)["x"]
    session = onnx2snn.SpikingSession(onnx2snn.compile(net, x, code="burst", max_spikes=255).model)
    (frame,) = session.stream([x], 1500)
    assert frame.timesteps.tolist() == [1500] * 4
    with caplog.at_level(logging.WARNING):
        stream = session._stream
        assert stream is not None
        assert stream._exact == 65_793
        stream._exact = 2000
        list(session.stream([x, x], 1500))
    (record,) = caplog.records
    assert record.message == (
        "a stream of 3000 timesteps: sums in pools and islands of bursts are exact up to 2000, and drift "
        "from there on; call reset(), or compile with --code graded, where nothing drifts"
    )


def test_graded_sums_stay_what_spikes_can_stand_for(rng):
    """After many frames every sum is still a multiple of the smallest spike, to the bit."""
    net, session = sessions(rng, exponents=8)
    stream = session.open_stream(REST)
    for frame in frames_of(rng, net, 300, 2):
        stream.advance({"x": frame}, [0, 1])
    for cell in session.artifact.neurons:
        name = cell.input[1 + CELLS[cell.op_type].states.index("sent")]
        sent = stream.carried([name])[name].astype(np.float64)
        smallest = session.artifact.threshold(cell).astype(np.float64) * 2.0**-7
        multiples = sent / smallest.reshape(smallest.shape + (1,) * (sent.ndim - smallest.ndim))
        np.testing.assert_array_equal(multiples, np.round(multiples))
        assert multiples.any()


def test_tolerance_saves_events_and_costs_what_it_leaves_unsent(rng):
    net, session = sessions(rng, exponents=12)
    frames = frames_of(rng, net, 20, 4)
    exact = [session.run(frame, 64, until_rest=True).outputs["y"] for frame in frames]
    events, errors = [], []
    for tolerance in (1, 16, 128):
        session.reset()
        given = list(session.stream(frames, "rest", tolerance=tolerance, count=True))
        events.append(sum(int(frame.events.sum()) for frame in given[1:]))
        errors.append(max(np.abs(f.outputs["y"] - e).max() for f, e in zip(given, exact, strict=True)))
    assert events[0] > events[1] > events[2] > 0
    assert errors[0] < errors[1] < errors[2]


def test_what_cannot_be_followed_so(rng):
    _, session = sessions(rng, code="burst")
    for arguments, words in (
        ({"steps_per_frame": "rest"}, "for rest"),
        ({"tolerance": 2}, "for a tolerance of 2"),
    ):
        with pytest.raises(onnx2snn.OptionError, match=f"expected a network of --code graded {words}"):
            next(session.stream([], **arguments), None)
    net, session = sessions(rng)
    x = feeds(rng, net, 2)["x"]
    next(session.stream([x], "rest"))
    with pytest.raises(onnx2snn.OptionError, match=r"as for the frames since the last reset.*call reset\(\)"):
        next(session.stream([x], 2))
    session.reset()
    next(session.stream([x], 2))


def test_members_of_a_network_that_mixes_samples():
    """A maximum over the batch: streams can neither join nor leave."""
    net = parse(
        "(float[N,3] x) => (float[N,3] y) { r = Relu(x) m = ReduceMax(r, a) y = Add(r, m) }", a=np.int64([0])
    )
    x = np.float32([[1, 2, 3], [3, 1, 2]])
    session = onnx2snn.SpikingSession(onnx2snn.compile(net, x, code="graded", correct_bias=False).model)
    stream: Stream = session.open_stream(Pace("rest"))
    stream.advance({"x": x}, [0, 1])
    stream.advance({"x": x}, [0, 1])
    with pytest.raises(onnx2snn.OptionError, match="expected the same streams in every frame"):
        stream.advance({"x": x}, [0, 2])
