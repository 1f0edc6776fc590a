"""What a search tried, as a table, a sentence and a section."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from onnx2snn.artifact.records import SearchRecord, Trial
from onnx2snn.report.searches import search_line, search_section, search_table
from tests.report.subjects import compiled

FOUND = SearchRecord(
    max_loss=0.3,
    target_energy=None,
    prefer="energy",
    measure="accuracy",
    calibrated=250,
    held_back=500,
    met=True,
    stopped="",
    passes=41.3,
    trials=[
        Trial("graded, T = 4", {"timesteps": 4}, 0.25, 10, None, None, None, "dearer"),
        Trial("radix, T = 4", {"timesteps": 4}, 0.171, 28, 0.654, 0.2, 2.8, "chosen", chosen=True),
    ],
)


def test_the_table_goes_by_energy():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(search_table(FOUND))
    lines = [line for line in console.export_text().splitlines() if "T = " in line]
    assert [line.split(",")[0] for line in lines] == ["radix", "graded"]
    assert lines[0].split() == [
        "radix,",
        "T",
        "=",
        "4",
        "0.171",
        "28",
        "0.65",
        "±",
        "0.20",
        "2.8",
        "%",
        "chosen",
    ]


def test_the_sentence_says_what_was_looked_for():
    assert search_line(FOUND) == (
        "the least energy for at most 0.3 points of accuracy: 2 settings on 250 samples, judged by 500 held "
        "back, 41 passes of the ANN"
    )
    other = replace(FOUND, max_loss=None, target_energy=0.2, met=False, stopped="2 minutes are over")
    assert search_line(other) == (
        "the least loss at no more than 0.2 of the ANN's energy; NOT met: 2 settings on 250 samples, judged "
        "by 500 held back, 41 passes of the ANN; 2 minutes are over"
    )


def test_a_page_has_it_where_there_was_a_search():
    subject = compiled()
    assert search_section(subject) is None
    section = search_section(replace(subject, figures=replace(subject.figures, search=FOUND)))
    assert [row[0] for row in section.tables[0].rows] == ["radix, T = 4", "graded, T = 4"]
    assert "Searched: the least energy" in section.lead[0]
