"""What an artifact says of its neurons: figures that survive being written as JSON."""

from __future__ import annotations

import json

import numpy as np

from onnx2snn.artifact.records import (
    ROLES,
    Adaptation,
    LayerAdaptation,
    Metadata,
    NeuronRecord,
    Spread,
    Verdict,
)

NEURON = NeuronRecord("BurstIF", 4, 4.0, 2, Spread(0.5, 1.0, 2.0), None, theta="r/one", unit=[0.5, 2.0])


def again(record):
    """The record, written as JSON and read."""
    return type(record).from_dict(json.loads(json.dumps(record.to_dict())))


def test_a_spread_is_that_of_all_channels():
    assert Spread.of(np.float32([[4, 1], [2, 9]])) == Spread(1.0, 3.0, 9.0)
    assert Spread.of(7) == Spread(7.0, 7.0, 7.0)
    assert type(Spread.of(np.float32([1])).median) is float


def test_a_neuron_leaves_out_what_it_has_not_got_but_always_says_whether_it_saturates():
    assert NEURON.to_dict() == {
        "op": "BurstIF",
        "max_spikes": 4,
        "levels": 4.0,
        "channels": 2,
        "threshold": {"least": 0.5, "median": 1.0, "greatest": 2.0},
        "clip": None,
        "theta": "r/one",
        "unit": [0.5, 2.0],
    }
    assert again(NEURON) == NEURON


def test_metadata_comes_back_with_types():
    adaptation = Adaptation("compress", "spikes", max_loss=1.0, layers={"r": LayerAdaptation(2.0, 3.0, 6.0)})
    metadata = Metadata(
        [Verdict("r", "Relu", "spiking", "why")], neurons={"r": NEURON}, adaptation=adaptation
    )
    found = again(metadata)
    assert found.nodes == metadata.nodes
    assert found.neurons == {"r": NEURON}
    assert found.adaptation.layers == {"r": LayerAdaptation(2.0, 3.0, 6.0)}


def test_an_older_file_lacks_and_a_newer_one_has_more():
    assert Metadata.from_dict({}) == Metadata()
    assert Metadata.from_dict({"of tomorrow": 1, "schedule": "layer"}) == Metadata(schedule="layer")
    assert Metadata().schedule == "stream"


def test_roles_are_in_the_order_of_a_report():
    assert ROLES == ("spiking", "linear", "analog", "folded", "refused")
