"""Activation → activation, and a graded neuron behind it."""

from __future__ import annotations

import numpy as np

from onnx2snn.artifact.records import NeuronRecord, Spread
from onnx2snn.graph.channels import broadcastable
from onnx2snn.graph.graph import Constant, Graph, Node, clone, constant, insert_after, tidy, unique_name
from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.graph.targets import Target, find_targets, is_graded, neuron_name
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.cell import Setting
from onnx2snn.ops.graded_fire import words
from onnx2snn.ops.graded_if import dead_zone, exact
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context, Note, Pass
from onnx2snn.thresholds.histogram import Vector
from onnx2snn.thresholds.rules import choose_ranges
from onnx2snn.thresholds.transfer import Transfer, Values

#: A factor that leaves out all of them, so that a neuron waits.
_ALL = 2.0**16
#: Exponents that a neuron leaves out when it begins, and how many fewer in each timestep after that.
_COARSE, _FINER = 4, 2
#: T from which the later half of the neurons waits one timestep: in fewer nobody has the time.
_WAITING = 4


class GradeActivations(Pass):
    """With `code="graded"`: put a graded neuron behind every activation, with the range R from calibration.

    What follows reads the sum of what the neuron has sent so far, so the network stays the ANN.

    Cases:
        1. Relu, Clip, LeakyRelu, PRelu, QuantizedRelu → GradedIF, or GradedFire<T> in the schedule `layer`.
        2. Sigmoid, Tanh, GELU, SiLU …, also written as many nodes → the same: a neuron's target may be any
           function of its own potential.
        3. A tensor that weights or an island have made, and that weights read → the same, its own target.
        4. Keeps what no weights follow.
    """

    requires = frozenset({"ranges_measured"})
    ensures = frozenset({"activations_graded"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if context.options.code != "graded":
            return False
        targets = [target for target in find_targets(graph) if not is_graded(target.tensor)]
        for number, target in enumerate(targets):
            cell = _place(graph, target, context)
            if "coarse" in cell.attrs:
                cell.attrs["coarse"] = _coarse(context.options, later=2 * number >= len(targets))
        tidy(graph)
        return bool(targets)


def preview(graph: Graph, context: Context) -> tuple[Graph, dict[str, Note]]:
    """What the pass will make of a graph, without any data: every R is 1; and the last note of each node."""
    if context.options.code != "graded":
        return graph, context.last_notes
    copy, own = clone(graph), Context(context.options, notes=list(context.notes))
    for target in find_targets(copy):
        _stand(copy, target, own, np.ones(1))
    return tidy(copy), own.last_notes


def _place(graph: Graph, target: Target, context: Context) -> Node:
    """Put the neuron behind one target, and say what it is."""
    assert context.statistics is not None, "Calibrate runs first"
    histogram = context.statistics.histograms[target.tensor.name]
    chosen = histogram.merged() if context.options.granularity == "layer" else histogram
    ranges = choose_ranges(chosen, context.options.threshold, _transfer(context.options), np.inf)
    cell, setting = _stand(graph, target, context, exact(ranges))
    context.statistics.histograms[cell.outputs[0].name] = histogram
    reach = constant(cell.inputs[1])
    assert reach is not None, "it has just been made"
    context.neurons[cell.name] = NeuronRecord(
        cell.op,
        setting.max_spikes,
        setting.levels,
        int(np.size(reach)),
        Spread.of(reach),
        clip=None,
        theta=cell.inputs[1].name,
        exponents=setting.attributes["exponents"],
    )
    return cell


def _stand(graph: Graph, target: Target, context: Context, ranges: Vector) -> tuple[Node, Setting]:
    """The neuron behind one target, with its settings."""
    tensor = target.tensor
    name = unique_name(graph, neuron_name(target))
    kind = rectifier(target.nodes[0]) if len(target.nodes) == 1 else None
    op, neuron = next(
        (cell.op, cell.neuron)
        for cell in CELLS.values()
        if cell.sums and cell.neuron is not None and cell.neuron.suits(kind, context.options)
    )
    setting = neuron.set_up(kind, context.options)
    for node in target.nodes:
        context.note(node.name, node.op, "spiking", f"the target of {op}")
    if kind is not None:
        context.rectifiers[name] = kind
    reach = broadcastable(ranges, tensor, tensor.dtype or np.float32)
    parameter = Constant(unique_name(graph, f"{name}/range"), reach)
    cell = Node(op, name, setting.attributes, [tensor, parameter], domain=DOMAIN)
    insert_after(graph, tensor, cell)
    return cell, setting


def _coarse(options: CompileOptions, *, later: bool) -> list[float]:
    """What a neuron's smallest spike is multiplied by in its first timesteps; then by 1."""
    assert options.exponents is not None, "CompileOptions fills it in"
    begins = min(_COARSE, _FINER * (options.timesteps - 1), options.exponents // 2)
    factors = [2.0**left_out for left_out in range(begins, 0, -_FINER)]
    waits = [_ALL] if later and options.timesteps >= _WAITING else []
    return [*waits, *factors, 1.0]


def _transfer(options: CompileOptions) -> Transfer:
    """What T graded spikes make of a constant target, R = 1."""
    exponents = options.exponents
    assert exponents is not None, "CompileOptions fills it in"
    zone = dead_zone(exponents)
    one = np.ones((), np.float32)

    def respond(target: Values) -> Values:
        return words(target, one, zone, options.timesteps)[-1]

    return Transfer(1, options.timesteps, options.percentile, respond)
