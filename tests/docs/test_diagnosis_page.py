"""docs/diagnosis.md names the columns that the terminal shows."""

from __future__ import annotations

import re

from onnx2snn.analysis.diagnosis.figures import Diagnosis, LayerDiagnosis, OutputDiagnosis
from onnx2snn.report import tables
from tests.docs.pages import PAGES

PARTS = ("parameters", "clipping", "quantisation", "timing", "inherited")


def test_the_columns_are_those_of_the_table():
    shares = {part: 0.01 * number for number, part in enumerate(PARTS, 1)}
    layer = LayerDiagnosis(
        *("/Relu", "BurstIF", 4, 1, 1, 1.0, 0.1, 0.1, shares, shares, 0.0, [], [], 0.1, 1.0, 0.98, 0.99, [])
    )
    output = OutputDiagnosis("y", 0.0, 0.0, 0.0)
    table = tables.diagnosis_table(Diagnosis(1, 1, "stream", None, None, 1.0, output, layers=[layer]))
    shown = {str(column.header): next(iter(column.cells)) for column in table.columns[1:]}
    text = PAGES["docs/diagnosis.md"].read_text(encoding="utf-8")
    named = dict(re.findall(r"(?m)^\| (\w+) \|.*\| (\w+) \|[^|]*\|$", text))
    assert named.pop("part") == "column"
    assert {part: shown.pop(column) for part, column in named.items()} == {
        part: f"{100 * share:.1f}" for part, share in shares.items()
    }
    assert set(shown) == {"error", "exact", "alone"}
    assert set(shown) <= set(re.findall(r"\*(\w+)\*", text))
