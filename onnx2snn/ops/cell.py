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
class Setting:
    """How a neuron is set up for one activation.

    Attributes:
        threshold: θ from the range R of the activation, or from the step q of a trained quantiser.
        attributes: of the node.
        levels: spikes that stand for R: a timestep, or a run where the neuron fires once.
        max_spikes: Γ, the most spikes a timestep.
    """

    threshold: Callable[[Array], Array]
    attributes: dict[str, Any]
    levels: float
    max_spikes: int


@dataclass(frozen=True)
class Neuron:
    """What only neurons have: which activations they stand for, and how their spikes are to be read.

    Attributes:
        suits: whether it is the one for a `Rectifier` under `CompileOptions`; of all neurons the first one
            that says so is taken.
        set_up: its parameters then.
        most_spikes: the most spikes of a run, from the node's attributes and T.
        limit: the attribute that says how many spikes it may send: a timestep, or a run if it fires once.
        fires_once: it takes in all timesteps of its input first (schedule `layer`), and its spikes are the
            number k, sent as the code has it.
        takes_back: whether it may send a negative spike for one that came too early.
        adaptable: whether a search may choose its thresholds and its limit.
        tune: the attributes and the thresholds with which it has another limit, from both.
        scales: whether it does the same on u/θ with θ = 1, so that θ may move into the weights around it.
        digits: the timesteps of a run, where the operator is made for so many; else 0.
    """

    suits: Callable[[Any, Any], bool]
    set_up: Callable[[Any, Any], Setting]
    most_spikes: Callable[[Mapping[str, Any], int], int]
    limit: str = "max_spikes"
    fires_once: bool = False
    takes_back: bool = False
    adaptable: bool = False
    tune: Callable[[int, Array], tuple[dict[str, Any], Array]] | None = None
    scales: bool = False
    digits: int = 0


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
        neuron: what only a neuron has; None for any other.
        uneven: whether its spikes may carry something else than θ each; then it has a state `sent`, the net
            number of spikes so far, unless it fires once.
        sums: whether it stands behind an activation, and gives the sum of what it has sent so far: then all
            that follows acts on sums. Its spikes are changes of that sum.
        count: the nodes that count its spikes of a step, from its node and the name of the result; None where
            every spike carries θ, or k·θ.
        keeps_rank: whether its states have as many axes as its output.
        acts_as: the standard operator that it is on sums over time; what holds for that holds for it.
        keeps_samples: whether samples of a batch do not meet in it, so that they may run in any groups.
        native: whether the library of native kernels has it.
    """

    op: str
    kind: Literal["neuron", "pool", "rate"]
    states: tuple[str, ...]
    function: onnx.FunctionProto
    step: Step
    initial_state: Callable[[Sequence[Array]], State]
    neuron: Neuron | None = None
    uneven: bool = False
    sums: bool = False
    count: Callable[[onnx.NodeProto, str], list[onnx.NodeProto]] | None = None
    keeps_rank: bool = True
    acts_as: str = ""
    keeps_samples: bool = True
    native: bool = False

    @property
    def sends_units(self) -> bool:
        """Whether all that it sends are spikes of its own that carry θ each."""
        return self.kind == "neuron" and not (self.uneven or self.sums)


def function_body(text: str) -> onnx.FunctionProto:
    """Parse the body of a cell, written in ONNX's text format without its header."""
    header = f'<domain: "{DOMAIN}", opset_import: ["" : {OPSET_VERSION}]>'
    return onnx.parser.parse_function(header + text)


def zero() -> Array:
    """The scalar float32 zero that a state starts from and that broadcasts on the first timestep."""
    return np.zeros((), dtype=np.float32)
