"""The schedule `layer`, simulated timestep by timestep, as the hardware would do it.

An artifact of this schedule holds no time: it computes on the sums over all T timesteps at once. Here every
layer really gets T timesteps of input, spikes are arrays, and what is linear acts on one timestep at a time:

* A spike of the code `radix` in timestep t is worth θ shifted left by T-t; one of `burst` is worth θ.
* f(x) = W·x + b gives W·x_t + b/T in timestep t. For a BatchNormalization that stands alone this is
  β/T + (1 - 1/T)·γμ/σ instead of its β (Datta et al. 2023).
* A maximum pool gives P_t - P_{t-1}, with P_t the maximum of the sums so far: lateral inhibition pooling.
* Any other f gives f(C_t) - f(C_{t-1}), with C_t its input's sum so far, and waits while f is not finite.
* A neuron adds up its current over all timesteps, and only then fires.
* With int8 weights the sum is an int32 membrane, exact; QLinearConv rounds it once, after the last timestep.

That both agree is the reason why the flat graph may be called a spiking network; a property test holds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import onnx
from onnx import helper

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.engine.engines import Array, NumpyEngine
from onnx2snn.engine.numpy_ops import requantize
from onnx2snn.graph.graph import Node, import_graph, operands
from onnx2snn.graph.linear import why_not_linear
from onnx2snn.graph.tail import find_tail
from onnx2snn.model.weights import values_of
from onnx2snn.ops import CELLS, DOMAIN, graded_fire
from onnx2snn.ops.accumulate_fire import count_spikes, spike_train
from onnx2snn.ops.standard import SHAPE_OPS


@dataclass(frozen=True)
class Simulation:
    """What T explicit timesteps gave.

    Attributes:
        outputs: output name → its sum over the timesteps, which is the artifact's output.
        spikes: neuron name → spikes, integers [T, N, …].
        currents: neuron name → the accumulated current U, [N, …].
    """

    outputs: dict[str, Array]
    spikes: dict[str, Array]
    currents: dict[str, Array]


#: A tensor's values at the T timesteps, in units in which their sum is its value.
_Train = list[Array]


def simulate(artifact: Artifact, feeds: Mapping[str, Array]) -> Simulation:
    """Run an artifact of the schedule `layer` in explicit timesteps.

    Args:
        artifact: the artifact.
        feeds: inputs by name, constant over time.

    Raises:
        ModelError: ONNX's NumPy implementation lacks an operator of the net.
    """
    walk, graph = _Walk(artifact, feeds), import_graph(artifact.model)
    tail = find_tail(graph)
    for node in graph.nodes:
        if node.name in tail:
            walk.read_out(node)
        else:
            walk.enter(node)
    outputs = {name: walk.total(name) for name in artifact.outputs}
    return Simulation(outputs, walk.spikes, walk.currents)


class _Walk:
    """The way through the graph, node by node."""

    def __init__(self, artifact: Artifact, feeds: Mapping[str, Array]) -> None:
        self._timesteps = artifact.timesteps
        self._opsets = artifact.model.opset_import
        graph = artifact.model.graph
        self._protos = {node.output[0]: node for node in graph.node}
        weights = {item.name: values_of(item) for item in graph.initializer}
        self._still: dict[str, Array] = {**weights, **feeds}
        self._trains: dict[str, _Train] = {}
        self._sums: dict[str, _Train] = {}  # what was computed from sums; what is no float has no other train
        self.spikes: dict[str, Array] = {}
        self.currents: dict[str, Array] = {}

    def total(self, name: str) -> Array:
        """The sum over all timesteps, which for what never changes is its value."""
        return self._sum_up(name)[-1] if name in self._trains else self._still[name]

    def read_out(self, node: Node) -> None:
        """Compute what a node of the tail gives in the end, once: its shape would change in time."""
        moving = {tensor.name: self.total(tensor.name) for tensor in operands(node)}
        self._still |= self._compute(self._protos[node.outputs[0].name], [moving])[0]

    def enter(self, node: Node) -> None:
        """Compute what the next node gives at all timesteps."""
        proto = self._protos[node.outputs[0].name]
        moving = [tensor.name for tensor in operands(node) if tensor.name in self._trains]
        if node.domain == DOMAIN:
            self._fire(node)
        elif not moving:
            self._still |= self._compute(proto, [{}])[0]
        elif node.op in SHAPE_OPS:
            self._still |= self._compute(proto, [{name: self._trains[name][0] for name in moving}])[0]
        elif node.op in ("QLinearConv", "MatMulInteger"):
            self._integrate(proto)
        elif self._trains[moving[0]][0].dtype.kind == "f" and why_not_linear(node, self._trains) is None:
            self._follow_linear(proto, moving)
        else:
            self._follow_sums(proto, moving)

    def _compute(self, proto: onnx.NodeProto, feeds: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """What the node gives on each of `feeds`, which hold the inputs that change."""
        still = {name: self._still[name] for name in proto.input if name and name not in feeds[0]}
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
            for name, value in {**still, **feeds[0]}.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in proto.output if name]
        graph = helper.make_graph([proto], "node", infos, outputs)
        engine = NumpyEngine(helper.make_model(graph, opset_imports=self._opsets))
        # What a sum of few spikes makes infinite need not be so for long.
        with np.errstate(all="ignore"):
            return [engine.run({**still, **changing}) for changing in feeds]

    def _follow_linear(self, proto: onnx.NodeProto, moving: list[str]) -> None:
        silence = {name: np.zeros_like(self._trains[name][0]) for name in moving}
        times = [{name: self._trains[name][time] for name in moving} for time in range(self._timesteps)]
        at_zero, *given = self._compute(proto, [silence, *times])
        share = 1 - 1 / self._timesteps
        for name, offset in at_zero.items():
            again = np.where(
                np.isfinite(offset), share * offset, 0
            )  # a mask of −∞ stays one in every timestep
            self._trains[name] = [_like(step[name], step[name] - again) for step in given]

    def _follow_sums(self, proto: onnx.NodeProto, moving: list[str]) -> None:
        sums = {name: self._sum_up(name) for name in moving}
        times = [{name: sums[name][time] for name in moving} for time in range(self._timesteps)]
        given = self._compute(proto, times)
        for name, first in given[0].items():
            if first.dtype.kind != "f":
                self._follow_integers(name, [step[name] for step in given])
                continue
            before, now = np.zeros_like(first), []
            for step in given[:-1]:
                before = np.where(np.isfinite(step[name]), step[name], before)
                now.append(before)
            now.append(given[-1][name])  # for what is not finite in the end the ANN has no number either
            self._sums[name] = now
            self._trains[name] = [after - before for before, after in pairwise([np.zeros_like(first), *now])]

    def _follow_integers(self, name: str, sums: _Train) -> None:
        """Spike counts change from timestep to timestep; of indices and conditions there is no difference."""
        self._sums[name] = self._trains[name] = sums
        if sums[0].dtype == np.uint8:
            self._trains[name] = [
                after - before for before, after in pairwise([np.zeros_like(sums[0]), *sums])
            ]

    def _integrate(self, proto: onnx.NodeProto) -> None:
        """An int32 membrane takes in the spikes of one timestep after another.

        Float64 holds every such sum exactly.
        """
        source, (result,) = proto.input[0], proto.output
        convolves = proto.op_type == "QLinearConv"
        weight = self._still[proto.input[3 if convolves else 1]].astype(np.float64)
        self._still["onnx2snn/weight"] = weight
        layer = helper.make_node("Conv" if convolves else "MatMul", [source, "onnx2snn/weight"], [result])
        layer.attribute.extend(proto.attribute)
        times = [{source: spikes.astype(np.float64)} for spikes in self._trains[source]]
        currents = [step[result].astype(np.int32) for step in self._compute(layer, times)]
        membranes: _Train = list(accumulate(currents))
        if not convolves:
            self._sums[result] = self._trains[result] = membranes
            return
        step, scale, zero, bias = (self._still[proto.input[index]] for index in (4, 6, 7, 8))
        level = requantize(membranes[-1], bias, step / scale, zero)
        silence = [np.zeros_like(level)] * (self._timesteps - 1)
        self._sums[result] = [*silence, level]
        self._trains[result] = self._sums[result]

    def _sum_up(self, name: str) -> _Train:
        """The sums so far, after each timestep."""
        return self._sums.get(name) or list(accumulate(self._trains[name]))

    def _fire(self, node: Node) -> None:
        """Accumulate T timesteps of current, then send the spikes that it makes."""
        source, *parameters = (tensor.name for tensor in node.inputs)
        values = [self._still[name] for name in parameters]
        current = self.total(source)
        if CELLS[node.op].sums:
            steps, spikes = graded_fire.spike_train(current, values[0], node.attrs, self._timesteps)
            self.currents[node.name], self.spikes[node.name] = current, spikes
            self._trains[node.outputs[0].name] = steps
            return
        *slopes, threshold = values or [np.ones((), current.dtype)]
        counts = count_spikes(current, values, node.attrs)
        spikes = spike_train(counts, node.attrs["code"], node.attrs["levels"], self._timesteps)
        steps = []
        for time, sent in enumerate(spikes, start=1):
            shift = self._timesteps - time if node.attrs["code"] == "radix" else 0
            value = (np.left_shift(np.abs(sent), shift) * np.sign(sent)).astype(current.dtype)
            for slope in slopes:
                value = np.where(value < 0, value * slope, value)
            steps.append(value * threshold)
        self.currents[node.name], self.spikes[node.name] = current, spikes
        self._trains[node.outputs[0].name] = steps


def _like(model: Array, value: Array) -> Array:
    return np.asarray(value, model.dtype)
