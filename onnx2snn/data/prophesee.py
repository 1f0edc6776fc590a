"""Event recordings of Prophesee's cameras: `.raw` files of EVT2 and EVT3 words, `.dat` files of CD events.

The formats are those of https://docs.prophesee.ai/stable/data/encoding_formats/ and …/data/file_formats/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import DataError

Words = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]

#: EVT2: darker and brighter, and the high bits of the time.
_OFF, _ON, _HIGH2 = 0x0, 0x1, 0x8
#: EVT3: a row, a pixel, the first pixel of a vector, vectors, low and high bits of the time.
_Y, _X, _BASE, _VECTOR12, _VECTOR8, _LOW, _HIGH3 = 0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x8
_BITS = np.arange(12)
#: Words that are decoded at once: their states take some hundred bytes each.
_PIECE = 1 << 22
_KINDS = {"x": np.uint16, "y": np.uint16, "polarity": np.uint8, "time": np.int64}


def decode(where: str, content: bytes) -> tuple[Columns, tuple[int, int] | None]:
    """The columns of the events of a `.raw` or a `.dat`, and the sensor's height and width where named.

    Raises:
        DataError: another format, or a last event that is cut.
    """
    end = 0
    while content[end : end + 2] == b"% ":
        end = (content.find(b"\n", end) + 1) or len(content)
    header = content[:end].decode("ascii", "replace").lower()
    kind = re.search(r"^% (?:evt |format evt)([\d.]+)", header, re.MULTILINE)
    is_dat = re.search(r"^% (?:data file containing|version|height|width)", header, re.MULTILINE)
    version = kind[1].removesuffix(".0") if kind else "dat" if is_dat else ""
    decoders = {"2": (_in_pieces(_evt2), "<u4"), "3": (_in_pieces(_evt3), "<u2"), "dat": (_dat, "<u8")}
    if version not in decoders:
        found = f"EVT{version}" if version else "none of these names in its header"
        raise DataError(
            f"{where}: expected a recording of Prophesee as EVT2, EVT3 or DAT, found {found}; "
            "convert it, with metavision_file_to_dat for one"
        )
    decoder, dtype = decoders[version]
    if version == "dat":
        end += 2  # type and size of its events
    size, left = np.dtype(dtype).itemsize, max(0, len(content) - end)
    if left % size:
        raise DataError(
            f"{where}: expected words of {size} bytes, found {left} bytes behind the header; "
            "the file is cut: copy it again"
        )
    words = np.frombuffer(content, dtype, left // size, min(end, len(content)))
    return decoder(words), _sensor(header)


def _sensor(header: str) -> tuple[int, int] | None:
    if found := re.search(r"^% geometry (\d+)x(\d+)", header, re.MULTILINE):
        return int(found[2]), int(found[1])
    height, width = (
        re.search(rf"^% (?:{name} |format .*\b{name}=)(\d+)", header, re.MULTILINE)
        for name in ("height", "width")
    )
    return (int(height[1]), int(width[1])) if height and width else None


def _in_pieces(
    decode_piece: Callable[[Words], tuple[Columns, int, Sequence[int]]],
) -> Callable[[NDArray[Any]], Columns]:
    """A decoder that holds the states of some words only: see what `_evt2` and `_evt3` return."""

    def decode_all(words: NDArray[Any]) -> Columns:
        pieces: dict[str, list[NDArray[Any]]] = {name: [np.zeros(0, kind)] for name, kind in _KINDS.items()}
        before: Sequence[int] = ()
        clock = 0
        for start in range(0, len(words), _PIECE):
            piece = np.concatenate([np.array(before, np.int64), words[start : start + _PIECE]])
            columns, turned, before = decode_piece(piece)
            for name, kind in _KINDS.items():
                pieces[name].append((columns[name] + (clock if name == "time" else 0)).astype(kind))
            clock += turned
        return {name: np.concatenate(arrays) for name, arrays in pieces.items()}

    return decode_all


def _dat(stored: NDArray[Any]) -> Columns:
    """64 bits an event: 32 of time, 14 of x, 14 of y, 4 of polarity."""
    words = stored.astype(np.int64)
    time, place = words & 0xFFFFFFFF, words >> 32
    wraps = np.cumsum(_turns(time, 32))
    return {
        "x": place & 0x3FFF,
        "y": place >> 14 & 0x3FFF,
        "polarity": place >> 28 & 1,
        "time": time + (wraps << 32),
    }


def _evt2(words: Words) -> tuple[Columns, int, Sequence[int]]:
    """32 bits a word: an event with the 6 low bits of its time, or the 28 high ones of those that follow.

    Returns:
        The columns; the µs by which the clock has begun anew; words that have the state behind the last one.
    """
    kind, high = words >> 28, _last(words >> 28 == _HIGH2)
    events = (kind <= _ON) & (high >= 0)
    highs = words & 0x0FFFFFFF
    wraps = _wraps(highs, kind == _HIGH2, 28)
    found = words[events]
    time = (wraps[events] << 28 | highs[high[events]]) << 6 | found >> 22 & 0x3F
    columns = {"x": found >> 11 & 0x7FF, "y": found & 0x7FF, "polarity": found >> 28, "time": time}
    return columns, int(wraps[-1]) << 34, [int(words[place]) for place in high[-1:] if place >= 0]


def _evt3(words: Words) -> tuple[Columns, int, Sequence[int]]:
    """16 bits a word, which set row, time or first pixel; pixels and vectors of pixels are events.

    Returns:
        The columns; the µs by which the clock has begun anew; words that have the state behind the last one.
    """
    kind, value = words >> 12, words & 0xFFF
    row, high, low, base = (_last(kind == which) for which in (_Y, _HIGH3, _LOW, _BASE))
    is_vector = (kind == _VECTOR12) | (kind == _VECTOR8)
    width = np.where(kind == _VECTOR12, 12, np.where(kind == _VECTOR8, 8, 0))
    before = np.cumsum(width) - width
    # What comes before the first row and the first time has no place in either.
    events = np.flatnonzero(((kind == _X) | (is_vector & (base >= 0))) & (row >= 0) & (high >= 0))
    vectors = is_vector[events]
    valid = np.where(kind[events] == _VECTOR8, value[events] & 0xFF, value[events])
    word, bit = np.nonzero(np.where(vectors, valid, 1)[:, np.newaxis] >> _BITS & 1)
    first = np.where(vectors, value[base[events]], value[events])
    start = (first & 0x7FF) + np.where(vectors, before[events] - before[base[events]], 0)
    # Low bits are of the high ones before them: behind new ones they begin at 0.
    lows = np.where(low[events] > high[events], value[low[events]], 0)
    wraps = _wraps(value, kind == _HIGH3, 12)
    time = (wraps[events] << 12 | value[high[events]]) << 12 | lows
    columns = {
        "x": start[word] + bit,
        "y": (value[row[events]] & 0x7FF)[word],
        "polarity": (first >> 11)[word],
        "time": time[word],
    }
    state = [int(words[place[-1]]) for place in (high, row) if place[-1] >= 0]
    state += [int(words[low[-1]])] if low[-1] > high[-1] else []
    if base[-1] >= 0:
        moved = int((value[base[-1]] & 0x7FF) + before[-1] + width[-1] - before[base[-1]])
        # No sensor has a pixel there: a vector without a first one is none.
        state += [int(words[base[-1]]) & ~0x7FF | moved] if moved <= 0x7FF else []
    return columns, int(wraps[-1]) << 24, state


def _last(marked: NDArray[np.bool_]) -> Words:
    """For every word the place of the last marked one up to it, -1 before the first."""
    return np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))


def _turns(clock: Words, bits: int) -> NDArray[np.bool_]:
    """Where a clock of so many bits has begun anew: it is back by more than half of what it can tell."""
    return np.diff(clock, prepend=clock[:1]) < -(1 << bits - 1)


def _wraps(values: Words, marked: NDArray[np.bool_], bits: int) -> Words:
    """How often a clock that marked words tell has begun anew, up to each word."""
    turns = np.zeros(len(values), np.int64)
    turns[marked] = _turns(values[marked], bits)
    return np.cumsum(turns)
