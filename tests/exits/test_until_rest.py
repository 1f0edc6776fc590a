"""Rest: the file stops at the first timestep without a spike, with the answer that it would have for ever."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.errors import OptionError
from onnx2snn.exits.until_rest import (
    MOVING,
    add_until_rest,
    comes_to_rest,
    first_free,
    remove_until_rest,
    stops_at_rest,
    tell_rest,
)
from tests.exits.nets import TEXT, compiled
from tests.helpers import parse

GRADED = {"code": "graded", "exponents": 5, "timesteps": 24, "threshold": "max"}
#: Two neurons with R = 2, for which 1.75 is the spikes 2 and -0.25.
TWO = """(float[N,1] x) => (float[N,1] y) {
    c = MatMul(x, w) r = Relu(c) d = MatMul(r, w) s = Relu(d) y = MatMul(s, w) }"""


def plain(model):
    return onnxruntime.InferenceSession(model.SerializeToString())


def two(**options):
    chosen = {"code": "graded", "exponents": 4, "threshold": "max", "correct_bias": False, **options}
    return onnx2snn.compile(parse(TWO, w=np.float32([[1]])), np.float32([[2], [1]]), **chosen).model


@pytest.mark.parametrize(
    ("timesteps", "coarse", "target", "used", "y"),
    [
        (2, 1, 1.75, 2, 1.75),  # no timestep is left to see that nothing more is sent
        (8, 2, 1.75, 4, 1.75),  # the later one waits, then sends 2; the rest once it has all its sizes
        (8, 2, 0.0, 3, 0.0),  # being coarse is no rest
    ],
)
def test_by_hand(timesteps, coarse, target, used, y):
    model = two(timesteps=timesteps, until_rest=True)
    assert first_free(onnx2snn.SpikingSession(model).artifact.cells) == coarse
    scores, steps = plain(model).run(None, {"x": np.float32([[target]])})
    assert (scores.tolist(), int(steps)) == ([[y]], used)


def test_the_answer_is_that_of_any_later_timestep(rng):
    model, x = compiled(rng, until_rest=True, **GRADED)
    onnx.checker.check_model(model, full_check=True)
    whole, file = plain(remove_until_rest(model)), plain(model)
    x *= np.arange(len(x), dtype=np.float32).reshape(-1, 1, 1, 1) / 4  # weaker ones rest sooner
    used = set()
    for sample in range(8):
        scores, steps = file.run(None, {"x": x[sample : sample + 1]})
        np.testing.assert_array_equal(scores, whole.run(None, {"x": x[sample : sample + 1]})[0])
        used.add(int(steps))
    assert len(used) > 1
    assert max(used) < 24
    assert int(file.run(["timesteps_used"], {"x": x[:8]})[0]) == max(used)


def test_session_file_and_reference_stop_together(rng):
    model, x = compiled(rng, until_rest=True, **GRADED)
    scores, steps = plain(model).run(None, {"x": x[:3]})
    for expected, found in zip(
        ReferenceEvaluator(model).run(None, {"x": x[:3]}), (scores, steps), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    session = onnx2snn.SpikingSession(model)
    run = session.run(x[:3])
    assert run.timesteps_used.tolist() == [steps] * 3
    np.testing.assert_allclose(run.outputs["y"], scores, rtol=1e-5, atol=1e-6)
    assert session.run(x[:3], until_rest=False).timesteps_used is None
    recorded = session.run(x[:3], record=True)
    sent = [any(train[step].any() for train in recorded.spikes.values()) for step in range(24)]
    assert sent == [step < steps - 1 for step in range(24)]


def test_without_it_the_file_is_the_same_again(rng):
    for options in ({}, {"early_exit": "confidence:0.8"}):
        model, _ = compiled(rng, **GRADED, **options)
        stopping = add_until_rest(model)
        assert stops_at_rest(stopping)
        assert not stops_at_rest(model)
        again = remove_until_rest(stopping)
        assert again.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
        assert remove_until_rest(model) is model


def test_it_stops_at_what_comes_first(rng):
    model, x = compiled(rng, until_rest=True, early_exit="confidence:0.999", **GRADED)
    assert [item.name for item in model.graph.output] == ["y", "timesteps_used"]
    x = np.float32(0.3) * x  # less sure
    session, file = onnx2snn.SpikingSession(model), plain(model)
    resting = session.run(x[:16]).timesteps_used
    early = session.run(x[:16], early_exit="confidence:0.999", until_rest=False).timesteps_used
    both = [int(file.run(None, {"x": x[i : i + 1]})[1]) for i in range(16)]
    alone = [int(session.run(x[i : i + 1]).timesteps_used[0]) for i in range(16)]
    assert both == np.minimum(early, alone).tolist()
    assert both != early.tolist()
    assert both != alone
    assert resting.max() == max(alone)


def test_what_one_neuron_takes_back_does_not_hide_what_another_sends(rng):
    model, _ = compiled(rng, **GRADED)
    artifact = onnx2snn.SpikingSession(model).artifact
    nodes = tell_rest(artifact.cells)
    cells = artifact.neurons
    words = [name for cell in cells for name in (cell.output[0], cell.input[1])]
    infos = [onnx.helper.make_tensor_value_info(name, 1, [2]) for name in words]
    moving = onnx.helper.make_tensor_value_info(MOVING, onnx.TensorProto.BOOL, [])
    opsets = [onnx.helper.make_opsetid("", 21)]
    graph = onnx.helper.make_graph(nodes, "rest", infos, [moving])
    session = plain(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10))

    def moves(change):
        feeds = {name: np.zeros(2, np.float32) for name in words}
        feeds[cells[0].output[0]] = np.float32(change)
        return bool(session.run(None, feeds)[0])

    assert not moves([0, 0])
    assert moves([1, -1])
    assert moves([0, 1e-38])
    assert moves([0, np.nan])


def test_only_differences_come_to_rest(rng):
    burst, x = compiled(rng)
    session = onnx2snn.SpikingSession(burst)
    assert not comes_to_rest(session.artifact.cells)
    with pytest.raises(
        OptionError, match="until_rest: expected a network of --code graded in the schedule stream"
    ):
        session.run(x[:1], until_rest=True)
    graded, _ = compiled(rng, **GRADED)
    with pytest.raises(OptionError, match="until_rest: expected none with record"):
        onnx2snn.SpikingSession(graded).run(x[:1], until_rest=True, record=True)


def test_a_name_that_is_taken_stays_the_users(rng):
    text = TEXT.replace(
        "c = Conv<pads=[1,1,1,1]>(x", "timesteps_used = Sin(x) c = Conv<pads=[1,1,1,1]>(timesteps_used"
    )
    model, x = compiled(rng, text, until_rest=True, **GRADED)
    assert [item.name for item in model.graph.output] == ["y", "onnx2snn/until_rest/timesteps_used"]
    assert plain(model).run(None, {"x": x[:1]})[1] >= 1


def test_where_nobody_ever_sends_the_first_timestep_is_the_rest():
    """With n = 1 there is nothing to leave out."""
    """Nobody ever sends: the first timestep is the rest already."""
    silent = parse(TWO, w=np.float32([[0]]))
    model = onnx2snn.compile(
        silent, np.float32([[1]]), until_rest=True, **{**GRADED, "timesteps": 2, "exponents": 1}
    ).model
    assert int(plain(model).run(None, {"x": np.float32([[1]])})[1]) == 1
