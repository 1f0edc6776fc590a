"""onnxruntime's QOperator form: DequantizeLinear → the operator on floats → QuantizeLinear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx import TensorProto

from onnx2snn.lowering.layout import channels_first, channels_last
from onnx2snn.lowering.quantized import Scale, dequantized, quantize, widened
from onnx2snn.lowering.writer import Writer

_FLOAT = TensorProto.FLOAT


@dataclass(frozen=True)
class _Form:
    """Where an operator has its operands, and how it gives out its result.

    Attributes:
        op: the operator on floats.
        operands: of each, the place of its integers; scale and zero point follow.
        result: the place of the result's scale, its zero point follows.
        plain: inputs that the operator on floats has as they are, in front of its operands.
        left_out: attributes that it has not.
    """

    op: str
    operands: tuple[int, ...]
    result: int
    plain: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()


_FORMS = {
    "QLinearAdd": _Form("Add", (0, 3), 6),
    "QLinearLeakyRelu": _Form("LeakyRelu", (0,), 3),
    "QLinearMul": _Form("Mul", (0, 3), 6),
    "QLinearSigmoid": _Form("Sigmoid", (0,), 3),
    "QLinearWhere": _Form("Where", (1, 4), 7, plain=(0,)),
    "QLinearAveragePool": _Form("AveragePool", (0,), 3, left_out=("channels_last",)),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", (0,), 3, left_out=("channels_last",)),
}


def write_form(w: Writer) -> None:
    """An operator of the table."""
    form = _FORMS[w.node.op_type]
    sources = [dequantized(w, w.input(at), _scale(w, at + 1)) for at in form.operands]
    last = bool(w.attribute("channels_last", 0))
    if last:
        sources = [channels_first(w, sources[0])]
    plain = [w.input(at) for at in form.plain]
    made = w.put(form.op, *plain, *sources, **w.attributes(*form.left_out))
    _give(w, channels_last(w, made) if last else made, form.result)


def write_softmax(w: Writer) -> None:
    """QLinearSoftmax; as it was before opset 13 it has all axes from one on as one."""
    source = dequantized(w, w.input(0), _scale(w, 1))
    axis, rank = w.attribute("axis", -1), w.rank(source)
    if w.attribute("opset", 13) >= 13 or axis in (-1, rank - 1):
        made = w.put("Softmax", source, axis=axis)
    else:
        flat = w.put("Flatten", source, part="flat", axis=axis)
        shape = w.put("Shape", source, part="shape")
        made = w.put("Reshape", w.put("Softmax", flat, axis=1), shape, part="reshaped")
    _give(w, made, 3)


def write_concat(w: Writer) -> None:
    """QLinearConcat: the result's scale comes first, then each operand with its own."""
    places = range(2, len(w.node.input), 3)
    sources = [dequantized(w, w.input(at), _scale(w, at + 1)) for at in places]
    _give(w, w.put("Concat", *sources, **w.attributes()), 0)


def write_conv(w: Writer) -> None:
    """QLinearConv, ONNX's and onnxruntime's, whose channels may come last."""
    source = dequantized(w, w.input(0), _scale(w, 1))
    weights = dequantized(w, w.input(3), _scale(w, 4, 0))
    bias = _bias(w, w.input(8), w.input(1), w.input(4))
    last = bool(w.attribute("channels_last", 0))
    source = channels_first(w, source) if last else source
    made = w.put("Conv", source, weights, bias, **w.attributes("channels_last"))
    _give(w, channels_last(w, made) if last else made, 6)


def write_matmul(w: Writer) -> None:
    """QLinearMatMul; several scales are for the rows of the first operand and the columns of the second."""
    left = dequantized(w, w.input(0), _scale(w, 1, w.rank(w.input(0)) - 2 if _several(w, 1) else 0))
    right = dequantized(w, w.input(3), _scale(w, 4, w.rank(w.input(3)) - 1 if _several(w, 4) else 0))
    _give(w, w.put("MatMul", left, right), 6)


def write_gemm(w: Writer) -> None:
    """QGemm: alpha·A·B + C, C in steps of alpha·scale_A·scale_B; without a result's scale it gives floats."""
    alpha, transposed = w.attribute("alpha", 1.0), w.attribute("transB", 0)
    left = dequantized(w, w.input(0), _scale(w, 1))
    right = dequantized(w, w.input(3), _scale(w, 4, 0 if transposed else 1))
    bias = _bias(w, w.input(6), w.input(1), w.input(4))
    if bias and alpha != 1.0:
        bias = w.put("Mul", bias, w.number(alpha, "alpha"), part="bias/alpha")
    given = w.attributes("alpha")
    if not w.input(7):
        w.put("Gemm", left, right, bias, out=w.node.output[0], alpha=alpha, **given)
        return
    _give(w, w.put("Gemm", left, right, bias, alpha=alpha, **given), 7)


def _scale(w: Writer, at: int, axis: int = 1) -> Scale:
    return Scale(_single(w, w.input(at)), w.input(at + 1), axis)


def _single(w: Writer, scale: str) -> str:
    """A scale in float32, which holds sums of integers that smaller floats do not."""
    if w.element(scale) == _FLOAT:
        return scale
    key = scale, "float32"
    if key not in w.scratch:
        value = w.constant(scale)
        given = w.put("Cast", scale, part="scale", to=_FLOAT) if value is None else w.number(value, "scale")
        w.scratch[key] = given
    return str(w.scratch[key])


def _several(w: Writer, at: int) -> bool:
    shape = w.shape(w.input(at))
    return shape is not None and shape not in ((), (1,))


def _give(w: Writer, made: str, at: int) -> None:
    quantize(w, made, _scale(w, at), w.node.output[0])


def _bias(w: Writer, bias: str, *scales: str) -> str:
    """An int32 bias in steps of the product of both scales; empty where there is none."""
    if not bias:
        return ""
    step = w.put("Mul", *(_single(w, scale) for scale in scales), part="bias/step")
    floats = w.put("Cast", widened(w, bias), part="bias/cast", to=_FLOAT)
    return w.put("Mul", floats, step, part="bias")


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {
    **{("com.microsoft", name): write_form for name in _FORMS},
    ("com.microsoft", "QLinearSoftmax"): write_softmax,
    ("com.microsoft", "QLinearConcat"): write_concat,
    ("com.microsoft", "QLinearConv"): write_conv,
    ("com.microsoft", "QGemm"): write_gemm,
    ("", "QLinearConv"): write_conv,
    ("", "QLinearMatMul"): write_matmul,
}
