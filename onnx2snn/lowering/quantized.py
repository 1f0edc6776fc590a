"""Quantised tensors between operators that understand them, as the floats that they stand for.

Each tensor t that a QuantizeLinear made has one dequantised form, s·(t - z), which all its readers share:
what moves integers moves these instead. Then between two layers there is one QuantizeLinear →
DequantizeLinear, the form that a trained quantiser is known by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx.helper
from onnx import NodeProto, TensorProto

from onnx2snn.lowering.writer import CannotWriteError, Writer

#: Levels of the 4-bit types, which NumPy lacks.
_FOUR_BITS: dict[int, tuple[int, int]] = {TensorProto.INT4: (-8, 7), TensorProto.UINT4: (0, 15)}
_FLOAT = TensorProto.FLOAT

# In the writer's scratch: how a tensor's integers stand for floats, and what was rounded to them, by (tensor,
# "scale"); its floats by `_key`, or by (tensor, "floats") where there never were any integers.

#: Operators that hand on the values of their inputs as they are, and how many of these.
MOVES = {
    **dict.fromkeys(("DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape"), 1),
    **dict.fromkeys(("Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"), 1),
    "Concat": -1,
}


@dataclass(frozen=True)
class Scale:
    """How integers stand for floats: names of scale and zero point (empty: 0), and the axis of several."""

    scale: str
    zero: str
    axis: int = 1


def dequantized(w: Writer, tensor: str, how: Scale) -> str:
    """The floats that a quantised tensor stands for; written once for all its readers."""
    key = _key(w, tensor, how)
    if key not in w.scratch:
        w.scratch[key] = _dequantize(w, tensor, how, f"{_last(tensor)}/float")
        w.scratch[w.scratch[key], "levels"] = _key(w, "", how)
    return str(w.scratch[key])


def quantize(w: Writer, source: str, how: Scale, out: str) -> None:
    """Give floats out as integers."""
    w.put("QuantizeLinear", source, how.scale, how.zero, part="quantized", out=out, axis=how.axis)
    _remember(w, out, how, source)


def widened(w: Writer, tensor: str) -> str:
    """A constant of 4 bits as one of 8 bits, anything else as it is."""
    if w.element(tensor) not in _FOUR_BITS:
        return tensor
    name, value = f"{tensor}/8 bits", w.constant(tensor)
    if not w.is_fixed(name) and value is not None:
        element = TensorProto.INT8 if w.element(tensor) == TensorProto.INT4 else TensorProto.UINT8
        w.initializer(value.astype(onnx.helper.tensor_dtype_to_np_dtype(element)), name)
    if not w.is_fixed(name):
        raise CannotWriteError("its 4-bit numbers are not constant")
    return name


def write_quantize(w: Writer) -> None:
    """QuantizeLinear: kept; of constants, or to 4 bits, in floats."""
    how = _given(w)
    (result,) = w.node.output
    given = int(w.attribute("output_dtype", 0)) or TensorProto.UINT8
    element = w.element(how.zero) if how.zero else given
    if element in _FOUR_BITS:
        _quantize_to_few(w, how, *_FOUR_BITS[element])
    elif w.is_fixed(w.input(0)) and element in (TensorProto.INT8, TensorProto.UINT8):
        limits = np.iinfo(onnx.helper.tensor_dtype_to_np_dtype(element))
        levels = w.put(
            "Round", w.put("Div", w.input(0), _along(w, how.scale, how), part="scaled"), part="levels"
        )
        zero = w.put("Cast", _along(w, how.zero, how), part="zero", to=_FLOAT) if how.zero else ""
        levels = w.put("Add", levels, zero, part="shifted") if zero else levels
        bounds = w.number(limits.min, "least"), w.number(limits.max, "most")
        w.put("Cast", w.put("Clip", levels, *bounds, part="bounded"), out=result, to=element)
    else:
        w.put("QuantizeLinear", *w.node.input, out=result, **w.attributes())
        if w.attribute("block_size", 0):
            return
        _remember(w, result, how, w.input(0))
        if _has_levels(w, w.input(0), how):
            w.scratch[_key(w, result, how)] = w.input(0)
            w.remark = "what it reads has its levels already"


def write_dequantize(w: Writer) -> None:
    """DequantizeLinear: kept; of constants in floats, and once for each tensor."""
    how, tensor, (result,) = _given(w), w.input(0), w.node.output
    if w.is_fixed(tensor):
        _dequantize_constant(w, tensor, how, "", result, int(w.attribute("block_size", 0)))
        return
    key = _key(w, tensor, how)
    known = w.scratch.get((tensor, "floats")) or w.scratch.get(key)
    if known is not None:
        w.instead(result, known)
        w.remark = "the floats of these integers are there already"
        return
    w.put("DequantizeLinear", *w.node.input, out=result, **w.attributes())
    if not w.attribute("block_size", 0):
        w.scratch[key] = result
        w.scratch[result, "levels"] = _key(w, "", how)


def write_move(w: Writer) -> None:
    """An operator that moves integers: it moves the floats that these stand for."""
    count = len(w.node.input) if MOVES[w.node.op_type] < 0 else 1
    found = [w.scratch[w.input(index), "scale"] for index in range(count)]
    how = found[0][0]
    sources = [dequantized(w, w.input(index), how) for index in range(count)]
    results = [result for result in w.node.output if result]
    moved = [f"{result}/moved" for result in results]
    first = w.node.op_type != "MaxPool"  # the second result of which are places
    names = moved if first else [moved[0], *results[1:]]
    w.put(w.node.op_type, *sources, *w.node.input[count:], out=names, **w.attributes())
    for result, name in list(zip(results, moved, strict=True))[: None if first else 1]:
        give_moved(w, name, how, result)


def give_moved(w: Writer, moved: str, how: Scale, out: str) -> None:
    """Give floats out, which have their levels, as integers: those who want floats get these."""
    quantize(w, moved, how, out)
    w.scratch[_key(w, out, how)] = moved
    w.scratch[moved, "levels"] = _key(w, "", how)


def write_clip(w: Writer) -> None:
    """Clip of integers that stand for floats: these are bounded before they are rounded."""
    how, source = w.scratch[w.input(0), "scale"]
    (result,) = w.node.output
    scale, zero = w.constant(how.scale), w.constant(how.zero) if how.zero else np.zeros(())
    if scale is None or zero is None or scale.size != 1 or zero.size != 1:
        raise CannotWriteError("it bounds integers whose scale is not one constant")
    bounds = [
        w.number((w.known(index, "bound").astype(float) - float(zero.item())) * float(scale.item()), name)
        if w.input(index)
        else ""
        for index, name in ((1, "least"), (2, "most"))
    ]
    quantize(w, w.put("Clip", source, *bounds, out=f"{result}/bounded"), how, result)


def moves_quantized(w: Writer, node: NodeProto) -> bool:
    """Whether an operator only moves, or bounds, quantised tensors, all of the same scale."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in (*MOVES, "Clip") or not node.input:
        return False
    read = node.input if MOVES.get(node.op_type, 1) < 0 else node.input[:1]
    known = [w.scratch[name, "scale"] for name in read if (name, "scale") in w.scratch]
    return len(known) == len(read) and len({_key(w, "", how) for how, _ in known}) == 1


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {
    (domain, op): rule
    for domain in ("", "com.microsoft")
    for op, rule in (("QuantizeLinear", write_quantize), ("DequantizeLinear", write_dequantize))
}


def _given(w: Writer) -> Scale:
    return Scale(w.input(1), w.input(2), w.attribute("axis", 1))


def _remember(w: Writer, tensor: str, how: Scale, source: str) -> None:
    """How integers stand for floats, and those that were rounded; more than one scale cannot be moved."""
    scale = w.constant(how.scale)
    if scale is not None and scale.size == 1:
        w.scratch[tensor, "scale"] = how, source


def _key(w: Writer, tensor: str, how: Scale) -> tuple[object, ...]:
    """The same for the same values, whatever their names; a zero point left out is 0."""
    scale, zero = w.constant(how.scale), w.constant(how.zero) if how.zero else np.zeros(())
    axis = how.axis if scale is None or scale.size > 1 else 0
    by_value = (
        how.scale if scale is None else scale.astype(np.float64).tobytes(),
        how.zero if zero is None else np.unique(zero.astype(np.float64)).tobytes(),
    )
    return (tensor, *by_value, axis)


def _has_levels(w: Writer, tensor: str, how: Scale) -> bool:
    """Whether floats were integers of the same scale, and have only been moved since."""
    while tensor:
        if w.scratch.get((tensor, "levels")) == _key(w, "", how):
            return True
        node = w.producer(tensor)
        tensor = node.input[0] if node is not None and MOVES.get(node.op_type) == 1 else ""
    return False


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1] or "value"


def _dequantize(w: Writer, tensor: str, how: Scale, part: str) -> str:
    if w.is_fixed(tensor):
        return _dequantize_constant(w, tensor, how, part, "", 0)
    return w.put("DequantizeLinear", tensor, how.scale, how.zero, part=part, axis=how.axis)


def _dequantize_constant(w: Writer, tensor: str, how: Scale, part: str, out: str, block: int) -> str:
    """scale·(tensor - zero), in operators that are folded."""
    floats, prefix = w.element(how.scale), part or "float"
    value = w.put("Cast", widened(w, tensor), part=f"{prefix}/cast", to=floats)

    def spread(name: str) -> str:
        return _blocks(w, name, tensor, how.axis, block) if block else _along(w, name, how, tensor)

    if how.zero:
        zero = w.put("Cast", spread(widened(w, how.zero)), part=f"{prefix}/zero", to=floats)
        value = w.put("Sub", value, zero, part=f"{prefix}/shifted")
    return w.put("Mul", value, spread(how.scale), part=part, out=out)


def _along(w: Writer, name: str, how: Scale, tensor: str = "") -> str:
    """Scales [C] as they broadcast along their axis; one alone as it is."""
    shape = w.shape(name)
    if shape is None or len(shape) != 1 or shape == (1,):
        return name
    rank = w.rank(tensor or w.input(0))
    dims = [1] * rank
    dims[how.axis] = -1
    to = w.number(dims, "along", TensorProto.INT64)
    return w.put("Reshape", name, to, part="along")


def _blocks(w: Writer, name: str, tensor: str, axis: int, block: int) -> str:
    """Each scale repeated for the block of values that it is for."""
    shape = w.shape(tensor)
    size = None if shape is None else shape[axis]
    if size is None:
        raise CannotWriteError("the size of its blocks' axis is not known")
    return w.put(
        "Gather",
        name,
        w.number(np.arange(size) // block, "blocks", TensorProto.INT64),
        part="spread",
        axis=axis,
    )


def _quantize_to_few(w: Writer, how: Scale, least: int, most: int) -> None:
    """To 4 bits and back: no integers are ever made."""
    (result,) = w.node.output
    readers, zero = w.readers(result), w.constant(how.zero) if how.zero else np.zeros(())
    if w.is_output(result) or not all(reader.op_type == "DequantizeLinear" for reader in readers):
        raise CannotWriteError("its 4-bit integers are read by more than DequantizeLinear")
    if zero is None or zero.size != 1:
        raise CannotWriteError("it has more than one zero point, or one that is computed")
    shift = float(zero.astype(np.float64).item())
    scale = _along(w, how.scale, how)
    levels = w.put("Round", w.put("Div", w.input(0), scale, part="scaled"))
    bounds = w.number(least - shift, "least"), w.number(most - shift, "most")
    levels = w.put("Clip", levels, *bounds, part="bounded")
    w.scratch[_key(w, result, how)] = w.put("Mul", levels, scale, part="float")
