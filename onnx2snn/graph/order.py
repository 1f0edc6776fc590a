"""Topological order of whatever has something before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def by_depth(items: Sequence[T], before: Callable[[T], Sequence[T]]) -> list[T]:
    """Items by the longest way to them; those of the same in the order in which they are met, going back.

    In a loop: a chain of thousands of items is no reason to fail.

    Args:
        items: that are wanted.
        before: the items on which one depends, if any of them; where these are no items, they come as well.

    Raises:
        ValueError: an item depends on itself.
    """
    levels: dict[int, int] = {}
    ordered: list[T] = []
    for item in items:
        pending = [] if id(item) in levels else [(item, iter(before(item)))]
        while pending:
            behind, sources = pending[-1]
            missing = next((source for source in sources if id(source) not in levels), None)
            if missing is not None:
                if len(pending) > len(items):
                    raise ValueError("an item depends on itself")
                pending.append((missing, iter(before(missing))))
                continue
            levels[id(behind)] = 1 + max((levels[id(source)] for source in before(behind)), default=-1)
            ordered.append(behind)
            pending.pop()
    return sorted(ordered, key=lambda item: levels[id(item)])
