"""Running one ONNX graph, whatever it is: onnxruntime, NumPy or native kernels.

Knows graphs and arrays, no timesteps: those are in `onnx2snn.runtime`.
"""
