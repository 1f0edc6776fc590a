"""The sweep: every point once, resumable, its command the one that gives it, and the knee where it turns."""

from __future__ import annotations

import json
import logging
import shlex
from importlib import resources

import numpy as np
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.analysis import candidates as module
from onnx2snn.analysis.candidates import KINDS, command, describe
from onnx2snn.analysis.sweep import Grid, Point, Sweep, _read, find_knee
from onnx2snn.cli import main
from onnx2snn.errors import OptionError
from onnx2snn.report.plots import plot_sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sweep")
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        (place / name).write_bytes(resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    return place


def arguments(folder, *more):
    return [
        "sweep",
        f"{folder}/digits.onnx",
        *("--calib", f"{folder}/digits_calibration.npz", "--data", f"{folder}/digits_test.npz"),
        *("--calib-samples", "60", "--max-samples", "80", "--scale", "1/16"),
        *("--kinds", "stream,radix", "--timesteps", "2,3", "--max-spikes", "2", "--max-loss", "2"),
        *("--cache", f"{folder}/cache", "--json", f"{folder}/sweep.json", *more),
    ]


@pytest.fixture(scope="module")
def swept(folder):
    result = CliRunner().invoke(main, arguments(folder, "--plot", f"{folder}/sweep.svg"))
    assert result.exit_code == 0, result.output
    return result, json.loads((folder / "sweep.json").read_text())


def test_every_point_is_there_and_the_table_fits(swept):
    result, found = swept
    assert len(found["points"]) == 8
    assert [point["knee"] for point in found["points"]].count(True) == 1
    energies = [point["joules_per_sample"] for point in found["points"]]
    assert energies == sorted(energies)
    best = [point["accuracy"] for point in found["points"] if point["best"]]
    assert best == sorted(best)
    assert best[-1] == max(point["accuracy"] for point in found["points"])
    assert "knee" in result.output
    assert found["command"] in result.output


def test_the_command_gives_the_network_of_the_knee(swept, folder):
    _, found = swept
    (knee,) = (point for point in found["points"] if point["knee"])
    words = shlex.split(found["command"])
    assert words[:2] == ["onnx2snn", "compile"]
    result = CliRunner().invoke(main, [*words[1:], "-o", f"{folder}/knee.snn.onnx"])
    assert result.exit_code == 0, result.output
    evaluation = folder / "evaluation.json"
    again = CliRunner().invoke(
        main,
        f"evaluate {folder}/knee.snn.onnx --data {folder}/digits_test.npz --max-samples 80 "
        f"--timesteps {knee['options']['timesteps']} --json {evaluation}".split(),
    )
    assert again.exit_code == 0, again.output
    figures = json.loads(evaluation.read_text())
    assert figures["accuracy"] == [knee["accuracy"]]
    assert figures["spikes_per_sample"] == [knee["spikes_per_sample"]]


def test_it_goes_on_where_it_was(swept, folder, monkeypatch):
    _, found = swept
    points = sorted((folder / "cache").iterdir())
    assert len(points) == 8
    points[3].write_text("{ half a file")
    calls = []
    convert = module.convert
    monkeypatch.setattr(module, "convert", lambda *args, **more: calls.append(1) or convert(*args, **more))
    result = CliRunner().invoke(main, arguments(folder))
    assert result.exit_code == 0, result.output
    assert len(calls) == 1
    again = json.loads((folder / "sweep.json").read_text())
    for one, other in zip(found["points"], again["points"], strict=True):
        times = dict.fromkeys(["milliseconds_per_sample"])
        assert one | times == other | times


def test_statistics_are_measured_once_a_data_set(folder, monkeypatch):
    from onnx2snn.passes import calibrate

    calls = []
    collect = calibrate.collect_statistics
    monkeypatch.setattr(
        calibrate, "collect_statistics", lambda *args, **more: calls.append(1) or collect(*args, **more)
    )
    other = [word.replace("/cache", "/other") for word in arguments(folder)]
    other[other.index("--timesteps") + 1] = "2"
    result = CliRunner().invoke(main, other)
    assert result.exit_code == 0, result.output
    assert len(calls) == 2  # of all samples, and of the half that compression keeps


@pytest.mark.usefixtures("swept")
def test_other_data_is_another_point(folder, tmp_path, monkeypatch):
    with np.load(folder / "digits_test.npz") as data:
        np.savez(tmp_path / "less.npz", images=data["images"][:50])
    calls = []
    convert = module.convert
    monkeypatch.setattr(module, "convert", lambda *args, **more: calls.append(1) or convert(*args, **more))
    words = [word.replace(f"{folder}/digits_test.npz", f"{tmp_path}/less.npz") for word in arguments(folder)]
    words[words.index("--timesteps") + 1] = "2"
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert len(calls) == 4
    assert "no labels" in result.output


def test_the_plot_is_the_same_file_every_time(swept, folder):
    pytest.importorskip("matplotlib")
    _, found = swept
    first = (folder / "sweep.svg").read_bytes()
    assert b"ANN" in first
    plot_sweep(Sweep.from_dict(found), folder / "again.svg")
    assert (folder / "again.svg").read_bytes() == first


@pytest.mark.usefixtures("swept")
def test_a_point_with_nothing_to_compress_is_left_out(folder, monkeypatch, tmp_path):
    convert = module.convert

    def refuse(model, data, options, **more):
        if options.compress != "none":
            raise OptionError("nothing to choose")
        return convert(model, data, options, **more)

    monkeypatch.setattr(module, "convert", refuse)
    words = [word.replace(f"{folder}/cache", str(tmp_path)) for word in arguments(folder)]
    words[words.index("--timesteps") + 1] = "2"
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert len(json.loads((folder / "sweep.json").read_text())["points"]) == 2


@pytest.mark.parametrize(
    ("front", "knee"),
    [
        ([(1, 0.5)], 0),
        ([(1, 0.5), (2, 0.6)], 1),
        ([(1, 0.5), (2, 0.9), (8, 0.92)], 1),
        ([(1, 0.5), (2, 0.51), (4, 0.9), (8, 0.91)], 2),
    ],
)
def test_the_knee_is_where_more_energy_stops_helping(front, knee):
    assert find_knee(front) == knee


def test_a_grid_has_no_spikes_for_bits():
    points = list(Grid(["radix", "signed"], [4], [1, 2], [0.5]).points())
    assert points[0] == {"schedule": "layer", "code": "radix", "timesteps": 4}
    assert [point.get("max_spikes") for point in points] == [None, None, 1, 2, 2]
    for options in points:
        onnx2snn.CompileOptions(**options)
    with pytest.raises(OptionError):
        onnx2snn.CompileOptions(**points[0] | {"max_spikes": 2})


def test_a_grid_varies_the_sizes_of_graded_spikes_and_does_not_compress_them():
    points = list(Grid(["graded", "graded-layer"], [2, 3], [1, 2], [0.5], [7, 4]).points())
    assert [(point["schedule"], point["timesteps"], point["exponents"]) for point in points] == [
        (schedule, timesteps, exponents)
        for timesteps in (2, 3)
        for schedule in ("stream", "layer")
        for exponents in (4, 7)
    ]
    for options in points:
        assert onnx2snn.CompileOptions(**options).code == "graded"
        assert {"max_spikes", "compress"}.isdisjoint(options)
    assert describe(points[0]) == "graded, T = 2, n = 4"
    assert describe(points[-1]) == "graded-layer, T = 3, n = 7"


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_named_and_typed_as_what_it_is(kind):
    options = KINDS[kind] | {"timesteps": 3}
    assert describe(options) == f"{kind}, T = 3"
    words = command(options).split()
    typed = {
        "stream": ["--code", "burst"],
        "signed": ["--code", "burst", "--signed"],
        "layer": ["--schedule", "layer", "--code", "burst"],
        "radix": ["--schedule", "layer", "--code", "radix"],
        "graded": ["--code", "graded"],
        "graded-layer": ["--schedule", "layer", "--code", "graded"],
    }
    assert words == [*typed[kind], "--timesteps", "3"]


def test_graded_points_stand_beside_the_others_on_the_frontier(folder, tmp_path):
    """Statistics of one code are none of the other's."""
    words = [word.replace(f"{folder}/cache", str(tmp_path / "cache")) for word in arguments(folder)]
    for flag, value in (("--kinds", "graded,stream,graded-layer"), ("--timesteps", "3")):
        words[words.index(flag) + 1] = value
    words[words.index("--json") + 1] = f"{tmp_path}/sweep.json"
    result = CliRunner().invoke(main, [*words, "--exponents", "5,7", "--plot", f"{tmp_path}/x.svg"])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "sweep.json").read_text())
    points = {point["name"]: point for point in found["points"]}
    assert set(points) == {
        *("graded, T = 3, n = 5", "graded, T = 3, n = 7", "graded-layer, T = 3, n = 5"),
        *("graded-layer, T = 3, n = 7", "stream, T = 3, Γ = 2", "stream, T = 3, Γ = 2, compressed 2"),
    }
    assert (
        points["graded, T = 3, n = 5"]["spikes_per_sample"]
        < (points["graded, T = 3, n = 7"]["spikes_per_sample"])
    )
    (knee,) = (point for point in found["points"] if point["knee"])
    assert "--code graded" in found["command"]
    assert f"--exponents {knee['options']['exponents']}" in found["command"]
    assert "graded-layer" in (tmp_path / "x.svg").read_text()


POINT = Point(
    "stream", {"timesteps": 2}, 0.5, 1.0, 3.0, 4.0, 5.0, None, 7.0, None, measures={"accuracy": 0.5}
)


def test_a_point_comes_back_from_the_cache(tmp_path):
    place = tmp_path / "p.json"
    assert _read(place) is None
    place.write_text(json.dumps(POINT.to_dict()))
    assert _read(place) == POINT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"joules_per_sample": -1.0}, "joules_per_sample: expected a finite number, at least 0, found -1.0"),
        ({"spikes_per_sample": float("nan")}, "spikes_per_sample: expected a finite number, found nan"),
        ({"accuracy": 50.0}, "accuracy: expected a finite number, from 0 to 1, found 50.0"),
        ({"measures": [1]}, "measures: expected names with values, found [1]"),
        ({"measures": {"accuracy": "good"}}, "measures.accuracy: expected a finite number, found 'good'"),
        ({"name": None}, "name: expected a text, found none"),
        ({"options": "all"}, "options: expected names with values, found 'all'"),
        ({"best": "yes"}, "best: expected true or false, found 'yes'"),
    ],
)
def test_a_poisoned_cache_is_measured_again(tmp_path, caplog, change, said):
    place = tmp_path / "p.json"
    place.write_text(json.dumps(POINT.to_dict() | change))
    with caplog.at_level(logging.WARNING):
        assert _read(place) is None
    assert [record.message for record in caplog.records] == [
        f"{place}: is measured again, since it is no point of a sweep ({said})"
    ]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b"1" * 9999, b'{"name": "x"}'])
def test_a_cache_that_is_no_point_at_all(tmp_path, caplog, content):
    place = tmp_path / "p.json"
    place.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert _read(place) is None
    assert len(caplog.records) == 1
