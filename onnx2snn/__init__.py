"""Compile a trained ANN (ONNX) into a spiking neural network (ONNX) that runs in a stock onnxruntime."""

__version__ = "0.1.0"
