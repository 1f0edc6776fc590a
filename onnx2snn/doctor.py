"""What an installation consists of: versions, native kernels, what onnxruntime runs on, extras."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, metadata, version
from typing import Any

from packaging.requirements import Requirement

import onnx2snn
from onnx2snn.runtime.engines import available_providers, onnxruntime_version
from onnx2snn.runtime.native import find_kernels

#: What the package cannot do without, and whose version decides what works.
_CORE = ("onnx", "onnxruntime", "onnx-graphsurgeon", "numpy")


def examine() -> dict[str, Any]:
    """Versions, `native` (the library, or the reason why there is none), providers, and extras.

    Of every extra: the packages of it that are not installed; an empty list where it is complete.
    """
    kernels = find_kernels()
    return {
        "versions": {
            "onnx2snn": onnx2snn.__version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _CORE},
        },
        "platform": platform.platform(),
        "native": {
            "library": None if kernels.path is None else str(kernels.path),
            "reason": kernels.reason,
        },
        "providers": available_providers(),
        "extras": _extras(),
    }


def _version(name: str) -> str:
    """Of an installed package; onnxruntime has other names where it brings other providers."""
    return onnxruntime_version() if name == "onnxruntime" else version(name)


def _extras() -> dict[str, list[str]]:
    """Extra → its packages that are missing."""
    missing: dict[str, list[str]] = {}
    package = metadata("onnx2snn")
    requirements = [Requirement(line) for line in package.get_all("Requires-Dist", [])]
    for extra in package.get_all("Provides-Extra", []):
        needed = [r for r in requirements if r.marker is not None and r.marker.evaluate({"extra": extra})]
        missing[extra] = [requirement.name for requirement in needed if not _is_installed(requirement)]
    return missing


def _is_installed(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
