"""LSTM, GRU and RNN in NumPy, as ONNX specifies them.

ONNX's own reference implementation leaves out lengths of sequences, other activations, clipping and, before
onnx 1.19, the second direction: without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx.reference.op_run import OpRun

Array = npt.NDArray[Any]
Function = Callable[[Array], Array]

#: Activations by name, with the parameters that they have by default.
_FUNCTIONS: dict[str, Function] = {
    "affine": lambda x: x,
    "elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "hardsigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "leakyrelu": lambda x: np.where(x < 0, 0.01 * x, x),
    "relu": lambda x: np.maximum(x, 0),
    "scaledtanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh": np.tanh,
    "thresholdedrelu": lambda x: np.where(x > 1, x, 0),
}


class _Recurrent(OpRun):
    """What the three have in common: directions, lengths, the order of axes."""

    op_domain = ""
    #: Activations of one direction where the node names none.
    functions: tuple[str, ...]
    #: The cell beside the hidden state that LSTM alone has.
    cell = False

    def _step(
        self, x: Array, states: Sequence[Array], weights: Sequence[Array], functions: Sequence[Function]
    ) -> tuple[Array, ...]:
        """The next states, from the input [N, C] and the states [N, H] of one direction."""
        raise NotImplementedError

    def _run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        hidden: Array | None = None,
        cell: Array | None = None,
        peepholes: Array | None = None,
        **attributes: Any,
    ) -> tuple[Array, ...]:
        """The outputs that the node names: Y, the last hidden state, the last cell."""
        self._attributes = attributes
        directions, size = r.shape[0], r.shape[2]
        empty = np.zeros((directions, x.shape[1], size), x.dtype)
        initial = [empty if given is None else given for given in (hidden, cell)[: 1 + self.cell]]
        lengths = np.full(x.shape[1], len(x)) if lengths is None else lengths
        b = np.zeros((directions, 2 * w.shape[1]), x.dtype) if b is None else b
        peepholes = np.zeros((directions, 3 * size), x.dtype) if peepholes is None else peepholes
        found = []
        for index in range(directions):
            weights = (w[index].T, r[index].T, *np.split(b[index], 2), *np.split(peepholes[index], 3))
            backwards = attributes.get("direction") == "reverse" or index == 1
            states = [state[index] for state in initial]
            found.append(self._scan(x, states, weights, self._activations(index), lengths, backwards))
        sequence = np.stack([one[0] for one in found], axis=1).astype(x.dtype)
        states = [np.stack(parts).astype(x.dtype) for parts in zip(*(one[1] for one in found), strict=True)]
        return (sequence, *states)[: len(self.onnx_node.output)]

    def _scan(
        self,
        x: Array,
        states: Sequence[Array],
        weights: Sequence[Array],
        functions: Sequence[Function],
        lengths: Array,
        backwards: bool,
    ) -> tuple[Array, Sequence[Array]]:
        """Hidden states [T, N, H] of one direction, zeros behind a sequence's end; and its last states."""
        hidden = np.zeros((len(x), *states[0].shape), x.dtype)
        for step in range(len(x)):
            going = step < lengths
            places = np.where(going, lengths - 1 - step if backwards else step, 0)
            samples = np.arange(x.shape[1])
            given = self._step(x[places, samples], states, weights, functions)
            states = [np.where(going[:, None], new, old) for new, old in zip(given, states, strict=True)]
            hidden[places[going], samples[going]] = states[0][going]
        return hidden, states

    def _activations(self, direction: int) -> list[Function]:
        if self._attributes.get("activation_alpha") or self._attributes.get("activation_beta"):
            raise NotImplementedError("activations with parameters of their own")
        count = len(self.functions)
        named = self._attributes.get("activations") or self.functions * 2
        return [_FUNCTIONS[name.lower()] for name in named[direction * count : (direction + 1) * count]]

    def _clipped(self, values: Array) -> Array:
        bound = self._attributes.get("clip")
        return values if bound is None else np.clip(values, -bound, bound)


class RNN(_Recurrent):
    """H ← f(x·W + H·R + b)."""

    functions = ("Tanh",)

    def _step(
        self, x: Array, states: Sequence[Array], weights: Sequence[Array], functions: Sequence[Function]
    ) -> tuple[Array, ...]:
        w, r, wb, rb, *_ = weights
        return (functions[0](self._clipped(x @ w + states[0] @ r + wb + rb)),)


class GRU(_Recurrent):
    """Gates z, r and h: H ← (1 − z)·h + z·H."""

    functions = ("Sigmoid", "Tanh")

    def _step(
        self, x: Array, states: Sequence[Array], weights: Sequence[Array], functions: Sequence[Function]
    ) -> tuple[Array, ...]:
        (state,) = states
        w, r, wb, rb, *_ = weights
        xz, xr, xh = np.split(x @ w + wb, 3, axis=1)
        size = state.shape[1]
        gates = state @ r[:, : 2 * size] + rb[: 2 * size]
        update = functions[0](self._clipped(xz + gates[:, :size]))
        reset = functions[0](self._clipped(xr + gates[:, size:]))
        if self._attributes.get("linear_before_reset"):
            kept = reset * (state @ r[:, 2 * size :] + rb[2 * size :])
        else:
            kept = (reset * state) @ r[:, 2 * size :] + rb[2 * size :]
        found = functions[1](self._clipped(xh + kept))
        return ((1 - update) * found + update * state,)


class LSTM(_Recurrent):
    """Gates i, o, f and c: C ← f·C + i·c, H ← o·h(C)."""

    functions = ("Sigmoid", "Tanh", "Tanh")
    cell = True

    def _step(
        self, x: Array, states: Sequence[Array], weights: Sequence[Array], functions: Sequence[Function]
    ) -> tuple[Array, ...]:
        state, cell = states
        w, r, wb, rb, at_input, at_output, at_forget = weights
        gates = np.split(x @ w + state @ r + wb + rb, 4, axis=1)
        enters = functions[0](self._clipped(gates[0] + at_input * cell))
        if self._attributes.get("input_forget"):
            stays = 1 - enters
        else:
            stays = functions[0](self._clipped(gates[2] + at_forget * cell))
        cell = stays * cell + enters * functions[1](self._clipped(gates[3]))
        leaves = functions[0](self._clipped(gates[1] + at_output * cell))
        return leaves * functions[2](cell), cell
