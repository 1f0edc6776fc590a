"""How much memory there is, how much the process has taken, and how it is written: `2GiB`."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from onnx2snn.errors import OptionError

#: Without a bound from the user: a share of the system's memory, and at most so much.
_SHARE, _MOST = 8, 3 << 29
#: Where the system does not tell.
_UNKNOWN = 1 << 30

#: Of the bound, for the activations of a batch; and for those of one sample, where they are more.
_BATCH_SHARE, _LEAST_SHARE = 1 / 8, 1 / 2

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


@dataclass(frozen=True)
class MemoryBound:
    """What a compilation may hold of activations and spikes.

    Attributes:
        size: bytes.
        strict: whether the user named it; what one sample alone takes may else go beyond it.
    """

    size: int
    strict: bool = True

    def batch(self, sample: int, most: int, fixed: int | None = None) -> int:
        """The largest batch of at most `most` samples, or of the model's own number, that its share holds.

        Where that does not hold one, one is taken: half of all holds it, or the bound is too small.

        Args:
            sample: bytes that one sample takes.
            most: samples, where the model takes any number.
            fixed: the only number that the model takes; None for any.

        Raises:
            OptionError: the user's bound does not hold one batch.
        """
        least = sample * (fixed or 1)
        if self.strict and least > self.size * _LEAST_SHARE:
            what = "one sample takes" if fixed is None else f"one batch of {fixed} samples takes"
            raise OptionError(
                f"--memory: expected at least {write_memory(least / _LEAST_SHARE)}, since {what} "
                f"{write_memory(least)} of activations, found {write_memory(self.size)}; give more"
            )
        return fixed or max(1, min(most, int(self.size * _BATCH_SHARE) // max(1, sample)))


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
