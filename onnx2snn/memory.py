"""How much memory there is, how much the process has taken, and how it is written: `2GiB`."""

from __future__ import annotations

import math
import os
import re
import sys
from pathlib import Path

from onnx2snn.errors import OptionError

#: Without a bound from the user: a share of the system's memory, and at most so much.
_SHARE, _MOST = 8, 3 << 29
#: Where the system does not tell.
_UNKNOWN = 1 << 30

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def parse_memory(size: object) -> int:
    """Bytes of a size such as 2GiB, 512 MB or 1073741824: units are powers of 1024.

    Raises:
        OptionError: no size above zero.
    """
    found = _WRITTEN.fullmatch(str(size).strip())
    value = float(found[1]) * _UNITS[found[2].upper()] if found else math.nan
    if isinstance(size, bool) or not 1 <= value < 1 << 60:
        raise OptionError(
            f"--memory: expected a size, such as 2GiB or 512MiB, found {size!r}; leave it out for a share of "
            "what the system has"
        )
    return int(value)


def write_memory(size: float) -> str:
    """A size in MiB, a small one in KiB, rounded up: what to give so that it is enough."""
    return f"{math.ceil(size / 2**20)}MiB" if size > 2**20 else f"{math.ceil(size / 2**10)}KiB"


def default_memory() -> int:
    """What a compilation may hold of activations and spikes where the user names no bound."""
    try:
        system = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows, or a system that does not tell
        return _UNKNOWN
    return min(_MOST, max(system // _SHARE, 1))


def peak_memory() -> int | None:
    """The most bytes that the process has had in memory so far; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent had when it started the process
        peak = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM")), None)
        if peak is not None:
            return int(peak.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
