"""Errors: one root, one line each, and every refusal of a graph in it."""

from __future__ import annotations

import pytest

from onnx2snn import errors
from onnx2snn.errors import (
    ModelError,
    Onnx2SnnError,
    Refusal,
    UnsupportedGraphError,
    first_line,
    one_line,
    shape_text,
)

LOOP = Refusal("loop", "Loop", "its body may change", "unroll it")
NOISE = Refusal("noise", "Noise (my.domain)", "nobody knows it", "export without it")


def test_every_error_has_the_same_root():
    found = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert found == {
        "Onnx2SnnError",
        "ModelError",
        "DataError",
        "OptionError",
        "OutputError",
        "UnsupportedGraphError",
    }
    assert all(issubclass(getattr(errors, name), Onnx2SnnError) for name in found)
    assert issubclass(UnsupportedGraphError, ModelError)
    assert not issubclass(Onnx2SnnError, ValueError)


def test_a_refusal_is_a_sentence():
    assert str(LOOP) == "node 'loop' (Loop): its body may change; unroll it"


def test_all_refusals_are_one_line():
    error = UnsupportedGraphError([LOOP, NOISE])
    assert error.refusals == (LOOP, NOISE)
    assert str(error) == (
        "node 'loop' (Loop): its body may change; unroll it"
        " | node 'noise' (Noise (my.domain)): nobody knows it; export without it"
    )
    assert str(UnsupportedGraphError([LOOP])) == str(LOOP)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("one line"), "one line"),
        (ValueError("\n  \n  first.  \nsecond."), "first"),
        (ValueError("ends so ..."), "ends so "),
        (ValueError(""), "ValueError"),
        (KeyError(), "KeyError"),
        (MemoryError(" \n "), "MemoryError"),
    ],
)
def test_the_first_line_that_says_something(error, expected):
    assert first_line(error) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), "[]"), ((3,), "[3]"), (("N", 3, None), "[N, 3, None]"), ([1, 2, 3], "[1, 2, 3]")],
)
def test_shapes_in_messages(shape, expected):
    assert shape_text(shape) == expected


def test_a_whole_text_on_one_line():
    assert one_line(ValueError("no\n  such\tkey")) == "no such key"
    assert one_line(KeyError()) == "KeyError"
