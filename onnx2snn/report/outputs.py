"""What each of several outputs is off by, and all of them jointly, as a table of a page."""

from __future__ import annotations

from onnx2snn.artifact.output_errors import OutputFigures
from onnx2snn.report.content import Table
from onnx2snn.report.words import percent, shown


def output_tables(outputs: OutputFigures | None) -> list[Table]:
    """The table; none where one output of floats is all."""
    if outputs is None:
        return []
    rows = [
        (shown(name), "values that differ" if name in outputs.equal else "relative error", percent(error, 2))
        for name, error in outputs.errors.items()
    ]
    if len(rows) > 1:
        rows.append(("all jointly", "root mean square", percent(outputs.joint, 2)))
    return [Table("What the outputs are off by", ("output", "what", "off by"), rows, 2)]
