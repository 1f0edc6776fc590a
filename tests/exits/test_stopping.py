"""Each sample stops as soon as it is decided, and what cannot stop early says why."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.errors import OptionError
from onnx2snn.exits.rule import ExitRule
from onnx2snn.exits.stopping import check_scores, find_rule, run_until_decided
from tests.exits.nets import TEXT, WEIGHTS, compiled
from tests.helpers import normal, parse


@pytest.mark.parametrize("samples", [1, 7, 64, 150])
@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
@pytest.mark.parametrize("code", ["burst", "graded"])
def test_samples_leave_and_the_rest_is_none_the_wiser(samples, backend, code, rng):
    model, x = compiled(rng, samples=samples, code=code)
    if backend == "numpy" and samples > 64:
        x = x[:20]
    session = onnx2snn.SpikingSession(model, backend=backend)
    rule = ExitRule("confidence", (0.9, 0.8, 0.7))
    found = session.run(x, early_exit=rule)
    steps = [step["y"] for step in session.outputs_by_step(x)]
    used = np.full(len(x), len(steps))
    for number in range(len(steps), 0, -1):
        used[rule.decided(steps[number - 1], number)] = number
    np.testing.assert_array_equal(found.timesteps_used, used)
    expected = np.stack([steps[number - 1][row] for row, number in enumerate(used)])
    np.testing.assert_allclose(found.outputs["y"], expected, rtol=1e-5, atol=1e-6)


def test_timesteps_bound_every_sample(rng):
    model, x = compiled(rng)
    found = onnx2snn.SpikingSession(model).run(x, 3, early_exit=ExitRule("confidence", (2.0,)))
    assert set(found.timesteps_used) == {3}


def test_outputs_that_are_no_rows_of_samples(rng):
    text = TEXT.replace("float[N,5] y", "float[N,5] y, float[M] k").replace(" }", " k = Reshape(y, all) }")
    x = normal(rng, x=(10, 3, 6, 6))["x"]
    model = parse(text, all=np.int64([-1]), **normal(rng, **WEIGHTS))
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, code="burst").model)
    with pytest.raises(OptionError, match="expected one row a sample in output 'k'"):
        session.run(x, early_exit="confidence:0.6")


RULE = ExitRule("confidence", (0.5, 0.25))


def test_the_rule_that_an_early_exit_names():
    assert find_rule(RULE, "stream", None, probabilities=False) is RULE
    named = find_rule("entropy:0.25", "stream", RULE, probabilities=True)
    assert named == ExitRule("entropy", (0.25,), probabilities=True)
    assert find_rule("confidence", "stream", None, probabilities=False) == ExitRule("confidence", (0.9,))
    assert find_rule("auto", "stream", RULE, probabilities=True) is RULE


def test_networks_that_have_no_rule_or_cannot_stop():
    with pytest.raises(OptionError) as caught:
        find_rule("auto", "stream", None, probabilities=False)
    assert str(caught.value) == (
        "--early-exit: expected a network compiled with --early-exit auto, found one without its thresholds; "
        "compile it with that option, give --calib, or give confidence:0.9, say"
    )
    for early_exit in (RULE, "auto", "confidence"):
        with pytest.raises(OptionError) as caught:
            find_rule(early_exit, "layer", RULE, probabilities=False)
        assert str(caught.value) == (
            "early exit: expected a network of --schedule stream, found layer, whose output is there only "
            "after the last timestep; compile with --schedule stream"
        )


@pytest.mark.parametrize(("shape", "text"), [((3, 1), "[N, 1]"), ((3,), "[N]"), ((3, 2, 2), "[N, 2, 2]")])
def test_scores_of_no_classes(shape, text):
    check_scores("y", np.zeros((3, 2)))
    with pytest.raises(OptionError) as caught:
        check_scores("y", np.zeros(shape))
    assert str(caught.value) == (
        f"early exit: expected class scores [N, classes] in output 'y', found shape {text}; leave it out, "
        "name another output with --answer, or run fewer timesteps"
    )


class Scripted:
    """A run whose samples have these probabilities of the first of two classes, [T, N]."""

    def __init__(self, sure, rests=0):
        self.sure, self.time, self.batches, self.rests = np.float32(sure), 0, [], rests

    def advance(self):
        self.time += 1
        self.batches.append(self.sure.shape[1])

    def outputs(self):
        first = self.sure[self.time - 1]
        return {"y": np.stack([first, 1 - first], axis=1), "time": np.full((len(first), 3), self.time)}

    def keep(self, rows):
        self.sure = self.sure[:, rows]

    @property
    def at_rest(self):
        return self.time == self.rests


DECIDES = ExitRule("confidence", (0.75,), probabilities=True)
#: Of four samples: decided after 1, 2, 4 and never.
SURE = [
    [0.75, 0.5, 0.5, 0.5],
    [0.5, 1.0, 0.5, 0.5],
    [1.0, 1.0, 0.625, 0.5],
    [1.0, 1.0, 0.875, 0.5],
    [1.0, 1.0, 1.0, 0.625],
]


@pytest.mark.parametrize(("apart", "batches"), [(True, [4, 3, 2, 2, 1]), (False, [4] * 5)])
def test_each_sample_keeps_what_it_had_when_it_was_decided(apart, batches):
    run = Scripted(SURE)
    results, used = run_until_decided(run, DECIDES, 4, 5, apart=apart)
    assert (used.tolist(), used.dtype) == ([1, 2, 4, 5], np.int64)
    assert results["y"][:, 0].tolist() == [0.75, 1.0, 0.875, 0.625]
    assert results["time"].tolist() == [[1] * 3, [2] * 3, [4] * 3, [5] * 3]
    assert run.batches == batches


def test_at_rest_all_that_are_left_stop():
    results, used = run_until_decided(Scripted(SURE, rests=3), DECIDES, 4, 5, apart=True)
    assert used.tolist() == [1, 2, 3, 3]
    assert results["y"][:, 0].tolist() == [0.75, 1.0, 0.625, 0.5]


def test_nobody_moves_before_a_quarter_is_decided():
    """Of five, one is less than a quarter: it leaves with the second."""
    run = Scripted([[0.75, 0.5, 0.5, 0.5, 0.5], [0.5, 0.75, 0.5, 0.5, 0.5], [0.5] * 5])
    _, used = run_until_decided(run, DECIDES, 5, 3, apart=True)
    assert used.tolist() == [1, 2, 3, 3, 3]
    assert run.batches == [5, 5, 3]


def test_it_ends_with_the_last_decision():
    run = Scripted([[0.5, 1.0], [1.0, 1.0], [1.0, 1.0]])
    assert run_until_decided(run, DECIDES, 2, 3, apart=True)[1].tolist() == [2, 1]
    assert run.time == 2


def test_an_output_of_other_rows():
    class Odd(Scripted):
        def outputs(self):
            return {**super().outputs(), "k": np.zeros((7, 2))}

    with pytest.raises(OptionError) as caught:
        run_until_decided(Odd(SURE), DECIDES, 4, 5, apart=True)
    assert str(caught.value) == (
        "early exit: expected one row a sample in output 'k', found shape [7, 2] for 4; do without "
        "it, or name another output with --answer"
    )
