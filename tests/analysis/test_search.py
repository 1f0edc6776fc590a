"""Options chosen by what may be lost or spent: what is chosen, what is said of it, and what cannot be met."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

import onnx2snn
from onnx2snn import OptionError
from onnx2snn.emit.metadata import read_metadata
from tests.cli.calls import call, refused
from tests.helpers import normal, parse

MLP = "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"


@pytest.fixture
def net(rng):
    return parse(MLP, **normal(rng, w1=(4, 6), w2=(6, 3)))


@pytest.fixture
def data(rng):
    return rng.standard_normal((120, 4)).astype(np.float32)


def test_the_cheapest_that_keeps_the_bound_is_compiled(net, data):
    compiled = onnx2snn.compile(net, data, max_loss=5)
    found = compiled.report.search
    assert found.met
    assert found.measure == "agreement"
    assert found.passes <= 60
    chosen = found.chosen
    assert chosen.loss <= 5
    kept = [trial for trial in found.trials if trial.loss is not None and trial.loss <= 5]
    assert chosen.energy == min(trial.energy for trial in kept)
    assert chosen.verdict == "chosen: least energy within the bound"
    plain = onnx2snn.compile(net, data, **chosen.options)
    assert plain.model.graph == compiled.model.graph
    assert read_metadata(compiled.model)["search"] == found.to_dict()
    again = onnx2snn.compile(net, data, max_loss=5)
    assert again.model.SerializeToString() == compiled.model.SerializeToString()


def test_options_that_are_given_stay(net, data):
    found = onnx2snn.compile(net, data, max_loss=20, schedule="stream", exponents=6).report
    assert (found.options.schedule, found.options.exponents) == ("stream", 6)
    assert all(trial.options["exponents"] == 6 for trial in found.search.trials)


def test_latency_and_accuracy_can_be_preferred(net, data):
    fast = onnx2snn.compile(net, data, max_loss=5, prefer="latency").report.search
    kept = [trial.latency for trial in fast.trials if trial.loss is not None and trial.loss <= 5]
    assert fast.chosen.latency == min(kept)
    good = onnx2snn.compile(net, data, max_loss=5, prefer="accuracy").report.search
    assert good.chosen.loss <= min(
        trial.loss + trial.error for trial in good.trials if trial.loss is not None
    )


def test_the_best_for_an_energy(net, data):
    cheap = onnx2snn.compile(net, data, max_loss=5).report.search.chosen.energy
    found = onnx2snn.compile(net, data, target_energy=1.2 * cheap).report.search
    assert found.met
    assert found.chosen.energy <= 1.2 * cheap
    missed = onnx2snn.compile(net, data, target_energy=1e-3).report.search
    assert not missed.met
    assert missed.chosen.energy == min(trial.energy for trial in missed.trials)


def test_what_cannot_be_met_is_said_and_refused_with_strict(net, data, caplog):
    given = {"schedule": "layer", "code": "graded", "timesteps": 1, "exponents": 1}
    found = onnx2snn.compile(net, data, max_loss=0.01, **given).report.search
    assert not found.met
    assert found.chosen.verdict == "chosen: loses least"
    assert "--max-loss: expected at most 0.01 points, found" in caplog.text
    with pytest.raises(OptionError, match=r"at best, with graded-layer, T = 1, n = 1; allow more, or leave"):
        onnx2snn.compile(net, data, max_loss=0.01, strict=True, **given)


def test_little_time_takes_what_there_is(net, data, caplog):
    found = onnx2snn.compile(net, data, max_loss=50, search_minutes=1e-9).report.search
    assert found.stopped == "1e-09 minutes are over"
    assert len(found.trials) == 1
    assert "the best so far is taken" in caplog.text


def test_unknown_options_are_named(net, data):
    with pytest.raises(OptionError, match="found speed; see onnx2snn"):
        onnx2snn.compile(net, data, max_loss=1, speed=3)


def test_on_the_command_line_the_line_that_repeats_it_does(net, data, tmp_path, monkeypatch):
    import onnx

    monkeypatch.chdir(tmp_path)
    onnx.save(net, "net.onnx")
    np.save("x.npy", data)
    result = call(
        *[
            "compile",
            "net.onnx",
            "--calib",
            "x.npy",
            "--max-loss",
            "5",
            "--batch-size",
            "32",
            "-o",
            "a.onnx",
            "--json",
            "a.json",
        ]
    )
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["search"]["met"]
    assert found["repeat"] in result.output
    assert result.output.count("chosen: least energy within the bound") == 1
    words = shlex.split(found["repeat"])
    assert "--batch-size" in words
    assert "--max-loss" not in words
    call(*words[1:], "-o", "b.onnx")
    assert onnx.load("a.onnx").graph == onnx.load("b.onnx").graph
    message = refused(tmp_path, "compile net.onnx --calib x.npy --max-loss 0.01 --strict -T 1 --exponents 1")
    assert message.startswith("--max-loss: expected at most 0.01 points, found ")
    message = refused(tmp_path, "compile net.onnx --calib x.npy --prefer latency")
    assert message.startswith("--prefer: expected only with --max-loss")
