"""Every error that a user's model, data or options can cause, under one root.

A message is one line: what is wrong, where, what was expected, what was found, what to do about it.
The command line prints it and exits with code 2; anything else that escapes is a bug and exits with 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class Onnx2SnnError(Exception):
    """Root of all errors that onnx2snn raises on purpose."""


class ModelError(Onnx2SnnError):
    """A model file or graph that cannot be read, or is not what the operation needs."""


class DataError(Onnx2SnnError):
    """Calibration, evaluation or input data that cannot be read or does not fit the model."""


class OptionError(Onnx2SnnError):
    """An option with a value outside its range, or options that contradict each other."""


class OutputError(Onnx2SnnError):
    """A result that cannot be written where the user asked for it."""


@dataclass(frozen=True)
class Refusal:
    """Why one node cannot become part of a spiking network, and what the user can do.

    Attributes:
        node: the node's name in the user's graph.
        op: its operator, with the domain where that is not ONNX's own.
        reason: what stands in the way.
        remedy: what the user can change.
    """

    node: str
    op: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"node '{self.node}' ({self.op}): {self.reason}; {self.remedy}"


class UnsupportedGraphError(ModelError):
    """A graph with nodes that cannot be converted; lists every one of them."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__(" | ".join(str(refusal) for refusal in self.refusals))


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something: ours are all one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def one_line(error: BaseException) -> str:
    """An error's whole text on one line, where nobody knows which part of it says something."""
    return " ".join(str(error).split()) or type(error).__name__


def shape_text(shape: Sequence[object]) -> str:
    """A shape as it stands in messages."""
    return "[" + ", ".join(map(str, shape)) + "]"
