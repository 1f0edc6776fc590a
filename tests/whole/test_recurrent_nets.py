"""Recurrent nets as torch exports them: islands are exact, and every backend says the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from benchmarks.topologies import FIXTURE_FOLDER, example_feeds
from onnx2snn.graph.graph import extract
from tests.helpers import graph_of, run

GRADED = {"timesteps": 8}
LAYER = {"schedule": "layer", "timesteps": 3}
BURST = {"code": "burst", "signed": True, "timesteps": 32}
#: Net, options, and by how much of their size its outputs may be off.
NETS = [
    ("vad_lstm.script", GRADED, 0.01),
    ("vad_lstm.dynamo", BURST, 0.01),
    ("ocr_gru.script", BURST, 0.01),
    ("ocr_gru.dynamo", LAYER, 0.01),
    ("eeg_rnn.script", GRADED, 0.01),
    ("policy_step.script", GRADED, 0.01),
    ("policy_step.dynamo", LAYER, 0.01),
    ("policy_unrolled.script", GRADED, 0.02),
]


def load(name):
    return onnx.load(FIXTURE_FOLDER / "recurrent" / f"{name}.onnx")


@pytest.mark.parametrize(("name", "options", "bound"), NETS)
def test_a_net_keeps_its_outputs_and_their_names(name, options, bound):
    model = load(name)
    compiled = onnx2snn.compile(model, example_feeds(model, 32, seed=1), correct_bias=False, **options)
    values = example_feeds(model, 6, seed=2)
    wanted = dict(zip((item.name for item in model.graph.output), run(model, values), strict=True))
    found = onnx2snn.SpikingSession(compiled.model).run(values).outputs
    by_numpy = onnx2snn.SpikingSession(compiled.model, backend="numpy").run(values).outputs
    by_file = dict(zip(wanted, run(compiled.model, values), strict=True))
    assert list(found) == list(wanted)
    for output, expected in wanted.items():
        assert np.linalg.norm(found[output] - expected) < bound * np.linalg.norm(expected)
        np.testing.assert_allclose(by_file[output], found[output], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(by_numpy[output], found[output], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("op", "options"), [("LSTM", GRADED), ("LSTM", BURST), ("GRU", LAYER)])
def test_a_recurrent_island_is_exact_to_the_rounding_of_float32(op, options):
    """The neurons before it send what they send; from there on the outputs are the ANN's own."""
    model = load("vad_lstm.script" if op == "LSTM" else "ocr_gru.script")
    whole = graph_of(model)
    first, island = (next(n for n in whole.nodes if n.op == one).outputs[0].name for one in ("Relu", op))
    cut = extract(whole, [item.name for item in model.graph.input], [first, island])
    compiled = onnx2snn.compile(cut, example_feeds(model, 16, seed=1), correct_bias=False, **options)
    sent, computed = run(compiled.model, example_feeds(model, 4, seed=2))
    (expected,) = run(extract(whole, [first], [island]), {first: sent})
    np.testing.assert_allclose(computed, expected, rtol=2e-6, atol=2e-6)


def test_a_policy_goes_on_from_the_state_that_it_gave():
    """Twenty steps, each on the state of the step before: close to the ANN that does the same."""
    model = load("policy_step.script")
    compiled = onnx2snn.compile(model, example_feeds(model, 64, seed=1), correct_bias=False)
    session = onnx2snn.SpikingSession(compiled.model)
    rng = np.random.default_rng(3)
    ours = theirs = {"h": np.zeros((3, 6), np.float32), "c": np.zeros((3, 6), np.float32)}
    for _ in range(20):
        seen = {"x": rng.standard_normal((3, 5)).astype(np.float32)}
        action, *state = run(model, seen | theirs)
        outputs = session.run(seen | ours).outputs
        theirs = dict(zip("hc", state, strict=True))
        ours = {"h": outputs["next_h"], "c": outputs["next_c"]}
        assert np.abs(outputs["action"] - action).max() < 0.02
        assert np.abs(ours["h"] - theirs["h"]).max() < 0.02


def test_inspect_says_that_an_island_is_exact_and_counts_its_products():
    found = onnx2snn.inspect(load("vad_lstm.script"))
    (lstm,) = (verdict for verdict in found.nodes if verdict.op == "LSTM")
    assert (lstm.role, lstm.reason) == ("analog", "it is not linear: exact, on sums")
    # Conv 12·8·2·3, LSTM 12·24·(8 + 6), head 12·6.
    assert found.macs.per_sample == 576 + 4032 + 72
    assert found.macs.fed_by_spikes == 72
