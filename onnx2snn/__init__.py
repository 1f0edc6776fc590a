"""Compile a trained ANN (ONNX) into a spiking neural network (ONNX) that runs in a stock onnxruntime."""

__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx2snn.analysis.search import compile  # noqa: A004 - the public verb
    from onnx2snn.compiler.compiler import CompiledModel, inspect
    from onnx2snn.data.preprocessing import Preprocessing
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

#: Where public names are; imported when they are first used, so that the command line answers at once.
_HOMES = {
    "CompileOptions": "options",
    "CompiledModel": "compiler.compiler",
    "Preprocessing": "data.preprocessing",
    "SpikingSession": "runtime.session",
    "compile": "analysis.search",
    "inspect": "compiler.compiler",
    **{name: "errors" for name in __all__ if name.endswith("Error")},
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What is here, imported or not."""
    return sorted({*globals(), *__all__})
