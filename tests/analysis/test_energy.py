"""Energy models, what each convention charges, and what a user's own file may get wrong."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib import resources

import numpy as np
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.analysis.energy import (
    Activity,
    EnergyModel,
    builtin_models,
    estimate_energy,
    format_joules,
    load_energy_model,
)
from onnx2snn.analysis.evaluation import evaluate
from onnx2snn.cli import main
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import OptionError
from onnx2snn.runtime.results import Work
from tests.helpers import normal, parse

OWN = """
name = "bench-7"
source = "measured here"
technology = "a board on my desk"
convention = "everything that the meter sees"
flops_per_mac = 2
joules_per_mac = 5e-12
joules_per_analog_mac = 7e-12
joules_per_synaptic_operation = 1e-12
joules_per_neuron_update = 2e-12
"""
WORK = Work(
    ann_macs=1000, prefix_macs=100, joined_macs=10, analog_macs=4, head_macs=1, neurons={"r": 20, "q": 5}
)
ACTIVITY = Activity([1, 8], [300.0, 2000.0], [200.0, 1200.0])


@pytest.fixture
def own(tmp_path) -> EnergyModel:
    (tmp_path / "own.toml").write_text(OWN)
    return load_energy_model(str(tmp_path / "own.toml"))


def test_the_models_of_the_package():
    models = builtin_models()
    assert list(models) == ["45nm-float32", "45nm-int8", "rolls-77fj"]
    assert load_energy_model() is load_energy_model("45nm-float32") is models["45nm-float32"]
    prices = {
        name: (m.joules_per_mac, m.joules_per_analog_mac, m.joules_per_synaptic_operation, m.flops_per_mac)
        for name, m in models.items()
    }
    assert prices == {
        "45nm-float32": (4.6e-12, 4.6e-12, 0.9e-12, 2),
        "45nm-int8": (0.3e-12, 0.3e-12, 0.1e-12, 2),
        "rolls-77fj": (12.5e-12, 12.5e-12, 77e-15, 1),
    }
    for file in resources.files("onnx2snn.analysis").joinpath("energy_models").iterdir():
        assert file.name.removesuffix(".toml") in models


def test_every_convention_by_hand(own):
    """Prefix 100 and joined 10, once or T times; 4 a timestep and 1 at the end; 25 neurons."""
    found = estimate_energy(WORK, ACTIVITY, own).to_dict()
    assert found["model"] == "bench-7"
    assert found["parameters"] == asdict(own)
    assert found["ann_joules_per_sample"] == pytest.approx(5000e-12)
    expected = {
        ("spikes", "once"): [7 * 115 + 300 + 50, 7 * 143 + 2000 + 400],
        ("spikes", "every timestep"): [7 * 115 + 300 + 50, 7 * 913 + 2000 + 400],
        ("events", "once"): [7 * 115 + 200 + 50, 7 * 143 + 1200 + 400],
        ("events", "every timestep"): [7 * 115 + 200 + 50, 7 * 913 + 1200 + 400],
    }
    said = {(row["bursts"], row["first_layer"]): row for row in found["conventions"]}
    assert list(said) == list(expected)
    for which, picojoules in expected.items():
        assert said[which]["snn_joules_per_sample"] == pytest.approx([1e-12 * value for value in picojoules])
        assert said[which]["ratio"] == pytest.approx([value / 5000 for value in picojoules])
    assert len({row["sentence"] for row in said.values()}) == 4
    assert found["snn_joules_per_sample"] == said["spikes", "once"]["snn_joules_per_sample"]
    assert found["ratio"] == said["spikes", "once"]["ratio"]
    assert said["spikes", "once"]["sentence"] in found["convention"]
    assert found["neuron_updates_per_sample"] == [25, 200]
    assert found["analog_macs_per_sample"] == [115, 143]
    assert found["synaptic_events_per_sample"] == [200, 1200]
    assert (found["ann_macs_per_sample"], found["ann_flops_per_sample"]) == (1000, 2000)
    assert found["prefix_macs_per_sample"] == 100


def test_a_graded_spike_is_one_event_by_every_convention(own):
    said = "each spike is one event, whatever its size: one addition, of a shifted weight, a connection"
    activity = replace(ACTIVITY, synaptic_events=ACTIVITY.synaptic_operations, graded=True)
    found = estimate_energy(WORK, activity, own)
    assert [row.bursts for row in found.conventions] == ["spikes", "spikes", "events", "events"]
    for row in found.conventions:
        assert row.sentence.startswith(f"{said}; layers before the first neuron are charged ")
    assert found.conventions[0].sentence in found.convention
    assert found.snn_joules_per_sample == pytest.approx(
        [1e-12 * value for value in (7 * 115 + 300 + 50, 7 * 143 + 2000 + 400)]
    )
    assert found.conventions[2].snn_joules_per_sample == found.snn_joules_per_sample


def test_bits_are_handed_on_with_how_they_are_counted():
    activity = replace(ACTIVITY, bits=[40.0, 160.0], bits_convention="4 bits a spike")
    found = estimate_energy(WORK, activity).to_dict()
    assert (found["bits_sent_per_sample"], found["bits_convention"]) == ([40.0, 160.0], "4 bits a spike")
    assert list(found)[-3:] == ["models", "bits_sent_per_sample", "bits_convention"]
    assert estimate_energy(WORK, ACTIVITY).bits_sent_per_sample == []


def test_the_other_models_are_there_too(own):
    assert list(estimate_energy(WORK, ACTIVITY).models) == ["45nm-int8", "rolls-77fj"]
    found = estimate_energy(WORK, ACTIVITY, own).to_dict()
    assert list(found["models"]) == list(builtin_models())
    for name, model in builtin_models().items():
        alone = estimate_energy(WORK, ACTIVITY, model).to_dict()
        assert found["models"][name] == {key: alone[key] for key in found["models"][name]}
        assert found["models"][name]["ratio"] == alone["ratio"]


def test_an_ann_without_macs_has_no_ratio():
    found = estimate_energy(replace(WORK, ann_macs=0), ACTIVITY).to_dict()
    assert found["ratio"] == [None, None]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("", ""), None),
        (("joules_per_mac = 5e-12", ""), ["expected the keys name, source", "found no joules_per_mac"]),
        (("name = ", "nickname = "), ["expected only the keys name,", "found 'nickname'"]),
        (("= 5e-12", "= -5e-12"), ["joules_per_mac: expected joules", "-5e-12"]),
        (("= 5e-12", "= nan"), ["joules_per_mac: expected joules", "found nan"]),
        (("= 5e-12", "= inf"), ["joules_per_mac: expected joules", "found inf"]),
        (("= 5e-12", "= 4.6"), ["expected joules, from 0 to 0.001, found 4.6", "4.6e-12"]),
        (("= 5e-12", "= true"), ["joules_per_mac: expected joules", "found True"]),
        (("= 5e-12", '= "5 pJ"'), ["joules_per_mac: expected joules", "'5 pJ'"]),
        (("flops_per_mac = 2", "flops_per_mac = 0"), ["flops_per_mac: expected 1 or 2", "found 0"]),
        (('"bench-7"', '""'), ["name: expected a line of text, found ''"]),
        (('"bench-7"', "7"), ["name: expected a line of text, found 7"]),
        (('"measured here"', '"two\\nlines"'), ["source: expected a line of text"]),
        (('"bench-7"', '"45nm-int8"'), ["name: expected another than 45nm-float32", "rename it"]),
        (("= 5e-12", "= "), ["expected an energy model in TOML", "docs/energy.md"]),
        (("flops_per_mac = 2", "flops_per_mac = " + "[" * 5000), ["expected an energy model in TOML"]),
    ],
)
def test_what_a_file_may_get_wrong_is_one_line(tmp_path, change, words):
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(*change, 1))
    if words is None:
        assert load_energy_model(str(path)).name == "bench-7"
        return
    with pytest.raises(OptionError) as caught:
        load_energy_model(str(path))
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


@pytest.mark.parametrize("named", ["horowitz", "", "missing.toml", "."])
def test_no_such_model_lists_those_that_exist(named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match="45nm-float32, 45nm-int8, rolls-77fj") as caught:
        load_energy_model(named)
    assert "\n" not in str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf" + OWN.encode())
    assert load_energy_model(str(tmp_path / "own.toml")).name == "bench-7"


def test_a_file_of_other_bytes(tmp_path):
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match=r"own\.toml: expected a TOML file in UTF-8"):
        load_energy_model(str(tmp_path / "own.toml"))


@pytest.mark.parametrize(
    ("joules", "text"),
    [
        (4.6e-12, "4.6 pJ"),
        (0.9e-12, "0.9 pJ"),
        (0.1e-12, "0.1 pJ"),
        (77e-15, "77 fJ"),
        (1.9512e-4, "195 µJ"),
        (9.999e-7, "1 µJ"),
        (2.5e-3, "2.5 mJ"),
        (12.0, "12 J"),
        (1234.0, "1,234 J"),
        (0.0, "0 fJ"),
    ],
)
def test_joules_as_text(joules, text):
    assert format_joules(joules) == text


# --- on networks ------------------------------------------------------------------------------------------

ISLAND = """c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c) s = Sigmoid(r)
    d = Conv<pads=[1,1,1,1]>(s, w2) q = Relu(d) f = Flatten(q) y = Gemm(f, w3)"""


@pytest.mark.parametrize(("schedule", "times"), [("stream", [1, 4]), ("layer", [1])])
def test_what_an_island_feeds_is_charged_as_macs(schedule, times, rng):
    """At every timestep of the schedule `stream`; in `layer` its layer acts once all input is there."""
    weights = normal(rng, w1=(2, 2, 3, 3), w2=(2, 2, 3, 3), w3=(18, 3))
    model = parse(f"(float[N,2,3,3] x) => (float[N,3] y) {{ {ISLAND} }}", **weights)
    x = rng.standard_normal((6, 2, 3, 3)).astype(np.float32)
    compiled = onnx2snn.compile(model, x, timesteps=4, schedule=schedule, correct_bias=False, code="burst")
    session = onnx2snn.SpikingSession(compiled.model)
    steps = [4] if schedule == "layer" else [1, 4]
    figures = evaluate(session, dataset_from_arrays(x, session.inputs), steps).to_dict()
    assert figures["uncounted"] == ["d"]
    dense = 4 * 49  # 2 × 2 channels, and a 3 × 3 kernel meets 49 places of 3 × 3 that are there
    assert figures["energy"]["prefix_macs_per_sample"] == dense
    assert figures["energy"]["analog_macs_per_sample"] == [dense + dense * count for count in times]
    expected = [
        4.6e-12 * macs + 0.9e-12 * operations
        for macs, operations in zip(
            figures["energy"]["analog_macs_per_sample"],
            figures["synaptic_operations_per_sample"],
            strict=True,
        )
    ]
    assert figures["energy"]["snn_joules_per_sample"] == pytest.approx(expected)


def test_inputs_that_join_spikes_are_charged_as_macs(rng):
    """A Gemm of four neurons and the two values before them: these arrive once, spikes as they come."""
    text = "r = Relu(h) j = Concat<axis=1>(r, x) y = Gemm(j, w2)"
    model = parse(
        f"(float[N,2] x) => (float[N,3] y) {{ h = Gemm(x, w1) {text} }}", **normal(rng, w1=(2, 4), w2=(6, 3))
    )
    x = rng.standard_normal((5, 2)).astype(np.float32)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, correct_bias=False, code="burst").model)
    work = session.work_per_sample(x)
    assert (work.ann_macs, work.prefix_macs, work.joined_macs) == (8 + 18, 8, 6)
    (counted,) = session.run_counted(x, [8])
    np.testing.assert_array_equal(counted.synaptic_operations["y"], 3 * counted.spikes["r"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("energy")
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        (place / name).write_bytes(resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    options = onnx2snn.Preprocessing(scale=1 / 16)
    onnx2snn.compile(
        place / "digits.onnx",
        place / "digits_calibration.npz",
        preprocessing=options,
        correct_bias=False,
        code="burst",
    ).save(place / "digits.snn.onnx")
    (place / "own.toml").write_text(OWN)
    return place


def call(*words):
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_evaluate_charges_by_the_users_own_model(folder):
    words = ["evaluate", folder / "digits.snn.onnx", "--data", folder / "digits_test.npz"]
    words += ["--max-samples", 40, "--timesteps", "2,8", "--json", folder / "e.json"]
    words += ["--energy-model", folder / "own.toml", "--early-exit", "confidence:0.9"]
    text = call(*words)
    figures = json.loads((folder / "e.json").read_text())
    for found, steps, operations in (
        (figures["energy"], [2, 8], figures["synaptic_operations_per_sample"]),
        (
            figures["early_exit"]["energy"],
            [figures["early_exit"]["mean_timesteps"]],
            [figures["early_exit"]["synaptic_operations_per_sample"]],
        ),
    ):
        assert found["model"] == "bench-7"
        neurons = found["neuron_updates_per_sample"][0] / steps[0]
        assert neurons == pytest.approx(round(neurons))
        expected = [
            7e-12 * found["prefix_macs_per_sample"] + 1e-12 * count + 2e-12 * neurons * elapsed
            for elapsed, count in zip(steps, operations, strict=True)
        ]
        assert found["snn_joules_per_sample"] == pytest.approx(expected)
        for events, count in zip(found["synaptic_events_per_sample"], operations, strict=True):
            assert 0 < events < count
    for part in ("bench-7, T = 8", "a burst counts once", "every timestep", "rolls-77fj: SNN", "5 pJ a MAC"):
        assert part in text


def test_where_every_burst_is_one_spike_it_is_said_once(folder):
    compiled = onnx2snn.compile(
        folder / "digits.onnx",
        folder / "digits_calibration.npz",
        preprocessing=onnx2snn.Preprocessing(scale=1 / 16),
        max_spikes=1,
        correct_bias=False,
    )
    compiled.save(folder / "single.snn.onnx")
    words = ["evaluate", folder / "single.snn.onnx", "--data", folder / "digits_test.npz"]
    text = call(*words, "--max-samples", 20, "--timesteps", 2)
    assert "each spike counts" in text
    assert "a burst counts once" not in text


def test_inspect_says_what_the_shapes_tell(folder):
    ann = json.loads(call("inspect", folder / "digits.onnx", "--json", "-"))
    snn = json.loads(
        call("inspect", folder / "digits.snn.onnx", "--json", "-", "--energy-model", folder / "own.toml")
    )
    assert ann["energy"]["ann_joules_per_sample"] == pytest.approx(ann["macs"]["per_sample"] * 4.6e-12)
    assert snn["energy"]["ann_joules_per_sample"] == pytest.approx(snn["macs"]["per_sample"] * 5e-12)
    assert set(ann["energy"]) == set(snn["energy"])  # nothing of spikes, which shapes cannot tell
    text = call("inspect", folder / "digits.snn.onnx")
    assert "an inference of the ANN (45nm-float32: 4.6 pJ a MAC, zero padding counts)" in text
    assert "spike," not in text  # what one takes depends on where it goes


@pytest.mark.parametrize("command", ["evaluate", "inspect"])
def test_a_name_that_is_none_ends_the_command(folder, command):
    words = [command, str(folder / "digits.snn.onnx"), "--energy-model", "loihi"]
    words += ["--data", str(folder / "digits_test.npz")] if command == "evaluate" else []
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "expected 45nm-float32, 45nm-int8, rolls-77fj or a file" in result.stderr
    assert result.stderr.count("\n") == 1
