"""Quantised ReLU: the normal form of the activation that quantisation-aware training exports.

    y = q·clip(floor(x/q + 1/2), 0, N)

It stands in the graph between recognition and conversion only; the artifact has a `QuantizedIF` in its place.
"""

from __future__ import annotations

from onnx2snn.ops.cell import function_body

QUANTIZED_RELU = function_body("""
QuantizedRelu <levels> (x, step) => (y) {
    limit = Constant <value_int: int = @levels> ()
    most = CastLike (limit, x)
    half = Constant <value_float: float = 0.5> ()
    shift = CastLike (half, x)
    ratio = Div (x, step)
    shifted = Add (ratio, shift)
    whole = Floor (shifted)
    positive = Relu (whole)
    level = Min (positive, most)
    y = Mul (level, step)
}
""")
