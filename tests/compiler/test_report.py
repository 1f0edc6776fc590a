"""What a compilation and an inspection say: nodes counted by role, options inside, the same from JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.records import CalibrationRecord, Verdict
from onnx2snn.compiler.report import CompileReport, Inspection
from onnx2snn.graph.macs import Macs
from onnx2snn.options import CompileOptions
from tests.analysis.by_hand import SAMPLES, ann

NODES = [
    Verdict(name, "Relu", role, "why")
    for name, role in zip("abc", ("spiking", "folded", "spiking"), strict=True)
]
ROLES = {"spiking": 2, "linear": 0, "analog": 0, "folded": 1, "refused": 0}


def test_roles_stand_behind_the_nodes_that_they_count():
    held = Inspection(NODES, Macs(8, 6, 0.75)).to_dict()
    assert list(held) == ["nodes", "roles", "macs"]
    assert [node["node"] for node in held["nodes"]] == ["a", "b", "c"]
    assert held["roles"] == ROLES
    assert list(held["roles"]) == list(ROLES)
    assert held["macs"] == {"per_sample": 8, "fed_by_spikes": 6, "share": 0.75}


def test_what_there_was_not_is_left_out():
    report = CompileReport(NODES, Macs(8, 6, 0.75), {}, {}, CompileOptions(), CalibrationRecord(4, "x.npz"))
    assert report.roles == ROLES
    held = report.to_dict()
    assert list(held) == [
        *("nodes", "roles", "macs", "neurons", "activations", "options", "calibration"),
        *("seconds", "peak_megabytes", "warnings"),
    ]
    assert held["calibration"] == {"samples": 4, "source": "x.npz"}
    assert held["options"]["timesteps"] == 8


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, []),
        ({"code": "burst"}, []),
        ({"early_exit": "confidence:0.5"}, ["early_exit"]),
        ({"code": "burst", "early_exit": "confidence:0.5"}, ["early_exit"]),
        ({"schedule": "layer", "weights": "int8"}, ["layers"]),
        ({"compress": "spikes", "max_loss": 50.0, "max_spikes": 4}, ["adaptation"]),
    ],
)
def test_what_a_compilation_says_survives_its_json(options, more):
    report = onnx2snn.compile(ann(), np.repeat(SAMPLES, 4, axis=0), timesteps=4, **options).report
    held = report.to_dict()
    assert [name for name in ("layers", "adaptation", "early_exit") if name in held] == more
    assert CompileReport.from_dict(json.loads(json.dumps(held))).to_dict() == held
    assert report.roles == {"spiking": 1, "linear": 1, "analog": 0, "folded": 0, "refused": 0}


def test_an_inspection_counts_as_a_compilation_does():
    found = onnx2snn.inspect(ann(), code="burst")
    assert found.roles == {"spiking": 1, "linear": 1, "analog": 0, "folded": 0, "refused": 0}
    assert found.macs == Macs(4, 4, 1.0)
