"""Names of a user's model as they may be shown."""

from __future__ import annotations

import json

import pytest

from onnx2snn.printable import escaped, shown, shown_lines


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/layer1/Relu_1", "/layer1/Relu_1"),
        ("θ ≥ 3 µJ", "θ ≥ 3 µJ"),
        ("a\x1b[2Jb", "a�[2Jb"),  # ESC: clears the screen
        ("a\x1b]0;title\x07b", "a�]0;title�b"),  # OSC: sets the window's title
        ("a\x9b31mb", "a�31mb"),  # the same as ESC [ in one character
        ("a\rb\x08\x00\x7f", "a�b���"),
        ("a\nb\u202e", "a�b�"),
    ],
)
def test_a_name_is_one_line_that_moves_no_cursor(name, expected):
    assert shown(name) == expected


def test_lines_stay_lines():
    assert shown_lines("one\x1b\ntwo\n") == "one�\ntwo\n"


def test_json_means_the_same_without_what_a_terminal_obeys():
    content = {"a\x9b31m": ["\x1b]0;t\x07", "θ\x7f", "\u202e", "plain"]}
    text = escaped(json.dumps(content, indent=2, ensure_ascii=False))
    assert json.loads(text) == content
    assert text.replace("\n", "").isprintable()
    assert "θ" in text
    plain = '{\n  "a": "θ"\n}'
    assert escaped(plain) == plain
