"""Which activations become neurons: those that are linear above zero, up to where they saturate.

    f(x) = min(x, ceiling) for x ≥ 0          f(x) = slope·x for x < 0 (0 without a slope)

and, where the net was trained with a quantiser, f rounded to multiples of its step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.graph.graph import Node, constant, is_float, scalar
from onnx2snn.ops import DOMAIN, QUANTIZED_RELU

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Rectifier:
    """What a neuron stands for.

    Attributes:
        ceiling: where it saturates; infinity for one that does not.
        slope: gain below zero, broadcastable to the input; None for one that is silent there.
        step: q of a trained quantiser, broadcastable to the input; None for one that is not quantised.
        levels: N of a trained quantiser: the largest output is N·q.
    """

    ceiling: float = np.inf
    slope: Array | None = None
    step: Array | None = None
    levels: int = 0

    def __call__(self, x: Array) -> Array:
        """The ANN's activation of pre-activations `x`, of the same dtype."""
        if self.step is not None:
            result = np.clip(np.floor(x / self.step + 0.5), 0, self.levels) * self.step
        elif self.slope is not None:
            result = np.where(x < 0, x * self.slope, x)
        else:
            result = np.clip(x, 0, self.ceiling)
        return np.asarray(result, x.dtype)

    def nearest(self, current: Array, x: Array) -> Array:
        """The nearest to `current` among what has the same activation as `x`, but for a trained quantiser."""
        result = np.where(x >= self.ceiling, np.maximum(current, self.ceiling), x)
        if self.slope is None or not np.all(self.slope):
            silent = (x <= 0) & (self.slope is None or self.slope == 0)
            result = np.where(silent, np.minimum(current, 0), result)
        return np.asarray(result, x.dtype)


#: Of a graded neuron: it stands behind its activation, and sends what it reads.
IDENTITY = Rectifier(slope=np.ones((), np.float32))


def rectifier(node: Node) -> Rectifier | None:
    """What a Relu, Clip(0, c), LeakyRelu, PRelu or QuantizedRelu does as a neuron; None for any other."""
    if not node.inputs or is_float(node.inputs[0]) is False:
        return None
    if node.domain == DOMAIN:
        quantised = node.op == QUANTIZED_RELU.name
        return Rectifier(step=constant(node.inputs[1]), levels=node.attrs["levels"]) if quantised else None
    if node.domain or node.op not in _READERS:
        return None
    return _READERS[node.op](node)


def _read_relu(node: Node) -> Rectifier:
    del node
    return Rectifier()


def _read_clip(node: Node) -> Rectifier | None:
    low, high = clip_bounds(node) or (np.nan, np.nan)
    return Rectifier(high) if low == 0 and high > 0 else None


def _read_leaky_relu(node: Node) -> Rectifier:
    return Rectifier(slope=np.asarray(node.attrs.get("alpha", 0.01)))


def _read_prelu(node: Node) -> Rectifier | None:
    slope = constant(node.inputs[1])
    return None if slope is None else Rectifier(slope=slope)


_READERS = {"Relu": _read_relu, "Clip": _read_clip, "LeakyRelu": _read_leaky_relu, "PRelu": _read_prelu}


def clip_bounds(node: Node) -> tuple[float, float] | None:
    """Both bounds of a Clip, infinite where there is none (or the type's extreme); None if not known."""
    bounds = []
    for index, absent in ((1, -np.inf), (2, np.inf)):
        given = len(node.inputs) > index and not node.inputs[index].is_empty()
        value = scalar(node.inputs[index]) if given else absent
        if value is None:
            return None
        bounds.append(absent if abs(value) >= np.finfo(np.float32).max else value)
    return bounds[0], bounds[1]
