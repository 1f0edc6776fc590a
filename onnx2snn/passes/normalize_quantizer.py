"""Div → Round → Clip → Mul, QuantizeLinear → DequantizeLinear ⇒ QuantizedRelu."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    Variable,
    constant,
    is_float,
    producer,
    rank,
    sole_consumer,
    tidy,
    unique_name,
)
from onnx2snn.graph.rectifiers import clip_bounds
from onnx2snn.ops import DOMAIN, QUANTIZED_RELU
from onnx2snn.passes.base import Context, Pass

Array = npt.NDArray[Any]

#: More levels than float32 counts spikes exactly over a run are no quantiser.
_MOST_LEVELS = 1 << 16
_HALF = {"Round": 0.5, "Floor": 0.0, "QuantizeLinear": 0.5}


class NormalizeQuantizer(Pass):
    """Write the activation that quantisation-aware training exports as QuantizedRelu.

    Read off is y = c·k + d with k = clip(floor(a·x + b), least, most), in whatever order the exporter wrote
    scaling, shifting, clipping and rounding; then q = |c|, N = most - least, and

        y = c·least + d ± q·clip(floor(x'/q + 1/2), 0, N)       x' = q·(a·x + b - least - 1/2)

    Cases:
        1. Div or Mul → Add → Floor or Round → Clip → Mul or Div, with constants; a Relu or Clip on
           either side of the rounding.
        2. QuantizeLinear → DequantizeLinear with the same constant scale, per tensor or per channel.
        3. Keeps one without both bounds, one on a graph input (which is analog, once), and one whose parts
           other nodes read.
    Round and QuantizeLinear send ties to the even neighbour, a neuron sends them up.
    """

    requires = frozenset({"identities_removed"})
    ensures = frozenset({"quantizers_normal"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        changed = False
        for node in list(graph.nodes):
            if node.op not in _HALF or node.domain or not node.outputs or not _rounds_activation(node):
                continue
            quantizer = _read(graph, node)
            if quantizer is None:
                continue
            for part in quantizer.nodes:
                if part is not node:
                    context.note(part.name, part.op, "folded", f"part of the quantiser '{node.name}'")
            _write(graph, node, quantizer)
            changed = True
        if changed:
            tidy(graph)
        return changed


@dataclass(frozen=True)
class _Quantizer:
    """y = scale·clip(floor(gain·x + offset), least, most) + shift, in these nodes, from source to result."""

    source: Tensor
    result: Tensor
    nodes: tuple[Node, ...]
    gain: Array
    offset: Array
    least: float
    most: float
    scale: Array
    shift: Array


def _rounds_activation(node: Node) -> bool:
    """A weight is rounded too, but that is constant and folded."""
    return constant(node.inputs[0]) is None and is_float(node.inputs[0]) is not False


def _read(graph: Graph, rounding: Node) -> _Quantizer | None:
    if rounding.op == "QuantizeLinear":
        quantizer = _read_pair(graph, rounding)
    else:
        one, zero, half = np.ones(()), np.zeros(()), np.asarray(_HALF[rounding.op])
        plain = _Quantizer(
            rounding.inputs[0], rounding.outputs[0], (rounding,), one, half, -np.inf, np.inf, one, zero
        )
        quantizer = _read_rescaling(graph, _read_scaling(graph, plain))
    if quantizer is None or not np.isfinite([quantizer.least, quantizer.most]).all():
        return None
    fits = 1 <= quantizer.most - quantizer.least <= _MOST_LEVELS and (quantizer.scale != 0).all()
    return quantizer if fits and producer(quantizer.source) is not None else None


def _read_pair(graph: Graph, node: Node) -> _Quantizer | None:
    """QuantizeLinear and the DequantizeLinear that alone reads it, and bounds before them."""
    inverse = sole_consumer(graph, node.outputs[0])
    if inverse is None or inverse.op != "DequantizeLinear" or inverse.domain:
        return None
    scale, zero = _parameter(node, 1), _parameter(node, 2)
    back, back_zero = _parameter(inverse, 1), _parameter(inverse, 2)
    code = node.inputs[2].dtype if len(node.inputs) > 2 else node.outputs[0].dtype
    if code is None or isinstance(code, int) or np.dtype(code).kind not in "iu":
        return None
    if scale is None or zero is None or back is None or back_zero is None:
        return None
    same = np.array_equal(scale, back) and np.array_equal(zero, back_zero)
    if not same or not (zero == zero.flat[0]).all():
        return None
    limits = np.iinfo(code)
    least, most = (float(limit - zero.flat[0]) for limit in (limits.min, limits.max))
    pair = _Quantizer(
        node.inputs[0],
        inverse.outputs[0],
        (node, inverse),
        1 / scale,
        np.asarray(0.5),
        least,
        most,
        scale,
        np.zeros(()),
    )
    while (bounded := _read_bound_before(graph, pair)) is not pair:
        pair = bounded
    return pair


def _parameter(node: Node, index: int) -> Array | None:
    """Scale or zero point as float64 that broadcasts; a zero point that is left out is 0."""
    if len(node.inputs) <= index or node.inputs[index].is_empty():
        return np.zeros(()) if index == 2 else None
    value = constant(node.inputs[index])
    dims = rank(node.inputs[0])
    if value is None or node.attrs.get("block_size", 0):
        return None
    if value.size == 1:
        return value.reshape(()).astype(np.float64)
    if dims is None or value.ndim != 1:
        return None
    shape = [1] * dims
    shape[node.attrs.get("axis", 1)] = -1
    return value.reshape(shape).astype(np.float64)


def _read_scaling(graph: Graph, quantizer: _Quantizer) -> _Quantizer:
    """What stands before the rounding: shifts and bounds, one scaling, and a bound before that."""
    while True:
        node = _before(graph, quantizer)
        if node is None:
            return quantizer
        bounded = _read_bound_before(graph, quantizer)
        if bounded is not quantizer:
            quantizer = bounded
            continue
        affine = _affine(node)
        if affine is None:
            return quantizer
        gain, offset, source = affine
        quantizer = replace(
            quantizer,
            source=source,
            nodes=(node, *quantizer.nodes),
            gain=quantizer.gain * gain,
            offset=quantizer.offset + quantizer.gain * offset,
        )
        if node.op in ("Mul", "Div"):
            return _read_bound_before(graph, quantizer)


def _before(graph: Graph, quantizer: _Quantizer) -> Node | None:
    node = producer(quantizer.source)
    return node if node is not None and sole_consumer(graph, quantizer.source) is not None else None


def _read_bound_before(graph: Graph, quantizer: _Quantizer) -> _Quantizer:
    """Take in a Relu or Clip that bounds the source: floor(gain·clip(x, l, h) + offset) is bounded too."""
    node = _before(graph, quantizer)
    bounds = None if node is None else _bounds(node)
    if node is None or bounds is None or not (quantizer.gain > 0).all():
        return quantizer
    exact = [quantizer.gain * bound + quantizer.offset for bound in bounds]
    even = any(part.op != "Floor" and part.op in _HALF for part in quantizer.nodes)
    ends = [np.rint(end - 0.5) if even else np.floor(end) for end in exact]  # a bound may well be a tie
    if not all((end == end.flat[0]).all() for end in ends):
        return quantizer  # other levels in other channels
    return replace(
        quantizer,
        source=node.inputs[0],
        nodes=(node, *quantizer.nodes),
        least=max(quantizer.least, float(ends[0].flat[0])),
        most=min(quantizer.most, float(ends[1].flat[0])),
    )


def _read_rescaling(graph: Graph, quantizer: _Quantizer) -> _Quantizer:
    """What stands behind the rounding: shifts and bounds, and one scaling."""
    while True:
        node = sole_consumer(graph, quantizer.result)
        if node is None:
            return quantizer
        bounds, affine = _bounds(node), _affine(node)
        if (
            bounds is not None
            and (quantizer.scale == 1).all()
            and (quantizer.shift == quantizer.shift.flat[0]).all()
        ):
            low, high = (bound - float(quantizer.shift.flat[0]) for bound in bounds)
            if any(np.isfinite(end) and not float(end).is_integer() for end in (low, high)):
                return quantizer
            quantizer = replace(quantizer, least=max(quantizer.least, low), most=min(quantizer.most, high))
        elif affine is not None and affine[2] is quantizer.result:
            gain, offset, _ = affine
            quantizer = replace(
                quantizer, scale=quantizer.scale * gain, shift=quantizer.shift * gain + offset
            )
        else:
            return quantizer
        quantizer = replace(quantizer, result=node.outputs[0], nodes=(*quantizer.nodes, node))
        if node.op in ("Mul", "Div"):
            return quantizer


def _bounds(node: Node) -> tuple[float, float] | None:
    """Lower and upper bound of a Relu or Clip."""
    if node.domain or node.op not in ("Relu", "Clip"):
        return None
    return (0.0, np.inf) if node.op == "Relu" else clip_bounds(node)


def _affine(node: Node) -> tuple[Array, Array, Tensor] | None:
    """gain, offset and the activation x of gain·x + offset, for arithmetic with a constant."""
    if node.domain or node.op not in ("Add", "Sub", "Mul", "Div"):
        return None
    left, right = node.inputs
    values = constant(left), constant(right)
    source, value = (right, values[0]) if values[1] is None else (left, values[1])
    dims = rank(source)
    if value is None or constant(source) is not None or dims is None or value.ndim > max(dims, 1):
        return None
    number = value.astype(np.float64)
    one, zero = np.ones(()), np.zeros(())
    if node.op == "Add":
        return one, number, source
    if node.op == "Mul":
        return number, zero, source
    if node.op == "Sub":
        return (one, -number, source) if source is left else (-one, number, source)
    return (1 / number, zero, source) if source is left and (number != 0).all() else None


def _write(graph: Graph, node: Node, quantizer: _Quantizer) -> None:
    """Put the normal form in the place of the quantiser's nodes; the rounding keeps its name."""
    dtype, shape = quantizer.source.dtype or np.dtype(np.float32), quantizer.source.shape
    result, source = quantizer.result, quantizer.source
    step = np.abs(quantizer.scale)
    for part in quantizer.nodes:
        part.inputs.clear()
        part.outputs.clear()

    def number(value: Array, name: str) -> Constant:
        return Constant(unique_name(graph, f"{node.name}/{name}"), np.asarray(value, dtype))

    def apply(op: str, operand: Tensor, value: Array, name: str) -> Variable:
        made = Variable(unique_name(graph, f"{node.name}/{name}"), dtype, shape)
        graph.nodes.append(Node(op, made.name, {}, [operand, number(value, f"{name}_by")], [made]))
        return made

    gain = step * quantizer.gain
    if not np.allclose(gain, 1, rtol=1e-6, atol=0):
        source = apply("Mul", source, gain, "scaled")
    before = step * (quantizer.offset - quantizer.least - 0.5)
    if not np.allclose(before, 0, rtol=0, atol=1e-6 * float(step.max())):
        source = apply("Add", source, before, "shifted")
    after = quantizer.scale * quantizer.least + quantizer.shift
    node.op, node.domain, node.attrs = (
        QUANTIZED_RELU.name,
        DOMAIN,
        {"levels": int(quantizer.most - quantizer.least)},
    )
    node.inputs = [source, number(step, "step")]
    level = Variable(unique_name(graph, f"{node.name}/level"), dtype, shape)
    tail: list[tuple[str, list[Tensor]]] = []
    if (quantizer.scale < 0).any():
        tail.append(("Mul", [number(np.sign(quantizer.scale), "sign")]))
    if not np.allclose(after, 0, rtol=0, atol=1e-6 * float(step.max())):
        tail.append(("Add", [number(after, "lowest")]))
    node.outputs = [result if not tail else level]
    current: Tensor = level
    for index, (op, others) in enumerate(tail):
        last = index == len(tail) - 1
        made = result if last else Variable(unique_name(graph, f"{node.name}/signed"), dtype, shape)
        name = unique_name(graph, f"{node.name}/{op.lower()}")
        graph.nodes.append(Node(op, name, {}, [current, *others], [made]))
        current = made
