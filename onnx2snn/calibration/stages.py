"""The net in stages, each ready to run on its own: a neuron or a pool, and what leads to it from others.

An analog island lies inside a stage. On means over time its entrances and exits change nothing, so there they
are left out; from timestep to timestep they have their state, like the cell at the stage's end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.calibration.stage_step import RESULT, SHIFT, initial_states, step_model, threshold, widened
from onnx2snn.engine.engines import EngineOptions, OnnxruntimeEngine
from onnx2snn.graph.channels import broadcastable, channel_axis
from onnx2snn.graph.graph import Graph, Node, Tensor, constant, extract, is_cell, operands, producer
from onnx2snn.graph.sections import divide
from onnx2snn.graph.targets import find_targets
from onnx2snn.model.tap import tap
from onnx2snn.model.weights import to_tensor, values_of
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.standard import WEIGHTED
from onnx2snn.thresholds.histogram import Vector

Array = npt.NDArray[Any]


@dataclass
class Train:
    """A cell's output over all timesteps, small: spikes that carry θ each as integers, the rest as it is.

    Attributes:
        steps: [N, …] for each timestep; int8, or what Γ asks for, for spikes.
        scale: θ, what one spike carries, broadcastable to a step; None where the output is held as it is.
        sums: whether a step is the sum of what was sent until then.
    """

    steps: list[Array]
    scale: Array | None
    sums: bool = False

    def mean(self) -> Array:
        """What stands for the ANN's value: the mean over time, added up in float32 at least, or the sum."""
        if self.sums:
            return self.steps[-1]
        dtype = (self.steps[0] if self.scale is None else self.scale).dtype
        total = np.zeros(self.steps[0].shape, widened(dtype))
        for step in self.steps:
            total += step
        total /= len(self.steps)
        mean: Array = total if self.scale is None else total * self.scale
        return mean.astype(dtype, copy=False)


class Stage:
    """One part of the sweep: the nodes up to one target, and the neuron or pool behind it, if any.

    Without one it either is a joint, whose own values others read, or only gives the mean of its target.
    A graded neuron's activation stands between the two.
    """

    def __init__(
        self,
        graph: Graph,
        target: Tensor,
        cell: Node | None = None,
        joints: Collection[str] = (),
        activated: Tensor | None = None,
        tensors: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.target, self.cell = target, cell
        self._activation: onnx.ModelProto | None = None
        if activated is not None and activated is not target:
            self._activation = extract(graph, [target.name], [activated.name], tensors)
        self.axis = channel_axis(target)
        self._reads = _sources(target, set(joints) - ({target.name} if cell is None else set()))
        self.sources = [tensor.name for tensor in self._reads]
        self.yields: str | None = None if cell is None else cell.outputs[0].name
        if cell is None and target.name in joints:
            self.yields = target.name
        self._affine: onnx.ModelProto | None = None
        if target.name not in self.sources:
            self._affine = extract(graph, self.sources, [target.name], tensors)
        self._graph, self._activated, self._tensors = graph, activated, tensors
        self._sums = any(is_cell(node) and CELLS[node.op].sums for node in graph.nodes)

    @cached_property
    def _target_engine(self) -> OnnxruntimeEngine | None:
        return None if self._affine is None else OnnxruntimeEngine(_on_means(self._affine))

    @cached_property
    def _step_engine(self) -> OnnxruntimeEngine:
        model = step_model(self._reads, self._affine, self.target, self.cell, self._activation)
        return OnnxruntimeEngine(model, EngineOptions(native=True))

    def behind(self) -> Stage:
        """The cell alone, which reads the target."""
        return Stage(self._graph, self.target, self.cell, {self.target.name}, self._activated)

    @property
    def grades(self) -> bool:
        """Whether graded neurons stand at its end."""
        return self.cell is not None and CELLS[self.cell.op].sums

    def activate(self, x: Array) -> Array:
        """What the ANN makes of the target: its activation, or its pool."""
        if self._activation is not None:
            (source,), (result,) = self._activation.graph.input, self._activation.graph.output
            return self._activation_engine.run({source.name: x})[result.name]
        return x if self.cell is None or CELLS[self.cell.op].sums else pool(self.cell, x)

    @cached_property
    def _activation_engine(self) -> OnnxruntimeEngine:
        assert self._activation is not None, "only a graded neuron has one"
        return OnnxruntimeEngine(self._activation)

    def current(self, feeds: Mapping[str, Array]) -> Array:
        """The target's value from values of the sources."""
        if self._target_engine is None:
            return feeds[self.target.name]
        return self._target_engine.run(feeds)[self.target.name]

    def values(self, names: Sequence[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Any tensors on the way from the sources to the target, from values of the sources."""
        values = {name: feeds[name] for name in names if name in self.sources}
        inner = [name for name in dict.fromkeys(names) if name not in values]
        if inner:
            if tuple(inner) not in self._inner_engines:
                part = tap(_on_means(self._part), inner, only=True)
                self._inner_engines[tuple(inner)] = OnnxruntimeEngine(part)
            values |= self._inner_engines[tuple(inner)].run(feeds)
        return values

    @cached_property
    def _inner_engines(self) -> dict[tuple[str, ...], OnnxruntimeEngine]:
        """For tensors inside the stage, what computes them."""
        return {}

    def layers(self) -> list[onnx.NodeProto]:
        """The weighted nodes whose sum the target is, each with weights that it shares with no other node."""
        if self._affine is None:
            return []
        producers = {name: node for node in self._affine.graph.node for name in node.output}
        tensors = self._graph.tensors() if self._tensors is None else self._tensors
        layers, pending = [], [self.target.name]
        while pending:
            node = producers.get(pending.pop())
            if node is not None and node.op_type == "Add":
                pending.extend(node.input)
            elif node is not None and node.op_type in WEIGHTED and node.input[1] in self.weights:
                layers += [node] if len(tensors[node.input[1]].outputs) == 1 else []
        return layers

    @cached_property
    def weights(self) -> dict[str, Array]:
        """All constants of the stage's linear part."""
        return {item.name: values_of(item) for item in self._part.graph.initializer}

    def replace_weights(self, weights: Mapping[str, Array]) -> None:
        """Go on with other weights; the graph that the stage was cut from keeps its own."""
        for item in self._part.graph.initializer:
            if item.name in weights:
                item.CopyFrom(to_tensor(item.name, weights[item.name]))
        self.__dict__.pop("weights", None)
        self.release()

    def release(self) -> None:
        """Let go of the engines; they come again when they are needed."""
        for cached in ("_inner_engines", "_target_engine", "_step_engine", "_activation_engine"):
            self.__dict__.pop(cached, None)

    @property
    def _part(self) -> onnx.ModelProto:
        assert self._affine is not None, "the target is no source"
        return self._affine

    @property
    def key(self) -> str:
        """What the stage's correction is filed under: the cell's name, or the target's without a cell."""
        return str(self.target.name if self.cell is None else self.cell.name)

    def run(self, feeds: Mapping[str, Train | Array], shift: Vector, timesteps: int) -> Train | Array:
        """What the stage yields at all timesteps, `shift` ([C], or [1] for all) added to a cell's input.

        A joint that reads nothing but what stays the same over time is an array.
        """
        moving = any(isinstance(feeds[name], Train) for name in self.sources)
        if self.cell is None and not moving:
            return self.current({n: feed for n, feed in feeds.items() if not isinstance(feed, Train)})
        dtype = np.dtype(self.target.dtype or np.float32)
        state = initial_states(self.cell, self._affine, dtype)
        added = broadcastable(shift, self.target, dtype)
        steps = []
        for time in range(timesteps):
            now = {
                name: feed.steps[time] if isinstance(feed, Train) else feed for name, feed in feeds.items()
            }
            results = self._step_engine.run({**now, **state, SHIFT: added})
            state = {name: results[f"{name}/next"] for name in state}
            steps.append(results[RESULT])
        units = self.cell is not None and CELLS[self.cell.op].sends_units
        scale = threshold(self.cell) if self.cell is not None and units else None
        return Train(steps, scale, self._sums)


def make_stages(graph: Graph, outputs: Sequence[str]) -> list[Stage]:
    """The graph in stages: every neuron, pool and joint in the order of the graph, then the `outputs`.

    Joints are what the prefix gives to the body, and what a weighted node makes for more than one stage: no
    stage computes these again.
    """
    sections, tensors = divide(graph), graph.tensors()
    cells = [node for node in graph.nodes if is_cell(node) and CELLS[node.op].kind != "rate"]
    bridges = {
        tensor.name
        for node in graph.nodes
        if sections.of[node.name] == "body"
        for tensor in operands(node)
        if (source := producer(tensor)) is not None and sections.of[source.name] == "prefix"
    }
    before = {target.tensor.name: target.source for target in find_targets(graph)}
    sources = {
        cell.name: before.get(tensor.name, tensor) if CELLS[cell.op].sums else tensor
        for cell in cells
        for tensor in cell.inputs[:1]
    }
    targets = [sources[cell.name] for cell in cells] + [tensors[name] for name in outputs]
    needs = Counter(name for target in targets for name in _weighted(target, bridges))
    joints = bridges | {name for name, count in needs.items() if count > 1}
    stages = []
    for node in graph.nodes:
        if any(node is cell for cell in cells):
            stages.append(Stage(graph, sources[node.name], node, joints, node.inputs[0], tensors))
        stages += [
            Stage(graph, tensor, None, joints, tensors=tensors)
            for tensor in node.outputs
            if tensor.name in joints
        ]
    return stages + [
        Stage(graph, tensors[name], None, joints - set(outputs), tensors=tensors) for name in outputs
    ]


def _weighted(target: Tensor, bridges: Collection[str]) -> list[str]:
    """What weighted nodes make on the way to a target."""
    return [
        tensor.name
        for tensor in _walk(target, bridges)
        if (node := producer(tensor)) is not None and node.op in WEIGHTED and tensor.name not in bridges
    ]


def pool(cell: Node, x: Array) -> Array:
    """What the ANN's pool gives for `x`: the first step from nothing."""
    operator = CELLS[cell.op]
    return operator.step(x, operator.initial_state([]), [], cell.attrs)[0].astype(x.dtype, copy=False)


def _on_means(part: onnx.ModelProto) -> onnx.ModelProto:
    """The part without the entrances and exits of islands, which leave a mean as it is."""
    plain = onnx.ModelProto()
    plain.CopyFrom(part)
    for node in plain.graph.node:
        if node.domain == DOMAIN and node.op_type in CELLS:
            node.op_type, node.domain = "Identity", ""
    return plain


def _sources(target: Tensor, joints: Collection[str]) -> list[Tensor]:
    """What a tensor is computed from directly: outputs of neurons, pools and joints, and graph inputs."""
    return [tensor for tensor in _walk(target, joints) if _is_source(tensor, joints)]


def _walk(target: Tensor, joints: Collection[str]) -> list[Tensor]:
    """The tensors that a target is computed from, itself first, back to the sources and with them."""
    walked: dict[str, Tensor] = {}
    pending = [target]
    while pending:
        tensor = pending.pop()
        if tensor.name in walked or constant(tensor) is not None:
            continue
        walked[tensor.name] = tensor
        node = producer(tensor)
        if node is not None and not _is_source(tensor, joints):
            pending.extend(operands(node))
    return list(walked.values())


def _is_source(tensor: Tensor, joints: Collection[str]) -> bool:
    node = producer(tensor)
    if node is None or tensor.name in joints:
        return True
    return is_cell(node) and CELLS[node.op].kind != "rate"
