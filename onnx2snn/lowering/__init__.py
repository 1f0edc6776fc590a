"""Operators that ONNX does not define, or defines on integers, written out in ONNX's own, on floats."""
