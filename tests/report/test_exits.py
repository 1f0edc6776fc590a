"""The section of an early exit: what it gave, when samples stopped, how sure they had to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onnx2snn.exits.rule import ExitRule
from onnx2snn.report import exits as module
from onnx2snn.report.exits import exit_section
from tests.report.drawn import cells, letters
from tests.report.subjects import compiled, evaluated


def section(rule=None, **changes):
    """Of an evaluation; `changes` are those of its figures."""
    subject = evaluated()
    given = replace(subject.figures.early_exit, **changes)
    given = given if rule is None else replace(given, rule=rule)
    return exit_section(replace(subject, figures=replace(subject.figures, early_exit=given)))


def test_figures_in_one_row():
    (table,) = section().tables
    assert table.text == 0
    assert cells([table.columns, *table.rows]) == [
        [
            *("timesteps, mean", "accuracy", "same answer as the ANN", "spikes a sample"),
            *("synaptic operations", "energy a sample", "ANN = 1"),
        ],
        ["2.25", "90.0 %", "95.0 %", "1,500", "8,000,000", "9.04 µJ", "0.05"],
    ]


def test_what_is_not_known_has_no_column():
    (table,) = section(accuracy=None, agreement=None).tables
    assert list(table.columns) == [
        *("timesteps, mean", "spikes a sample", "synaptic operations", "energy a sample", "ANN = 1")
    ]


def test_when_samples_stopped():
    plot = section().plots[0]
    assert plot.title == "When 1,234 samples stopped"
    assert plot.description == (
        "Samples by the timestep after which they stopped: 900 after 2, 300 after 3, 34 after 4."
    )
    assert {"900", "300", "34", "mean: 2.25"} <= set(letters(plot))


@pytest.mark.parametrize(("most", "numbered"), [(4, True), (3, False)])
def test_bars_carry_their_numbers_while_there_is_room(monkeypatch, most, numbered):
    monkeypatch.setattr(module, "_NUMBERED", most)
    assert ("900" in letters(section().plots[0])) == numbered


def test_how_sure_a_sample_must_be():
    made = section()
    assert made.lead == ["Decided at confidence ≥ never, 0.9, 0.8, timestep by timestep; the last stays."]
    assert made.plots[1].description == (
        "A sample stops where its confidence is at least: 0.9 at timestep 2, 0.8 at timestep 3."
    )
    assert "confidence, at least" in letters(made.plots[1])


def test_entropy_is_at_most_its_threshold():
    plot = section(ExitRule("entropy", (0.1, 1.0))).plots[1]
    assert plot.description == (
        "A sample stops where its entropy is at most: 0.1 at timestep 1, 1 at timestep 2."
    )
    assert plot.title == "Entropy that decides, at most"


def test_one_threshold_needs_no_picture():
    assert [plot.key for plot in section(ExitRule("confidence", (0.9,))).plots] == ["exit-histogram"]


def test_where_nobody_stops():
    plot = section(ExitRule("confidence", (2.0, 2.0))).plots[1]
    assert plot.description == "A sample stops where its confidence is at least: never."


def test_of_a_compiled_network_the_rule_alone():
    subject = compiled()
    assert exit_section(subject) is None
    rule = ExitRule("confidence", (0.9, 0.5))
    made = exit_section(replace(subject, figures=replace(subject.figures, early_exit=rule)))
    assert made.lead == ["Decided at confidence ≥ 0.9, 0.5, timestep by timestep; the last stays."]
    assert [plot.key for plot in made.plots] == ["exit-thresholds"]
    assert list(made.tables) == []
