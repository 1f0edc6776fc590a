"""Compile a trained ANN (ONNX) into a spiking neural network (ONNX) that runs in a stock onnxruntime."""

__version__ = "0.1.0"

from onnx2snn.calibration.preprocessing import Preprocessing
from onnx2snn.compiler import CompiledModel, compile, inspect  # noqa: A004 - the public verb
from onnx2snn.errors import (
    DataError,
    ModelError,
    Onnx2SnnError,
    OptionError,
    OutputError,
    UnsupportedGraphError,
)
from onnx2snn.options import CompileOptions
from onnx2snn.runtime.session import SpikingSession

__all__ = [
    "CompileOptions",
    "CompiledModel",
    "DataError",
    "ModelError",
    "Onnx2SnnError",
    "OptionError",
    "OutputError",
    "Preprocessing",
    "SpikingSession",
    "UnsupportedGraphError",
    "__version__",
    "compile",
    "inspect",
]
