"""What an early exit gives: who leaves when, with which answer, and what was spent until then."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.analysis.energy import load_energy_model
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.compiler.exit_calibration import calibrate_exit
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import OptionError
from onnx2snn.exits.rule import ExitRule
from onnx2snn.runtime.session import SpikingSession
from tests.analysis.by_hand import SAMPLES, ann, compiled
from tests.exits import nets
from tests.helpers import parse

#: Softmax of (1, 0): 0.731; of (2, 0): 0.881; of (½, 1): 0.622.
SURE, WARM = ExitRule("confidence", (0.85, 0.7)), ExitRule("confidence", (0.85, 0.6))
LABELS = np.array([0, 0, 1, 0])


def measured(rule, folder=None, labels=None, batch="N", **options):
    """The figures of an early exit, and those of the whole run."""
    model = ann(batch=batch)
    session = compiled(model, **{name: options.pop(name) for name in ("max_spikes",) if name in options})
    reference = None
    if folder is not None:
        onnx.save(model, folder / "ann.onnx")
        reference = open_reference(folder / "ann.onnx", session)
    dataset = dataset_from_arrays(SAMPLES, session.inputs, labels=labels)
    found = evaluate(session, dataset, [2, 4], reference, early_exit=rule, **options)
    return found.early_exit, found


@pytest.mark.parametrize("batch", ["N", 3])
@pytest.mark.parametrize("batch_size", [3, 64])
def test_figures_are_those_by_hand(batch, batch_size, tmp_path):
    exits, whole = measured(WARM, tmp_path, LABELS, batch, batch_size=batch_size)
    assert exits.rule == WARM
    assert exits.histogram == [2, 2, 0, 0]  # the last two samples are sure after the first timestep
    assert exits.mean_timesteps == 1.5
    assert (exits.accuracy, exits.agreement) == (0.5, 0.75)  # the first one leaves with another answer
    assert (whole.accuracy, whole.agreement) == ([0.5, 0.75], [0.75, 1.0])
    assert exits.spikes_per_sample == 1.5
    assert exits.synaptic_operations_per_sample == 3.0
    assert exits.energy.synaptic_operations_per_sample == [3.0]
    assert exits.energy.neuron_updates_per_sample == [3.0]
    assert whole.timesteps == [2, 4]
    assert whole.spikes_per_sample == [2.0, 3.75]


def test_who_is_never_sure_stays_to_the_end(tmp_path):
    exits, _ = measured(SURE, tmp_path, LABELS)
    assert exits.histogram == [2, 1, 0, 1]
    assert exits.mean_timesteps == 2.0
    assert (exits.accuracy, exits.agreement) == (0.75, 1.0)
    assert exits.spikes_per_sample == (3 + 2 + 1 + 1) / 4


def test_a_burst_is_one_event():
    exits, _ = measured(ExitRule("confidence", (0.0,)), max_spikes=2)
    assert exits.energy.synaptic_operations_per_sample == [4.0]
    assert exits.energy.synaptic_events_per_sample == [2.5]
    assert exits.energy.bits_sent_per_sample == [exits.spikes_per_sample]
    assert exits.energy.bits_convention.startswith("1 bit a spike")


def test_without_labels_and_ann_there_is_nothing_to_compare():
    exits, _ = measured(SURE)
    assert (exits.accuracy, exits.agreement) == (None, None)
    exits, _ = measured(SURE, labels=LABELS)
    assert (exits.accuracy, exits.agreement) == (0.75, None)


def test_the_energy_model_is_the_one_that_is_named():
    exits, _ = measured(SURE, energy_model=load_energy_model("rolls-77fj"))
    assert exits.energy.model == "rolls-77fj"


def test_who_leaves_at_once_is_faster():
    session = compiled(timesteps=1000)
    dataset = dataset_from_arrays(np.repeat(SAMPLES, 16, axis=0), session.inputs)
    exits = evaluate(session, dataset, [1000], early_exit=ExitRule("confidence", (0.0,))).early_exit
    assert exits.histogram == [64] + 999 * [0]
    assert exits.speedup > 2
    assert exits.samples_per_second > 0


def test_what_gives_no_scores_is_refused():
    model = parse(
        "(float[N,2] x) => (float[N,2,1] y) { r = Relu(x) y = Reshape(r, s) }", s=np.int64([-1, 2, 1])
    )
    session = compiled(model)
    with pytest.raises(OptionError, match="early exit: expected class scores"):
        evaluate(session, dataset_from_arrays(SAMPLES, session.inputs), [4], early_exit=SURE)


def test_graded_spikes_are_saved_as_well(rng):
    """Who is decided early sends fewer spikes, and no more answers differ than calibration was told."""
    model, x = nets.compiled(rng, samples=200, code="graded", timesteps=6, exponents=10)
    session = SpikingSession(model)
    dataset = dataset_from_arrays(x, session.inputs, labels=session.run(x).outputs["y"].argmax(axis=1))
    rule = calibrate_exit(session, dataset, 2.0)
    found = evaluate(session, dataset, [6], early_exit=rule)
    exits = found.early_exit
    assert found.accuracy == [1.0]
    assert exits.accuracy >= 0.98
    assert exits.mean_timesteps < 5
    assert sum(exits.histogram) == 200
    assert exits.spikes_per_sample < found.spikes_per_sample[0]
    assert exits.energy.bits_sent_per_sample == [pytest.approx(5 * exits.spikes_per_sample)]
    (saved,), (whole,) = exits.energy.snn_joules_per_sample, found.energy.snn_joules_per_sample
    assert saved < whole
    assert "each spike is one event, whatever its size" in exits.energy.convention
