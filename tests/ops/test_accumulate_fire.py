"""The neuron that fires once: how U is rounded, when its spikes leave, what a pool makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.ops.accumulate_fire import CELL, count_spikes, most_spikes, set_up, spike_train, step
from onnx2snn.ops.li_pool import CELL as LI_POOL
from onnx2snn.options import CompileOptions
from tests.ops.cells import BACKENDS, ONE, PER_CHANNEL, check_case, one, suited

CASES = {
    # The layer schedule's neurons have all of their input: no state, and k is U/θ rounded, ties up.
    "ties round up": (
        {"levels": 4, "code": "burst", "potential": 0.5},
        (ONE,),
        one(0.5, 1.5, 2.5, 0.4375, 1.4375),
        one(1, 2, 3, 0, 1),
    ),
    "between 0 and N": (
        {"levels": 3, "code": "radix", "potential": 0.5},
        (ONE,),
        one(-0.5, -0.5625, -9, 3.4375, 3.5, 99),
        one(0, 0, 0, 3, 3, 3),
    ),
    "output carries θ": (
        {"levels": 4, "code": "burst", "potential": 0.5},
        (np.asarray(0.25, np.float32),),
        one(0.375, 0.125, 7),
        one(0.5, 0.25, 1),
    ),
    "θ per channel": (
        {"levels": 3, "code": "burst", "potential": 0.5},
        (PER_CHANNEL,),
        [[[[1, 3.5], [1, 3]], [[0.5, 9], [-2, 9]]]],
        [[[[1, 3], [2, 4]], [[1, 3], [0, 6]]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "AccumulateFire", *CASES[case])


#: name → k, code, N, T, the spikes over time
TRAINS = {
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


@pytest.mark.parametrize("case", TRAINS)
def test_literal_train(case):
    count, code, levels, timesteps, expected = TRAINS[case]
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
        for arrived in steps:
            output, state = LI_POOL.step(arrived, state, (), attributes)
            outputs.append(output)
        return np.stack(outputs)

    values = (
        spike_train(counts, code, levels, timesteps) * weights(code, timesteps)[:, None, None, None, None]
    )
    (largest,) = pooled([counts.astype(np.float64)])
    expected = spike_train(largest.astype(int), code, levels, timesteps)
    expected = expected * weights(code, timesteps)[:, None, None, None, None]
    np.testing.assert_array_equal(pooled(values.astype(np.float64)), expected)


def test_the_activations_that_it_stands_for():
    assert suited("AccumulateFire") == {"Relu layer", "Clip layer", "quantised layer"}


@pytest.mark.parametrize(
    ("kind", "options", "threshold", "levels", "limit"),
    [
        (Rectifier(), {"timesteps": 4, "max_spikes": 2}, 0.75, 8, 2),
        (Rectifier(6.0), {"timesteps": 4, "max_spikes": 2}, 0.75, 8, 2),
        (Rectifier(), {"timesteps": 2, "code": "radix"}, 2, 3, 1),
        (Rectifier(step=ONE, levels=5), {"timesteps": 4, "max_spikes": 2}, 6, 5, 2),
    ],
)
def test_set_up(kind, options, threshold, levels, limit):
    """θ is one of N levels of the range 6, or the trained step 6 itself."""
    chosen = CompileOptions(schedule="layer", **{"code": "burst", **options})
    setting = set_up(kind, chosen)
    assert setting.threshold(np.float32(6)) == threshold
    assert setting.attributes == {"levels": levels, "code": chosen.code, "potential": 0.5}
    assert (setting.levels, setting.max_spikes) == (levels, limit)
    assert most_spikes(setting.attributes, 99) == levels


def test_the_potential_may_be_in_a_bias_before():
    currents = np.float32([0.5, 1, 1.75, -0.25, 9])
    attributes = {"levels": 3, "code": "burst", "potential": 0.0}
    output, state = step(currents, (), [ONE], attributes)
    assert output.tolist() == [0, 1, 1, 0, 3]
    assert (output.dtype, state) == (np.float32, ())


def test_counts_of_either_neuron():
    """Only a PReLU's counts below zero; a slope of its own changes no count."""
    currents, attributes = np.float64([-9, -1, 0.5, 9]), {"levels": 3, "potential": 0.5}
    assert count_spikes(currents, [np.float64(2)], attributes).tolist() == [0, 0, 0, 3]
    assert count_spikes(currents, [np.float64(0.5)], attributes).tolist() == [0, 0, 1, 3]
    found = count_spikes(currents, [np.float64(0.125), np.float64(0.5)], attributes)
    assert found.tolist() == [-3, -2, 1, 3]
    assert found.dtype == np.int64
    assert count_spikes(np.uint8([0, 2, 9]), [], attributes).tolist() == [0, 2, 3]


def test_what_may_be_done_with_it():
    assert (CELL.states, CELL.initial_state([ONE])) == ((), ())
    assert (CELL.neuron.fires_once, CELL.neuron.adaptable, CELL.neuron.scales) == (True, True, True)
    assert (CELL.neuron.takes_back, CELL.uneven, CELL.neuron.limit) == (False, False, "levels")
