"""Words of Prophesee's formats, written out by hand; and files that expelliarmus 1.1.12 has written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.data import prophesee
from onnx2snn.data.prophesee import decode
from onnx2snn.errors import DataError


def rows(content: bytes) -> list[list[int]]:
    columns, _ = decode("d.raw", content)
    return np.column_stack([columns[name] for name in ("x", "y", "polarity", "time")]).tolist()


def evt3(*words: int, header: bytes = b"% evt 3.0\n% end\n") -> bytes:
    return header + np.array(words, "<u2").tobytes()


def evt2(*words: int) -> bytes:
    return b"% date 2026-01-01\n% evt 2.0\n% geometry 640x480\n" + np.array(words, "<u4").tobytes()


def dat(words: Sequence[int], header: bytes = b"% Data file containing CD events.\n% Version 2\n") -> bytes:
    return header + b"\x0c\x08" + np.array(words, "<u8").tobytes()


def test_evt2() -> None:
    found = rows(
        evt2(
            0x0FC00000,  # before any time: has none
            0x80000002,  # the high bits: 2 · 64 µs
            0x10C01803,  # brighter, 3 µs later, x 3, y 3
            0x0FFFFFFF,  # darker, 63 µs later, x 2047, y 2047
            0xA0000000,  # a trigger is no event
            0x80000003,
            0x1000F004,
        )
    )
    assert found == [[3, 3, 1, 131], [2047, 2047, 0, 191], [30, 4, 1, 192]]


def test_the_clock_of_evt2_begins_anew() -> None:
    found = rows(evt2(0x8FFFFFFF, 0x0FC00000, 0x80000000, 0x00000000))
    assert [time for *_, time in found] == [(1 << 34) - 1, 1 << 34]


def test_evt3_pixels() -> None:
    found = rows(
        evt3(
            0x2005,  # before any time and row
            0x8001,  # high: 4096 µs
            0x6005,  # low: 5
            0x0007,  # row 7
            0x2803,  # brighter at 3
            0x2004,  # darker at 4
            0x8002,  # high: 8192 µs, low bits begin at 0
            0x2005,
            0xE000,  # of another kind
            0x6001,
            0x0808,  # row 8, of the second sensor: a bit that says nothing here
            0x2006,
        )
    )
    assert found == [[3, 7, 1, 4101], [4, 7, 0, 4101], [5, 7, 0, 8192], [6, 8, 0, 8193]]


def test_evt3_vectors() -> None:
    found = rows(
        evt3(
            0x8000,
            0x6009,
            0x0002,
            0x4001,  # without a first pixel
            0x3864,  # from 100 on, brighter
            0x4801,  # 12 pixels: the first, the last
            0x4000,
            0x5FF1,  # 8 pixels: 124 and 128 … 131; bits past 8 say nothing
            0x3000,  # from 0 on, darker
            0x5002,
        )
    )
    columns = [100, 111, 124, 128, 129, 130, 131]
    assert found == [*([x, 2, 1, 9] for x in columns), [1, 2, 0, 9]]


def test_the_clock_of_evt3_begins_anew() -> None:
    found = rows(evt3(0x0000, 0x8FFF, 0x6FFF, 0x2000, 0x8000, 0x6000, 0x2001))
    assert [time for *_, time in found] == [(1 << 24) - 1, 1 << 24]


def test_dat() -> None:
    words = [5 | (3 | 2 << 14 | 1 << 28) << 32, 0xFFFFFFFF | 303 << 32, 0 | (239 << 14) << 32]
    assert rows(dat(words)) == [[3, 2, 1, 5], [303, 0, 0, (1 << 32) - 1], [0, 239, 0, 1 << 32]]


@pytest.mark.parametrize(
    ("header", "body"),
    [
        # Its files of EVT2 begin with thousands of the first word.
        (
            b"% Date 1970-12-25 07:51:03 \n% evt 2.0 \n% system_ID 21 \n",
            "01000080 01000080 04188011 0628c001",
        ),
        (b"% Date 1970-12-25 07:51:03 \n% evt 3.0 \n", "0400 0080 4660 0328 0600 4760 0520"),
        (b"% Data file containing CD events \n% Version 2 \n", "0008 4600000003000110 4700000005800100"),
    ],
)
def test_files_of_expelliarmus(header: bytes, body: str) -> None:
    """`Wizard(…).save` of events (x, y, p, t) = (3, 4, 1, 70), (5, 6, 0, 71), with fewer lines of header."""
    assert rows(header + bytes.fromhex(body)) == [[3, 4, 1, 70], [5, 6, 0, 71]]
    assert decode("d", header + bytes.fromhex(body))[1] is None


@pytest.mark.parametrize(
    "header",
    [
        b"% evt 3.0\n% geometry 1280x720\n",
        b"% format EVT3;height=720;width=1280\n% end\n",
        b"% Data file containing Event2D events.\n% Version 2\n% Height 720\n% Width 1280\n",
    ],
)
def test_the_header_names_the_sensor(header: bytes) -> None:
    assert decode("d", header + b"\x00\x08")[1] == (720, 1280)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "d: expected a recording of Prophesee as EVT2, EVT3 or DAT, found none of these names"),
        (b"% evt 2.1\n", "found EVT2.1; convert it"),
        (b"% format EVT4;height=1\n", "found EVT4; convert it"),
        (evt3(1, 2)[:-1], r"d: expected words of 2 bytes, found 3 bytes behind the header; the file is cut"),
        (evt2(1, 2)[:-2], r"d: expected words of 4 bytes, found 6 bytes"),
        (dat([1, 2])[:-3], r"d: expected words of 8 bytes, found 13 bytes"),
    ],
)
def test_refuses_other_files(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode("d", content)


def test_a_file_without_events() -> None:
    for content in (b"% evt 3.0", evt3(), evt3(0x8000, 0x6000), evt2(), evt2(0x10C01803), dat([])):
        assert rows(content) == []


def one_by_one(words: Sequence[int]) -> list[list[int]]:
    """EVT3 read as a camera's words are: each changes the state, or is an event."""
    found: list[list[int]] = []
    row = high = low = base = None
    polarity = turns = 0
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 0x0:
            row = value & 0x7FF
        elif kind == 0x8:
            turns += high is not None and high - value > 1 << 11
            high, low = value, 0
        elif kind == 0x6:
            low = value
        elif kind == 0x3:
            base, polarity = value & 0x7FF, value >> 11
        places = []
        if kind == 0x2:
            places = [(value & 0x7FF, value >> 11)]
        elif kind in (0x4, 0x5) and base is not None:
            width = 12 if kind == 0x4 else 8
            places = [(base + bit, polarity) for bit in range(width) if value >> bit & 1]
            base += width
        if row is not None and high is not None and low is not None:
            time = (turns << 12 | high) << 12 | low
            found += [[x, row, on, time] for x, on in places]
    return found


KINDS = [0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xA, 0xE]


WORDS = st.lists(
    st.builds(lambda kind, value: kind << 12 | value, st.sampled_from(KINDS), st.integers(0, 4095))
)


@given(words=WORDS)
def test_all_at_once_is_one_by_one(words: list[int]) -> None:
    assert rows(evt3(*words)) == one_by_one(words)


@given(words=WORDS, piece=st.integers(1, 7))
def test_pieces_make_no_difference(words: list[int], piece: int) -> None:
    """Places past 2047 are on no sensor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prophesee, "_PIECE", piece)
        found = rows(evt3(*words))
        low = rows(evt2(*[(word & 0x8FFF) << 16 | word >> 4 for word in words]))
    assert [event for event in found if event[0] < 2048] == [e for e in one_by_one(words) if e[0] < 2048]
    assert low == rows(evt2(*[(word & 0x8FFF) << 16 | word >> 4 for word in words]))
