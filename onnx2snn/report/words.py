"""How figures and names are written."""

from __future__ import annotations

import ntpath
import posixpath
from collections.abc import Sequence

from onnx2snn.analysis.energy import format_joules
from onnx2snn.printable import shown as shown

_UNITS = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"))
#: A space at which no line ends.
_SPACE = "\u00a0"


def percent(value: float | None, digits: int = 1) -> str:
    """A share: 0.9225 → 92.2 %; nothing for None."""
    return "" if value is None else f"{100 * value:.{digits}f}{_SPACE}%"


def points(value: float) -> str:
    """A difference of two shares, with its sign: -0.008 → −0.8 points."""
    rounded = round(100 * value, 1)
    sign = "−" if rounded < 0 else "+" if rounded > 0 else "±"
    return f"{sign}{abs(rounded):.1f} points"


def count(value: float) -> str:
    """A number of things: 884940.66 → 884,941; small means keep what they have."""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def joules(value: float) -> str:
    """An energy in the unit that fits it: 0.000141 → 141 µJ."""
    return format_joules(value).replace(" ", _SPACE)


def energy_unit(value: float) -> tuple[float, str]:
    """The largest unit that leaves at least 1, as joules and its name."""
    return next((unit for unit in _UNITS if value >= unit[0]), _UNITS[-1])


def timesteps(number: int) -> str:
    """1 timestep, 8 timesteps."""
    return f"{number} timestep{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    """Text with a capital at its beginning; the others stay."""
    return text[:1].upper() + text[1:]


def large(value: float) -> str:
    """A number in few characters: 884940 → 885 k."""
    for limit, scale, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= limit:
            return f"{value / scale:.3g}{_SPACE}{letter}"
    return count(value)


def power(exponent: int) -> str:
    """A power of ten, for an axis: 6 → 10⁶."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def file_name(path: object) -> str:
    """The last part of a path, of any system: a report tells nothing of the disk that it was made on."""
    text = str(path).rstrip("/\\")
    return ntpath.basename(posixpath.basename(text)) or text


def short(name: object, most: int = 26) -> str:
    """A name for an axis; a long one loses folders at its beginning, since its end tells layers apart."""
    text = shown(name)
    if len(text) <= most:
        return text
    kept = text[1 - most :]
    whole = kept.find("/")
    return "…" + (kept[whole:] if 0 <= whole < len(kept) // 2 else kept)


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
