"""What the tests of sections read off a drawing."""

from __future__ import annotations

import html
import re

from onnx2snn.report.content import Plot


def letters(plot: Plot) -> list[str]:
    """The texts in a drawing, in the order in which they are drawn."""
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", plot.svg)]


def plain(text: str) -> str:
    """A text with spaces at which a line may end."""
    return text.replace("\u00a0", " ")


def cells(rows) -> list[list[str]]:
    """The cells of a table."""
    return [[plain(cell) for cell in row] for row in rows]
