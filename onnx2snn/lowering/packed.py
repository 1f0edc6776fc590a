"""Weights of 4 or 8 bits in onnxruntime's own packing, in operators that are folded."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto

from onnx2snn.lowering.writer import CannotWriteError, Writer

_INT64 = TensorProto.INT64


def write_matmul(w: Writer) -> None:
    """MatMulNBits: A·Wᵀ + bias, W [N, K] in blocks along K, each with its scale and zero point."""
    source, packed, scales, zeros, order, bias = map(w.input, range(6))
    bits, block = w.attribute("bits", 4), w.attribute("block_size")
    if bits not in (4, 8):
        raise CannotWriteError(f"its weights have {bits} bits")
    if order:
        raise CannotWriteError("its columns are in an order of their own")
    if not w.is_fixed(packed):
        raise CannotWriteError("its weights are not constant")
    rows, columns = w.attribute("N"), w.attribute("K")
    blocks, element = -(-columns // block), w.element(source)
    levels = _unpack(w, packed, [rows, blocks, block], bits, element)
    scale = _shaped(w, scales, [rows, blocks, 1], "scales")
    if not zeros:
        zero = w.number(1 << (bits - 1), "zero", element)
    elif w.element(zeros) == TensorProto.UINT8:
        padded = blocks + blocks % 2 if bits == 4 else blocks
        zero = _unpack(w, zeros, [rows, padded, 1], bits, element)
        zero = _first(w, zero, blocks)
    else:
        zero = _shaped(w, zeros, [rows, blocks, 1], "zeros")
    weights = w.put("Mul", w.put("Sub", levels, zero, part="centred"), scale, part="weights")
    weights = _first(w, _shaped(w, weights, [rows, blocks * block], "flat"), columns)
    weights = w.put("Transpose", weights, part="turned", perm=[1, 0])
    (result,) = w.node.output
    made = w.put("MatMul", source, weights, out="" if bias else result)
    if bias:
        w.put("Add", made, bias, part="bias", out=result)


def _unpack(w: Writer, packed: str, shape: list[int], bits: int, element: int) -> str:
    """Bytes as numbers of this shape; of two in a byte the lower half comes first."""
    if bits == 4:
        mask, shift = (w.number(value, "half", TensorProto.UINT8) for value in (15, 4))
        low = w.put("BitwiseAnd", packed, mask, part="low")
        high = w.put("BitShift", packed, shift, part="high", direction="RIGHT")
        last = w.number([-1], "last", _INT64)
        halves = [w.put("Unsqueeze", half, last, part="halves") for half in (low, high)]
        packed = w.put("Concat", *halves, part="bytes", axis=-1)
    return w.put("Cast", _shaped(w, packed, shape, "levels"), part="levels", to=element)


def _shaped(w: Writer, name: str, shape: list[int], part: str) -> str:
    return w.put("Reshape", name, w.number(shape, "shape", _INT64), part=part)


def _first(w: Writer, name: str, count: int) -> str:
    """So many along the second axis; what is beyond fills up bytes or blocks."""
    ends = (w.number([value], "place", _INT64) for value in (0, count, 1))
    return w.put("Slice", name, *ends, part="first")


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {("com.microsoft", "MatMulNBits"): write_matmul}
