"""Figures over a data set: every one as found by hand, and the ANN that they are compared with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from onnx2snn.analysis.energy import load_energy_model
from onnx2snn.analysis.evaluation import check_source, evaluate, open_reference
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import DataError, ModelError
from tests.analysis.by_hand import SAMPLES, ann, compiled
from tests.helpers import parse

#: That of the second sample is wrong for network and ANN alike.
LABELS = np.array([0, 1, 1, 1])


@pytest.fixture(scope="module")
def session():
    return compiled()


def data(session, labels=None, samples=SAMPLES):
    return dataset_from_arrays(samples, session.inputs, labels=labels)


def say_source(session, source):
    record = replace(session.artifact.record, source_sha256=source)
    session.artifact = replace(session.artifact, record=record)


def reference(model, session, folder, *, signed=True):
    """The ANN's file opened; where it is not signed, of a network that does not say where it came from."""
    onnx.save(model, folder / "ann.onnx")
    if not signed:
        say_source(session, None)
    return open_reference(folder / "ann.onnx", session)


def test_figures_are_those_by_hand(session, tmp_path):
    done = []
    opened = reference(ann(), session, tmp_path)
    found = evaluate(session, data(session, LABELS), [4, 2, 4], opened, batch_size=3, progress=done.append)
    assert done == [3, 4]
    assert found.samples == 4
    assert found.timesteps == [2, 4]
    assert found.accuracy == [0.5, 0.75]
    assert found.agreement == [0.75, 1.0]
    assert found.reference_accuracy == 0.75
    norm = 0.5 + 1 + 1 / 64 + 4 + 2.25
    assert found.output_error == pytest.approx(
        [np.sqrt((0.25 + 1 / 64 + 0.25) / norm), np.sqrt(1 / 64 / norm)], rel=1e-6
    )
    assert found.spikes_per_sample == [2.0, 3.75]
    assert found.spikes_by_neuron == {"r": 3.75}
    assert found.synaptic_operations_per_sample == [4.0, 7.5]
    assert found.energy.ann_macs_per_sample == 4
    assert found.energy.synaptic_operations_per_sample == [4.0, 7.5]
    assert found.energy.neuron_updates_per_sample == [4.0, 8.0]
    assert min(found.samples_per_second) > 0
    assert found.early_exit is None
    assert found.uncounted == []


def test_what_fills_a_fixed_batch_up_does_not_count(tmp_path):
    session = compiled(ann(batch=3))
    found = evaluate(
        session, data(session, LABELS), [2, 4], reference(ann(batch=3), session, tmp_path), batch_size=1
    )
    assert found.samples == 4
    assert found.accuracy == [0.5, 0.75]
    assert found.agreement == [0.75, 1.0]
    assert found.reference_accuracy == 0.75
    assert found.output_error[1] == pytest.approx(np.sqrt(1 / 64 / 7.765625), rel=1e-6)
    assert found.spikes_per_sample == [2.0, 3.75]
    assert found.spikes_by_neuron == {"r": 3.75}
    assert found.synaptic_operations_per_sample == [4.0, 7.5]
    assert found.energy.bits_sent_per_sample == [2.0, 3.75]
    assert found.energy.bits_convention == "1 bit a spike: itself, not which neuron sent it"


def test_a_burst_is_one_event():
    session = compiled(max_spikes=2)  # θ = ½: 1, 1 | 2, 0 | 0, 2 | 0, 2 spikes
    found = evaluate(session, data(session), [1])
    assert found.spikes_per_sample == [2.0]
    assert found.energy.synaptic_operations_per_sample == [4.0]
    assert found.energy.synaptic_events_per_sample == [2 * (2 + 1 + 1 + 1) / 4]


def test_a_graded_spike_is_one_event_of_four_bits():
    session = compiled(code="graded", max_spikes=None)
    found = evaluate(session, data(session), [1, 4])
    # Of ½, ¼, 1, ⅛ and 1 one spike each; of ¾ two, 1 and -¼.
    assert found.spikes_per_sample == [6 / 4, 7 / 4]
    assert found.energy.bits_sent_per_sample == [4 * 6 / 4, 4 * 7 / 4]
    assert found.energy.synaptic_operations_per_sample == found.energy.synaptic_events_per_sample
    assert "each spike is one event, whatever its size" in found.energy.convention


def test_without_labels_and_ann_there_is_nothing_to_compare(session):
    found = evaluate(session, data(session), [1, 4])
    assert found.accuracy == found.agreement == found.output_error == [None, None]
    assert found.reference_accuracy is None


def test_without_an_ann_there_is_accuracy_alone(session):
    found = evaluate(session, data(session, LABELS), [4])
    assert (found.accuracy, found.agreement, found.reference_accuracy) == ([0.75], [None], None)


def test_without_labels_there_is_agreement_alone(session, tmp_path):
    found = evaluate(session, data(session), [2], reference(ann(), session, tmp_path))
    assert (found.accuracy, found.agreement, found.reference_accuracy) == ([None], [0.75], None)


def test_what_are_no_scores_has_an_error_alone(tmp_path):
    model = parse(
        "(float[N,2] x) => (float[N,2,1] y) { r = Relu(x) y = Reshape(r, s) }", s=np.int64([-1, 2, 1])
    )
    session = compiled(model)
    found = evaluate(session, data(session), [4], reference(model, session, tmp_path))
    assert (found.accuracy, found.agreement, found.reference_accuracy) == ([None], [None], None)
    assert (found.task, list(found.agreement_measures)) == ("regress", ["rmse", "r2", "largest_error"])
    with pytest.raises(DataError, match="expected those of a task of output 'y' of shape"):
        evaluate(session, data(session, LABELS), [4])
    assert found.output_error == pytest.approx([np.sqrt(1 / 64 / (0.3125 + 1 + 1 + 1 / 64 + 0.5625))])


def test_an_ann_of_zeros_has_no_relative_error(session, tmp_path):
    nothing = data(session, samples=np.zeros((2, 2), np.float32))
    assert evaluate(session, nothing, [1], reference(ann(), session, tmp_path)).output_error == [None]


def test_the_energy_model_is_the_one_that_is_named(session):
    found = evaluate(session, data(session), [4], energy_model=load_energy_model("rolls-77fj"))
    assert found.energy.model == "rolls-77fj"
    assert evaluate(session, data(session), [4]).energy.model == "45nm-float32"


def test_no_samples(session):
    with pytest.raises(DataError) as caught:
        evaluate(session, replace(data(session), parts=()), [1])
    assert str(caught.value) == "arrays: expected at least one sample, found none; give data to evaluate on"


def test_a_label_past_the_classes(session):
    with pytest.raises(DataError) as caught:
        evaluate(session, data(session, LABELS + 1), [1])
    assert str(caught.value) == (
        "arrays: labels: expected classes 0 to 1, those of output 'y', found 2; "
        "give the data the model was trained for"
    )


def test_another_ann_is_refused(session, tmp_path):
    other = ann(output="Add(r, r)")
    del other.graph.initializer[:]
    session = compiled()
    with pytest.raises(ModelError, match=r"ann\.onnx: expected the ANN that the network was compiled from"):
        reference(other, session, tmp_path)
    say_source(session, "0" * 64)
    with pytest.raises(ModelError) as caught:
        check_source("ann.onnx", ann(), session)
    message = str(caught.value)
    assert message.startswith(
        "ann.onnx: expected the ANN that the network was compiled from (sha256 000000000000…), found another "
    )
    assert message.endswith("give that one, or compile the network again from this one")


def test_where_the_network_does_not_say_names_need_not_be_the_same(tmp_path):
    model = parse(
        "(float[N,2] z) => (float[N,2] s) { r = Relu(z) s = MatMul(r, w) }", w=np.float32([[1, 0], [0, 2]])
    )
    session = compiled()
    opened = reference(model, session, tmp_path, signed=False)
    assert opened.inputs == {"z": "x"}
    assert opened.output == "s"
    assert evaluate(session, data(session), [4], opened).agreement == [1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "(float[1,2] x) => (float[1,2] y) { y = Relu(x) }",
            "input 'x': expected float32 [any, 2] as in the spiking network, found float32 [1, 2]",
        ),
        (
            "(float[N,2,1] x) => (float[N,2,1] y) { y = Relu(x) }",
            "input 'x': expected float32 [any, 2] as in the spiking network, found float32 [any, 2, 1]",
        ),
        (
            "(double[N,2] x) => (double[N,2] y) { y = Relu(x) }",
            "input 'x': expected float32 [any, 2] as in the spiking network, found float64 [any, 2]",
        ),
        (
            "(float[N,2] x, float[N,2] z) => (float[N,2] y) { y = Add(x, z) }",
            "inputs: expected x as in the spiking network, found x, z",
        ),
        (
            "(float[N,2] x) => (float[N,2] p, float[N,2] q) { p = Relu(x) q = Neg(x) }",
            "outputs: expected y as in the spiking network, found p, q",
        ),
    ],
)
def test_a_reference_that_does_not_fit(text, message, tmp_path):
    with pytest.raises(ModelError) as caught:
        reference(parse(text), compiled(), tmp_path, signed=False)
    assert str(caught.value) == f"{tmp_path}/ann.onnx: {message}; give the ANN that it was compiled from"


def test_scores_of_another_shape(tmp_path):
    session = compiled()
    wide = parse("(float[N,2] x) => (float[N,4] y) { y = Concat<axis=1>(x, x) }")
    opened = reference(wide, session, tmp_path, signed=False)
    with pytest.raises(ModelError) as caught:
        evaluate(session, data(session), [1], opened)
    assert str(caught.value) == (
        f"{tmp_path}/ann.onnx: output 'y': expected shape [4, 2] as in the spiking network, found [4, 4]; "
        "give the ANN that it was compiled from"
    )
