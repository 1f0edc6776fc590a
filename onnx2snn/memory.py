"""How much memory the process has taken."""

from __future__ import annotations

import sys


def peak_memory() -> int | None:
    """The most bytes that the process has had in memory so far; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
