"""Conv → neuron(θ) → Conv ⇒ Conv with W/θ → neuron(1) → Conv with W·θ: spikes of one each on every wire."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2snn.graph.affine import Affine, Vector, along, scale_outputs
from onnx2snn.graph.channels import channel_axis, channel_count, written
from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    Variable,
    constant,
    is_cell,
    is_output,
    neuron_of,
    producer,
    rank,
    sole_consumer,
    standard_op,
    tidy,
    unique_name,
)
from onnx2snn.ops.standard import SHAPE_OPS, WEIGHTED, standard
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.push_batchnorm import push


class NormalizeWeights(Pass):
    """Move thresholds of neurons into the weights around them (Li & Zeng 2022).

    What is left of a neuron is clip(floor(u'), 0, Γ): no division, no product. In the schedule `layer` the
    bias before it holds the 1/2 as well.

    Cases:
        1. The current comes from a Conv, ConvTranspose, Gemm or MatMul that nothing else reads → its weights
           are divided by θ; or from an Add with such an operand → the other one gets a Mul by 1/θ.
        2. Conv, Gemm or MatMul read the neuron, directly or behind pools → their weights take θ. Any other
           reader gets a Mul by θ, which becomes one with a Mul behind it.
        3. Keeps a neuron whose output is the graph's, that stands for a trained quantiser, which is exact as
           it is (until its weights are rounded to int8), or of which a pool would no longer see spikes.
    """

    requires = frozenset({"activations_described", "biases_corrected"})
    ensures = frozenset({"weights_normalized"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        changed = False
        # From the last to the first: a θ meets the 1/θ of the neurons behind it and becomes one product.
        for cell in reversed([node for node in graph.nodes if _scales(node)]):
            exact = context.options.weights == "float" and _is_trained(cell, context)
            theta = None if exact else _thresholds(graph, cell)
            if theta is not None and _scale_current(graph, cell, theta):
                if "potential" in cell.attrs:
                    cell.attrs["potential"] = 0.0
                one = np.ones((), cell.inputs[1].dtype)
                cell.inputs[1] = Constant(unique_name(graph, f"{cell.name}/one"), one)
                record = context.neurons[cell.name]
                context.neurons[cell.name] = replace(record, theta=cell.inputs[1].name, unit=written(theta))
                _scale_readers(graph, cell.outputs[0], theta)
                changed = True
        if changed:
            tidy(graph)
        return changed


def is_normalized(node: Node) -> bool:
    """Whether a node is a neuron whose current arrives in units of θ, and which sends spikes of one each."""
    return is_cell(node) and node.attrs.get("potential") == 0


def _scales(node: Node) -> bool:
    neuron = neuron_of(node)
    return neuron is not None and neuron.scales


def _is_trained(cell: Node, context: Context) -> bool:
    return cell.name in context.rectifiers and context.rectifiers[cell.name].step is not None


def _thresholds(graph: Graph, cell: Node) -> Vector | None:
    """θ of every channel; None for a neuron that stays as it is."""
    output = cell.outputs[0]
    channels = channel_count(output)
    value = constant(cell.inputs[1])
    if value is None or channels is None or channel_axis(output) != 1 or is_output(graph, output):
        return None
    if (
        cell.attrs.get("potential") == 0
        or np.any(value == 1)
        or np.any(value < 1e-30)
        or value.size not in (1, channels)
    ):
        return None
    if any(standard(standard_op(reader)).picks and not _passes(graph, reader) for reader in output.outputs):
        return None
    return np.broadcast_to(value.astype(np.float64).reshape(-1), (channels,))


def _passes(graph: Graph, pool: Node) -> bool:
    """Whether θ can go past a pool, into the weights of all that read it."""
    result = pool.outputs[0]
    readers = result.outputs
    weighted = all(reader.op in WEIGHTED or reader.op == "Flatten" for reader in readers)
    return len(pool.outputs) == 1 and bool(readers) and weighted and not is_output(graph, result)


def _scale_current(graph: Graph, cell: Node, theta: Vector) -> bool:
    """Let U/θ + 1/2 arrive instead of U; False where that takes more than it saves."""
    current = cell.inputs[0]
    source = producer(current)
    start = float(cell.attrs.get("potential", 0.0))  # the others have a state for it
    if source is None or sole_consumer(graph, current) is not cell:
        return False
    affine = Affine(1 / theta, np.full_like(theta, start))
    if source.op in WEIGHTED:
        return scale_outputs(graph, source, affine) is None
    if source.op != "Add" or source.inputs[0] is source.inputs[1]:
        return False
    for index, operand in enumerate(source.inputs):
        weighted = producer(operand)
        if weighted is None or weighted.op not in WEIGHTED or sole_consumer(graph, operand) is None:
            continue
        if scale_outputs(graph, weighted, affine) is None:
            _scale_operand(graph, source, 1 - index, Affine(1 / theta, np.zeros_like(theta)))
            return True
    return False


def _scale_operand(graph: Graph, add: Node, index: int, affine: Affine) -> None:
    operand = add.inputs[index]
    value = constant(operand)
    if value is not None:
        scaled = value * along(affine.scale, 1, rank(add.outputs[0]) or 2)
        add.inputs[index] = Constant(unique_name(graph, operand.name), scaled.astype(value.dtype))
        return
    source = producer(operand)
    alone = sole_consumer(graph, operand) is not None
    if source is not None and source.op in WEIGHTED and alone and not scale_outputs(graph, source, affine):
        return
    add.inputs[index] = _multiplied(graph, operand, affine.scale)


def _multiplied(graph: Graph, tensor: Tensor, scale: Vector) -> Variable:
    result = Variable(unique_name(graph, f"{tensor.name}/scaled"), tensor.dtype, tensor.shape)
    value = along(scale, 1, rank(tensor) or 2).astype(tensor.dtype or np.float32)
    factor = Constant(unique_name(graph, f"{tensor.name}/scale"), value)
    graph.nodes.append(Node("Mul", result.name, inputs=[tensor, factor], outputs=[result]))
    return result


def _scale_readers(graph: Graph, spikes: Tensor, theta: Vector) -> None:
    """Give each reader of the spikes their values, by its weights where it has some."""
    dtype = np.dtype(spikes.dtype or np.float32)
    for reader in {id(node): node for node in spikes.outputs if node.op not in SHAPE_OPS}.values():
        values = Variable(unique_name(graph, f"{spikes.name}/value"), spikes.dtype, spikes.shape)
        # As a BatchNormalization, which knows its way into weights.
        parameters = [theta, np.zeros_like(theta), np.zeros_like(theta), np.ones_like(theta)]
        constants = [
            Constant(unique_name(graph, f"{values.name}/{number}"), parameter.astype(dtype))
            for number, parameter in enumerate(parameters)
        ]
        scaling = Node("BatchNormalization", values.name, {"epsilon": 0.0}, [spikes, *constants], [values])
        reader.inputs = [values if tensor is spikes else tensor for tensor in reader.inputs]
        graph.nodes.append(scaling)
        if push(graph, scaling) is not None:
            value = along(theta, 1, rank(spikes) or 2).astype(dtype)
            scaling.op, scaling.attrs = "Mul", {}
            scaling.inputs = [spikes, Constant(unique_name(graph, f"{values.name}/theta"), value)]
