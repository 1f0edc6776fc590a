"""The operators of domain `onnx2snn`: one file each, all listed here.

To add a spiking one: write its file, and add it to `CELLS`.
"""

from __future__ import annotations

import onnx

from onnx2snn.ops.accumulate_fire import ACCUMULATE_FIRE
from onnx2snn.ops.burst_if import BURST_IF
from onnx2snn.ops.cell import DOMAIN, DOMAIN_VERSION, OPSET_VERSION, Cell
from onnx2snn.ops.increment import INCREMENT
from onnx2snn.ops.integer_accumulate_fire import INTEGER_ACCUMULATE_FIRE
from onnx2snn.ops.leaky_accumulate_fire import LEAKY_ACCUMULATE_FIRE
from onnx2snn.ops.leaky_burst_if import LEAKY_BURST_IF
from onnx2snn.ops.li_pool import LI_POOL
from onnx2snn.ops.li_reduce_max import LI_REDUCE_MAX
from onnx2snn.ops.quantized_if import QUANTIZED_IF
from onnx2snn.ops.quantized_relu import QUANTIZED_RELU
from onnx2snn.ops.running_mean import RUNNING_MEAN
from onnx2snn.ops.signed_burst_if import SIGNED_BURST_IF

CELLS: dict[str, Cell] = {
    cell.op: cell
    for cell in (
        BURST_IF,
        SIGNED_BURST_IF,
        LEAKY_BURST_IF,
        QUANTIZED_IF,
        ACCUMULATE_FIRE,
        LEAKY_ACCUMULATE_FIRE,
        INTEGER_ACCUMULATE_FIRE,
        LI_POOL,
        LI_REDUCE_MAX,
        RUNNING_MEAN,
        INCREMENT,
    )
}

#: Bodies of all operators of the domain: the cells, and the normal form of a trained quantiser.
FUNCTIONS: dict[str, onnx.FunctionProto] = {
    **{cell.op: cell.function for cell in CELLS.values()},
    QUANTIZED_RELU.name: QUANTIZED_RELU,
}

__all__ = [
    "ACCUMULATE_FIRE",
    "BURST_IF",
    "CELLS",
    "DOMAIN",
    "DOMAIN_VERSION",
    "FUNCTIONS",
    "INCREMENT",
    "INTEGER_ACCUMULATE_FIRE",
    "LEAKY_ACCUMULATE_FIRE",
    "LEAKY_BURST_IF",
    "LI_POOL",
    "LI_REDUCE_MAX",
    "OPSET_VERSION",
    "QUANTIZED_IF",
    "QUANTIZED_RELU",
    "RUNNING_MEAN",
    "SIGNED_BURST_IF",
    "Cell",
]
