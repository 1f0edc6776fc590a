"""Tables of any number of rows."""

from __future__ import annotations

from rich.console import Console

from onnx2snn.report.long_table import MOST_ROWS, LongTable


def lines(rows):
    table = LongTable(box=None)
    table.add_column("node", min_width=50)
    for number in range(rows):
        table.add_row(f"n{number}", style="bold")
    console = Console(width=60)
    with console.capture() as shown:
        console.print(table)
    return [line.strip() for line in shown.get().splitlines()]


def test_what_fits_is_shown_whole():
    assert lines(MOST_ROWS) == ["node", *(f"n{number}" for number in range(MOST_ROWS))]


def test_what_is_left_out_is_counted():
    kept = [f"n{number}" for number in range(MOST_ROWS)]
    assert lines(MOST_ROWS + 1234) == ["node", *kept, "… and 1,234 more rows; --json has all of them"]
