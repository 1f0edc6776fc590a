"""Windows that overlap: the state moves along, and only new columns cost."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.runtime.windows import move, shifts
from tests.helpers import feeds, normal, parse

#: A net for sound: convolutions without borders, so that what lies inside of two windows is the same.
NET = """(float[N,1,64] x) => (float[N,3] y) {
    a = Conv<strides=[2]>(x, k) r = Relu(a) b = Conv(r, l) q = Relu(b) g = GlobalAveragePool(q)
    f = Flatten(g) y = Gemm(f, n)
}"""


@pytest.fixture
def session(rng: np.random.Generator) -> onnx2snn.SpikingSession:
    net = parse(NET, **normal(rng, k=(4, 1, 4), l=(6, 4, 3), n=(6, 3)))
    compiled = onnx2snn.compile(net, feeds(rng, net, 64), code="graded", exponents=10, correct_bias=False)
    return onnx2snn.SpikingSession(compiled.model)


@pytest.mark.parametrize("count", [False, True])
def test_only_new_columns_cost(session, rng, count):
    signal = rng.standard_normal(64 + 8 * 20).astype(np.float32)
    windows = [signal[np.newaxis, np.newaxis, 8 * n : 8 * n + 64] for n in range(20)]
    first, *later = session.stream(windows, "rest", hop=8, count=count)
    session.reset()
    _, *still = session.stream(windows, "rest", count=count)
    for window, frame in zip(windows[1:], later, strict=True):
        alone = session.run(window, 64, until_rest=True).outputs["y"]
        assert np.abs(frame.outputs["y"] - alone).max() < 0.02 * max(1.0, np.abs(alone).max())
    if count:
        whole = int(first.events.sum())
        assert np.mean([frame.events.sum() for frame in later]) < 0.3 * whole
        assert np.mean([frame.events.sum() for frame in still]) > 0.6 * whole
        # Eight new columns of 64, and eight that have left.
        assert max(frame.prefix_macs.sum() for frame in later) < 0.3 * first.prefix_macs.sum()


def test_a_hop_moves_neurons_by_whole_columns_only(session):
    assert set(shifts(session.artifact, 8).values()) == {4}
    assert len(shifts(session.artifact, 8)) == len(session.neurons)
    assert not shifts(session.artifact, 3)
    assert not shifts(session.artifact, 0)


def test_columns_move_to_the_left():
    value = np.arange(6.0).reshape(1, 2, 3)
    assert move(value, 1).tolist() == [[[1, 2, 0], [4, 5, 0]]]
    assert move(value, 0).tolist() == value.tolist()
    for columns in (3, 4):
        assert not move(value, columns).any()


def test_what_a_hop_cannot_be(session, rng):
    for hop in (-1, 1.5):
        with pytest.raises(onnx2snn.OptionError, match="hop: expected a whole number of columns"):
            next(session.stream([], "rest", hop=hop), None)
    net = parse(NET, **normal(rng, k=(4, 1, 4), l=(6, 4, 3), n=(6, 3)))
    burst = onnx2snn.SpikingSession(onnx2snn.compile(net, feeds(rng, net, 16), code="burst").model)
    with pytest.raises(onnx2snn.OptionError, match="expected a network of --code graded for a hop of 8"):
        next(burst.stream([], hop=8), None)
