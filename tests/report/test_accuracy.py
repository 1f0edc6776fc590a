"""The section of timesteps and energy: which measures there are, and their figures in words and cells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onnx2snn.report.accuracy import accuracy_section
from tests.report.drawn import cells, letters, plain
from tests.report.subjects import evaluated

NOTHING = [None] * 3


def section(**figures):
    subject = evaluated()
    return accuracy_section(replace(subject, figures=replace(subject.figures, **figures)))


def test_accuracy_and_agreement_against_time_and_energy():
    made = section()
    time, energy = made.plots
    assert (made.key, made.lead) == ("accuracy", [])
    assert time.title == "Accuracy and same answer as the ANN against T"
    assert plain(time.description) == (
        "accuracy: 50.0 % at T = 1, 87.5 % at T = 2, 91.0 % at T = 4; "
        "same answer as the ANN: 55.0 % at T = 1, 90.0 % at T = 2, 97.5 % at T = 4."
    )
    assert energy.title == "Accuracy against energy"
    assert plain(energy.description) == (
        "accuracy: 50.0 % for 5.44 µJ at T = 1, 87.5 % for 9.94 µJ at T = 2, 91.0 % for 19.8 µJ at T = 4; "
        "the ANN takes 184 µJ."
    )
    assert {"1", "2", "4", "accuracy of the ANN"} <= set(letters(time))
    assert {"T = 1", "T = 2", "T = 4", "ANN", "energy a sample, µJ (estimated)"} <= set(letters(energy))


def test_the_table_has_a_row_for_each_number_of_timesteps():
    (table,) = section().tables
    assert cells([table.columns])[0] == [
        *("T", "accuracy", "same answer as the ANN", "error of the output", "spikes a sample"),
        *("synaptic operations", "energy a sample", "ANN = 1"),
    ]
    assert table.text == 0
    assert cells(table.rows) == [
        ["1", "50.0 %", "55.0 %", "70.0 %", "1,000", "4,000,000", "5.44 µJ", "0.03"],
        ["2", "87.5 %", "90.0 %", "30.0 %", "2,100", "9,000,000", "9.94 µJ", "0.05"],
        ["4", "91.0 %", "97.5 %", "10.0 %", "4,200", "20,000,000", "19.8 µJ", "0.11"],
    ]


@pytest.mark.parametrize(
    ("missing", "lead", "title", "gone"),
    [
        (
            ("accuracy",),
            ["The data have no labels, so there is no accuracy."],
            "Same answer as the ANN against energy",
            {"accuracy"},
        ),
        (
            ("agreement", "output_error"),
            ["No reference was given, so there is no agreement."],
            "Accuracy against energy",
            {"same answer as the ANN", "error of the output"},
        ),
        (
            ("accuracy", "agreement"),
            ["The output has no class scores, so there is no accuracy and no agreement, only its error."],
            "Relative error of the output against energy",
            {"accuracy", "same answer as the ANN"},
        ),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_drawn(missing, lead, title, gone):
    made = section(**dict.fromkeys(missing, NOTHING))
    assert made.lead == lead
    assert made.plots[1].title == title
    everything = set(section().tables[0].columns)
    assert set(made.tables[0].columns) == everything - gone


def test_without_any_measure_there_is_the_table_alone():
    made = section(accuracy=NOTHING, agreement=NOTHING, output_error=NOTHING)
    assert made.lead == [
        "Without labels or a reference there is no accuracy and no agreement, only spikes and energy."
    ]
    assert made.plots == []
    assert len(made.tables[0].rows) == 3


def test_without_the_ann_s_accuracy_its_energy_is_a_line():
    time, energy = section(reference_accuracy=None).plots
    assert "accuracy of the ANN" not in letters(time)
    assert "ANN" in letters(energy)


def test_shares_that_hardly_differ_make_no_mountain():
    """An axis shows 2.5 points at least."""
    time, _ = section(accuracy=[0.998, 0.999, 1.0], agreement=NOTHING, reference_accuracy=None).plots
    labels = [float(text) for text in letters(time) if text.replace(".", "").isdigit()][3:]
    assert min(labels) == 98
