"""What an installation consists of: versions, native kernels, what onnxruntime runs on, extras, tools."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, metadata, version
from typing import Any

from packaging.requirements import Requirement

import onnx2snn
from onnx2snn.engine.engines import available_providers, onnxruntime_version
from onnx2snn.engine.native import find_kernels

#: What the package cannot do without, and whose version decides what works.
_CORE = ("onnx", "onnxruntime", "onnx-graphsurgeon", "numpy")
#: Programs beside Python → the command that needs them, and how to get them.
_TOOLS = {"npm": ("web", "install Node.js")}
#: Seconds in which a program says its version.
_PATIENCE = 10


def examine() -> dict[str, Any]:
    """Versions, `native` (the library, or the reason why there is none), providers, extras, and tools.

    Of every extra: the packages of it that are not installed; an empty list where it is complete. Of every
    tool: its version, None where it is not there, the command that needs it and how to get it.
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
        "tools": {
            name: {"version": _tool(name), "for": command, "remedy": remedy}
            for name, (command, remedy) in _TOOLS.items()
        },
    }


def _tool(name: str) -> str | None:
    """The version of a program on the PATH; None for none that runs."""
    program = shutil.which(name)
    if program is None:
        return None
    try:
        result = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


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
