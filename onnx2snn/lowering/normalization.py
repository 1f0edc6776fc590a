"""Normalisations with the sums that onnxruntime's optimiser fuses into them."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto

from onnx2snn.lowering.writer import CannotWriteError, Writer
from onnx2snn.model.domains import FOREIGN

_INT64 = TensorProto.INT64
#: What is added to a variance where a node does not say; 1e-12 for all others.
_EPSILON = {"SimplifiedLayerNormalization": 1e-5}


def write_skip(w: Writer) -> None:
    """SkipLayerNormalization and SkipSimplifiedLayerNormalization: of input + skip + bias."""
    simplified = "Simplified" in w.node.op_type
    beta, bias = ("", w.input(3)) if simplified else (w.input(3), w.input(4))
    total = w.put("Add", w.input(0), w.input(1), part="sum")
    if bias:
        total = w.put("Add", total, bias, part="bias")
    results = [*w.node.output, "", "", ""]
    _normalize(w, total, w.input(2), beta, results[:3], simplified)
    if results[3]:
        w.put("Identity", total, part="total", out=results[3])


def write_simplified(w: Writer) -> None:
    """SimplifiedLayerNormalization: x/√(mean x² + epsilon)·scale, over the axes from `axis` on."""
    _normalize(w, w.input(0), w.input(1), "", [w.node.output[0], "", *w.node.output[1:2], ""], True)


def write_embedding(w: Writer) -> None:
    """EmbedLayerNormalization: the sum of up to three embeddings, normalised."""
    ids, segments, words, places, kinds, gamma, beta, mask, place_ids = map(w.input, range(9))
    total = w.put("Gather", words, ids, part="words")
    if not place_ids:
        length = w.put(
            "Gather", w.put("Shape", ids, part="shape"), w.number(1, "second", _INT64), part="length"
        )
        zero, one = w.number(0, "zero", _INT64), w.number(1, "one", _INT64)
        place_ids = w.put("Range", zero, length, one, part="place ids")
    total = w.put("Add", total, w.put("Gather", places, place_ids, part="places"), part="sum")
    if segments:
        total = w.put("Add", total, w.put("Gather", kinds, segments, part="segments"), part="total")
    results = [*w.node.output, "", ""]
    _normalize(w, total, gamma, beta, [results[0], "", ""], False)
    if results[2]:
        w.put("Identity", total, part="embedding", out=results[2])
    if results[1]:
        if not mask:
            raise CannotWriteError("it gives the lengths of a mask that it does not read")
        axes = w.number([1], "axes", _INT64)
        w.put("ReduceSum", mask, axes, part="lengths", out=results[1], keepdims=0)


def _normalize(w: Writer, source: str, gamma: str, beta: str, results: list[str], simplified: bool) -> None:
    """Write a normalisation; of `results`, mean and 1/deviation are given where somebody reads them."""
    epsilon = w.attribute("epsilon", _EPSILON.get(w.node.op_type, 1e-12))
    if not simplified:
        wanted = results if w.is_read(*filter(None, results[1:])) else results[:1]
        w.put("LayerNormalization", source, gamma, beta, out=wanted, epsilon=epsilon)
        return
    axis = w.attribute("axis", -1)
    axes = w.number([axis] if axis == -1 else range(w.rank(source))[axis:], "axes", _INT64)
    mean = w.put("ReduceMean", w.put("Mul", source, source, part="square"), axes)
    shifted = w.put("Add", mean, w.number(epsilon, "epsilon", w.element(source)), part="shifted")
    root = w.put("Sqrt", shifted, part="root")
    w.put("Mul", w.put("Div", source, root, part="scaled"), gamma, part="weighted", out=results[0])
    if results[2]:
        w.put("Reciprocal", root, part="inverse", out=results[2])


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {
    ("com.microsoft", "SkipLayerNormalization"): write_skip,
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): write_skip,
    ("com.microsoft", "SimplifiedLayerNormalization"): write_simplified,
    (FOREIGN, "SimplifiedLayerNormalization"): write_simplified,
    ("com.microsoft", "EmbedLayerNormalization"): write_embedding,
}
