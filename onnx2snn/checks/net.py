"""The ANN as checks ask it: what arrives at its first layers, and what it answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.errors import ModelError
from onnx2snn.graph.graph import Graph, Node, Tensor, constant, extract, is_float

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: Layers with a bias that are looked at.
_BIASED = 4


@dataclass(frozen=True)
class Trained:
    """What a layer was trained to see: running statistics of a BatchNormalization.

    Attributes:
        node: its name.
        tensor: what it reads, channels second.
        mean, variance: float64 [C].
    """

    node: str
    tensor: str
    mean: Array
    variance: Array


@dataclass(frozen=True)
class Biased:
    """A layer with a bias for each channel.

    Attributes:
        node: its name.
        tensor: what it gives, channels second.
        bias: float64 [C].
    """

    node: str
    tensor: str
    bias: Array


class Net:
    """An ANN that has not been folded yet.

    Args:
        model: as the user gave it.
        graph: the same, flat; not changed, and not needed any more once this is made.
    """

    def __init__(self, model: onnx.ModelProto, graph: Graph) -> None:
        self._model = model
        self.inputs = [tensor.name for tensor in graph.inputs]
        self.float_input = len(graph.inputs) == 1 and bool(is_float(graph.inputs[0]))
        self.fixed_batch = _fixed(graph.inputs[0]) if graph.inputs else None
        self.trained = next(filter(None, map(_trained, graph.nodes)), None)
        self.biased = [] if self.trained else [b for b in map(_biased, graph.nodes) if b][:_BIASED]
        wanted = [place.tensor for place in (self.trained, *self.biased) if place]
        self._first = extract(graph, self.inputs, list(dict.fromkeys(wanted))) if wanted else None

    def first_layers(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What `trained` and `biased` are about, by tensor.

        Raises:
            ModelError: onnxruntime cannot.
        """
        return {} if self._first_engine is None else self._first_engine.run(feeds)

    def output(self, feeds: Mapping[str, Array]) -> Array:
        """The first output of a batch.

        Raises:
            ModelError: as above.
        """
        return next(iter(self._whole.run(feeds).values()))

    @cached_property
    def _first_engine(self) -> OnnxruntimeEngine | None:
        return None if self._first is None else OnnxruntimeEngine(self._first)

    @cached_property
    def _whole(self) -> OnnxruntimeEngine:
        return OnnxruntimeEngine(self._model)


def look_at(model: onnx.ModelProto, graph: Graph) -> Net | None:
    """The ANN, to ask; None where its first layers cannot be taken out of it."""
    try:
        return Net(model, graph)
    except ModelError as error:
        logger.info("the data is not checked against the net: %s", error)
        return None


def _fixed(tensor: Tensor) -> int | None:
    first = tensor.shape[0] if tensor.shape else None
    return first if isinstance(first, int) and first > 0 else None


def _trained(node: Node) -> Trained | None:
    """A BatchNormalization whose running statistics are not those that it starts with."""
    if node.op != "BatchNormalization" or node.domain or len(node.inputs) < 5:
        return None
    mean, variance = (constant(tensor) for tensor in node.inputs[3:5])
    if mean is None or variance is None or (not mean.any() and (variance == 1).all()):
        return None
    epsilon = float(node.attrs.get("epsilon", 1e-5))
    return Trained(
        node.name, node.inputs[0].name, mean.astype(np.float64), variance.astype(np.float64) + epsilon
    )


def _biased(node: Node) -> Biased | None:
    """A Conv or Gemm with biases that are not all zero."""
    if node.op not in ("Conv", "Gemm") or node.domain or len(node.inputs) < 3:
        return None
    bias = constant(node.inputs[2])
    if bias is None or bias.ndim != 1 or not bias.any():
        return None
    return Biased(node.name, node.outputs[0].name, bias.astype(np.float64))


def moments(values: Array) -> tuple[Array, Array]:
    """Mean and variance of each channel of values [N, C, …], float64 [C]."""
    flat = values.reshape(*values.shape[:2], -1)
    return flat.mean(axis=(0, 2), dtype=np.float64), flat.var(axis=(0, 2), dtype=np.float64)
