"""Early exit: the file, the session and the equations say the same; what stops early saves work."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.errors import OptionError
from onnx2snn.exits.in_file import USED, add_early_exit, remove_early_exit
from onnx2snn.exits.rule import ExitRule, parse_exit
from tests.exits.nets import SOFTMAX, TEXT, compiled
from tests.helpers import normal, parse

RULES = ["confidence:0.8", "entropy:0.05", "auto"]


def plain(model):
    """The file in a plain session that stops at nothing but errors."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), settings)


@pytest.mark.parametrize("text", [TEXT, SOFTMAX])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("options", [{"signed": True}, {"code": "graded"}], ids=["signed", "graded"])
def test_the_file_stops_each_sample_where_the_session_does(text, rule, options, rng):
    bound = {"max_loss": 5} if rule == "auto" else {}
    model, x = compiled(rng, text, early_exit=rule, **options, **bound)
    onnx.checker.check_model(model, full_check=True)
    session = onnx2snn.SpikingSession(model)
    found = session.run(x, early_exit="auto")
    assert len(np.unique(found.timesteps_used)) > 1
    file = plain(model)
    for sample in range(len(x)):
        scores, used = file.run(None, {"x": x[sample : sample + 1]})
        assert used == found.timesteps_used[sample]
        np.testing.assert_allclose(scores[0], found.outputs["y"][sample], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("code", ["burst", "graded"])
def test_a_batch_runs_until_its_last_sample_is_decided(code, rng):
    model, x = compiled(rng, early_exit="confidence:0.8", code=code)
    session = onnx2snn.SpikingSession(model)
    used = session.run(x, early_exit="auto").timesteps_used
    scores, steps = plain(model).run(None, {"x": x})
    assert steps == used.max()
    np.testing.assert_allclose(scores, session.run(x, int(steps)).outputs["y"], rtol=1e-5, atol=1e-6)
    easy = x[used == used.min()]
    assert plain(model).run(None, {"x": easy})[1] == used.min()


@pytest.mark.parametrize("code", ["burst", "graded"])
def test_the_reference_evaluator_stops_there_too(code, rng):
    model, x = compiled(rng, early_exit="entropy:0.5", code=code)
    expected = plain(model).run(None, {"x": x[:3]})
    for one, other in zip(ReferenceEvaluator(model).run(None, {"x": x[:3]}), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("code", ["burst", "graded"])
@pytest.mark.parametrize("rule", ["confidence:0.9", "entropy:0.3"])
def test_without_it_the_file_is_the_same_again(rule, code, rng):
    model, _ = compiled(rng, code=code)
    criterion, threshold = parse_exit(rule)
    stopping = add_early_exit(model, ExitRule(criterion, (threshold, 0.5)))
    assert stopping != model
    assert remove_early_exit(stopping).SerializeToString(deterministic=True) == model.SerializeToString(
        deterministic=True
    )
    assert remove_early_exit(model) is model


def test_a_run_without_early_exit_goes_on_to_the_end(rng):
    model, x = compiled(rng, early_exit="confidence:0.8")
    session = onnx2snn.SpikingSession(model)
    assert session.artifact.outputs == ("y",)
    assert session.run(x).timesteps_used is None
    np.testing.assert_array_equal(
        session.run(x).outputs["y"], onnx2snn.SpikingSession(remove_early_exit(model)).run(x).outputs["y"]
    )


def test_dynamic_timesteps_bound_the_run(rng):
    model, x = compiled(rng, early_exit="entropy:0", dynamic_timesteps=True)
    assert plain(model).run([USED], {"x": x, "timesteps": np.asarray(3)}) == [3]
    assert plain(model).run([USED], {"x": x}) == [8]


def test_a_name_that_is_taken_stays_the_users(rng):
    text = TEXT.replace("c = Conv<pads=[1,1,1,1]>(x", f"{USED} = Sin(x) c = Conv<pads=[1,1,1,1]>({USED}")
    model, x = compiled(rng, text, early_exit="confidence:0.8")
    assert [item.name for item in model.graph.output] == ["y", f"onnx2snn/early_exit/{USED}"]
    assert plain(model).run([f"onnx2snn/early_exit/{USED}"], {"x": x[:1]})[0] >= 1


def test_what_cannot_exit_early_says_why(rng):
    model, x = compiled(rng)
    session = onnx2snn.SpikingSession(model)
    with pytest.raises(OptionError, match="compiled with --early-exit auto, found one without"):
        session.run(x, early_exit="auto")
    with pytest.raises(OptionError, match="early_exit: expected none with record"):
        session.run(x, early_exit="confidence", record=True)
    with pytest.raises(OptionError, match="--early-exit: expected only with --schedule stream"):
        compiled(rng, early_exit="auto", schedule="layer")
    layered, _ = compiled(rng, schedule="layer")
    with pytest.raises(OptionError, match="early exit: expected a network of --schedule stream, found layer"):
        onnx2snn.SpikingSession(layered).run(x, early_exit="confidence")
    images = (
        "(float[N,3,6,6] x) => (float[N,4,6,6] y) { c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c) y = Neg(r) }"
    )
    for rule in ("auto", "confidence"):
        with pytest.raises(OptionError, match="early exit: expected class scores"):
            compiled(rng, images, early_exit=rule)


def test_scores_that_no_spikes_reach(rng):
    text = """(float[N,4] x) => (float[N,3] o, float[N,2] y) {
        o = MatMul(x, e) h = MatMul(x, w) r = Relu(h) y = MatMul(r, v) }"""
    model = parse(text, **normal(rng, e=(4, 3), w=(4, 6), v=(6, 2)))
    with pytest.raises(OptionError, match="found 'o', which no neuron reaches"):
        onnx2snn.compile(model, normal(rng, x=(10, 4))["x"], early_exit="confidence:0.6", code="burst")
