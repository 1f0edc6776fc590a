"""The sections of a diagnosis: errors with their parts, faults with remedies, spikes with odd channels."""

from __future__ import annotations

from dataclasses import replace

from onnx2snn.analysis.diagnosis.figures import Fault
from onnx2snn.report.diagnosis import activity_section, errors_section, faults_section
from tests.report.drawn import cells, letters, plain
from tests.report.subjects import diagnosed

NAMES = ("a", "b", "c")


def subject(changes=None, **figures):
    """A diagnosis of three layers, with `changes` by name and in all."""
    made = diagnosed(NAMES)
    changes = changes or {}
    layers = [replace(layer, **changes.get(layer.layer, {})) for layer in made.figures.layers]
    return replace(made, figures=replace(made.figures, layers=layers, **figures))


def test_errors_in_figures():
    (table,) = errors_section(subject()).tables
    assert cells([table.columns])[0] == [
        *("layer", "Γ", "error", "its own", "clipping", "quantisation", "timing", "parameters"),
        *("inherited", "clipped", "if exact", "if only spiking"),
    ]
    first, _, last = cells(table.rows)
    assert first == [
        *("a", "4", "5.00 %", "5.00 %", "3.00 %", "4.00 %", "1.00 %", "0.10 %", "0.00 %"),
        *("0.20 %", "96.0 %", "99.0 %"),
    ]
    assert last == [
        *("c", "", "13.00 %", "5.00 %", "3.00 %", "4.00 %", "1.00 %", "0.10 %", "10.00 %"),
        *("0.20 %", "96.0 %", ""),
    ]


def test_the_largest_error_and_its_largest_part_are_told():
    plot, _ = errors_section(subject()).plots
    assert plain(plot.description) == (
        "One bar for each of 3 layers. c has the largest, 13.0 %, most of it inherited."
    )
    other = errors_section(subject({"b": {"error": 0.5, "components": {"timing": 0.2, "clipping": 0.1}}}))
    assert plain(other.plots[0].description).endswith("b has the largest, 50.0 %, most of it timing.")
    assert {"5.0 %", "9.0 %", "13.0 %"} <= set(map(plain, letters(plot)))


def test_the_layer_that_costs_most_alone_is_told():
    made = errors_section(subject({"b": {"agreement_if_only_spiking": 0.9}}))
    assert plain(made.plots[1].description).endswith("Alone, b costs the most: 10.0 % of the answers differ.")
    assert {"only this layer exact", "only this layer spiking", "as it is"} <= set(letters(made.plots[1]))


def test_without_class_scores_there_are_no_answers_to_draw():
    nothing = {"agreement_if_exact": None, "agreement_if_only_spiking": None}
    made = errors_section(subject(dict.fromkeys(NAMES, nothing)))
    assert [plot.key for plot in made.plots] == ["components"]
    one = errors_section(subject(dict.fromkeys(NAMES[1:], nothing), agreement=None))
    assert [plot.key for plot in one.plots] == ["components", "agreement-if"]
    assert "as it is" not in letters(one.plots[1])


def test_layers_that_cannot_be_compared_are_named_with_the_reason():
    assert errors_section(subject()).lead[1:] == ["Not compared: c (the compiler put it in)."]
    assert len(errors_section(subject(not_compared={})).lead) == 1


def test_faults_of_the_worst_come_first_and_the_others_are_folded():
    faults = [Fault("timing", 0.2, "late", "more timesteps"), Fault("bias", 0.1, "off", "--correct-bias")]
    made = faults_section(subject({"b": {"faults": faults}}, worst=["c", "a"]))
    worst, others = made.tables
    assert [row[:2] for row in worst.rows] == [("c", "clipping"), ("a", "clipping")]
    assert list(others.rows) == [
        ("b", "timing", "late", "more timesteps"),
        ("b", "bias", "off", "--correct-bias"),
    ]
    assert (worst.folded, others.folded) == (False, True)


def test_no_faults_no_section():
    faultless = {"faults": []}
    assert faults_section(subject(dict.fromkeys(NAMES, faultless))) is None
    (table,) = faults_section(subject({"a": faultless, "b": faultless}, worst=["a"])).tables
    assert table.caption == "Of the other layers"


def test_saturated_and_dead_channels_are_counted_and_the_first_named():
    four = {"saturated_channels": [1, 2, 3, 5], "dead_channels": []}
    made = activity_section(subject({"b": four, "c": {"spikes_per_sample": 12.0, "firing_rate": 0.0004}}))
    assert [plot.key for plot in made.plots] == ["spikes-by-layer", "rate-by-layer"]
    assert cells(made.tables[0].rows) == [
        ["a", "4,096", "9,830", "0.300", "5 of 16: 1, 2, 3, 5 …", "1 of 16: 4"],
        ["b", "4,096", "9,830", "0.300", "4 of 16: 1, 2, 3, 5", ""],
        ["c", "4,096", "12", "0.000", "5 of 16: 1, 2, 3, 5 …", ""],
    ]


def test_of_many_layers_those_with_the_largest_errors_are_drawn(monkeypatch):
    monkeypatch.setattr("onnx2snn.report.spikes.MOST_LAYERS", 2)
    errors, answers = errors_section(subject()).plots
    assert [text for text in letters(errors) if text in NAMES] == ["b", "c"]
    assert errors.caption.endswith("parts. 1 layer with less is not drawn; the table has it.")
    # The last layer costs nothing alone, as nobody tried.
    assert [text for text in letters(answers) if text in NAMES] == ["a", "b"]


def test_graded_layers_show_their_exponents_and_what_the_parts_are_of_theirs():
    made = errors_section(subject({name: {"exponents": 7} for name in ("a", "b")}))
    (table,) = made.tables
    assert cells([table.columns])[0][1] == "n"
    assert [row[1] for row in cells(table.rows)] == ["7", "7", ""]
    assert "quantisation is what is too little for the smallest spike, timing what a neuron" in made.lead[0]
    assert "quantisation comes from too coarse a θ, timing from spikes" in errors_section(subject()).lead[0]
