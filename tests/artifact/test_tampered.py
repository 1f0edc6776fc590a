"""Networks that somebody has changed run, or are refused in one line: a short part of `tests/attack`."""

from __future__ import annotations

import json

import onnx
import pytest

import onnx2snn
from onnx2snn.errors import Onnx2SnnError
from tests.attack import artifacts

NAMES = ("rest", "signed", "layer")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", dict.fromkeys(artifacts.CHANGES), ids=lambda change: change.__name__)
def test_a_changed_network_runs_or_is_refused(name, change):
    _, x = artifacts.source()
    said = []
    for seed in range(2):
        model = onnx.load_from_string(artifacts.network(name))
        change(model, artifacts.Random(seed))
        try:
            session = onnx2snn.SpikingSession(model)
            session.run(x[:2], early_exit=None)
            _ = session.artifact.gives_probabilities, session.artifact.exit_rule
        except Onnx2SnnError as error:
            said.append(str(error))
    assert not any("\n" in line for line in said)


def test_a_seed_is_one_network_whose_changes_may_be_left_out():
    seed = next(seed for seed in range(99) if artifacts.steps(seed) == 2)
    assert artifacts.tampered(seed) == artifacts.tampered(seed) != artifacts.tampered(seed, {0, 1})
    name = artifacts._plan(seed)[0]
    assert onnx.load_from_string(artifacts.tampered(seed, {0, 1})) == onnx.load_from_string(
        artifacts.network(name)
    )


def test_every_value_of_the_metadata_can_be_reached():
    (entry,) = (
        entry
        for entry in onnx.load_from_string(artifacts.network("layer")).metadata_props
        if entry.key == "onnx2snn.neurons"
    )
    places = artifacts._places(json.loads(entry.value))
    assert {key for _, key in places} > {"op", "threshold", "least", "exponents"}
