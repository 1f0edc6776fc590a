"""Attention as onnxruntime's optimiser fuses it, without a cache of earlier keys and values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from onnx import TensorProto

from onnx2snn.lowering.layout import places_along
from onnx2snn.lowering.writer import CannotWriteError, Writer

_INT64 = TensorProto.INT64


@dataclass(frozen=True)
class _Operands:
    """What attention reads: names of [B, S, N·H], [B, T, N·H] twice, and masks, empty where left out."""

    query: str
    key: str
    value: str
    mask: str
    bias: str


def write_attention(w: Writer) -> None:
    """Attention: queries, keys and values are parts of one product."""
    source, weights, bias, mask, past, added = map(w.input, range(6))
    if past or w.input(6) or any(w.node.output[1:]):
        raise CannotWriteError("it keeps earlier keys and values")
    if w.attribute("do_rotary", 0):
        raise CannotWriteError("it turns queries and keys by their places")
    shape = w.shape(weights)
    sizes = w.attribute("qkv_hidden_sizes") or (
        None if shape is None or not shape[1] else [shape[1] // 3] * 3
    )
    if sizes is None:
        raise CannotWriteError("the size of its weights is not known")
    product = w.put("MatMul", source, weights, part="product")
    product = w.put("Add", product, bias, part="bias") if bias else product
    parts = [w.name(f"{part}s") for part in ("query", "key", "value")]
    w.put("Split", product, w.number(sizes, "sizes", _INT64), part="split", out=parts, axis=-1)
    heads = w.attribute("num_heads")
    _attend(w, _Operands(parts[0], parts[1], parts[2], mask, added), int(sizes[0]) // heads)


def write_multi_head(w: Writer) -> None:
    """MultiHeadAttention: queries, keys and values are given."""
    query, key, value, bias, mask, added = map(w.input, range(6))
    if any(map(w.input, range(6, len(w.node.input)))) or any(w.node.output[1:]):
        raise CannotWriteError("it keeps earlier keys and values")
    if not key or not value or w.rank(query) != 3 or w.rank(key) != 3 or w.rank(value) != 3:
        raise CannotWriteError("its queries, keys and values are not three tensors [B, S, N·H]")
    sizes = [(w.shape(name) or (None,))[-1] for name in (query, key, value)]
    known = [size for size in sizes if size]
    if len(known) < 3:
        raise CannotWriteError("the size of its heads is not known")
    parts = [query, key, value]
    if bias:
        biases = [w.name(f"{part} bias") for part in ("query", "key", "value")]
        w.put("Split", bias, w.number(known, "sizes", _INT64), part="split", out=biases, axis=0)
        parts = [w.put("Add", a, b, part="biased") for a, b in zip(parts, biases, strict=True)]
    _attend(w, _Operands(parts[0], parts[1], parts[2], mask, added), known[0] // w.attribute("num_heads"))


def _attend(w: Writer, read: _Operands, head: int) -> None:
    """Softmax(Q·Kᵀ·scale + masks)·V, head by head."""
    element, heads = w.element(read.query), w.attribute("num_heads")
    apart = w.number([0, 0, heads, -1], "heads", _INT64)

    def by_head(name: str, part: str, perm: list[int]) -> str:
        return w.put("Transpose", w.put("Reshape", name, apart, part=part), part=part, perm=perm)

    query = by_head(read.query, "queries", [0, 2, 1, 3])
    scores = w.put("MatMul", query, by_head(read.key, "keys", [0, 2, 3, 1]), part="scores")
    scale = w.attribute("scale", 0.0) or 1 / math.sqrt(head)
    scores = w.put("Mul", scores, w.number(scale, "scale", element), part="scaled")
    if read.bias:
        scores = w.put("Add", scores, read.bias, part="biased scores")
    least = w.number(w.attribute("mask_filter_value", -10000.0), "least", element)
    if read.mask:
        scores = w.put("Add", scores, _mask(w, read, least, element), part="masked")
    if w.attribute("unidirectional", 0):
        scores = w.put("Add", scores, _later(w, read, least, element), part="causal")
    shares = w.put("Softmax", scores, axis=-1)
    mixed = w.put("MatMul", shares, by_head(read.value, "values", [0, 2, 1, 3]), part="mixed")
    mixed = w.put("Transpose", mixed, part="together", perm=[0, 2, 1, 3])
    w.put("Reshape", mixed, w.number([0, 0, -1], "joined", _INT64), part="joined", out=w.node.output[0])


def _mask(w: Writer, read: _Operands, least: str, element: int) -> str:
    """What is added to scores [B, N, S, T]: `least` where the mask is 0, or from a sample's length on."""
    rank, mask = w.rank(read.mask), read.mask
    if rank == 1:
        (size,) = w.shape(mask) or (None,)
        batch = (w.shape(read.query) or (None,))[0]
        if size is not None and batch is not None and size != batch:
            raise CannotWriteError("its mask is none of lengths, of keys or of pairs")
        lengths = w.put("Unsqueeze", mask, w.number([1], "row", _INT64), part="lengths")
        lengths = w.put("Cast", lengths, part="lengths", to=_INT64)
        mask = w.put("Less", places_along(w, read.key), lengths, part="seen")
    elif rank not in (2, 3):
        raise CannotWriteError("its mask has more than three axes")
    axes = [1] if rank == 3 else [1, 2]
    mask = w.put("Unsqueeze", mask, w.number(axes, "axes", _INT64), part="mask")
    seen = w.put("Cast", w.put("Cast", mask, part="mask", to=TensorProto.BOOL), part="mask", to=element)
    return w.put("Mul", w.put("Sub", w.number(1, "one", element), seen, part="unseen"), least, part="mask")


def _later(w: Writer, read: _Operands, least: str, element: int) -> str:
    """`least` for each key that comes after its query."""
    row, column = w.number([0], "row", _INT64), w.number([1], "column", _INT64)
    queries = w.put("Unsqueeze", places_along(w, read.query), column, part="places")
    keys = w.put("Unsqueeze", places_along(w, read.key), row, part="places")
    later = w.put("Cast", w.put("Less", queries, keys, part="later"), part="later", to=element)
    return w.put("Mul", later, least, part="later")


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {
    ("com.microsoft", "Attention"): write_attention,
    ("com.microsoft", "MultiHeadAttention"): write_multi_head,
}
