"""The operators of domain `onnx2snn`, one file each.

To add a spiking one: write its file, and add the file's name to `_FILES`.
"""

from __future__ import annotations

from importlib import import_module

import onnx

from onnx2snn.ops.cell import DOMAIN, DOMAIN_VERSION, OPSET_VERSION, Cell
from onnx2snn.ops.quantized_relu import QUANTIZED_RELU

_FILES = (
    "burst_if",
    "signed_burst_if",
    "prelu_burst_if",
    "quantized_if",
    "accumulate_fire",
    "prelu_accumulate_fire",
    "integer_accumulate_fire",
    "graded_if",
    "graded_fire",
    "li_pool",
    "li_reduce_max",
    "running_mean",
    "increment",
)

#: By operator; of neurons that suit an activation the first one is taken.
CELLS: dict[str, Cell] = {
    cell.op: cell
    for module in (import_module(f"{__name__}.{file}") for file in _FILES)
    for cell in getattr(module, "CELLS", None) or (module.CELL,)
}


def body_of(op: str) -> onnx.FunctionProto:
    """The body of any operator of the domain: a cell, or the normal form of a trained quantiser."""
    return QUANTIZED_RELU if op == QUANTIZED_RELU.name else CELLS[op].function


__all__ = ["CELLS", "DOMAIN", "DOMAIN_VERSION", "OPSET_VERSION", "QUANTIZED_RELU", "Cell", "body_of"]
