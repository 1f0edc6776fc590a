"""Pages: every section, escaped, the same bytes every time, and nothing from outside them."""

from __future__ import annotations

import html
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from onnx2snn.report.page import _mark_options, render
from tests.report.conftest import LINES, call, made_up
from tests.report.subjects import HOSTILE, SUBJECTS

SECTIONS = {
    "compile": ["activations", "neurons", "nodes", "repeat"],
    "evaluate": [
        *("accuracy", "spikes", "raster", "early-exit", "activations"),
        *("energy", "neurons", "nodes", "repeat"),
    ],
    "sweep": ["frontier", "points", "repeat"],
    "diagnose": ["errors", "faults", "spikes", "raster", "activations", "neurons", "nodes", "repeat"],
}
#: Elements that end where they begin.
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Outline(HTMLParser):
    """What a page consists of: elements with their attributes, and whether all are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("command", SUBJECTS)
def test_every_command_has_its_sections(command, folder):
    mine, real = made_up(command), (folder / f"{command}.html").read_text()
    for page in (mine, real):
        outline = Outline(page)
        found = [attrs["id"] for tag, attrs in outline.elements if tag == "section"]
        assert found == ["summary", *SECTIONS[command]]
        links = [attrs["href"] for tag, attrs in outline.elements if tag == "a"]
        assert links == [f"#{name}" for name in SECTIONS[command]]


@pytest.mark.parametrize("command", SUBJECTS)
def test_names_of_the_user_are_text(command):
    page = made_up(command)
    outline = Outline(page)
    assert {tag for tag, _ in outline.elements} & {"script", "img", "iframe", "b", "link", "object"} == set()
    assert not any(name.startswith("on") for _, attrs in outline.elements for name in attrs)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", page)
    if command != "sweep":
        text = "".join(outline.text)
        for name in HOSTILE[:2]:
            assert name in text
        assert HOSTILE[2].translate(dict.fromkeys(map(ord, "\n\x00\x1b\u202e"), "\ufffd")) in text


@pytest.mark.parametrize("command", SUBJECTS)
def test_pages_need_nothing_but_themselves(command, folder):
    for page in (made_up(command), (folder / f"{command}.html").read_text()):
        outline = Outline(page)
        assert not re.search(r"@import|url\((?!#)|https?://", re.sub(r"https?://[^\s<]*(?=</td>)", "", page))
        for _, attrs in outline.elements:
            assert "src" not in attrs
            assert (attrs.get("href") or "#").startswith("#")
        ids = [attrs["id"] for _, attrs in outline.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        referred = re.findall(r'(?:url\(|href=")#([\w-]+)', page)
        assert set(referred) <= set(ids)


@pytest.mark.parametrize("command", SUBJECTS)
def test_nothing_tells_of_the_disk(command, folder):
    for page in (made_up(command), (folder / f"{command}.html").read_text()):
        assert str(folder) not in page
        assert not re.search(r"/(home|tmp|data|root|work)/|[A-Z]:\\", page)


@pytest.mark.parametrize("command", LINES)
def test_the_line_on_the_page_gives_the_page_again(command, folder):
    page = (folder / f"{command}.html").read_text()
    codes = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page)
    line = html.unescape(re.sub("</?code>", "", codes[-1]))
    words = shlex.split(line)
    assert words[:2] == ["onnx2snn", command]
    before = (folder / f"{command}.html").read_bytes()
    result = call(folder, " ".join(words[1:]))
    assert result.exit_code == 0, result.output
    assert (folder / f"{command}.html").read_bytes() == before


@pytest.mark.parametrize("command", SUBJECTS)
def test_drawings_say_what_they_show_and_take_the_page_s_colours(command):
    page = made_up(command)
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert drawings
    for drawing in drawings:
        assert re.search(r'<svg [^>]*role="img"', drawing)
        (said,) = re.findall(r'aria-labelledby="(\S+) (\S+)"', drawing)
        assert re.search(rf'<title id="{said[0]}">[^<]+</title><desc id="{said[1]}">[^<]+</desc>', drawing)
        assert set(re.findall(r"#[0-9a-f]{6}\b", drawing)) <= {"#0b62a8"}  # a name
        assert "font-family" not in drawing
        assert set(re.findall(r"[:;] ?\w*: var\(--(\w+)\)", drawing)) <= set(re.findall(r"--(\w+):", page))


def test_matplotlib_is_imported_for_a_report_only_and_pyplot_never():
    code = (
        "import sys, onnx2snn.cli.evaluate, onnx2snn.cli.compile, onnx2snn.cli.sweep\n"
        "assert not {'matplotlib', 'jinja2'} & sys.modules.keys()\n"
        "from onnx2snn.report.page import render\n"
        "from tests.report.subjects import SUBJECTS\n"
        "render(SUBJECTS['sweep']())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_without_labels_reference_and_activations_there_are_still_spikes():
    subject = SUBJECTS["evaluate"]()
    nothing = dict.fromkeys(("accuracy", "agreement", "output_error"), [None] * 3)
    figures = replace(subject.figures, **nothing, reference_accuracy=None, early_exit=None)
    metadata = replace(subject.metadata, activations={})  # as in an older artifact
    page = render(replace(subject, figures=figures, metadata=metadata))
    assert "It ran 4 timesteps on 1,234 samples." in page
    assert "there is no accuracy and no agreement" in page
    assert "Early exit" not in page
    assert 'id="activations"' not in page
    assert 'id="spikes"' in page


def test_each_section_advances_the_progress():
    shares: list[float] = []
    render(SUBJECTS["sweep"](), shares.append)
    assert shares == [1 / 3, 2 / 3, 1.0]


def test_options_in_sentences_are_code_and_nothing_else_is():
    marked = _mark_options("use --threshold max (-T), not /a--b, -3, a -b--c or '<--x>'; --no-refit, --x-")
    assert re.findall("<code>(.*?)</code>", marked) == ["--threshold", "-T", "--no-refit"]
    assert "'<" not in marked
