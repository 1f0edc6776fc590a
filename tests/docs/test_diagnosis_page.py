"""docs/diagnosis.md names the columns that the terminal shows."""

from __future__ import annotations

import re

from onnx2snn.report import tables
from tests.docs.pages import PAGES

PARTS = ("parameters", "clipping", "quantisation", "timing", "inherited")


def test_the_columns_are_those_of_the_table():
    shares = {part: 0.01 * number for number, part in enumerate(PARTS, 1)}
    layer = {
        "layer": "/Relu",
        "error": 0.1,
        "components": shares,
        "agreement_if_exact": 0.98,
        "agreement_if_only_spiking": 0.99,
    }
    table = tables.diagnosis_table({"layers": [layer], "worst": []})
    shown = {str(column.header): next(iter(column.cells)) for column in table.columns[1:]}
    text = PAGES["docs/diagnosis.md"].read_text(encoding="utf-8")
    named = dict(re.findall(r"(?m)^\| (\w+) \|.*\| (\w+) \|[^|]*\|$", text))
    assert named.pop("part") == "column"
    assert {part: shown.pop(column) for part, column in named.items()} == {
        part: f"{100 * share:.1f}" for part, share in shares.items()
    }
    assert set(shown) == {"error", "exact", "alone"}
    assert set(shown) <= set(re.findall(r"\*(\w+)\*", text))
