"""All checks together: what is said where, what is refused, and what real nets make of it."""

from __future__ import annotations

import logging
from dataclasses import replace

import onnx
import pytest

import onnx2snn
from benchmarks.data_mistakes import MISTAKES, alarms, found, outlier_found
from benchmarks.nets import DATA, NETS
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.calibration.statistics import Statistics
from onnx2snn.checks.findings import (
    UNASKED,
    Findings,
    examine,
    examine_both,
    examine_model,
    examine_network,
    net_of,
)
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.errors import DataError
from tests.checks.pictures import dataset, fitted, pictures

NET = fitted()
IMAGES, LABELS = pictures(2, 160)
SOUND = dataset(IMAGES, LABELS)
RAW = dataset(IMAGES, LABELS, Preprocessing())
real = pytest.mark.skipif(
    not (DATA / "models").is_dir(), reason=f"real nets are absent from {DATA}; set ONNX2SNN_DATA"
)


def test_one_line_for_one_mistake(caplog):
    """Raw values leave the ANN guessing, too: only their cause is said."""
    with caplog.at_level(logging.WARNING):
        (warning,) = examine_model(RAW, NET.model).warnings
    assert "255 times smaller" in warning
    assert warning in caplog.text


def test_strict_refuses():
    with pytest.raises(DataError, match="255 times smaller"):
        examine_model(RAW, NET.model, strict=True)
    assert examine_model(SOUND, NET.model, strict=True).warnings == []


def test_inputs_are_described_whatever_is_found():
    assert set(examine(SOUND, None).inputs) == {"x"}


def test_what_is_no_graph_is_not_asked(caplog):
    with caplog.at_level(logging.INFO, "onnx2snn"):
        assert net_of(onnx.ModelProto()) is None
    assert "not checked" in caplog.text


def test_two_data_sets():
    assert examine_both(SOUND, dataset(*pictures(3, 160)), NET.model) == []
    brighter = dataset(IMAGES, LABELS, Preprocessing(scale=1 / 100))
    (warning,) = examine_both(SOUND, brighter, NET.model)
    assert "as in the calibration" in warning


def test_calibration_adds_to_it(rng):
    peaks = rng.uniform(0.5, 1.0, 64)
    peaks[3] = 40
    statistics = Statistics(peaks={"x": [peaks]})
    assert len(Findings().with_ranges(statistics, SOUND, strict=False).warnings) == 1
    assert UNASKED.with_ranges(statistics, SOUND, strict=False) is UNASKED
    with pytest.raises(DataError, match="sample 3"):
        Findings().with_ranges(statistics, SOUND, strict=True)


def test_compile_and_evaluate_report_it(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(NET.model, path)
    (warning,) = onnx2snn.compile(path, IMAGES, timesteps=2).report.warnings
    assert "255 times smaller" in warning
    with pytest.raises(DataError, match="255 times smaller"):
        onnx2snn.compile(path, IMAGES, timesteps=2, strict=True)
    compiled = onnx2snn.compile(path, IMAGES, preprocessing=SOUND.preprocessing, timesteps=2)
    assert compiled.report.warnings == []
    session = onnx2snn.SpikingSession(compiled.model)
    assert evaluate(session, SOUND, [2], open_reference(path, session)).warnings == []
    (warning,) = evaluate(session, RAW, [2], open_reference(path, session)).warnings
    assert "255 times smaller" in warning
    (warning,) = examine_network(replace(RAW, labels=None), session.artifact.record, None)
    assert "as in the calibration" in warning


def test_a_search_says_it_once(caplog):
    with caplog.at_level(logging.WARNING):
        compiled = onnx2snn.compile(NET.model, IMAGES, max_loss=20.0, search_minutes=0.02)
    assert len(compiled.report.warnings) == 1
    assert caplog.text.count("255 times smaller") == 1


@real
@pytest.mark.parametrize("name", NETS)
def test_no_false_alarm_on_real_nets(name):
    assert list(alarms(NETS[name], folded=False)) == []


@real
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_on_real_nets(mistake):
    for name, net in NETS.items():
        said = found(net, MISTAKES[mistake], 500, labelled=True, folded=False)
        assert said is not False, name


@real
def test_an_outlier_on_real_nets():
    assert all(outlier_found(net, 64, 20.0) for name, net in NETS.items() if name != "cnn3")
    assert not any(outlier_found(net, count, 1.0) for net in NETS.values() for count in (16, 64))
