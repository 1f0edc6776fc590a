"""When an accumulate-and-fire neuron sends its spikes, and what a pool makes of them on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.ops.accumulate_fire import spike_train
from onnx2snn.ops.li_pool import CELL as LI_POOL

#: name → k, code, N, T, the spikes over time
CASES = {
    "burst: bursts first, then the rest, then silence": (9, "burst", 16, 4, [4, 4, 1, 0]),
    "burst: all of N": (16, "burst", 16, 4, [4, 4, 4, 4]),
    "burst: Γ = 1": (3, "burst", 5, 5, [1, 1, 1, 0, 0]),
    "burst: N no multiple of T": (7, "burst", 7, 4, [2, 2, 2, 1]),
    "burst: fewer levels than timesteps": (2, "burst", 3, 5, [1, 1, 0, 0, 0]),
    "burst: one timestep": (7, "burst", 7, 1, [7]),
    "burst: negative": (-6, "burst", 16, 4, [-4, -2, 0, 0]),
    "burst: none": (0, "burst", 16, 4, [0, 0, 0, 0]),
    "radix: the most significant bit first": (11, "radix", 15, 4, [1, 0, 1, 1]),
    "radix: leading zeros": (1, "radix", 15, 4, [0, 0, 0, 1]),
    "radix: all of N": (15, "radix", 15, 4, [1, 1, 1, 1]),
    "radix: negative": (-6, "radix", 15, 4, [0, -1, -1, 0]),
    "radix: none": (0, "radix", 15, 4, [0, 0, 0, 0]),
    "radix: the levels of a trained quantiser": (5, "radix", 6, 4, [0, 1, 0, 1]),
}


@pytest.mark.parametrize("case", CASES)
def test_literal_case(case):
    count, code, levels, timesteps, expected = CASES[case]
    train = spike_train(np.asarray([count]), code, levels, timesteps)
    assert train[:, 0].tolist() == expected
    assert train.dtype.kind == "i"


def test_trains_keep_the_shape():
    counts = np.arange(12).reshape(2, 3, 2)
    train = spike_train(counts, "radix", 15, 4)
    assert train.shape == (4, 2, 3, 2)
    assert train[:, 1, 2, 0].tolist() == [1, 0, 1, 0]


@st.composite
def trains(draw):
    """Code, N, T and counts from -N to N; N need fill neither the bursts nor the bits."""
    code, timesteps = draw(st.sampled_from(["burst", "radix"])), draw(st.integers(1, 12))
    levels = draw(st.integers(1, 2**timesteps - 1 if code == "radix" else 60))
    counts = draw(st.lists(st.integers(-levels, levels), min_size=1, max_size=9))
    return code, levels, timesteps, np.asarray(counts)


def weights(code: str, timesteps: int) -> np.ndarray:
    """What a spike is worth in each timestep, in θ."""
    return 2 ** np.arange(timesteps)[::-1] if code == "radix" else np.ones(timesteps, int)


@given(trains())
def test_the_spikes_are_worth_k(case):
    code, levels, timesteps, counts = case
    train = spike_train(counts, code, levels, timesteps)
    assert len(train) == timesteps
    np.testing.assert_array_equal(weights(code, timesteps) @ train, counts)
    most = 1 if code == "radix" else -(-levels // timesteps)
    assert np.abs(train).max() <= most
    assert not (train * np.sign(counts) < 0).any()


@given(trains(), st.integers(0, 2**32 - 1))
def test_a_pool_of_trains_gives_the_train_of_the_pooled_k(case, seed):
    """What comes first counts most, so the largest sum so far is always one of the largest k's own."""
    code, levels, timesteps, _ = case
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, levels + 1, (2, 3, 5, 4))
    attributes = {
        "auto_pad": "NOTSET",
        "ceil_mode": int(rng.integers(2)),
        "dilations": [1, 1],
        "kernel_shape": [3, 2],
        "pads": [1, 1, 0, 1],
        "strides": [2, 1],
    }

    def pooled(steps):
        state, outputs = LI_POOL.initial_state(()), []
        for step in steps:
            output, state = LI_POOL.step(step, state, (), attributes)
            outputs.append(output)
        return np.stack(outputs)

    values = (
        spike_train(counts, code, levels, timesteps) * weights(code, timesteps)[:, None, None, None, None]
    )
    (largest,) = pooled([counts.astype(np.float64)])
    expected = spike_train(largest.astype(int), code, levels, timesteps)
    expected = expected * weights(code, timesteps)[:, None, None, None, None]
    np.testing.assert_array_equal(pooled(values.astype(np.float64)), expected)
