"""The page: which command has which sections, and how they become one file."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import onnx2snn
from onnx2snn.errors import OptionError
from onnx2snn.model.file import write_atomically
from onnx2snn.report.accuracy import accuracy_section
from onnx2snn.report.activations import activations_section
from onnx2snn.report.content import Section
from onnx2snn.report.conventions import conventions_section
from onnx2snn.report.diagnosis import activity_section, errors_section, faults_section
from onnx2snn.report.exits import exit_section
from onnx2snn.report.frontier import frontier_section, points_section
from onnx2snn.report.listings import neurons_section, nodes_section, repeat_section
from onnx2snn.report.plots import check_extra
from onnx2snn.report.raster import raster_section
from onnx2snn.report.searches import search_section
from onnx2snn.report.spikes import spikes_section
from onnx2snn.report.subject import Subject
from onnx2snn.report.summary import summary, tiles
from onnx2snn.report.words import file_name, shown

if TYPE_CHECKING:
    from markupsafe import Markup

#: Makes one section; None where there is nothing to show.
Maker = Callable[[Subject], Section | None]

_NETWORK: tuple[Maker, ...] = (neurons_section, nodes_section, repeat_section)
#: Command → what it is called on the page, and its sections in order.
PAGES: dict[str, tuple[str, tuple[Maker, ...]]] = {
    "compile": ("Conversion", (search_section, activations_section, exit_section, *_NETWORK)),
    "evaluate": (
        "Evaluation",
        (
            accuracy_section,
            spikes_section,
            raster_section,
            exit_section,
            activations_section,
            conventions_section,
            *_NETWORK,
        ),
    ),
    "sweep": ("Sweep", (frontier_section, points_section, repeat_section)),
    "diagnose": (
        "Diagnosis",
        (errors_section, faults_section, activity_section, raster_section, activations_section, *_NETWORK),
    ),
}
_SUFFIXES = (".html", ".htm")
#: An option of the command line within a sentence.
_OPTION = re.compile(r"(?<![^\s(,;])(?:--[a-z][a-z-]{0,30}[a-z]|-[A-Z])(?![\w-])")


def check_report(path: str | Path) -> None:
    """Find out before any work that a report can be made.

    Raises:
        OptionError: matplotlib or Jinja2 is not installed, or the file is not named as a page.
    """
    if Path(path).suffix.lower() not in _SUFFIXES:
        raise OptionError(
            f"--report: expected a file name in {' or '.join(_SUFFIXES)}, found '{path}'; rename it"
        )
    check_extra("--report", ("matplotlib", "jinja2"))


def write_report(path: str | Path, subject: Subject, progress: Callable[[float], None] | None = None) -> None:
    """Make a page and write it, whole or not at all.

    Args:
        path: the file.
        subject: what the page is about.
        progress: takes the share of the sections that are made, after each.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, render(subject, progress).encode())


def render(subject: Subject, progress: Callable[[float], None] | None = None) -> str:
    """The page as HTML: the same for the same subject, on the same versions."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    kind, makers = PAGES[subject.command]
    sections = []
    for done, make in enumerate(makers, 1):
        sections.append(make(subject))
        if progress is not None:
            progress(done / len(makers))
    files = resources.files("onnx2snn.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["drawing"] = Markup  # what `drawing.py` wrote, with all text in it escaped
    environment.filters["options"] = _mark_options
    template = environment.from_string(files.joinpath("page.html.j2").read_text(encoding="utf-8"))
    return template.render(
        kind=kind,
        name=shown(file_name(subject.name)),
        style=Markup(files.joinpath("page.css").read_text(encoding="utf-8")),
        summary=summary(subject),
        tiles=tiles(subject),
        sections=[section for section in sections if section is not None],
        version=onnx2snn.__version__,
    )


def _mark_options(text: str) -> Markup:
    """Text in which options are code, whose hyphens end no line."""
    from markupsafe import Markup, escape

    return Markup(_OPTION.sub(r"<code>\g<0></code>", str(escape(text))))
