"""What a page consists of, and where each part of it stands on the page."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import pytest

from onnx2snn.report import page
from onnx2snn.report.content import Plot, Section, Table, Tile
from tests.report.subjects import swept


@pytest.fixture
def body(monkeypatch):
    """Makes the part of a page that is a section's."""

    def make(section: Section) -> str:
        monkeypatch.setitem(page.PAGES, "sweep", ("Sweep", (lambda _: section,)))
        (found,) = re.findall(rf'<section id="{section.key}".*?</section>', page.render(swept()), re.DOTALL)
        return re.sub(r"\n+", "\n", found)

    return make


def test_a_section_of_nothing_but_its_title(body):
    assert body(Section("k", "Title")) == (
        '<section id="k" aria-labelledby="k-heading">\n<h2 id="k-heading">Title</h2>\n</section>'
    )


def test_parts_come_in_one_order(body):
    plot = Plot("p", "Drawn", "seen", "<svg></svg>", "caption of it")
    section = Section(
        "k", "Title", ["First.", "Second."], [plot], [Table("Listed", ["a"], [["1"]])], "run it", "small"
    )
    found = body(section)
    parts = ("First.", "Second.", "run it", '<div class="plots small">', "Drawn", "<svg></svg>")
    places = [found.index(part) for part in (*parts, "caption of it", "Listed")]
    assert places == sorted(places)
    assert "seen" not in found  # it is in the drawing


def test_pictures_share_a_line_by_two_unless_told():
    assert Section("k", "Title").size == "half"


def test_the_first_columns_hold_text_and_the_others_numbers(body):
    found = body(Section("k", "Title", tables=[Table("t", ["a", "b", "c"], [["1", "2", "3"]], text=2)]))
    assert '<th scope="col">a</th><th scope="col">b</th><th scope="col" class="number">c</th>' in found
    assert '<th scope="row">1</th><td>2</td><td class="number">3</td>' in found
    assert "<details>" not in found
    numbers = body(Section("k", "Title", tables=[Table("t", ["a"], [["1"]], text=0)]))
    assert '<th scope="row" class="number">1</th>' in numbers


def test_a_folded_table_is_shown_on_demand(body):
    found = body(Section("k", "Title", tables=[Table("All of them", ["a"], [["1"]], folded=True)]))
    assert "<details>\n<summary>All of them</summary>" in found
    assert '<caption class="folded">All of them</caption>' in found


def test_a_tile_without_a_note_has_none(monkeypatch):
    monkeypatch.setattr(page, "tiles", lambda _: [Tile("1 %", "share"), Tile("2 %", "part", "ANN 3 %")])
    found = page.render(swept())
    assert '<li><span class="value">1 %</span> <span class="label">share</span></li>' in found
    assert '<span class="label">part</span> <span class="note">ANN 3 %</span></li>' in found


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (Tile("1", "a"), "note"),
        (Plot("k", "t", "d", "<svg/>"), "svg"),
        (Table("t", [], []), "text"),
        (Section("k", "t"), "code"),
    ],
)
def test_nothing_changes_once_it_is_made(part, field):
    with pytest.raises(FrozenInstanceError):
        setattr(part, field, "")
