"""What an artifact says of its neurons: figures that survive being written as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from onnx2snn.artifact.records import (
    ROLES,
    Adaptation,
    LayerAdaptation,
    Metadata,
    NeuronRecord,
    Spread,
    Verdict,
)
from onnx2snn.errors import ModelError
from onnx2snn.exits.rule import ExitRule

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


GOOD = {"options": {"timesteps": 8, "code": "burst", "levels": "auto"}, "preprocessing": {"scale": 0.5}}
CALIBRATION = {"samples": 4, "source": "x.npy"}
SEEN = {"samples": 4, "mean": [0.0], "deviation": [1.0], "least": 0, "greatest": 1}
SEEN |= {"middle": [0.0, 1.0], "contrast": [0.0, 1.0]}
RULE = {"criterion": "confidence", "thresholds": [0.9]}


def test_what_a_file_says_is_read_once():
    read = Metadata.read(GOOD | {"early_exit": RULE, "nodes": None}, "net")
    assert read.options == GOOD["options"]
    assert read.early_exit == ExitRule("confidence", (0.9,))


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"options": 3}, "options: expected names with values, found 3"),
        (
            {"options": {"timesteps": 1 << 40}},
            "options.timesteps: expected from 1 to 65536, found 1099511627776",
        ),
        ({"options": {"timesteps": "8"}}, "options.timesteps: expected a whole number, found '8'"),
        ({"options": {"code": "morse"}}, "options.code: expected one of "),
        ({"neurons": {"r": {}}}, "neurons.r.op: expected a value, found none"),
        ({"neurons": [1]}, "neurons: expected names with values, found [1]"),
        ({"nodes": [3]}, "nodes[0]: expected names with values, found 3"),
        ({"early_exit": RULE | {"thresholds": []}}, "early_exit.thresholds: expected at least one, found []"),
        ({"early_exit": RULE | {"criterion": "mood"}}, "early_exit.criterion: expected one of confidence, "),
        ({"source_sha256": 7}, "source_sha256: expected a text, found 7"),
        (
            {"preprocessing": {"scale": 0}},
            "preprocessing.scale: expected a finite number other than 0, found 0",
        ),
        ({"preprocessing": {"colour": 1}}, "preprocessing: expected the fields scale, "),
        (
            {"calibration": CALIBRATION | {"inputs": {"x": SEEN | {"middle": [1.0]}}}},
            "calibration.inputs.x.middle: expected 2 values, found [1.0]",
        ),
        (
            {"calibration": CALIBRATION | {"inputs": {"x": SEEN | {"deviation": []}}}},
            "calibration.inputs.x.deviation: expected as many as means, found []",
        ),
        ({"macs": {"per_sample": -4}}, "macs.per_sample: expected a whole number, at least 0, found -4"),
    ],
)
def test_what_it_cannot_say_is_named(held, said):
    with pytest.raises(ModelError) as caught:
        Metadata.read(held, "net.snn.onnx")
    message = str(caught.value)
    assert message.startswith(f"net.snn.onnx: metadata onnx2snn.{said}")
    assert message.endswith("; compile again, or take that entry out")
