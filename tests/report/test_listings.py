"""Tables of neurons and nodes, and all that it takes to have a page again."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import version

import pytest

import onnx2snn
from onnx2snn.artifact.records import Metadata, Verdict
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.report.listings import neurons_section, nodes_section, repeat_section
from tests.report.subjects import compiled, evaluated, swept


def subject(**metadata):
    made = evaluated(("a", "b"))
    return replace(made, metadata=replace(made.metadata, **metadata))


def verdicts(count, role="linear"):
    return [Verdict(f"n{number}", "Conv", role, "weights") for number in range(count)]


def test_every_neuron_layer_with_its_way_of_firing():
    section = neurons_section(subject())
    (table,) = section.tables
    assert table.columns[-3:] == ("least θ", "median θ", "greatest θ")
    assert list(table.rows) == [
        ("a", "BurstIF", "4", "4", "16", "0.1", "0.5", "0.9"),
        ("b", "BurstIF", "4", "4", "16", "0.1", "0.5", "0.9"),
    ]
    assert (table.text, table.folded) == (2, False)


def test_graded_neuron_layers_have_sizes_and_ranges():
    made = subject()
    neurons = {n: replace(r, op="GradedIF", exponents=7) for n, r in made.metadata.neurons.items()}
    (table,) = neurons_section(subject(neurons=neurons)).tables
    assert table.columns == ("neuron layer", "type", "n", "channels", "least R", "median R", "greatest R")
    assert table.rows[0] == ("a", "GradedIF", "7", "16", "0.1", "0.5", "0.9")


def test_what_became_of_every_node():
    nodes = [*verdicts(1), Verdict("a\nb", "Relu", "spiking", "BurstIF"), *verdicts(1)]
    section = nodes_section(subject(nodes=nodes))
    assert section.lead == ["Of 3 nodes of the ANN: 1 spiking, 2 linear."]
    (table,) = section.tables
    assert table.caption == "All 3 nodes of the ANN"
    assert list(table.rows) == [
        ("n0", "Conv", "linear", "weights"),
        ("a�b", "Relu", "spiking", "BurstIF"),
        ("n0", "Conv", "linear", "weights"),
    ]


@pytest.mark.parametrize(("count", "folded"), [(24, False), (25, True)])
def test_long_tables_are_folded(count, folded):
    (nodes,) = nodes_section(subject(nodes=verdicts(count))).tables
    (record, *_) = subject().metadata.neurons.values()
    many = {f"n{number}": record for number in range(count)}
    (neurons,) = neurons_section(subject(neurons=many)).tables
    assert (nodes.folded, neurons.folded) == (folded, folded)


def test_nothing_to_list():
    assert neurons_section(subject(neurons={})) is None
    assert nodes_section(subject(nodes=[])) is None


def test_versions_and_sources():
    section = repeat_section(compiled())
    assert section.code == compiled().line
    facts = dict(section.tables[0].rows)
    assert facts == {
        "onnx2snn": onnx2snn.__version__,
        "compiled by onnx2snn": "0.0.1",
        "python": platform.python_version(),
        **{name: version(name) for name in ("onnx", "onnxruntime", "numpy", "matplotlib", "jinja2")},
        "SHA-256 of the ANN": "cd" * 32,
        "calibrated on": "512 samples of train.npz",
        "preprocessing": "scale 0.00392157, mean 0.5, std 0.2",
    }


@pytest.mark.parametrize("known", [None, onnx2snn.__version__])
def test_the_compiler_s_version_is_told_where_it_is_another(known):
    facts = dict(repeat_section(subject(version=known)).tables[0].rows)
    assert "compiled by onnx2snn" not in facts


def test_without_an_artifact_the_ann_is_known_from_the_figures():
    made = swept()
    assert made.metadata == Metadata()
    (table,) = repeat_section(made).tables
    facts = dict(table.rows)
    assert facts["SHA-256 of the ANN"] == "ab" * 32
    assert {"calibrated on", "preprocessing"}.isdisjoint(facts)


def test_a_preprocessing_that_does_nothing():
    facts = dict(repeat_section(subject(preprocessing=Preprocessing().to_dict())).tables[0].rows)
    assert facts["preprocessing"] == "none"


def test_options_as_one_types_and_reads_them():
    options = {
        "max_spikes": 4,
        "signed": True,
        "refit": False,
        "levels": None,
        "percentile": 99.9,
        "max_losses": [0.5, 1.0],
        "timesteps": 0,
    }
    (_, table) = repeat_section(subject(options=options)).tables
    assert list(table.rows) == [
        ("--max-spikes", "4"),
        ("--signed", "yes"),
        ("--refit", "no"),
        ("--levels", "–"),
        ("--percentile", "99.9"),
        ("--max-losses", "0.5, 1"),
        ("--timesteps", "0"),
    ]
