"""What a run gives, by default and in whole."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from onnx2snn.runtime.results import Checkpoint, Run


def test_a_run_that_was_not_recorded_has_neither_steps_nor_spikes():
    run = Run(4, {"y": np.zeros(1)})
    assert run.steps == {}
    assert run.spikes == {}
    assert run.timesteps_used is None


def test_runs_do_not_share_what_they_record():
    first, second = Run(1, {}), Run(1, {})
    first.spikes["r"] = np.ones(1)
    assert second.spikes == {}


def test_results_are_not_changed():
    with pytest.raises(FrozenInstanceError):
        Run(1, {}).timesteps = 2


def test_a_checkpoint_counts_spikes_apart_from_events():
    ones, twos = ({"r": np.full(1, count)} for count in (1, 2))
    point = Checkpoint(3, {}, twos, ones, {}, {}, 0.5)
    assert (point.timesteps, point.spikes["r"][0], point.events["r"][0], point.seconds) == (3, 2, 1, 0.5)
    assert [item.name for item in fields(point)][2:6] == [
        *("spikes", "events", "synaptic_operations", "synaptic_events")
    ]
