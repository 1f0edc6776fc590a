"""How many spikes a sample may take."""

from __future__ import annotations

import math

from onnx2snn.errors import OptionError


def parse_budget(budget: object) -> tuple[float, bool]:
    """A spike budget, and whether it is a share of what the net sends without it.

    Raises:
        OptionError: neither a number of spikes above zero nor a percentage above zero.
    """
    text = str(budget).strip()
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if isinstance(budget, bool) or not 0 < value < math.inf:
        raise OptionError(
            f"--spike-budget: expected spikes a sample, such as 200000, or a share, such as 50%, found "
            f"{budget!r}; leave it out for 100%"
        )
    return (value / 100, True) if text.endswith("%") else (value, False)
