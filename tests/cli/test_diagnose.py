"""`onnx2snn diagnose`: the verdict, the layers, and what it refuses."""

from __future__ import annotations

import json

import numpy as np

from tests.cli.calls import call


def test_diagnose_says_which_layer_and_why(digits, tmp_path):
    asked = (
        f"diagnose {digits}/digits.snn.onnx --reference {digits}/digits.onnx --data {digits}/digits_test.npz"
    )
    told = call(*asked.split(), "--max-samples", "32", "--json", str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert told.exit_code == 0
    assert told.stdout.startswith(found["verdict"][0])
    assert found["samples"] == 32
    assert {layer["layer"] for layer in found["layers"]} >= set(found["worst"])
    assert all(layer["layer"] in told.stdout for layer in found["layers"])
    nothing = tmp_path / "unlabelled.npy"
    np.save(nothing, np.load(digits / "digits_test.npz")["images"][:8])
    without = call(*asked.replace(f"{digits}/digits_test.npz", str(nothing)).split(), "--json", "-")
    assert json.loads(without.stdout)["accuracy"] is None
    assert json.loads(without.stdout)["agreement"] is not None
