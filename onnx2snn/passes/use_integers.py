"""int8 weights: the schedule `layer` in integer arithmetic, as neuromorphic chips have it.

    A = Σ W_q·k + b_q          int32, W_q int8, k uint8 spikes
    k' = min(round(A·s), N)    uint8, s the step of W per output channel

Behind `onnx2snn.passes.normalize_weights` every wire carries whole numbers of spikes, and every layer
computes its current in units of θ. Here its weights become multiples, W ≈ s·W_q, and the layer one of
integers:

* Conv → neuron: a QLinearConv, whose output is the rounded current, and an IntegerAccumulateFire.
* Conv → Add → neuron, the other summand made of a neuron's spikes: a QLinearConv that gives its summand in
  steps fine enough for what can matter to the neuron. What lies beyond makes the neuron saturate either way.
* Gemm, MatMul: a MatMulInteger, whose sum is exact.
* Any other layer computes in floats, with weights that are multiples all the same, if they form a matrix;
  one that no neuron precedes reads the analog input, and keeps its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    Variable,
    constant,
    is_output,
    operands,
    producer,
    rank,
    sole_consumer,
    tidy,
    unique_name,
)
from onnx2snn.graph.linear import pads_with_zeros
from onnx2snn.ops import DOMAIN
from onnx2snn.ops.integer_accumulate_fire import CELL as INTEGER_ACCUMULATE_FIRE
from onnx2snn.ops.standard import WEIGHTED, standard
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.integer_layers import (
    bias_of,
    biased_layer,
    evaluate_constant,
    extremes,
    fires_whole,
    neuron_behind,
    retire,
    whole_weights,
)
from onnx2snn.rules import MOST_SPIKES

Array = npt.NDArray[Any]

#: The coarsest steps, in θ, in which a layer may give its share of a neuron's current.
_COARSEST = 0.5


class UseIntegers(Pass):
    """Let the layers of a net compute in integers, with `weights` int8; see the head of this file.

    Fills `context.layers`: layer → `integer`, or why it computes in floats, for every layer behind a neuron.
    """

    requires = frozenset({"weights_rounded"})
    ensures = frozenset({"integers_used"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if context.options.weights == "float":
            return False
        lowering = _Lowering(graph, context.steps)
        for node in list(graph.nodes):
            lowering.enter(node)
        lowering.cast()
        tidy(graph)
        for name in lowering.fired:
            # θ is no tensor of the artifact: it is part of the weights.
            record = context.neurons[name]
            context.neurons[name] = replace(record, op=INTEGER_ACCUMULATE_FIRE.op, theta=None)
        context.layers = lowering.layers
        return True


@dataclass(frozen=True)
class Grain:
    """In what steps a QLinearConv gives its result, in units of θ.

    Attributes:
        scale: one step.
        zero: what stands for 0.
        target: the sum that the result is part of; "" where it is a neuron's whole current.
    """

    scale: float = 1.0
    zero: int = 0
    target: str = ""


@dataclass
class _Lowering:
    """The way through the graph, node by node.

    Attributes:
        steps: layer → s, of which its weights are multiples, per output channel.
        spikes: tensor → the same as whole spikes, uint8.
        levels: the most that such a tensor holds.
        routed: such a tensor → the node that has moved it, which drops out unless it is read as floats.
        floats: such tensors that some node still reads as floats.
        layers: see `UseIntegers`.
        fired: names of the neurons of integers.
    """

    graph: Graph
    steps: Mapping[str, Array]
    spikes: dict[str, Variable] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    routed: dict[str, Node] = field(default_factory=dict)
    floats: dict[str, Tensor] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    fired: list[str] = field(default_factory=list)
    _behind: set[str] = field(default_factory=set)  # tensors that depend on a neuron
    _centred: set[str] = field(default_factory=set)  # currents without the 1/2: what follows rounds by itself

    def enter(self, node: Node) -> None:
        """Take in the next node in topological order."""
        outputs = [tensor.name for tensor in node.outputs]
        behind = any(tensor.name in self._behind for tensor in operands(node))
        if behind or node.domain == DOMAIN:
            self._behind.update(outputs)
        if fires_whole(node):
            self._fire(node)
            return
        source = node.inputs[0].name if node.inputs else ""
        if node.op in WEIGHTED and behind:
            grain = self._why_not(node) or self._grain(node)
            self.layers[node.name] = grain if isinstance(grain, str) else "integer"
            if not isinstance(grain, str):
                self._convert(node, grain)
                return
        elif source in self.spikes and self._routes(node):
            self._route(node)
            return
        self.floats |= {tensor.name: tensor for tensor in operands(node) if tensor.name in self.spikes}

    def cast(self) -> None:
        """Give what knows no integers the spikes as floats.

        Right behind the neuron: onnxruntime 1.31 crashes on a Cast behind a Pad of uint8 of unknown shape.
        """
        pending = [*self.floats.values()]
        done: set[str] = set()
        while pending:
            tensor = pending.pop()
            if tensor.name in self.routed:
                pending.append(self.routed[tensor.name].inputs[0])
            elif tensor.name not in done:
                done.add(tensor.name)
                tensor.inputs.clear()
                inputs, name = [self.spikes[tensor.name]], f"{tensor.name}/float"
                self._add("Cast", name, inputs, [tensor], {"to": onnx.TensorProto.FLOAT})

    def _fire(self, neuron: Node) -> None:
        """The neuron of integers reads the rounded current; a QLinearConv has rounded it already."""
        current, output = neuron.inputs[0], neuron.outputs[0]
        if current.name not in self.spikes:
            self._round(current)
        spikes = self._variable(f"{output.name}/spikes", np.uint8, output.shape)
        self.spikes[output.name], self.levels[output.name] = spikes, int(neuron.attrs["levels"])
        rounded = self.spikes[current.name]
        neuron.op, neuron.inputs, neuron.outputs = INTEGER_ACCUMULATE_FIRE.op, [rounded], [spikes]
        del neuron.attrs["potential"]
        self.fired.append(neuron.name)

    def _round(self, current: Tensor) -> None:
        """QuantizeLinear for a neuron; it rounds to the nearest, so the 1/2 leaves the current again."""
        rounded = self._variable(f"{current.name}/rounded", np.uint8, current.shape)
        centred = current if current.name in self._centred else self._centre(current)
        self._add("QuantizeLinear", rounded.name, [centred, self._one, self._zero], [rounded])
        self.spikes[current.name] = rounded

    def _centre(self, current: Tensor) -> Tensor:
        """The current without the 1/2, taken out of the bias that has it where that is alone in it."""
        half = np.float32(0.5)
        layer = biased_layer(self.graph, current)
        if layer is not None:
            bias = np.asarray(constant(layer.inputs[2]))
            layer.inputs[2] = self._constant(f"{layer.name}/bias", bias - half)
            return current
        centred = self._variable(f"{current.name}/centred", np.float32, current.shape)
        inputs = [current, self._constant(f"{current.name}/half", half)]
        self._add("Sub", centred.name, inputs, [centred])
        return centred

    def _routes(self, node: Node) -> bool:
        """Whether a node moves spikes, and needs no arithmetic for it."""
        if not standard(node.op).routes or len(node.outputs) != 1 or is_output(self.graph, node.outputs[0]):
            return False
        return node.op != "Pad" or pads_with_zeros(node)

    def _route(self, node: Node) -> None:
        source, result = node.inputs[0].name, node.outputs[0]
        moved = self._variable(f"{result.name}/spikes", np.uint8, result.shape)
        inputs = [self.spikes[source], *node.inputs[1:]]
        if node.op == "Pad" and len(inputs) > 2:
            inputs[2] = Variable.empty()  # the default is 0, in the type of what is padded
        self._add(node.op, f"{node.name}/spikes", inputs, [moved], dict(node.attrs))
        self.spikes[result.name], self.levels[result.name] = moved, self.levels[source]
        self.routed[result.name] = node

    def _why_not(self, layer: Node) -> str | None:
        """Why a layer cannot compute in integers; None if it can."""
        if constant(layer.inputs[1]) is None:
            return "its weights are not constant"
        if layer.inputs[0].name not in self.spikes:
            return "it reads no whole spikes"
        if layer.op == "ConvTranspose":
            return "ONNX has no ConvTranspose of integers"
        if layer.name not in self.steps or (layer.op != "Conv" and rank(layer.inputs[0]) != 2):
            return "it is no product with a matrix"
        return None if bias_of(layer) is not None else "its bias is not one per channel"

    def _grain(self, layer: Node) -> Grain | str | None:
        """How a Conv gives its result, or why it cannot; None for any other layer.

        Where that is added to something before a neuron, it reaches from what silences the neuron, whatever
        the other summand is, to what saturates it.
        """
        if layer.op != "Conv":
            return None
        if neuron_behind(layer):
            return Grain()
        add = sole_consumer(self.graph, layer.outputs[0])
        neuron = None if add is None or add.op != "Add" else neuron_behind(add)
        if add is None or neuron is None:
            return "no neuron fires on its result"
        others = [tensor for tensor in add.inputs if tensor is not layer.outputs[0]]
        bounds = self._bounds(others[0], rank(layer.outputs[0]) or 0) if len(others) == 1 else None
        if bounds is None:
            return "it is added to what has no known bounds"
        low = min(-float(bounds[1].max()), 0.0)
        high = max(neuron.attrs["levels"] - float(bounds[0].min()), 0.0)
        scale = float(np.float32((high - low) / MOST_SPIKES))
        if scale > _COARSEST:
            return "its steps beside what it is added to would be coarser than θ/2"
        return Grain(scale, round(-low / scale), add.outputs[0].name)

    def _bounds(self, tensor: Tensor, dims: int) -> tuple[Array, Array] | None:
        """Least and most of what is made of spikes, per channel or of all; None where that is not known."""
        if tensor.name in self.levels:
            return np.zeros(1), np.full(1, float(self.levels[tensor.name]))
        value, node = constant(tensor), producer(tensor)
        if value is None and node is not None and not node.domain and self._never_changes(node):
            value = evaluate_constant(self.graph, tensor)
        if value is not None:
            return extremes(value, dims)
        if node is None or node.domain or rank(tensor) != dims:
            return None
        inner = self._bounds(node.inputs[0], dims)
        if inner is None:
            return None
        if node.op == "Mul" and (factor := constant(node.inputs[1])) is not None:
            corners = [bound * extreme for bound in inner for extreme in extremes(factor, dims)]
            return np.minimum.reduce(corners), np.maximum.reduce(corners)
        if not standard(node.op).bounded or (node.op == "Pad" and not pads_with_zeros(node)):
            return None
        # Channels may have moved: from the least of all to the most of all.
        return np.minimum(inner[0].min(keepdims=True), 0), np.maximum(inner[1].max(keepdims=True), 0)

    def _never_changes(self, node: Node) -> bool:
        """Whether a node depends on constants alone."""
        sources = [producer(tensor) for tensor in operands(node)]
        return all(source is not None and self._never_changes(source) for source in sources)

    def _convert(self, layer: Node, grain: Grain | None) -> None:
        source = self.spikes[layer.inputs[0].name]
        step, bias, result = self.steps[layer.name], bias_of(layer), layer.outputs[0]
        assert bias is not None, "see `_why_not`"
        weight = whole_weights(layer, step)
        # What follows rounds to the nearest by itself: the 1/2 leaves the bias.
        if grain is None:
            if neuron_behind(layer):
                self._centred.add(result.name)
                bias = bias - 0.5
            self._convert_product(layer, source, weight, step, bias)
        elif not grain.target:
            given = self._variable(f"{result.name}/rounded", np.uint8, result.shape)
            self._convolve(layer, source, weight, step, bias - 0.5, given, self._one, self._zero)
            self.spikes[result.name] = given
        else:
            self._centred.add(grain.target)
            given = self._variable(f"{result.name}/steps", np.uint8, result.shape)
            scale = self._constant(f"{layer.name}/scale", np.float32(grain.scale))
            zero = self._constant(f"{layer.name}/zero", np.uint8(grain.zero))
            name = f"{layer.name}/value"
            self._convolve(layer, source, weight, step, bias - 0.5, given, scale, zero)
            self._add("DequantizeLinear", name, [given, scale, zero], [result])

    def _convolve(
        self,
        conv: Node,
        source: Variable,
        weight: Array,
        step: Array,
        bias: Array,
        given: Variable,
        scale: Constant,
        zero: Constant,
    ) -> None:
        """A QLinearConv instead of the Conv; `given` has its result, in steps of `scale` from `zero`."""
        name, attributes = conv.name, dict(conv.attrs)
        inputs = [
            source,
            self._one,
            self._zero,
            self._constant(f"{name}/weight", weight),
            self._constant(f"{name}/step", step.astype(np.float32)),
            self._constant(f"{name}/center", np.zeros(len(step), np.int8)),
            scale,
            zero,
            self._constant(f"{name}/bias", np.rint(bias / step).astype(np.int32)),
        ]
        retire(conv)
        self._add("QLinearConv", name, inputs, [given], attributes)

    def _convert_product(
        self, layer: Node, source: Variable, weight: Array, step: Array, bias: Array
    ) -> None:
        """Gemm or MatMul → MatMulInteger, its exact sum with the bias, and that in floats."""
        result, name = layer.outputs[0], layer.name
        names = [f"{name}/sum", f"{name}/charge", f"{name}/charge_float"]
        types = [np.int32, np.int32, np.float32]
        total, charge, wide = (
            self._variable(made, kind, result.shape) for made, kind in zip(names, types, strict=True)
        )
        retire(layer)
        self._add("MatMulInteger", name, [source, self._constant(f"{name}/weight", weight)], [total])
        whole = self._constant(f"{name}/bias", np.rint(bias / step).astype(np.int32))
        self._add("Add", charge.name, [total, whole], [charge])
        self._add("Cast", wide.name, [charge], [wide], {"to": onnx.TensorProto.FLOAT})
        factor = self._constant(f"{name}/step", step.astype(np.float32))
        self._add("Mul", f"{name}/value", [wide, factor], [result])

    @cached_property
    def _one(self) -> Constant:
        return self._constant("onnx2snn/one", np.float32(1))

    @cached_property
    def _zero(self) -> Constant:
        return self._constant("onnx2snn/zero", np.uint8(0))

    def _constant(self, name: str, value: Any) -> Constant:
        return Constant(unique_name(self.graph, name), np.ascontiguousarray(value).reshape(np.shape(value)))

    def _variable(self, name: str, dtype: Any, shape: Any) -> Variable:
        return Variable(unique_name(self.graph, name), dtype, shape)

    def _add(
        self,
        op: str,
        name: str,
        inputs: list[Any],
        outputs: list[Any],
        attributes: dict[str, Any] | None = None,
    ) -> None:
        # Tensors do not matter here: a node that takes another's place has its name.
        taken = {node.name for node in self.graph.nodes}
        name = unique_name(self.graph, name) if name in taken else name
        self.graph.nodes.append(Node(op, name, attributes or {}, inputs, outputs))
