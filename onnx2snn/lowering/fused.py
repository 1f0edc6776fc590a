"""Weighted operators of onnxruntime's optimiser, with what it fused into them, one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import TensorProto

from onnx2snn.lowering.layout import channels_first, channels_last
from onnx2snn.lowering.writer import CannotWriteError, Writer

_ACTIVATIONS = ("activation", "activation_params", "activation_alpha", "activation_beta", "activation_gamma")
#: Activations that may be fused, and the attributes that their parameters become.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "HardSwish": (),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "Selu": ("alpha", "gamma"),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Tanh": (),
    "ThresholdedRelu": ("alpha",),
}


def write_conv(w: Writer) -> None:
    """FusedConv: activation(Conv(x, w, b) + z); NhwcConv and NhwcFusedConv with channels last, but in w."""
    last = w.node.op_type.startswith("Nhwc")
    source = channels_first(w, w.input(0)) if last else w.input(0)
    made = w.put("Conv", source, w.input(1), w.input(2), **w.attributes(*_ACTIVATIONS))
    made = channels_last(w, made) if last else made
    if w.input(3):
        made = w.put("Add", made, w.input(3), part="sum")
    _activate(w, made, w.attribute("activation_params", []))


def write_gemm(w: Writer) -> None:
    """FusedGemm: activation(Gemm(a, b, c))."""
    made = w.put("Gemm", *w.node.input, **w.attributes(*_ACTIVATIONS, "leaky_relu_alpha"))
    _activate(w, made, _parameters(w))


def write_matmul(w: Writer) -> None:
    """FusedMatMul: activation(alpha·A'B'), either operand turned around."""
    made = w.put("MatMul", _turned(w, 0, "A"), _turned(w, 1, "B"))
    alpha = w.attribute("alpha", 1.0)
    if alpha != 1.0:
        made = w.put("Mul", made, w.number(alpha, "alpha", w.element(w.input(0))), part="scaled")
    _activate(w, made, _parameters(w))


def write_expand_dims(w: Writer) -> None:
    """ExpandDims: Unsqueeze along one axis."""
    axis = w.put("Cast", w.input(1), part="axis", to=TensorProto.INT64)
    w.put("Unsqueeze", w.input(0), axis, out=w.node.output[0])


def _turned(w: Writer, index: int, side: str) -> str:
    """An operand: with transBatch, its first axis goes before the last; with trans, the last two swap."""
    name = w.input(index)
    turns, batch = w.attribute(f"trans{side}", 0), w.attribute(f"transBatch{side}", 0)
    if not turns and not batch:
        return name
    rank = w.rank(name)
    axes = list(range(rank))
    if batch:
        axes = [*axes[1:-1], 0, axes[-1]]
    if turns and rank > 1:
        axes[-2:] = axes[:-3:-1]
    return name if axes == sorted(axes) else w.put("Transpose", name, part=f"turned {side}", perm=axes)


def _parameters(w: Writer) -> list[float]:
    """Of an activation whose parameters are attributes with names."""
    first = w.attribute("leaky_relu_alpha", w.attribute("activation_alpha"))
    given = (first, w.attribute("activation_beta"), w.attribute("activation_gamma"))
    names = _PARAMETERS.get(w.attribute("activation", ""), ("alpha", "beta"))
    by_name = dict(zip(("alpha", "beta", "gamma"), given, strict=True))
    found = [by_name[name] for name in names]
    return [value for value in found if value is not None]


def _activate(w: Writer, made: str, parameters: Sequence[float]) -> None:
    op, (result,) = w.attribute("activation", ""), w.node.output
    if not op:
        w.put("Identity", made, part="result", out=result)
    elif op == "Clip":
        element = w.element(w.input(0))
        bounds = [w.number(value, f"bound {i}", element) for i, value in enumerate(parameters)]
        w.put("Clip", made, *bounds, part="activation", out=result)
    elif op in _PARAMETERS:
        given = dict(zip(_PARAMETERS[op], map(float, parameters), strict=False))
        w.put(op, made, part="activation", out=result, **given)
    else:
        raise CannotWriteError(f"its activation is '{op}'")


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {
    ("com.microsoft", "FusedConv"): write_conv,
    ("com.microsoft", "NhwcConv"): write_conv,
    ("com.microsoft", "NhwcFusedConv"): write_conv,
    ("com.microsoft", "FusedGemm"): write_gemm,
    ("com.microsoft", "FusedMatMul"): write_matmul,
    ("com.microsoft", "FusedMatMulActivation"): write_matmul,
    ("com.microsoft", "TransposeMatMul"): write_matmul,
    ("com.microsoft", "ExpandDims"): write_expand_dims,
}
