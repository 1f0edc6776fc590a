"""What was found in short: sentences and large figures of every command, and what changes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onnx2snn.artifact.records import NeuronRecord, Spread, Verdict
from onnx2snn.options import CompileOptions
from onnx2snn.report.content import Tile
from onnx2snn.report.summary import summary, tiles
from tests.report.drawn import plain
from tests.report.subjects import compiled, diagnosed, evaluated, swept


def sentences(subject, **figures):
    about = replace(subject, figures=replace(subject.figures, **figures))
    return [plain(sentence) for sentence in summary(about)]


def figures(subject, **changes):
    about = replace(subject, figures=replace(subject.figures, **changes))
    return [(plain(tile.value), tile.label, plain(tile.note)) for tile in tiles(about)]


def test_a_conversion():
    assert sentences(compiled()) == [
        "3 of 6 nodes of the ANN spike; 40,000,000 multiply-accumulates a sample, "
        "99.0 % of them fed by spikes.",
        "It runs for 8 timesteps with burst neurons, Γ = 4, calibrated on 512 samples of train.npz.",
        "1 node is computed exactly, without spikes; the table of nodes says why.",
        "The layer that loses most above what its neurons can send is /Relu: 1.23 % of its activation.",
    ]
    assert tiles(compiled())[1:] == [
        Tile("3", "neuron layers"),
        Tile("8", "timesteps T"),
        Tile("4", "spikes of a neuron a timestep at most, Γ"),
    ]


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ([], "Nothing between the first neuron and the last is computed without spikes."),
        (["analog"], "1 node is computed exactly, without spikes; the table of nodes says why."),
        (["analog"] * 2, "2 nodes are computed exactly, without spikes; the table of nodes says why."),
    ],
)
def test_what_is_computed_exactly(roles, told):
    nodes = [Verdict("n", "Conv", role, "") for role in ["spiking", *roles]]
    assert sentences(compiled(), nodes=nodes)[2] == told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"signed": True, "timesteps": 1}, "It runs for 1 timestep with signed burst neurons, Γ = 2 to 8, "),
        (
            {"schedule": "layer", "code": "radix", "max_spikes": None},
            "It runs for 8 timesteps, layer after layer, in the code radix, ",
        ),
    ],
)
def test_how_neurons_fire(options, told):
    subject = compiled()
    theta = Spread(0.1, 0.5, 0.9)
    neurons = {f"{most}": NeuronRecord("BurstIF", most, 4, 1, theta, None) for most in (8, 2, 4)}
    changed = replace(subject.figures.options, **options)
    assert sentences(subject, options=changed, neurons=neurons)[1].startswith(told)
    assert figures(subject, neurons=neurons)[-1][0] == "2 to 8"


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("stream", "It runs for 4 timesteps with graded neurons, 5 to 9 sizes of spikes, calibrated on "),
        (
            "layer",
            "It runs for 4 timesteps, layer after layer, with graded neurons, 5 to 9 sizes of spikes, ",
        ),
    ],
)
def test_graded_neurons_have_sizes(schedule, told):
    subject = compiled()
    theta = Spread(0.1, 0.5, 0.9)
    neurons = {f"{n}": NeuronRecord("GradedIF", 1, 1, 1, theta, None, exponents=n) for n in (9, 5)}
    options = CompileOptions(code="graded", timesteps=4, schedule=schedule)
    assert sentences(subject, options=options, neurons=neurons)[1].startswith(told)
    assert figures(subject, options=options, neurons=neurons)[-1][:2] == ("5 to 9", "sizes of a spike, n")


def test_a_conversion_that_clips_nothing_does_not_speak_of_it():
    subject = compiled()
    exact = {name: replace(a, clipped=0.0) for name, a in subject.figures.activations.items()}
    assert len(sentences(subject, activations=exact)) == 3
    assert len(sentences(subject, activations={})) == 3


def test_an_evaluation():
    told = sentences(evaluated())
    assert told[:4] == [
        "After 4 timesteps the network has 91.0 % of 1,234 samples right; the ANN 92.0 % (−1.0 points).",
        "It gives the ANN's own answer for 97.5 %.",
        "Of the numbers of timesteps tried, no smaller one comes within 0.5 points of T = 4.",
        "It sends 4,200 spikes a sample, 0.34 a neuron.",
    ]
    assert told[4].startswith("Estimated energy: 19.8 µJ a sample, 0.11 of the ANN's 184 µJ (45nm-float32: ")
    assert told[5:] == [
        "With the early exit: 2.25 timesteps on average, accuracy 90.0 %, same answer as the ANN 95.0 %.",
        "Charged as MACs, since no spikes feed them: /Relu.",
    ]
    assert figures(evaluated()) == [
        ("91.0 %", "accuracy", "ANN 92.0 %"),
        ("97.5 %", "same answer as the ANN", ""),
        ("4", "timesteps T", ""),
        ("4,200", "spikes a sample", ""),
        ("19.8 µJ", "energy a sample, estimated", "ANN = 1: 0.11"),
    ]


NOTHING = [None] * 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"reference_accuracy": 0.91},
            "After 4 timesteps the network has 91.0 % of 1,234 samples right, as many as the ANN.",
        ),
        (
            {"reference_accuracy": None},
            "After 4 timesteps the network has 91.0 % of 1,234 samples right.",
        ),
        (
            {"accuracy": NOTHING},
            "After 4 timesteps it gives the ANN's own answer for 97.5 % of 1,234 samples.",
        ),
        ({"accuracy": NOTHING, "agreement": NOTHING}, "It ran 4 timesteps on 1,234 samples."),
    ],
)
def test_answers_in_words(changes, told):
    assert sentences(evaluated(), **changes)[0] == told


@pytest.mark.parametrize(
    ("accuracy", "told"),
    [
        ([0.5, 0.9075, 0.91], "T = 2 is enough to be within 0.5 points of the best: 90.8 %"),
        ([0.5, 0.904, 0.91], "Of the numbers of timesteps tried, no smaller one comes within"),
        ([0.0, 0.004, 0.005], "T = 1 is enough to be within 0.5 points of the best: 0.0 %"),
        ([0.92, 0.9, 0.91], "T = 1 is enough to be within 0.5 points of the best: 92.0 %"),
    ],
)
def test_the_fewest_timesteps_that_are_enough(accuracy, told):
    found = sentences(evaluated(), accuracy=accuracy)[2]
    assert found.startswith(told)
    if "T = 2" in told:
        assert found.endswith(", for 50 % of the energy of T = 4.")


def test_one_number_of_timesteps_is_compared_with_none():
    told = sentences(evaluated(), timesteps=[4], accuracy=[0.9], agreement=[0.9])
    assert not any("enough" in sentence or "tried" in sentence for sentence in told)


def test_the_busiest_layers_are_named_where_there_are_others():
    by_neuron = {"a": 100.0, "b": 400.0, "c": 300.0, "d": 200.0}
    given = {"spikes_by_neuron": by_neuron, "spikes_per_sample": [1.0, 2.0, 1000.0]}
    subject = replace(evaluated(), recording=None)
    assert sentences(subject, **given)[3] == (
        "It sends 1,000 spikes a sample; most in b (40 %), c (30 %) and d (20 %)."
    )
    del by_neuron["a"]
    assert sentences(subject, **given)[3] == "It sends 1,000 spikes a sample."


def test_a_sweep():
    assert sentences(swept()) == [
        "6 conversions on 500 samples; 5 of them are the best for their energy.",
        "More energy helps little beyond stream, T = 4: accuracy 86.0 % for 40 µJ a sample.",
        "The highest accuracy is 90.0 %, of radix, T = 4, for 60 µJ.",
        "The ANN itself reaches 92.0 %.",
    ]
    assert figures(swept()) == [
        ("86.0 %", "accuracy at the knee", "ANN 92.0 %"),
        ("40 µJ", "energy a sample there, estimated", "ANN = 1: 0.40"),
        ("6", "conversions tried", ""),
    ]


def test_a_sweep_without_labels():
    told = sentences(swept(), measure="agreement")
    assert told[2:] == [
        "The highest same answer as the ANN is 95.0 %, of radix, T = 4, for 60 µJ.",
        "The data have no labels, so answers are compared with the ANN's.",
    ]
    assert figures(swept(), measure="agreement")[0] == ("91.0 %", "agreement at the knee", "")


def test_a_diagnosis():
    assert sentences(diagnosed(), verdict=["a\nb.", "c."]) == ["a�b.", "c."]
    first, second, third = diagnosed().figures.layers
    worst = replace(second, own_error=0.25)
    assert figures(diagnosed(), layers=[first, worst, third]) == [
        ("90.0 %", "accuracy", "ANN 92.0 %"),
        ("95.0 %", "same answer as the ANN", ""),
        ("8", "timesteps T", ""),
        ("25.0 %", "largest error of one layer", "/layer1/Relu"),
        ("29.5 k", "spikes a sample", ""),
    ]


def test_a_diagnosis_of_nothing_but_an_output():
    nothing = {"accuracy": None, "agreement": None, "layers": []}
    assert figures(diagnosed(), **nothing) == [("8", "timesteps T", ""), ("0", "spikes a sample", "")]
