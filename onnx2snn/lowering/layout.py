"""Channels last, as onnxruntime's optimiser puts them, to ONNX's order and back."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto

from onnx2snn.lowering.quantized import dequantized, give_moved
from onnx2snn.lowering.writer import Writer


def channels_first(w: Writer, tensor: str) -> str:
    """[N, …, C] → [N, C, …]."""
    rank = w.rank(tensor)
    return w.put("Transpose", tensor, part="first", perm=[0, rank - 1, *range(1, rank - 1)])


def channels_last(w: Writer, tensor: str, out: str = "") -> str:
    """[N, C, …] → [N, …, C]."""
    rank = w.rank(tensor)
    return w.put("Transpose", tensor, part="last", out=out, perm=[0, *range(2, rank), 1])


def places_along(w: Writer, tensor: str) -> str:
    """0, 1, … along the second axis of a tensor, int64."""
    first, second = (w.number(value, "place", TensorProto.INT64) for value in (0, 1))
    length = w.put("Gather", w.put("Shape", tensor, part="shape"), second, part="length")
    return w.put("Range", first, length, second, part="places")


def write_max_pool(w: Writer) -> None:
    """NhwcMaxPool, of integers that stand for floats."""
    found = w.scratch.get((w.input(0), "scale"))
    (result,) = w.node.output
    source = channels_first(w, dequantized(w, w.input(0), found[0]) if found else w.input(0))
    made = channels_last(w, w.put("MaxPool", source, **w.attributes()), "" if found else result)
    if found:
        give_moved(w, made, found[0], result)


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {("com.microsoft", "NhwcMaxPool"): write_max_pool}
