"""The section of spikes by layer: shares, rates where neurons are known, which of many layers are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onnx2snn.report import spikes as module
from onnx2snn.report.spikes import activity_plots, largest, left_out, spikes_section
from tests.report.drawn import cells, letters
from tests.report.subjects import evaluated


def section(neurons=None, **figures):
    subject = evaluated(("a", "b", "c"))
    recording = None if neurons is None else replace(subject.recording, neurons=neurons)
    return spikes_section(replace(subject, figures=replace(subject.figures, **figures), recording=recording))


def test_shares_and_rates():
    """4 timesteps; spikes a neuron a timestep are those of a sample over both."""
    made = section({"a": 1000, "b": 50, "c": 4096})
    assert made.lead == ["Layers in the order in which they fire; means of 1,234 samples."]
    (table,) = made.tables
    assert table.folded
    assert cells(table.rows) == [
        ["a", "1,000", "23.8 %", "1,000", "0.250"],
        ["b", "1,400", "33.3 %", "50", "7.000"],
        ["c", "1,800", "42.9 %", "4,096", "0.110"],
    ]
    spikes, rates = made.plots
    assert spikes.description == "One bar for each of 3 layers. c has the most, 1,800 spikes a sample."
    assert rates.description == (
        "One bar for each of 3 layers. b has the most, 7.00 spikes a neuron a timestep."
    )
    assert {"0.25", "7.00", "0.11"} <= set(letters(rates))


def test_a_layer_whose_neurons_are_not_known_has_no_rate():
    made = section({"b": 50})
    assert cells(made.tables[0].rows)[0] == ["a", "1,000", "23.8 %", "", ""]
    assert [text for text in letters(made.plots[1]) if text in "abc"] == ["b"]


def test_without_a_recording_there_are_spikes_alone():
    made = section()
    assert [plot.key for plot in made.plots] == ["spikes-by-layer"]
    assert [row[3:] for row in made.tables[0].rows] == [("", "")] * 3


def test_a_network_that_is_silent():
    made = section(spikes_by_neuron={"a": 0.0, "b": 0.0})
    assert cells(made.tables[0].rows) == [["a", "0", "0.0 %", "", ""], ["b", "0", "0.0 %", "", ""]]


def test_the_title_has_the_number_of_timesteps():
    spikes, rates = activity_plots({"a": 1.0}, {"a": 0.5}, 16)
    assert (spikes.title, rates.title) == ("Spikes by layer, T = 16", "Firing rate by layer, T = 16")
    assert len(activity_plots({"a": 1.0}, {}, 16)) == 1


@pytest.mark.parametrize(
    ("most", "expected"),
    [(4, ["a", "b", "c", "d"]), (3, ["a", "b", "d"]), (2, ["b", "d"]), (1, ["b"])],
)
def test_of_many_those_with_the_largest_values_in_their_order(monkeypatch, most, expected):
    monkeypatch.setattr(module, "MOST_LAYERS", most)
    assert largest({"a": 2.0, "b": 9.0, "c": 1.0, "d": 3.0}) == expected


def test_what_is_not_drawn_is_said():
    values = {"a": 1.0, "b": 2.0, "c": 3.0}
    assert left_out(values, ["a", "b", "c"]) == ""
    assert left_out(values, ["b", "c"]) == "1 layer with less is not drawn; the table has it."
    assert left_out(values, ["c"]) == "2 layers with less are not drawn; the table has them."


def test_all_layers_are_listed_however_few_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MOST_LAYERS", 1)
    made = section({"a": 10, "b": 10, "c": 1000})
    assert [plot.caption for plot in made.plots] == [
        "2 layers with less are not drawn; the table has them."
    ] * 2
    assert [text for text in letters(made.plots[1]) if text in "abc"] == ["b"]
    assert [row[0] for row in made.tables[0].rows] == ["a", "b", "c"]
