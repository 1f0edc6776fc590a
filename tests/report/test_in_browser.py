"""Pages in a real browser: they open without complaint, and can be read on a screen, a phone, in the dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import heading_problems, overflowing, poor_contrast
from tests.report.conftest import made_up
from tests.report.subjects import SUBJECTS

SIZES = {"phone": (360, 800), "screen": (1280, 900)}


@pytest.fixture(scope="module", params=SUBJECTS)
def opened(request, tmp_path_factory, browser) -> Iterator:
    """Every page with the worst names, opened once."""
    place = tmp_path_factory.mktemp("page") / f"{request.param}.html"
    place.write_text(made_up(request.param), encoding="utf-8")
    problems: list[str] = []
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.on("console", lambda said: problems.append(said.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request", lambda request: problems.append(request.url) if request.url != place.as_uri() else None
    )
    page.on("dialog", lambda dialog: problems.append(dialog.message) or dialog.dismiss())
    page.goto(place.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    yield page, problems
    context.close()


def test_a_page_opens_without_complaint_and_asks_for_nothing(opened):
    page, problems = opened
    assert problems == []
    assert heading_problems(page) == []


@pytest.mark.parametrize("size", SIZES)
def test_nothing_reaches_beyond_the_sides(opened, size):
    page, _ = opened
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    assert overflowing(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(opened, scheme):
    page, _ = opened
    page.emulate_media(color_scheme=scheme)
    assert poor_contrast(page) == []
    marks = page.evaluate(
        "() => [...document.querySelectorAll('.plot svg [style*=\"var(--\"]')]"
        ".map(e => getComputedStyle(e).fill)"
    )
    assert marks
    assert all(fill == "none" or fill.startswith(("rgb", "url")) for fill in marks)


def test_options_break_nowhere(opened):
    page, _ = opened
    page.set_viewport_size({"width": 360, "height": 800})
    lines = page.evaluate(
        "() => [...document.querySelectorAll(':not(pre) > code')].map(e => [e.textContent, "
        "e.getClientRects().length])"
    )
    assert all(text.startswith("-") and number == 1 for text, number in lines), lines
    assert lines or page.title().startswith("Sweep")


def test_letters_in_drawings_are_large_enough_on_a_phone(opened):
    page, _ = opened
    page.set_viewport_size({"width": 360, "height": 800})
    smallest = page.evaluate(
        "() => Math.min(...[...document.querySelectorAll('.plot svg text')].map("
        "e => parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getScreenCTM().a))"
    )
    assert smallest >= 8


def test_letters_in_drawings_stay_inside_them(opened):
    page, _ = opened
    page.set_viewport_size({"width": 1280, "height": 900})
    outside = page.evaluate(
        "() => [...document.querySelectorAll('.plot svg')].flatMap(svg => {"
        "  const box = svg.getBoundingClientRect();"
        "  return [...svg.querySelectorAll('text')].filter(t => {"
        "    const b = t.getBoundingClientRect();"
        "    return b.left < box.left - 2 || b.right > box.right + 2"
        "        || b.top < box.top - 2 || b.bottom > box.bottom + 2;"
        "  }).map(t => t.textContent) })"
    )
    assert outside == []


def test_in_print_every_table_is_open_and_light(browser_page, tmp_path):
    (tmp_path / "page.html").write_text(made_up("evaluate"), encoding="utf-8")
    browser_page.emulate_media(media="print", color_scheme="dark")
    browser_page.goto((tmp_path / "page.html").as_uri())
    assert browser_page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 30, 35)"
    shown = browser_page.evaluate(
        "() => [...document.querySelectorAll('table')].map(t => t.checkVisibility())"
    )
    assert shown
    assert all(shown)
    assert browser_page.evaluate("document.querySelector('nav').checkVisibility()") is False
