"""A function of the user's: found, called, and refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.errors import OptionError
from onnx2snn.tasks.decode import load_decode, read_outputs
from onnx2snn.tasks.detect import DETECT
from onnx2snn.tasks.regress import REGRESS

OUTPUTS = {"y": np.arange(6.0).reshape(3, 2), "z": np.zeros(3)}


def test_a_module_of_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "decode_of_mine.py").write_text("def halves(outputs):\n    return outputs['y'] / 2\n")
    monkeypatch.chdir(tmp_path)
    decode = load_decode("decode_of_mine:halves")
    assert read_outputs(REGRESS, OUTPUTS, 2, decode).tolist() == [[0, 0.5], [1, 1.5]]


def test_without_a_function_the_first_output_counts():
    assert read_outputs(REGRESS, OUTPUTS, 2, None).tolist() == [[0, 1], [2, 3]]


def test_a_function_may_give_boxes_sample_by_sample():
    def boxes(outputs):
        return [(np.float32([[0, 0, 1, 1]]), [0.5], [k]) for k, _ in enumerate(outputs["y"])]

    found = read_outputs(DETECT, OUTPUTS, 2, boxes)
    assert [one.classes.tolist() for one in found] == [[0], [1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("numpy", "expected module:function, found 'numpy'"),
        (":sqrt", "expected module:function, found ':sqrt'"),
        (
            "no_such_module:f",
            "a module 'no_such_module' here or installed, cannot be imported .ModuleNotFound",
        ),
        ("math:roots", "expected a function 'roots' in module 'math', found nothing of that name"),
        ("math:pi", "expected a function 'pi' in module 'math', found float"),
        ("broken_of_mine:f", "cannot be imported .SyntaxError: "),
    ],
)
def test_no_such_function(text, message, tmp_path, monkeypatch):
    (tmp_path / "broken_of_mine.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=message) as caught:
        load_decode(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (
            lambda outputs: outputs["logits"],
            "function of the outputs by name .y, z., it raised KeyError: 'logits'",
        ),
        (lambda _: [1, 2], "an array with a row for each of 2 samples, found list"),
        (lambda outputs: outputs["y"][:1], r"a row for each of 2 samples, found float64 \[1, 2\]"),
    ],
)
def test_a_function_that_fails(decode, message):
    with pytest.raises(OptionError, match=message):
        read_outputs(REGRESS, OUTPUTS, 2, decode)
