"""What a diagnosis finds: its worst layers in order, and the same again from its JSON."""

from __future__ import annotations

import json

from onnx2snn.analysis.diagnosis.figures import Diagnosis, Fault, OutputDiagnosis
from tests.analysis.diagnosis.observed import CLIPS, layer

FOUND = Diagnosis(
    3, 8, "layer", accuracy=None, reference_accuracy=None, agreement=0.5,
    output=OutputDiagnosis("y", 0.25, 0.125, -0.5), verdict=["One.", "Two."], worst=["c", "a"],
    layers=[layer("a", found=[CLIPS], dead=[1]), layer("b"), layer("c", own=0.5)],
    not_compared={"b": "the compiler put it in"},
)  # fmt: skip


def test_the_worst_layers_are_in_the_order_of_their_names():
    assert [one.layer for one in FOUND.worst_layers] == ["c", "a"]
    assert FOUND.worst_layers[0].own_error == 0.5


def test_it_survives_its_json():
    again = Diagnosis.from_dict(json.loads(json.dumps(FOUND.to_dict())))
    assert again == FOUND
    assert isinstance(again.layers[0].faults[0], Fault)


def test_its_json_has_everything_once():
    held = FOUND.to_dict()
    assert list(held) == [
        *("samples", "timesteps", "schedule", "accuracy", "reference_accuracy", "agreement", "output"),
        *("verdict", "worst", "layers", "not_compared", "warnings"),
    ]
    assert held["accuracy"] is None
    assert held["output"] == {"name": "y", "error": 0.25, "parameters": 0.125, "harm": -0.5}
    assert held["layers"][0]["faults"][0] == {
        "kind": "clipping",
        "harm": 0.9,
        "sentence": "r clips 33 % of its mass",
        "remedy": "raise --percentile, or use --threshold mse",
    }
