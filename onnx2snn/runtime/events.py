"""Graded spikes event by event: nothing travels but ±R·2^(-i), through weights without biases.

In the file a step is the ANN itself, with neurons in it that give the sum of what they have sent. On hardware
no layer computes: a spike reaches the potentials that its place is connected with, and is added there. Here

* every potential begins with what biases, and inputs that do not change, make of it, once;
* a neuron compares the target a(u) of its own potential with what it has sent, and sends one event ±R·2^(-i);
* an event adds ±2^(-i) times R·w to each potential at the other end of its place's connections. These w are
  found by an impulse: the linear operators between two neurons are one set of connections, whatever they are;
* what is not linear, a pool, a softmax, a product of two activations, is computed on its potentials as they
  are, and sends the differences of its values in the same way.

That the potentials are those of the file at every timestep is what makes it a spiking network; a property
test holds it. All sums are float64. It is meant for small nets: every place of a neuron has its own impulse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.artifact.sums import gives_sums
from onnx2snn.engine.engines import Array, NumpyEngine
from onnx2snn.graph.graph import import_graph, operands
from onnx2snn.graph.linear import why_not_linear
from onnx2snn.model.weights import values_of
from onnx2snn.ops.graded_if import grades, next_word, zone_at
from onnx2snn.ops.standard import SHAPE_OPS, standard

Values = dict[str, Array]


@dataclass(frozen=True)
class EventRun:
    """What T timesteps of events gave.

    Attributes:
        potentials: tensor → what had arrived there after each timestep, float64 [T, N, …], of all tensors of
            floats that a neuron or anything else that is not linear reads, and of those that leave the step.
        spikes: neuron → sign·(n - i) of the spike that its potential asks for, int16 [T, N, …].
        events: how many were sent, differences of pools and islands not among them.
    """

    potentials: Values
    spikes: Values
    events: int


def run_events(
    artifact: Artifact,
    feeds: Mapping[str, Array],
    timesteps: int | None = None,
    told: Mapping[str, Array] | None = None,
) -> EventRun:
    """Run a network of graded spikes event by event.

    Args:
        artifact: of either schedule. In `layer` a neuron fires once all of its input is in, T times.
        feeds: inputs by name, constant over time.
        timesteps: T; as compiled by default, and in the schedule `layer`.
        told: neuron → spikes [T, N, …] as in `EventRun`: sent in place of what the potentials ask for.

    Raises:
        ModelError: ONNX's NumPy implementation lacks an operator of the net.
    """
    net = _Net(artifact, feeds)
    layered = artifact.schedule == "layer"
    steps = artifact.timesteps if layered or timesteps is None else timesteps
    run = _Run(net, steps, told or {}, layered=layered)
    if layered:
        for node in net.acting:
            for time in range(steps):
                run.act(node, time)
    else:
        for time in range(steps):
            for node in net.acting:
                run.act(node, time)
    potentials = {
        name: np.stack([run.value(name, time) for time in range(steps)]) for name in sorted(net.read)
    }
    return EventRun(potentials, {name: np.stack(sent) for name, sent in run.spikes.items()}, run.events)


class _Net:
    """A step: what acts in it, and the connections between.

    Attributes:
        acting: neurons and what is not linear, in topological order.
        rest: tensor → its value before any spike, in float64 where it is a float.
        moving: names of the tensors that spikes change.
        read: those of them that something acting reads, or that leave the step; and every neuron's target.
    """

    def __init__(self, artifact: Artifact, feeds: Mapping[str, Array]) -> None:
        self._opsets = artifact.step.opset_import
        prefix = {} if artifact.prefix is None else NumpyEngine(artifact.prefix).run(feeds)
        weights = {item.name: values_of(item) for item in artifact.step.graph.initializer}
        self.rest: Values = {name: _wide(value) for name, value in {**weights, **feeds, **prefix}.items()}
        self.moving: set[str] = set()
        self.acting: list[onnx.NodeProto] = []
        self._linear: list[onnx.NodeProto] = []
        protos = {node.output[0]: node for node in artifact.step.graph.node}
        for node in import_graph(artifact.step).nodes:
            proto = protos[node.outputs[0].name]
            moves = any(tensor.name in self.moving for tensor in operands(node))
            if gives_sums(proto):
                self.acting.append(proto)
                self.rest[proto.output[0]] = np.zeros_like(self.rest[proto.input[0]])
                self.moving.add(proto.output[0])
                continue
            if moves and node.op not in SHAPE_OPS:
                linear = why_not_linear(node, self.moving) is None
                (self._linear if linear else self.acting).append(proto)
                self.moving.update(filter(None, proto.output))
            self.rest |= self.compute([proto], self.rest)
        left = [item.name for item in artifact.step.graph.output]
        read = {*left, *(name for node in self.acting for name in node.input)} & self.moving
        read |= {node.input[0] for node in self.acting if gives_sums(node)}
        self.read = {name for name in read if self.rest[name].dtype.kind == "f"}

    def compute(self, nodes: list[onnx.NodeProto], values: Mapping[str, Array]) -> Values:
        """What some nodes give on values at hand."""
        return self.engine(nodes).run(values)

    def engine(self, nodes: list[onnx.NodeProto]) -> NumpyEngine:
        """Some nodes in topological order, ready to run."""
        made = dict.fromkeys(name for node in nodes for name in node.output if name)
        read = dict.fromkeys(name for node in nodes for name in node.input if name and name not in made)
        graph = helper.make_graph(
            nodes,
            "part",
            [helper.make_empty_tensor_value_info(name) for name in read],
            [helper.make_empty_tensor_value_info(name) for name in made],
        )
        return NumpyEngine(helper.make_model(graph, opset_imports=self._opsets))

    def connections(self, source: str) -> _Connections:
        """Those of a tensor that neurons or anything else that acts give."""
        reached, nodes = {source}, []
        for node in self._linear:
            if not reached.isdisjoint(node.input):
                nodes.append(_without_bias(node))
                reached.update(node.output)
        silent = {name: np.zeros_like(self.rest[name]) for name in self.moving}
        given = {**self.rest, **silent}
        engine = self.engine(nodes) if nodes else None
        return _Connections(source, engine, sorted((reached & self.read) - {source}), given)


class _Connections:
    """What an event of size 1 adds to every potential, by the place that sends it.

    Args:
        source: the tensor that the events are of.
        engine: the linear operators behind it; None where there are none.
        reached: the potentials.
        silence: every tensor that these read, where nobody sends.
    """

    def __init__(
        self, source: str, engine: NumpyEngine | None, reached: list[str], silence: Mapping[str, Array]
    ) -> None:
        self._source, self._engine, self._silence = source, engine, silence
        self._reached = reached if engine is not None else []
        self._offsets = engine.run(silence) if engine is not None and reached else {}
        self._known: dict[tuple[int, ...], Values] = {}

    def of(self, place: tuple[int, ...]) -> Values:
        """Potential → weight of the connection from `place` to each of its places."""
        if self._engine is None or not self._reached:
            return {}
        if place not in self._known:
            impulse = np.zeros_like(self._silence[self._source])
            impulse[place] = 1
            given = self._engine.run({**self._silence, self._source: impulse})
            self._known[place] = {name: given[name] - self._offsets[name] for name in self._reached}
        return self._known[place]


@dataclass
class _Run:
    """A run in the middle: what has arrived everywhere.

    Attributes:
        net: what runs.
        timesteps: T.
        told: see `run_events`.
        layered: whether a neuron waits for all timesteps of its input.
        spikes: neuron → what it has sent at each timestep.
        events: sent so far.
    """

    net: _Net
    timesteps: int
    told: Mapping[str, Array]
    layered: bool
    spikes: dict[str, list[Array]] = field(default_factory=dict)
    events: int = 0

    def __post_init__(self) -> None:
        self._arrived = {
            name: np.zeros((self.timesteps, *value.shape))
            for name, value in self.net.rest.items()
            if name in self.net.read
        }
        self._given: dict[str, list[Array]] = {}  # what acting nodes give at each timestep
        self._connections: dict[str, _Connections] = {}

    def value(self, name: str, time: int) -> Array:
        """A tensor after a timestep: given by what acts, added up from events, or as it always was."""
        if name in self._given:
            return self._given[name][time]
        if name in self._arrived:
            return np.asarray(self.net.rest[name] + self._arrived[name][: time + 1].sum(axis=0))
        return self.net.rest[name]

    def act(self, node: onnx.NodeProto, time: int) -> None:
        """Let a neuron fire, or anything else look at its potentials, and send what has changed."""
        if gives_sums(node):
            self._fire(node, time)
            return
        values = {name: self.value(name, time) for name in node.input if name}
        with np.errstate(all="ignore"):
            given = self.net.compute([node], values)
        for name, value in given.items():
            past = self._given.setdefault(name, [])
            before = past[-1] if past else self.net.rest[name]
            past.append(value)
            if value.dtype.kind == "f":
                self._send(name, time, _finite(value) - _finite(before))

    def _fire(self, node: onnx.NodeProto, time: int) -> None:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        reach, result = self.net.rest[node.input[-1]], node.output[0]
        target = self.value(node.input[0], self.timesteps - 1 if self.layered else time)
        sent = self._given[result][-1] if time else np.zeros_like(target)
        word = next_word(target, sent, reach, zone_at(attributes, time))
        spikes = grades(word - sent, reach, attributes["exponents"])
        self.spikes.setdefault(node.name, []).append(spikes)
        spikes = self.told[node.name][time] if node.name in self.told else spikes
        sizes = np.where(spikes, np.ldexp(np.sign(spikes), np.abs(spikes) - attributes["exponents"]), 0)
        self._given.setdefault(result, []).append(sent + sizes * reach)
        self.events += int(np.count_nonzero(spikes))
        self._send(result, time, sizes * reach)

    def _send(self, source: str, time: int, sizes: Array) -> None:
        """Send events one by one: each adds its size, times the weight, at the end of every connection."""
        if source not in self._connections:
            self._connections[source] = self.net.connections(source)
        for place in _places(sizes):
            for name, weights in self._connections[source].of(place).items():
                self._arrived[name][time] += float(sizes[place]) * weights


def _places(values: Array) -> Iterator[tuple[int, ...]]:
    """Where an array is not zero."""
    return (tuple(map(int, place)) for place in np.argwhere(values))


def _without_bias(node: onnx.NodeProto) -> onnx.NodeProto:
    """A weighted layer's own bias is left out; what else does not change is silent in the differences."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    if standard(node.op_type).bias:
        del copy.input[2:]
    return copy


def _wide(value: Array) -> Array:
    return value.astype(np.float64) if value.dtype.kind == "f" else value


def _finite(value: Array) -> Array:
    """A logarithm of nothing sends nothing."""
    return np.where(np.isfinite(value), value, 0)
