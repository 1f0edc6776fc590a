"""Which layers get more timesteps than the mean: in literal numbers."""

from __future__ import annotations

from onnx2snn.calibration.sensitivity import Sensitivity
from onnx2snn.calibration.timesteps import share_timesteps, timesteps_of
from onnx2snn.graph.firing import Firing


def layer(losses):
    """A layer of 3, 4 and 5 timesteps, the mean first."""
    ways = [Firing(15, 1.0), Firing(7, 1.0, (2.0,)), Firing(31, 1.0, (0.5,))]
    return Sensitivity(ways, [losses[4], losses[3], losses[5]], [1.0, 1.0, 1.0])


def lengths(share):
    return {name: timesteps_of(firing) for name, firing in share.items()}


def test_the_layer_that_hurts_most_takes_what_another_one_spares():
    measured = {
        "a": layer({3: 9, 4: 3, 5: 1}),
        "b": layer({3: 1, 4: 0.5, 5: 0.25}),
        "c": layer({3: 5, 4: 2, 5: 1}),
    }
    shares = [lengths(share) for share in share_timesteps(measured, 4)]
    # At its word b costs 0.5 and spares a 2; four times 1 is more than that.
    assert shares == [{"a": 5, "b": 3, "c": 4}, {"a": 4, "b": 4, "c": 4}]


def test_a_mean_is_never_exceeded_where_nobody_can_spare_any():
    measured = {"a": layer({3: 90, 4: 3, 5: 1}), "b": layer({3: 90, 4: 3, 5: 1})}
    assert [lengths(share) for share in share_timesteps(measured, 4)] == [{"a": 4, "b": 4}]
