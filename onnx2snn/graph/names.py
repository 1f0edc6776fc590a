"""Names for what passes add to a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class Names:
    """Names that a graph has, or had: read of its nodes once, then of those that came to its end.

    What its nodes get later has a name from here.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._read = 0
        self._last: Any = None

    def unique(self, nodes: Sequence[Any], others: Iterable[Any], wanted: str) -> str:
        """`wanted`, with the first number that makes it differ from every name that the graph has or had.

        Args:
            nodes: of the graph, in order.
            others: tensors that it has besides.
            wanted: the name.
        """
        if self._read > len(nodes) or (self._read and nodes[self._read - 1] is not self._last):
            self._read = 0
        for node in nodes[self._read :]:
            self._taken.add(node.name)
            self._taken.update(tensor.name for tensor in (*node.inputs, *node.outputs))
        self._taken.update(tensor.name for tensor in others)
        self._read, self._last = len(nodes), nodes[-1] if nodes else None
        candidate, number = wanted, 1
        while candidate in self._taken:
            candidate, number = f"{wanted}_{number}", number + 1
        self._taken.add(candidate)
        return candidate
