"""What the tests of pages share: a headless Chromium, what goes wrong in it, and what nobody could read.

A test asks for `browser_page`, a playwright page, and for `page_problems`, the console errors, failed
requests and requests to other machines of that page so far. Where no Chromium is found such tests skip; with
`ONNX2SNN_REQUIRE_BROWSER=1` they fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import pytest

from tools.chromium import PROGRAMS, find_chromium, open_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def lacking(what: str) -> NoReturn:
    """Skip a test that needs what this machine does not have; fail it where it must not be skipped."""
    if os.environ.get("ONNX2SNN_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{what}, and ONNX2SNN_REQUIRE_BROWSER=1")
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if find_chromium() is None:
        lacking(f"no browser: none of {', '.join(PROGRAMS)} is on the PATH")
    with open_chromium() as opened:
        yield opened


@pytest.fixture
def page_problems() -> list[str]:
    """Console errors and warnings, exceptions, failed requests, requests to other machines, as they come."""
    return []


@pytest.fixture
def browser_page(browser: Browser, page_problems: list[str]) -> Iterator[Page]:
    """A page 1280 px wide, in light mode; `page.emulate_media(color_scheme="dark")` makes it dark."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.on("console", lambda said: _note_console(page_problems, said.type, said.text))
    page.on("pageerror", lambda error: page_problems.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: page_problems.append(f"failed: {request.url[:200]}"))
    page.on("request", lambda request: _note_request(page_problems, request.url))
    yield page
    context.close()


def overflowing(page: Page) -> list[str]:
    """Elements that reach beyond the viewport's sides, but for those in a box that scrolls or clips them."""
    found: list[str] = page.evaluate(_OVERFLOWING)
    return found


def poor_contrast(page: Page) -> list[str]:
    """Visible text below the contrast that WCAG 2 AA asks for: 4.5, or 3 where it is large."""
    found: list[str] = page.evaluate(_POOR_CONTRAST)
    return found


def heading_problems(page: Page) -> list[str]:
    """Visible headings that are empty, skip a level, or are not led by the page's only `h1`."""
    headings: list[tuple[int, str]] = page.evaluate(
        "() => [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')]"
        ".filter(h => h.checkVisibility()).map(h => [Number(h.tagName[1]), h.textContent.trim()])"
    )
    problems = [f"h{level} without text" for level, text in headings if not text]
    if [level for level, _ in headings].count(1) != 1 or headings[0][0] != 1:
        problems.append(f"expected one h1, before all others, found {headings}")
    skips = [(a, b) for a, b in pairwise(headings) if b[0] > a[0] + 1]
    return problems + [f"h{a} {x!r} is followed by h{b} {y!r}" for (a, x), (b, y) in skips]


def _note_console(problems: list[str], kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        problems.append(f"{kind}: {text}")


def _note_request(problems: list[str], url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"file", "data", "blob"} and parts.hostname not in {"127.0.0.1", "localhost"}:
        problems.append(f"request to another machine: {url[:200]}")


_NAME = """
    const name = (e) => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '')
        + (e.getAttribute('class') ? '.' + e.getAttribute('class').trim().replace(/\\s+/g, '.') : '')
        + ' ' + JSON.stringify((e.textContent || '').trim().slice(0, 40));
"""

_OVERFLOWING = f"""() => {{
    {_NAME}
    const width = document.documentElement.clientWidth;
    const clipped = (e) => {{
        for (let box = e.parentElement; box && box !== document.body; box = box.parentElement) {{
            if (getComputedStyle(box).overflowX !== 'visible') return true;
        }}
        return false;
    }};
    const found = [...document.body.querySelectorAll('*')].filter((e) => {{
        if (!e.checkVisibility()) return false;
        const box = e.getBoundingClientRect();
        const wide = box.right > width + 1 || box.left < -1;
        return box.width > 0 && box.height > 0 && wide && !clipped(e);
    }}).map((e) => {{
        const box = e.getBoundingClientRect();
        return `${{name(e)}} from ${{box.left}} to ${{box.right}}`;
    }});
    const all = document.documentElement.scrollWidth;
    if (all > width) found.push(`the page is ${{all}} px wide in a window of ${{width}}`);
    return found;
}}"""

# A canvas turns any notation of a colour into red, green, blue and alpha.
_POOR_CONTRAST = f"""() => {{
    {_NAME}
    const context = new OffscreenCanvas(1, 1).getContext('2d', {{willReadFrequently: true}});
    const rgba = (colour) => {{
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    }};
    const over = (top, below) => {{
        const mixed = [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
        return [...mixed, 1];
    }};
    const luminance = (colour) => {{
        const [r, g, b] = colour.slice(0, 3).map((v) => {{
            v /= 255;
            return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        }});
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    }};
    const dark = matchMedia('(prefers-color-scheme: dark)').matches
        && getComputedStyle(document.documentElement).colorScheme.includes('dark');
    const canvas = dark ? [18, 18, 18, 1] : [255, 255, 255, 1];
    const background = (e) => {{
        const layers = [];
        for (let box = e; box; box = box.parentElement) {{
            layers.push(rgba(getComputedStyle(box).backgroundColor));
            if (layers.at(-1)[3] === 1) break;
        }}
        return layers.reduceRight((below, top) => over(top, below), canvas);
    }};
    const shown = (e) => {{
        let opacity = 1;
        for (let box = e; box; box = box.parentElement) opacity *= Number(getComputedStyle(box).opacity);
        return opacity;
    }};
    const found = [];
    for (const e of document.body.querySelectorAll('*')) {{
        const text = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
        const options = {{opacityProperty: true, visibilityProperty: true}};
        if (!text || e.closest('script, style, :disabled') || !e.checkVisibility(options)) continue;
        const style = getComputedStyle(e);
        const below = background(e);
        const colour = rgba(e instanceof SVGElement ? style.fill : style.color);
        colour[3] *= shown(e);
        const [high, low] = [luminance(over(colour, below)), luminance(below)].sort((a, b) => b - a);
        const ratio = (high + 0.05) / (low + 0.05);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        if (ratio < (large ? 3 : 4.5)) found.push(`${{ratio.toFixed(2)}}: ${{name(e)}}`);
    }}
    return found;
}}"""
