"""Drawings: an element of the page, in its colours, whose ids are its alone; matplotlib stays as it was."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from onnx2snn.report.drawing import HALF, SMALL, THEME, bar_axes, draw
from onnx2snn.report.plots import BLUE, INK
from tests.report.drawn import letters


def drawn(paint=lambda _: None, key="k", title="t", description="d", **more):
    return draw(key, title, description, paint, height=100, **more)


def line(colour):
    def paint(figure):
        figure.add_subplot().plot([0, 1], [0, 1], color=colour)

    return paint


def hatched(figure):
    figure.add_subplot().bar([0], [1], hatch="//", color=BLUE)


def test_it_is_named_and_described_by_what_is_in_it():
    plot = drawn(key="some-key", title="a <b>", description="c & d", caption="e")
    assert (plot.key, plot.title, plot.description, plot.caption) == ("some-key", "a <b>", "c & d", "e")
    root = ElementTree.fromstring(plot.svg)
    assert root.tag == "svg"
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "some-key-title some-key-description"
    first, second = list(root)[:2]
    assert (first.tag, first.text, first.attrib) == ("title", "a <b>", {"id": "some-key-title"})
    assert (second.tag, second.text, second.attrib) == ("desc", "c & d", {"id": "some-key-description"})


@pytest.mark.parametrize("width", [HALF, SMALL])
def test_its_size_is_that_of_the_page_s_letters(width):
    assert ElementTree.fromstring(drawn(width=width).svg).attrib["viewBox"] == f"0 0 {width:g} 100"


@pytest.mark.parametrize("colour", THEME)
def test_colours_are_variables_of_the_style_sheet(colour):
    svg = drawn(line(colour)).svg
    assert f"stroke: var(--{THEME[colour]})" in svg
    assert not re.search("#[0-9a-f]{6}", svg)


def test_a_colour_of_no_theme_stays():
    svg = drawn(line("#123456")).svg
    assert "stroke: #123456" in svg


def test_every_id_is_referred_to_and_begins_with_the_key():
    svg = drawn(hatched, key="one").svg
    known = set(re.findall(r' id="([^"]+)"', svg)) - {"one-title", "one-description"}
    assert known
    assert known == set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    assert all(re.fullmatch(r"one-\d+", name) for name in known)
    assert "fill: url(#one-" in svg


def test_two_drawings_of_a_page_share_no_id():
    first, second = (set(re.findall(r' id="([^"]+)"', drawn(hatched, key=key).svg)) for key in ("a", "b"))
    assert not first & second


def test_the_same_bytes_again():
    assert drawn(hatched) == drawn(hatched)


def test_nothing_but_what_is_drawn():
    svg = drawn(hatched).svg
    assert not re.search(r"<(style|metadata)|xmlns|\n|font-family", svg)
    assert not re.search(r'(?<=[ "])-?\d+\.\d{3}', " ".join(re.findall(r' d="([^"]*)"', svg)))


def test_names_are_no_formulas():
    def paint(figure):
        figure.add_subplot().set_xlabel("$x^2$ <b>")

    assert "$x^2$ <b>" in letters(drawn(paint))


def test_letters_that_matplotlib_lacks_are_no_warning():
    def paint(figure):
        figure.add_subplot().set_xlabel("层")

    assert "层" in letters(drawn(paint))


def test_whoever_draws_keeps_their_style():
    plain = drawn(line(INK))
    mpl.rcParams["font.size"] = 31
    try:
        before = mpl.rcParams.copy()
        styled = drawn(line(INK))
        assert mpl.rcParams.copy() == before
    finally:
        mpl.rcdefaults()
    assert styled == plain


def test_the_first_of_the_bars_is_on_top():
    def paint(figure):
        axes = bar_axes(figure, ["first", "second"], "values")
        axes.barh([0, 1], [1, 2])
        low, high = axes.get_ylim()
        assert low > 1 > 0 > high
        assert [text.get_text() for text in axes.get_yticklabels()] == ["first", "second"]

    assert {"first", "second", "values"} <= set(letters(drawn(paint)))
