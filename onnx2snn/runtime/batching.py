"""How many samples to step at a time: as many as keep what a step touches in the processor's caches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Fewer samples at a time cost more in calls than the caches give back; and sums over a single row may be
#: rounded in another order.
_LEAST = 8
#: More samples at a time gain no speed, but cost memory.
_MOST = 32
#: A smaller group has to be faster by this much.
_WORTH = 0.95


class BatchSplit:
    """Finds it out on the first runs: each tries another size, and later ones take the fastest.

    The first run of a size allocates its memory, so every size runs twice and the faster run counts.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, list[float]] = {}

    def size(self, samples: int) -> int:
        """How many samples of a batch to run at a time."""
        sizes = [min(samples, _MOST)]
        while sizes[-1] >= 2 * _LEAST:
            sizes.append(-(-sizes[-1] // 2))
        untried = (size for size in sizes if len(self._seconds.get(size, ())) < 2)
        chosen = next(untried, None)
        if chosen is not None:
            return chosen
        best = sizes[0]
        for size in sizes[1:]:
            if min(self._seconds[size]) < _WORTH * min(self._seconds[best]):
                best = size
        return best

    @contextmanager
    def measured(self, size: int, work: int) -> Iterator[None]:
        """Time a run; `work` is how many samples times timesteps it has."""
        started = time.perf_counter()
        yield
        measured = self._seconds.setdefault(size, [])
        if len(measured) < 2:
            measured.append((time.perf_counter() - started) / work)
