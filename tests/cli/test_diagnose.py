"""`onnx2snn diagnose`: the verdict, the layers, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli.calls import call, refused


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


DIAGNOSE = "diagnose net.snn.onnx --reference net.onnx --data data.npz"


def test_fewer_timesteps_and_samples(place):
    call(*f"{DIAGNOSE} --timesteps 3 --max-samples 5 --batch-size 2 --json x.json".split())
    found = json.loads((place / "x.json").read_text())
    assert (found["timesteps"], found["samples"]) == (3, 5)


def test_not_all_samples_are_run_where_nobody_says(place):
    np.save("many.npy", np.tile(np.load("x.npy"), (17, 1)))
    call(*f"{DIAGNOSE} --data many.npy --json x.json".split())
    assert json.loads((place / "x.json").read_text())["samples"] == 256


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            f"{DIAGNOSE} --batch-size 0",
            "--batch-size: expected at least 1, found 0; leave it out for the default",
        ),
        (
            f"{DIAGNOSE} --json net.onnx",
            "net.onnx: expected a file of its own, found the input net.onnx; choose another with --json",
        ),
        (
            f"{DIAGNOSE} --timesteps 0",
            "timesteps: expected a whole number, at least 1, found 0; leave it out for 8",
        ),
        (
            f"{DIAGNOSE.replace('net.snn', 'layer.snn')} --timesteps 3",
            "timesteps: expected 8, which the levels of the network are made for, found 3; "
            "compile again with --timesteps 3",
        ),
    ],
)
def test_it_refuses_in_one_line(place, line, message):
    assert refused(place, line) == message


def test_another_ann_is_refused(place):
    message = refused(place, DIAGNOSE.replace("net.onnx", "cnn.onnx"))
    assert message.startswith("cnn.onnx: expected the ANN that the network was compiled from (sha256 ")
    assert refused(place, "diagnose net.snn.onnx --data x.npy").startswith("Missing option '--reference'.")
