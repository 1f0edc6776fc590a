"""Native kernels: spiking operators compiled for the machine, in the place of their function bodies.

The library is built with the package where a C++ compiler and onnxruntime's headers are found (see
`tools/fetch_onnxruntime_headers.sh`). Everything runs without it as well, with the same results.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import onnxruntime

from onnx2snn.errors import first_line

logger = logging.getLogger(__name__)

# onnxruntime's own exceptions share no base below Exception.
_OWN_ERRORS = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
#: What onnxruntime raises when it cannot load or run something.
RUN_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(error for error in _OWN_ERRORS if isinstance(error, type) and issubclass(error, Exception)),
)

#: The environment variable that, as `0`, keeps the kernels from being used, and from being built.
SWITCH = "ONNX2SNN_NATIVE"

_FILE = f"onnx2snn_kernels{'.dll' if sys.platform == 'win32' else '.so'}"


@dataclass(frozen=True)
class Kernels:
    """What became of the native kernels.

    Attributes:
        path: the loaded library, None without one.
        reason: why there is none; empty where there is.
    """

    path: Path | None
    reason: str = ""


def find_kernels() -> Kernels:
    """The kernels for this process; a line in the log says once why there are none."""
    if os.environ.get(SWITCH) == "0":
        return _none(f"{SWITCH}=0", logging.INFO)
    path = _built()
    if path is None:
        return _none("the package was built without them", logging.INFO)
    return _load(path)


@cache
def _load(path: Path) -> Kernels:
    try:
        onnxruntime.SessionOptions().register_custom_ops_library(str(path))
    except RUN_ERRORS as error:
        why = first_line(error).rpartition("with error: ")[2].removeprefix(f"{path}: ")
        return _none(f"onnxruntime {onnxruntime.__version__} cannot load {path} ({why})")
    return Kernels(path)


@cache
def _none(reason: str, level: int = logging.WARNING) -> Kernels:
    logger.log(level, "no native kernels: %s; the operators' function bodies give the same results", reason)
    return Kernels(None, reason)


def _built() -> Path | None:
    """The library, beside this file or, where the package is installed from a checkout, in site-packages."""
    candidates = [Path(__file__).with_name(_FILE)]
    try:
        installed = distribution("onnx2snn").locate_file(f"onnx2snn/engine/native/{_FILE}")
        candidates.append(Path(str(installed)))
    except PackageNotFoundError:
        pass
    return next((path for path in candidates if path.is_file()), None)
