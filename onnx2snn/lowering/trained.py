"""Quantisers of QONNX, Brevitas and FINN, and of PACT, in the form that a trained quantiser is known by.

That is Div or Mul → Add → Floor or Round → Clip → Mul, see `onnx2snn.passes.normalize_quantizer`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from onnx2snn.lowering.writer import Array, CannotWriteError, Writer
from onnx2snn.model.domains import FOREIGN

#: Roundings that one operator does; the others round away from 0, or towards it.
_ROUNDINGS = {"ROUND": "Round", "HALF_EVEN": "Round", "FLOOR": "Floor", "CEIL": "Ceil"}
_SYMMETRIC = {
    "UP": ("Ceil", 0.0),
    "DOWN": ("Floor", 0.0),
    "HALF_UP": ("Floor", 0.5),
    "HALF_DOWN": ("Ceil", -0.5),
}


def write_quant(w: Writer) -> None:
    """Quant, also called IntQuant: (clip(round(x/scale + zero), least, most) - zero)·scale."""
    bits, signed = float(w.known(3, "bit width").item()), bool(w.attribute("signed", 1))
    if bits == 1 and signed:
        _write_signs(w, w.input(1), _shift(w, 2))
        return
    least, most = _range(bits, signed=signed, narrow=bool(w.attribute("narrow", 0)))
    value = _scaled(w)
    value = _clip(w, _round(w, value, w.attribute("rounding_mode", "ROUND")), least, most)
    _rescale(w, value, _shift(w, 2), w.input(1))


def write_bipolar(w: Writer) -> None:
    """BipolarQuant: scale where x ≥ 0, -scale elsewhere."""
    _write_signs(w, w.input(1), "")


def write_trunc(w: Writer) -> None:
    """Trunc: round(x/scale + zero)/2^(bits dropped), rounded; of six inputs one is its result's scale."""
    mode, element = w.attribute("rounding_mode", "FLOOR"), w.element(w.input(0))
    value = w.put("Round", _scaled(w), part="levels")
    scale = w.known(1, "scale").astype(float)
    second = len(w.node.input) > 5
    if second:
        factor = 2 ** np.round(np.log2(w.known(4, "result's scale").astype(float) / scale))
    else:
        factor = np.asarray(2 ** (float(w.known(3, "bits").item()) - float(w.known(4, "bits").item())))
    value = w.put("Div", value, w.number(factor, "factor", element), part="dropped")
    value = _round(w, value, mode)
    zero = w.known(2, "zero point").astype(float)
    if not second:
        _rescale(w, value, w.number(zero, "zero", element) if zero.any() else "", w.input(1))
        return
    bits = float(w.known(5, "result's bit width").item())
    bounds = _range(bits, signed=bool(w.attribute("signed", 1)), narrow=bool(w.attribute("narrow", 0)))
    shift = w.number(zero / factor, "zero", element) if zero.any() else ""
    _rescale(w, _clip(w, value, *bounds), shift, w.input(4))


def write_requant_shift(w: Writer) -> None:
    """RequantShift of PACT: clip(floor((mul·x + add)/div), 0, n - 1), or from -n/2 to n/2 - 1; of integers.

    Half a unit more under the floor changes nothing for integers, and no rounding of floats takes one away.
    """
    element = w.element(w.input(0))
    divisor, levels = _attribute(w, "div"), _attribute(w, "n_levels_out", "n_levels")
    half = np.floor(levels / 2 + 0.5)
    bounds = (-half, half - 1) if _attribute(w, "signed") else (0.0, levels - 1)
    gain, shift = w.known(1, "factor").astype(float), w.known(2, "shift").astype(float)
    value = w.put("Mul", w.input(0), w.number(gain / divisor, "factor", element), part="scaled")
    value = w.put("Add", value, w.number((shift + 0.5) / divisor, "shift", element), part="shifted")
    floor = w.put("Floor", value)
    low, high = (w.number(bound, "bound", element) for bound in bounds)
    w.put("Clip", floor, low, high, part="bounded", out=w.node.output[0])


def write_thresholds(w: Writer) -> None:
    """MultiThreshold: out_scale·(how many thresholds are not above x) + out_bias.

    Thresholds at equal distances are one quantiser; others are counted.
    """
    source, element = w.input(0), w.element(w.input(0))
    thresholds = np.sort(w.known(1, "thresholds").astype(float), axis=-1)
    if thresholds.ndim != 2:
        raise CannotWriteError("its thresholds are no matrix of channels and steps")
    scale, bias = w.attribute("out_scale", 1.0), w.attribute("out_bias", 0.0)
    rank = w.rank(source)
    layout = w.attribute("data_layout", "") or {3: "NWC"}.get(rank, "NC")
    dims = [1] * rank
    dims[layout.index("C")] = -1
    step = _step(thresholds)
    if step is None:
        column = w.put("Unsqueeze", source, w.number([rank], "axis", TensorProto.INT64), part="column")
        rows = w.number(thresholds.reshape([*dims, thresholds.shape[1]]), "thresholds", element)
        passed = w.put("GreaterOrEqual", column, rows, part="passed")
        passed = w.put("Cast", passed, part="passed", to=element)
        axes = w.number([rank], "axes", TensorProto.INT64)
        value = w.put("ReduceSum", passed, axes, keepdims=0)
        bias -= scale
    else:
        # A hundred-thousandth of a step more, so that no rounding keeps below a threshold what is on it.
        shift = (1e-5 - thresholds[:, :1] / step).reshape(dims)
        value = w.put("Div", source, w.number(step.reshape(dims), "step", element), part="scaled")
        value = w.put("Add", value, w.number(shift, "shift", element), part="shifted")
        value = _clip(w, w.put("Floor", value), -1, thresholds.shape[1] - 1)
    value = w.put("Mul", value, w.number(scale, "scale", element), part="rescaled")
    lowest = w.number(bias + scale, "lowest", element)
    w.put("Add", value, lowest, part="raised", out=w.node.output[0])


def _step(thresholds: Array) -> Array | None:
    """The distance between thresholds of each channel, [C, 1]; None where they are not equally far apart."""
    if thresholds.shape[1] == 1:
        return np.ones((len(thresholds), 1))
    steps = np.diff(thresholds, axis=1)
    mean = steps.mean(axis=1, keepdims=True)
    even = (mean > 0).all() and (np.abs(steps - mean) < 1e-5 * mean).all()
    return mean if even else None


def _range(bits: float, *, signed: bool, narrow: bool) -> tuple[float, float]:
    """The smallest and the largest whole number of so many bits; narrow ones leave one out."""
    if signed:
        return float(-(2 ** (bits - 1)) + narrow), float(2 ** (bits - 1) - 1)
    return 0.0, float(2**bits - 1 - narrow)


def _scaled(w: Writer) -> str:
    """x/scale + zero."""
    value, zero = w.put("Div", w.input(0), w.input(1), part="scaled"), _shift(w, 2)
    return w.put("Add", value, zero, part="shifted") if zero else value


def _shift(w: Writer, index: int) -> str:
    """A zero point, empty where it is 0."""
    value = w.constant(w.input(index))
    return "" if value is not None and not value.any() else w.input(index)


def _round(w: Writer, value: str, mode: str) -> str:
    mode = mode.upper()
    if mode in _ROUNDINGS:
        return w.put(_ROUNDINGS[mode], value)
    if mode not in _SYMMETRIC:
        raise CannotWriteError(f"it rounds by '{mode}'")
    op, shift = _SYMMETRIC[mode]
    size = w.put("Abs", value, part="size")
    if shift:
        size = w.put("Add", size, w.number(shift, "half", w.element(w.input(0))), part="size")
    return w.put("Mul", w.put(op, size), w.put("Sign", value, part="sign"), part="signed")


def _clip(w: Writer, value: str, least: float, most: float) -> str:
    """Bounded; without a Clip, which would spike, where inputs are quantised: they are analog, once."""
    element = w.element(w.input(0))
    bounds = w.number(least, "least", element), w.number(most, "most", element)
    if not w.is_input(w.input(0)):
        return w.put("Clip", value, *bounds, part="bounded")
    for beyond, bound in zip(("Less", "Greater"), bounds, strict=True):
        value = w.put("Where", w.put(beyond, value, bound, part="beyond"), bound, value, part="bounded")
    return value


def _rescale(w: Writer, value: str, zero: str, scale: str) -> None:
    """(value - zero)·scale, the result."""
    value = w.put("Sub", value, zero, part="centred") if zero else value
    w.put("Mul", value, scale, part="rescaled", out=w.node.output[0])


def _write_signs(w: Writer, scale: str, zero: str) -> None:
    """(±1 - zero)·scale, +1 from 0 on: clip(floor(x), -1, 0) is -1 or 0."""
    element = w.element(w.input(0))
    value = _scaled(w) if zero else w.input(0)
    value = _clip(w, w.put("Floor", value), -1, 0)
    value = w.put("Mul", value, w.number(2, "two", element), part="doubled")
    value = w.put("Add", value, w.number(1, "one", element), part="signs")
    _rescale(w, value, zero, scale)


def _attribute(w: Writer, *names: str) -> float:
    """A number that is an attribute, or a tensor of one."""
    for name in names:
        value = w.attribute(name)
        if value is not None:
            return float(w.value_of(value).item())
    raise CannotWriteError(f"it has no attribute '{names[0]}'")


_OPERATORS: dict[str, Callable[[Writer], None]] = {
    "BipolarQuant": write_bipolar,
    "IntQuant": write_quant,
    "MultiThreshold": write_thresholds,
    "Quant": write_quant,
    "RequantShift": write_requant_shift,
    "Trunc": write_trunc,
}
#: The domains that exporters write them into.
_DOMAINS = (
    FOREIGN,
    *("PACTOps", "finn.custom_op.general", "onnx.brevitas", "qonnx.custom_op.general"),
)
RULES = {(domain, op): rule for domain in _DOMAINS for op, rule in _OPERATORS.items()}
