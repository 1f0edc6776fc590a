"""What a spiking operator is made of: a stateful cell that acts once every timestep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser

DOMAIN = "onnx2snn"
DOMAIN_VERSION = 1
#: The ONNX operator set of every artifact and of every function body.
OPSET_VERSION = 21

Array = npt.NDArray[Any]
State = tuple[Array, ...]
Step = Callable[[Array, State, Sequence[Array], Mapping[str, Any]], tuple[Array, State]]


@dataclass(frozen=True)
class Cell:
    """A stateful operator `(x_t, *state, *parameters) -> (y_t, *next_state)`.

    Before emission a cell stands in the flat graph without its state, as `(x, *parameters) -> (y)`.

    Attributes:
        op: operator name in domain `onnx2snn`.
        kind: `neuron` sends spikes of its own; `pool` passes on those of others; `rate` leads into an analog
            island or out of it, and knows no spikes.
        states: names of the state tensors, in the order of the inputs.
        function: the body in standard ONNX operators.
        step: the same in NumPy: `(x_t, state, parameters, attributes) -> (y_t, next_state)`.
        initial_state: state before the first timestep, from the parameters; it broadcasts to any batch.
        graded: whether its spikes may carry something else than θ each; then it has a state `sent`, the net
            number of spikes so far.
        keeps_rank: whether its states have as many axes as its output.
    """

    op: str
    kind: Literal["neuron", "pool", "rate"]
    states: tuple[str, ...]
    function: onnx.FunctionProto
    step: Step
    initial_state: Callable[[Sequence[Array]], State]
    graded: bool = False
    keeps_rank: bool = True

    @property
    def sends_units(self) -> bool:
        """Whether all that it sends are spikes of its own that carry θ each."""
        return self.kind == "neuron" and not self.graded


def function_body(text: str) -> onnx.FunctionProto:
    """Parse the body of a cell, written in ONNX's text format without its header."""
    header = f'<domain: "{DOMAIN}", opset_import: ["" : {OPSET_VERSION}]>'
    return onnx.parser.parse_function(header + text)


def zero() -> Array:
    """The scalar float32 zero that a state starts from and that broadcasts on the first timestep."""
    return np.zeros((), dtype=np.float32)
