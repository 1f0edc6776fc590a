"""Every table on a terminal of 80 columns, with long names and large numbers: nothing is cut off."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import pytest
from rich.console import Console

import onnx2snn
from benchmarks.topologies import load
from onnx2snn.analysis.diagnosis.figures import Diagnosis, LayerDiagnosis, OutputDiagnosis
from onnx2snn.analysis.early_exit import ExitFigures
from onnx2snn.analysis.energy import Activity, estimate_energy
from onnx2snn.analysis.evaluation import Evaluation, evaluate
from onnx2snn.analysis.sweep import Point, Sweep
from onnx2snn.artifact.records import LayerAdaptation, NeuronRecord, Spread, Verdict
from onnx2snn.cli.doctor import examine
from onnx2snn.data.readers import open_dataset
from onnx2snn.exits.rule import ExitRule
from onnx2snn.report import tables
from onnx2snn.runtime.results import Work

WIDTH = 80
LONG = "/features/features.1/features.1.0/block/block.1/scale_activation/HardSigmoid_quant_1"
THETA = Spread(0.001234, 123.4567, 1234567.8)


def shown(table, width: int = WIDTH) -> str:
    console = Console(width=width, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def unfolded(text: str) -> str:
    """The first column, put together again."""
    return "".join(line.split(" ")[0] for line in text.splitlines())


def node(name: str, role: str = "refused", island: str = "") -> Verdict:
    reason = "expected a constant shape, found one that depends on the input"
    return Verdict(name, "LayerNormalization", role, reason, island=island)


def neuron(op: str) -> NeuronRecord:
    return NeuronRecord(op, 16, 123.456, 2048, THETA, None)


def point(*, best: bool = False, knee: bool = False) -> Point:
    options = {"timesteps": 128, "max_spikes": 16, "max_loss": 0.25}
    name = "signed, T = 128, Γ = 16, compressed 0.25"
    return Point(name, options, 1.0, 1.0, 98765432.1, 1e9, 1.0, 123.456, 1234.5, None, best, knee)


def diagnosed(name: str) -> LayerDiagnosis:
    parts = dict.fromkeys(("parameters", "clipping", "quantisation", "timing", "inherited"), 0.123)
    return LayerDiagnosis(
        name, "BurstIF", 4, 1, 1, 1.0, 12.345, 0.1, parts, parts, 0.0, [], [], 0.1, 1.0, 1.0, 0.567, []
    )


def evaluation() -> Evaluation:
    charge = {"ratio": [0.01, 123.456], "snn_joules_per_sample": [1.0, 1.0], "conventions": []}
    energy = estimate_energy(Work(1, 1, 0, 0, 0, {}), Activity([1, 128], [1.0, 1.0], [1.0, 1.0]))
    return Evaluation(
        samples=1,
        timesteps=[1, 128],
        accuracy=[0.1, 1.0],
        agreement=[0.1, 1.0],
        output_error=[None, None],
        reference_accuracy=None,
        spikes_per_sample=[1.0, 98765432.1],
        spikes_by_neuron={},
        synaptic_operations_per_sample=[99999999.0, 12345678901.2],
        samples_per_second=[12345.6, 0.4],
        energy=replace(energy, **charge),
    )


NODES = [node(LONG), node(LONG + "/x", "analog", "a"), node(LONG + "/y", "analog", "a")]
NEURONS = {LONG: neuron("LeakyAccumulateFire"), "/Relu": neuron("BurstIF")}
ADAPTED = dict.fromkeys(NEURONS, LayerAdaptation(1.63203, 98765432.1, 87654321.0))
EXITS = ExitFigures(
    ExitRule("confidence", (0.9,)), 1.0, [0, 1234567, 3], None, None, 1.0, 1.0, evaluation().energy, 1.0, 1.0
)
DIAGNOSIS = Diagnosis(
    *(1, 1, "stream", None, None, None, OutputDiagnosis("y", 0.0, 0.0, 0.0)),
    worst=["/Relu"],
    layers=[diagnosed(LONG), diagnosed("/Relu")],
)
CASES = {
    "node_table": (tables.node_table(NODES), ["refused", "analog", "2", "LayerNormalization"]),
    "role_table": (tables.role_table({"spiking": 123456, "refused": 1}), ["123456", "spiking"]),
    "neuron_table": (tables.neuron_table(NEURONS), ["16", "123", "2048", "0.00123", "1.23e+06"]),
    "evaluation_table": (
        tables.evaluation_table(evaluation()),
        ["128", "100.0 %", "98,765,432", "12,345.7 M", "100.0 M", "123.46", "12,346"],
    ),
    "exit_table": (tables.exit_table(EXITS), ["1,234,567", "3", "█" * 40]),
    "adaptation_table": (
        tables.adaptation_table(ADAPTED, NEURONS),
        ["16", "123", "1.63", "98,765,432", "87,654,321"],
    ),
    "adaptation_table of graded neurons": (
        tables.adaptation_table(ADAPTED, {name: replace(one, exponents=13) for name, one in NEURONS.items()}),
        ["13", "1.63", "98,765,432", "87,654,321"],
    ),
    "sweep_table": (
        tables.sweep_table(Sweep(1, "accuracy", None, [point(best=True), point(knee=True)])),
        ["signed", "128", "16", "0.25", "100.0 %", "98,765,432", "123.46", "1,234", "best", "← knee"],
    ),
    "diagnosis_table": (
        tables.diagnosis_table(DIAGNOSIS),
        ["1234.5", "12.3", "100.0", "56.7"],
    ),
    "doctor_table": (tables.doctor_table(examine()), [onnx2snn.__version__, "CPUExecutionProvider", "npm"]),
}


def check(text: str) -> None:
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize("name", CASES)
def test_a_table_fits_and_keeps_its_numbers_whole(name):
    table, words = CASES[name]
    text = shown(table)
    check(text)
    for word in words:
        assert word in text


def test_the_energy_table_fits():
    place = resources.files("onnx2snn.demo")
    compiled = onnx2snn.compile(
        str(place / "digits.onnx"),
        str(place / "digits_calibration.npz"),
        preprocessing=onnx2snn.Preprocessing(scale=1 / 16),
        max_samples=8,
        timesteps=2,
        code="burst",
    )
    session = onnx2snn.SpikingSession(compiled.model)
    data = open_dataset(
        str(place / "digits_test.npz"), session.inputs, onnx2snn.Preprocessing(scale=1 / 16), 8
    )
    figures = evaluate(session, data, [2])
    check(shown(tables.energy_table(figures)))


def test_no_table_is_forgotten():
    made = {name for name in vars(tables) if name.endswith("_table")}
    assert made == {*(name.split()[0] for name in CASES), "energy_table"}


@pytest.mark.parametrize("name", ["node_table", "neuron_table", "adaptation_table", "diagnosis_table"])
def test_names_fold_and_can_be_put_together(name):
    assert LONG in unfolded(shown(CASES[name][0]))
    assert LONG in shown(CASES[name][0], 500)


def test_names_fold_behind_slashes():
    lines = shown(tables.NodeName("/layer1/layer1.0/conv1/Conv"), 16).splitlines()
    assert [line.strip() for line in lines] == ["/layer1/", "layer1.0/conv1/", "Conv"]


def test_a_name_without_slashes_folds_anywhere():
    lines = shown(tables.NodeName("a" * 20), 16).splitlines()
    assert [line.strip() for line in lines] == ["a" * 16, "aaaa"]


def test_one_type_of_neurons_is_said_once():
    text = shown(tables.neuron_table({"/Relu": neuron("BurstIF"), "/Relu_1": neuron("BurstIF")}))
    assert text.count("BurstIF") == 1


@pytest.mark.parametrize("net", ["mobilenet_v3.script", "keras_functional.tensorflow"])
def test_nodes_of_a_real_net(net):
    nodes = onnx2snn.inspect(load(net)).nodes
    text = shown(tables.node_table(nodes))
    check(text)
    for said in nodes:
        if not said.island:
            assert said.node in unfolded(text)


def test_graded_neurons_show_how_many_sizes_and_their_range():
    text = shown(tables.neuron_table({LONG: replace(neuron("GradedFire16"), exponents=12)}))
    check(text)
    for word in ("GradedFire16 layer", " n ", "least R", "12", "2048", "0.00123", "1.23e+06"):
        assert word in text
    assert "levels" not in text


def test_bits_are_of_the_last_number_of_timesteps():
    energy = replace(evaluation().energy, bits_sent_per_sample=[1.0, 17549.4], bits_convention="4 a spike")
    assert tables.bits_line(energy) == "17,549 a sample (4 a spike)"
