"""The spiking operators of domain `onnx2snn`: one file each, all listed here.

To add one: write its file, and add it to `CELLS`.
"""

from __future__ import annotations

from onnx2snn.ops.burst_if import BURST_IF
from onnx2snn.ops.cell import DOMAIN, DOMAIN_VERSION, OPSET_VERSION, Cell
from onnx2snn.ops.li_pool import LI_POOL
from onnx2snn.ops.signed_burst_if import SIGNED_BURST_IF

CELLS: dict[str, Cell] = {cell.op: cell for cell in (BURST_IF, SIGNED_BURST_IF, LI_POOL)}

__all__ = [
    "BURST_IF",
    "CELLS",
    "DOMAIN",
    "DOMAIN_VERSION",
    "LI_POOL",
    "OPSET_VERSION",
    "SIGNED_BURST_IF",
    "Cell",
]
