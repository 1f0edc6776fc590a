"""The parts of an artifact run one after the other, from timestep to timestep."""

from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.tiny import AFTER_1, AFTER_2, AFTER_4, X, network, tiny


@pytest.fixture(scope="module")
def artifact():
    return tiny()


@pytest.fixture(params=["onnxruntime", "numpy"])
def net(artifact, request):
    return network(artifact, request.param)


def test_outputs_are_means_over_the_timesteps_so_far(net):
    runner = net.start({"x": X})
    for steps, expected in ((1, AFTER_1), (2, AFTER_2), (4, AFTER_4)):
        runner.advance_to(steps)
        assert runner.timesteps == steps
        np.testing.assert_array_equal(runner.outputs()["y"], expected)
    runner.advance_to(3)
    assert runner.timesteps == 4


def test_a_layered_network_takes_one_step_for_all_timesteps():
    runner = network(tiny("layer")).start({"x": X})
    runner.advance_to(1)
    assert runner.timesteps == 4
    np.testing.assert_array_equal(runner.outputs()["y"], AFTER_4)


def test_another_run_in_the_same_memory_starts_from_nothing(net):
    for samples in (X, X, X[::-1], X[:1]):
        with net.borrowed({"x": samples}) as runner:
            assert runner.timesteps == 0
            runner.advance_to(2)
            expected = {3: AFTER_2, 1: AFTER_2[:1]}[len(samples)]
            np.testing.assert_array_equal(
                runner.outputs()["y"], expected[::-1] if samples[0, 0] == 0 else expected
            )


def test_two_runs_at_once_have_memory_of_their_own(net):
    with net.borrowed({"x": X}) as first, net.borrowed({"x": X[::-1]}) as second:
        for runner in (first, second, first, second):
            runner.advance()
        np.testing.assert_array_equal(first.outputs()["y"], AFTER_2)
        np.testing.assert_array_equal(second.outputs()["y"], AFTER_2[::-1])
    with net.borrowed({"x": X}) as third:
        third.advance_to(2)
        np.testing.assert_array_equal(third.outputs()["y"], AFTER_2)


def test_samples_that_leave_do_not_change_those_that_stay(net):
    runner = net.start({"x": X})
    runner.advance()
    runner.keep(np.array([1, 2]))
    assert runner.bridge["x"].tolist() == [[2, 0.5], [0, 2]]
    runner.advance_to(2)
    np.testing.assert_array_equal(runner.outputs()["y"], AFTER_2[1:])
    runner.keep(np.array([0]))
    runner.advance_to(4)
    np.testing.assert_array_equal(runner.outputs()["y"], AFTER_4[1:2])


def test_a_step_may_see_other_inputs_than_the_one_before(net):
    runner = net.start({"x": X[:1]})
    runner.advance()
    silence = net.bridge({"x": np.zeros((1, 2), np.float32)})
    runner.advance(silence)
    assert runner.bridge is silence
    np.testing.assert_array_equal(runner.outputs()["y"], [[4, 6]])


def test_only_the_sums_that_the_head_reads_are_read_out(artifact):
    net = network(artifact)
    assert net.sums() == ["onnx2snn/r/sum/in"]
    runner = net.start({"x": X})
    runner.advance_to(4)
    np.testing.assert_array_equal(
        runner.carried(net.sums())["onnx2snn/r/sum/in"] * 2, [[4, 8], [8, 2], [0, 8]]
    )
    assert set(runner.results()) == {"onnx2snn/r/potential/out", "onnx2snn/r/sum/out"}


def test_the_prefix_is_run_once_for_what_the_step_reads(artifact):
    bridge = network(artifact).bridge({"x": X})
    assert set(bridge) == {"x", "c"}
