"""The sections of a sweep: the frontier in words, every point in figures, the line of the knee."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from onnx2snn.report.frontier import frontier_section, points_section
from tests.report.drawn import cells, letters, plain
from tests.report.subjects import swept


def subject(**changes):
    made = swept()
    return replace(made, figures=replace(made.figures, **changes))


def test_the_best_for_their_energy_are_told():
    energy, _ = frontier_section(subject()).plots
    assert energy.title == "Accuracy against energy"
    assert plain(energy.description) == (
        "6 conversions by energy and accuracy. Best for their energy: stream, T = 2: 80.0 % for 10 µJ; "
        "radix, T = 2: 84.0 % for 30 µJ; stream, T = 4: 86.0 % for 40 µJ; signed, T = 4: 88.0 % for 50 µJ; "
        "radix, T = 4: 90.0 % for 60 µJ."
    )
    assert {"knee: stream, T = 4 (86.0 %, 40 µJ)", "signed, compressed", "ANN"} <= set(letters(energy))
    assert energy.caption.endswith("45nm-float32: 4.6 pJ a MAC, 0.9 pJ a synaptic operation.")


def test_the_second_picture_is_over_time():
    _, time = frontier_section(subject()).plots
    assert (time.key, time.title) == ("sweep-over-time", "Accuracy against T")
    assert [text for text in letters(time) if text in ("2", "4")] == ["2", "4"]
    assert {"stream", "signed", "radix"} <= set(letters(time))


def test_without_labels_it_is_the_agreement():
    energy, time = frontier_section(subject(measure="agreement", reference_accuracy=None)).plots
    assert energy.title == "Same answer as the ANN against energy"
    assert "stream, T = 2: 85.0 % for 10 µJ;" in plain(energy.description)
    assert time.title == "Same answer as the ANN against T"
    assert "ANN" not in letters(energy)


def test_every_point_in_figures():
    (table,) = points_section(subject()).tables
    assert cells(table.rows) == [
        ["stream, T = 2", "80.0 %", "85.0 %", "10,000", "1,000,000", "10 µJ", "0.10", "best"],
        ["signed, T = 2", "82.0 %", "87.0 %", "20,000", "2,000,000", "20 µJ", "0.20", ""],
        ["radix, T = 2", "84.0 %", "89.0 %", "30,000", "3,000,000", "30 µJ", "0.30", "best"],
        ["stream, T = 4", "86.0 %", "91.0 %", "40,000", "4,000,000", "40 µJ", "0.40", "knee"],
        ["signed, T = 4", "88.0 %", "93.0 %", "50,000", "5,000,000", "50 µJ", "0.50", "best"],
        ["radix, T = 4", "90.0 %", "95.0 %", "60,000", "6,000,000", "60 µJ", "0.60", "best"],
    ]


def test_a_figure_that_is_not_known_is_an_empty_cell():
    first, *others = swept().figures.points
    unknown = replace(first, accuracy=None, energy_ratio=None)
    (table,) = points_section(subject(points=[unknown, *others])).tables
    assert cells(table.rows)[0] == [
        *("stream, T = 2", "", "85.0 %", "10,000", "1,000,000", "10 µJ", "", "best")
    ]


@pytest.mark.parametrize(
    ("command", "lead"),
    [("onnx2snn compile a.onnx", ["The knee of the frontier is compiled by:"]), (None, [])],
)
def test_the_line_of_the_knee(command, lead):
    section = points_section(subject(command=command))
    assert (section.code, section.lead) == (command or "", lead)


def test_of_another_task_its_measure_is_shown():
    points = [
        replace(point, accuracy=None, agreement=None, measures={"rmse": 1 / (1 + number)})
        for number, point in enumerate(swept().figures.points)
    ]
    made = subject(points=points, measure="rmse", task="regress", labelled=False)
    (table,) = points_section(made).tables
    assert table.columns[1] == "RMSE, ANN as truth"
    assert [row[1] for row in cells(table.rows)][:2] == ["1", "0.5"]
    assert frontier_section(made).plots[0].title == "RMSE, ANN as truth against energy"
    assert made.figures.quality(points[0]) == -1
    unknown = replace(points[0], measures={})
    assert made.figures.quality(unknown) == -np.inf
