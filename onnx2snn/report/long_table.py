"""Tables of nodes or layers, of which a net may have any number."""

from __future__ import annotations

from typing import Any

from rich.table import Table

#: Rows beyond which nobody reads on, and the terminal takes long.
MOST_ROWS = 1000


class LongTable(Table):
    """A table that shows its first `MOST_ROWS` rows, and says below how many it leaves out."""

    _asked = 0

    def add_row(self, *cells: Any, **options: Any) -> None:
        """See `rich.table.Table.add_row`."""
        self._asked += 1
        if self._asked <= MOST_ROWS:
            super().add_row(*cells, **options)
            return
        self.caption = f"… and {self._asked - MOST_ROWS:,} more rows; --json has all of them"
        self.caption_justify = "left"
