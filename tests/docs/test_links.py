"""What the pages point at is there; Sphinx checks the links of the site, but not those of README.md."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import PAGES, ROOT

FILES = [
    path.as_posix()
    for folder in ("benchmarks", "docs", "examples", "onnx2snn", "tests", "tools")
    for path in (ROOT / folder).rglob("*.*")
]


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```", "", PAGES[page].read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_linked_files_exist(page):
    for target in re.findall(r"\]\(([^)#\s]+)", prose(page)):
        if "://" not in target:
            assert (PAGES[page].parent / target).exists(), f"{page}: no file {target}"


@pytest.mark.parametrize("page", PAGES)
def test_named_sources_exist(page):
    """In inline code: `passes/calibrate.py`, by any end of its path."""
    for name in re.findall(r"`([\w/.]+\.(?:py|sh|cpp|hpp))`", prose(page)):
        assert any(path.endswith(f"/{name}") for path in FILES), f"{page}: no file {name}"
