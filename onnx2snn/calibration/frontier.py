"""Choose one of several ways for every layer: least loss within a cost, or least cost within a loss.

Costs and losses of layers add up. Layer by layer, the sums that no other sum beats in both are kept: the
Pareto front, which holds the answer to every budget at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

#: A front of more sums is thinned to one for each of so many equal steps of cost.
_MOST = 4096


@dataclass(frozen=True)
class Frontier:
    """All that is worth choosing.

    Attributes:
        cost: of each point, ascending, float64 [P].
        loss: of each point, descending, float64 [P].
        choices: which way each layer takes at each point, [P, layers].
    """

    cost: Vector
    loss: Vector
    choices: npt.NDArray[np.int64]

    def cheapest(self, loss: float) -> int | None:
        """The point of least cost whose loss is at most `loss`; None where there is none."""
        within = np.flatnonzero(self.loss <= loss)
        return int(within[0]) if len(within) else None

    def best(self, cost: float) -> int | None:
        """The point of least loss whose cost is at most `cost`; None where there is none."""
        within = np.flatnonzero(self.cost <= cost)
        return int(within[-1]) if len(within) else None


def make_frontier(costs: Sequence[Sequence[float]], losses: Sequence[Sequence[float]]) -> Frontier:
    """The Pareto front of the sums over all layers.

    Args:
        costs: of every way of every layer.
        losses: the same.

    Exact as long as there are no more than a few thousand points; beyond that the cost is, to one part in
    as many.
    """
    total, lost = np.zeros(1), np.zeros(1)
    taken: npt.NDArray[np.int64] = np.zeros((1, 0), np.int64)
    for cost, loss in zip(costs, losses, strict=True):
        ways = len(cost)
        sums = (total[:, None] + np.asarray(cost)).reshape(-1)
        errors = (lost[:, None] + np.asarray(loss)).reshape(-1)
        kept = _front(sums, errors)
        total, lost = sums[kept], errors[kept]
        taken = np.concatenate([taken[kept // ways], (kept % ways)[:, None]], axis=1)
    return Frontier(total, lost, taken)


def _front(cost: Vector, loss: Vector) -> npt.NDArray[Any]:
    """Which points no other one beats, by ascending cost."""
    order = np.lexsort((loss, cost))
    best = np.minimum.accumulate(loss[order])
    first = np.ones(len(order), bool)
    first[1:] = best[1:] < best[:-1]
    kept = order[first]
    if len(kept) > _MOST:
        cell = np.floor((cost[kept] - cost[kept[0]]) / (cost[kept[-1]] - cost[kept[0]]) * _MOST)
        last = np.append(cell[1:] != cell[:-1], True)
        last[0] = True
        kept = kept[last]
    return kept
