"""Spikes, synaptic operations, events, updates and MACs equal a count by loops, on random nets, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnx2snn
from tests.whole.brute_force import INPUT, Net

#: How neurons fire, as compile options.
FIRING = {
    "stream": {"timesteps": 3},
    "stream, single spikes": {"timesteps": 4, "max_spikes": 1},
    "stream, signed": {"timesteps": 4, "signed": True, "max_spikes": 3, "levels": 2},
    "layer, burst": {"timesteps": 3, "schedule": "layer", "max_spikes": 3},
    "layer, radix": {"timesteps": 3, "schedule": "layer", "code": "radix"},
}


@pytest.mark.parametrize("firing", FIRING)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_count_is_that_of_loops(firing, seed):
    seeds = [list(FIRING).index(firing), seed]  # other nets for every way to fire
    options, net, rng = FIRING[firing], Net(seeds), np.random.default_rng(seeds)
    compiled = onnx2snn.compile(
        net.model,
        rng.standard_normal((8, *INPUT)).astype(np.float32),
        correct_bias=False,
        **{"code": "burst", **options},
    )
    session = onnx2snn.SpikingSession(compiled.model)
    x = rng.standard_normal((2, *INPUT)).astype(np.float32)
    sent = session.run(x, record=True).spikes
    code = options.get("code", "burst") if "schedule" in options else None
    levels = {name: neuron["levels"] for name, neuron in compiled.report.to_dict()["neurons"].items()}
    by_hand = net.count(sent, code, levels)
    (counted,) = session.run_counted(x, [options["timesteps"]])

    for name, train in sent.items():
        flat = np.abs(train.astype(int)).reshape(*train.shape[:2], -1)
        assert counted.spikes[name].tolist() == flat.sum(axis=(0, 2)).tolist()
        assert counted.events[name].tolist() == (flat > 0).sum(axis=(0, 2)).tolist()
    assert as_lists(counted.synaptic_operations) == as_lists(by_hand.operations)
    assert as_lists(counted.synaptic_events) == as_lists(by_hand.events)
    assert sorted(session.uncounted) == sorted(by_hand.moving)

    work = session.work_per_sample(x)
    assert work.ann_macs == by_hand.macs["all"]
    assert work.prefix_macs == by_hand.macs["analog"]
    assert work.joined_macs == by_hand.macs["joined"]
    every, once = (work.head_macs, work.analog_macs) if code else (work.analog_macs, work.head_macs)
    assert (every, once) == (by_hand.macs["moving"], 0)
    assert work.neurons == {name: net.sizes[name] for name in session.neurons}


def as_lists(counts: dict[str, np.ndarray]) -> dict[str, list[int]]:
    return {name: found.tolist() for name, found in counts.items()}
