"""The table of what outputs are off by."""

from __future__ import annotations

from onnx2snn.artifact.output_errors import OutputFigures
from onnx2snn.report.outputs import output_tables


def test_each_output_and_all_jointly():
    (table,) = output_tables(OutputFigures({"y": 0.03, "k": 0.04}, ["k"], 0.0354))
    assert [tuple(row) for row in table.rows] == [
        ("y", "relative error", "3.00\u00a0%"),
        ("k", "values that differ", "4.00\u00a0%"),
        ("all jointly", "root mean square", "3.54\u00a0%"),
    ]


def test_one_output():
    assert output_tables(None) == []
    (table,) = output_tables(OutputFigures({"k": 0.5}, ["k"], 0.5))
    assert len(table.rows) == 1
