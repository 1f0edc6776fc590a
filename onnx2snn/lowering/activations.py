"""GELU in onnxruntime's four spellings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from onnx2snn.lowering.writer import Writer


def write_gelu(w: Writer, *, approximate: str) -> None:
    """Gelu, BiasGelu and FastGelu: Gelu(x + b), by erf or by tanh."""
    source = w.input(0)
    if w.input(1):
        source = w.put("Add", source, w.input(1), part="bias")
    w.put("Gelu", source, out=w.node.output[0], approximate=approximate)


def write_quick_gelu(w: Writer) -> None:
    """QuickGelu: x·Sigmoid(alpha·x)."""
    source = w.input(0)
    alpha = w.number(w.attribute("alpha", 1.702), "alpha", w.element(source))
    gate = w.put("Sigmoid", w.put("Mul", source, alpha, part="scaled"))
    w.put("Mul", source, gate, part="gated", out=w.node.output[0])


def write_gemm_gelu(w: Writer) -> None:
    """GemmFastGelu: Gelu(x·w + b) by tanh."""
    made = w.put("MatMul", w.input(0), w.input(1))
    if w.input(2):
        made = w.put("Add", made, w.input(2), part="bias")
    w.put("Gelu", made, part="activation", out=w.node.output[0], approximate="tanh")


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {
    ("com.microsoft", "Gelu"): partial(write_gelu, approximate="none"),
    ("com.microsoft", "BiasGelu"): partial(write_gelu, approximate="none"),
    ("com.microsoft", "FastGelu"): partial(write_gelu, approximate="tanh"),
    ("com.microsoft", "QuickGelu"): write_quick_gelu,
    ("com.microsoft", "GemmFastGelu"): write_gemm_gelu,
}
