"""The ANN as the compiler prepared it: what enters and leaves every activation that became a neuron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from onnx2snn.analysis.evaluation import check_source
from onnx2snn.engine.engines import Engine, EngineOptions, make_engine
from onnx2snn.errors import ModelError
from onnx2snn.graph.channels import channel_axis
from onnx2snn.graph.graph import Graph, Tensor, extract, write_model
from onnx2snn.graph.rectifiers import IDENTITY, Rectifier, rectifier
from onnx2snn.graph.targets import find_targets, neuron_name
from onnx2snn.model.file import load_model
from onnx2snn.model.tap import tap
from onnx2snn.model.weights import model_bytes
from onnx2snn.passes.pipeline import prepare
from onnx2snn.runtime.session import SpikingSession

Array = npt.NDArray[Any]

#: Bytes of weights that what lies behind single activations may have together, to be kept.
_MEMORY = 1 << 29


@dataclass(frozen=True)
class Activity:
    """One batch in the ANN.

    Attributes:
        before: neuron → what enters its activation, [N, …].
        after: neuron → what leaves it, [N, …].
        outputs: the ANN's outputs.
    """

    before: dict[str, Array]
    after: dict[str, Array]
    outputs: dict[str, Array]


@dataclass(frozen=True)
class _Place:
    """Where a neuron stands in the ANN: what enters and leaves the activation that it stands for."""

    kind: Rectifier
    before: Tensor
    after: Tensor


class PreparedReference:
    """The ANN that a network was compiled from.

    Args:
        path: its file.
        session: the network.
        threads: threads that an operator may use; as onnxruntime chooses by default.

    Attributes:
        kinds: neuron → the activation that it stands for, the identity of a graded one, which stands behind
            its activation; without those that the compiler put in itself.
        axes: neuron → the axis of its channels, None where there is none.

    Raises:
        ModelError: not the ANN that the network was compiled from.
    """

    def __init__(self, path: str | Path, session: SpikingSession, threads: int | None = None) -> None:
        source = load_model(path)
        check_source(path, source, session)
        (self._graph, _), self._options = prepare(source), EngineOptions(threads=threads)
        self._small = model_bytes(source) * len(session.neurons) <= _MEMORY
        places = _targets(self._graph) if session.artifact.sums else _activations(self._graph)
        self._places = {name: places[name] for name in session.neurons if name in places}
        self.kinds = {name: place.kind for name, place in self._places.items()}
        self.axes = {name: channel_axis(place.after) for name, place in self._places.items()}
        if not self.kinds:
            raise ModelError(
                f"{path}: expected the activations that became {', '.join(session.neurons[:3])} …, found "
                "none of these names; compile the network again with this version"
            )
        self._outputs = [tensor.name for tensor in self._graph.outputs]
        inside = (t.name for place in self._places.values() for t in (place.before, place.after))
        given = {item.name for item in self._graph.inputs}
        whole = tap(write_model(self._graph), [name for name in dict.fromkeys(inside) if name not in given])
        self._engine = make_engine(whole, options=self._options)
        self._tails: dict[str, Engine] = {}

    def run(self, feeds: Mapping[str, Array]) -> Activity:
        """Run a batch."""
        values = {**feeds, **self._engine.run(feeds)}
        return Activity(
            {name: values[place.before.name] for name, place in self._places.items()},
            {name: values[place.after.name] for name, place in self._places.items()},
            {name: values[name] for name in self._outputs},
        )

    def outputs_with(self, name: str, after: Array, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs where the activation of one neuron is another, [N, …]."""
        tensor = self._places[name].after.name
        tail = self._tails.get(name)
        if tail is None:
            inputs = [item.name for item in self._graph.inputs]
            tail = make_engine(extract(self._graph, [*inputs, tensor], self._outputs), options=self._options)
            if self._small:
                self._tails[name] = tail
        return tail.run({**feeds, tensor: after.astype(self._graph.tensors()[tensor].dtype, copy=False)})


def _activations(graph: Graph) -> dict[str, _Place]:
    """Activations by the name of the neuron that stands in their place: their own."""
    kinds = ((node, rectifier(node)) for node in graph.nodes)
    return {node.name: _Place(kind, node.inputs[0], node.outputs[0]) for node, kind in kinds if kind}


def _targets(graph: Graph) -> dict[str, _Place]:
    """Targets by the name of the graded neuron that stands behind them."""
    return {
        neuron_name(target): _Place(IDENTITY, target.tensor, target.tensor) for target in find_targets(graph)
    }
