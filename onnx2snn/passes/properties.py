"""What may be said of a graph between two passes: in these terms a pass says what it requires and ensures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx2snn.graph.graph import Graph, is_cell
from onnx2snn.graph.sections import divide, is_neuron, is_pool
from onnx2snn.graph.tail import find_tail
from onnx2snn.passes.base import Context

#: Finds the node for which a property does not hold; empty where it holds.
Check = Callable[[Graph, Context], str]


@dataclass(frozen=True)
class Property:
    """One property.

    Attributes:
        meaning: what holds, as half a sentence.
        check: finds it out where the graph shows it; None where only the pass that ensures it knows.
    """

    meaning: str
    check: Check | None = None


def _rectifier_left(graph: Graph, context: Context) -> str:
    del context
    tail = find_tail(graph)
    left = (node.name for node in graph.nodes if not is_cell(node) and is_neuron(node))
    return next((name for name in left if name not in tail), "")


def _pool_left(graph: Graph, context: Context) -> str:
    if context.options.acts_on_sums:
        return ""  # pools act on sums over time there
    cells = divide(graph).cells
    left = (node.name for node in graph.nodes if node.name in cells and not is_cell(node))
    pools = {node.name for node in graph.nodes if is_pool(graph, node)}
    return next((name for name in left if name in pools), "")


def _not_measured(graph: Graph, context: Context) -> str:
    return graph.nodes[0].name if context.statistics is None else ""


PROPERTIES: dict[str, Property] = {
    "identities_removed": Property("no node hands on its input unchanged"),
    "quantizers_normal": Property("trained quantisers are QuantizedRelu"),
    "rectifiers_normal": Property("rectifiers are Relu, Clip(0, c), LeakyRelu or PRelu"),
    "clips_split": Property("hidden activations that saturate are rectifiers and constants"),
    "pools_normal": Property("maxima over branches or positions are ReduceMax or pools"),
    "batchnorms_folded": Property("what can go into the weights before it has gone there"),
    "batchnorms_pushed": Property("what can go into the weights behind it has gone there"),
    "supported": Property("no node is refused, and something spikes"),
    "activations_approximated": Property("smooth activations are sums of ReLUs where that was asked for"),
    "ranges_measured": Property("the histogram of every activation is known", _not_measured),
    "activations_graded": Property("activations have graded neurons behind them where that was asked for"),
    "rectifiers_replaced": Property("every rectifier is a neuron", _rectifier_left),
    "shortcuts_relayed": Property("shortcuts have neurons of their own where that was asked for"),
    "pools_replaced": Property("pools of what changes over time inhibit laterally", _pool_left),
    "islands_enclosed": Property("analog islands compute on running means"),
    "firing_chosen": Property("thresholds and limits are those of the artifact, in the units of the ANN"),
    "activations_described": Property("the report knows the activations of every neuron layer"),
    "biases_corrected": Property("weights and biases are those of the artifact, but for their units"),
    "weights_normalized": Property("thresholds are in the weights where they can be"),
    "weights_rounded": Property("weights are multiples of a step where that was asked for"),
    "integers_used": Property("layers compute in integers where that was asked for"),
}

#: What the passes that need no data make of any graph.
PREPARED = frozenset(
    {
        *("identities_removed", "quantizers_normal", "rectifiers_normal", "clips_split", "pools_normal"),
        *("batchnorms_folded", "batchnorms_pushed"),
    }
)
