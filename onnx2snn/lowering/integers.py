"""Products of integers whose sums are integers, and dynamic quantisation, which makes them of floats."""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto, TensorProto

from onnx2snn.lowering.quantized import Scale, dequantized
from onnx2snn.lowering.writer import CannotWriteError, Writer

_FLOAT = TensorProto.FLOAT
_PRODUCTS = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}
_ROUNDS = "rounds to 255 steps of each batch's own range: left out, since spikes carry what it read"


def write_dynamic_quantize(w: Writer) -> None:
    """DynamicQuantizeLinear(x) → x in steps of 1 from 0, where all its readers are linear in it.

    What it rounds off is at most half a step, 1/510 of the range that the batch has.
    """
    integers, scale, zero = (*w.node.output, "", "")[:3]
    for reader in w.readers(integers):
        product = reader.op_type in _PRODUCTS and list(reader.input[:1]) == [integers]
        product = product and reader.input[2:3] == [zero] and all(map(_to_float, w.readers(reader.output[0])))
        if not product and not (reader.op_type == "DequantizeLinear" and reader.input[1:] == [scale, zero]):
            raise CannotWriteError(f"its integers are read by {reader.op_type}, which is not linear in them")
    if any(reader.op_type not in ("Mul", "DequantizeLinear") for reader in w.readers(scale)):
        raise CannotWriteError("its scale is read by more than the product that takes it back")
    if any(map(w.is_output, w.node.output)):
        raise CannotWriteError("its integers or their scale are given out")
    w.scratch[integers, "floats"] = w.input(0)
    if scale:
        w.instead(scale, w.number(1.0, "scale"))
    w.remark = _ROUNDS


def write_product(w: Writer) -> None:
    """ConvInteger and MatMulInteger, all of whose readers are Casts to floats: on floats from the start."""
    (result,) = w.node.output
    casts = w.readers(result)
    if w.is_output(result) or not casts or not all(map(_to_float, casts)):
        raise CannotWriteError("its integers are read as integers")
    matrices = w.node.op_type == "MatMulInteger"
    left = w.scratch.get((w.input(0), "floats"))
    left = left or _minus(w, w.input(0), w.input(2), "left", -2 if matrices else 1)
    right = _minus(w, w.input(1), w.input(3), "right", -1 if matrices else 0)
    w.put(_PRODUCTS[w.node.op_type], left, right, out=result, **w.attributes())


def write_integer_to_float(w: Writer) -> None:
    """MatMulIntegerToFloat: the product of two quantised operands, and a bias of floats."""
    left = dequantized(w, w.input(0), Scale(w.input(2), w.input(4), 0))
    right = dequantized(w, w.input(1), Scale(w.input(3), w.input(5), 1))
    _product(w, left, right, w.input(6))


def write_dynamic_matmul(w: Writer) -> None:
    """DynamicQuantizeMatMul: the product with what it would round, and a bias of floats."""
    _product(w, w.input(0), dequantized(w, w.input(1), Scale(w.input(2), w.input(3), 1)), w.input(4))
    w.remark = _ROUNDS


def _product(w: Writer, left: str, right: str, bias: str) -> None:
    (result,) = w.node.output
    made = w.put("MatMul", left, right, out="" if bias else result)
    if bias:
        w.put("Add", made, bias, part="bias", out=result)


def _to_float(node: NodeProto) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == _FLOAT


def _minus(w: Writer, integers: str, zero: str, part: str, axis: int) -> str:
    """Integers less their zero point, as floats; several zero points lie along an axis."""
    value = w.put("Cast", integers, part=f"{part}/cast", to=_FLOAT)
    if not zero:
        return value
    floats = w.put("Cast", zero, part=f"{part}/zero", to=_FLOAT)
    if w.shape(zero) not in (None, (), (1,)):
        dims = [1] * w.rank(integers)
        dims[axis] = -1
        floats = w.put("Reshape", floats, w.number(dims, "along", TensorProto.INT64), part=f"{part}/along")
    return w.put("Sub", value, floats, part=f"{part}/shifted")


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {
    ("", "DynamicQuantizeLinear"): write_dynamic_quantize,
    ("", "ConvInteger"): write_product,
    ("", "MatMulInteger"): write_product,
    ("com.microsoft", "MatMulIntegerToFloat"): write_integer_to_float,
    ("com.microsoft", "DynamicQuantizeMatMul"): write_dynamic_matmul,
}
