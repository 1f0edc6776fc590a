"""ONNX's Loop in NumPy: its own reference implementation joins what rounds give, where ONNX stacks it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx.reference.ops import op_loop

Array = npt.NDArray[Any]


class Loop(op_loop.Loop):
    """Rounds of a body: carried values go from one to the next, what else it gives is stacked."""

    op_domain = ""
    body: Any  # set by ONNX, with `_run_body`
    _run_body: Any

    def _run(  # type: ignore[override]
        self,
        most: Array | None,
        on: Array | None,
        *carried: Array,
        context: dict[str, Array] | None = None,
        body: object = None,
        **attributes: Any,
    ) -> tuple[Array, ...]:
        del body  # it is an attribute of the node
        first, condition, *names = self.body.input_names
        state = list(carried)
        rows: list[list[Array]] = [[] for _ in range(self.K)]
        done = 0
        while (on is None or bool(np.all(on))) and (most is None or done < int(most)):
            fed = {**(context or {}), first: np.asarray(done, np.int64), condition: np.asarray(True)}
            given = self._run_body({**fed, **dict(zip(names, state, strict=True))}, **attributes)
            on, state = given[0], list(given[1 : 1 + self.N])
            for kept, row in zip(rows, given[1 + self.N :], strict=True):
                kept.append(row)
            done += 1
        stacked = [np.stack(kept) if kept else np.empty((0,), np.float32) for kept in rows]
        return tuple(map(np.asarray, (*state, *stacked)))
