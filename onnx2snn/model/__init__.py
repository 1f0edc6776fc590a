"""Model files: loading, checking and upgrading a user's ONNX model, and writing files whole or not at all.

Everything here works on `onnx.ModelProto`; what a graph *is* stands in `onnx2snn.graph`.
"""
