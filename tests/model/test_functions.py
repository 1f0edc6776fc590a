"""Local functions that cannot be written out, or make more than memory holds, are refused before that."""

from __future__ import annotations

import onnx
import pytest

from onnx2snn.errors import ModelError
from onnx2snn.model import functions
from onnx2snn.model.functions import check_functions


def model(body: str, *texts: str) -> onnx.ModelProto:
    """A model of local functions of the domain `o`, each `NAME (x) => (y) { … }`."""
    made = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21, "o" : 1]> g (float[N,4] x) => (float[N,4] y) {{ {body} }}'
    )
    for text in texts:
        made.functions.append(
            onnx.parser.parse_function(f'<domain: "o", opset_import: ["" : 21, "o" : 1]> {text}')
        )
    return made


def doubling(depth: int) -> list[str]:
    """Functions that each call the one before twice: 2^depth nodes."""
    calls = (f"F{n + 1} (x) => (y) {{ t = o.F{n} (x) y = o.F{n} (t) }}" for n in range(depth))
    return ["F0 (x) => (y) { y = Relu (x) }", *calls]


def test_what_can_be_written_out():
    check_functions(model("y = Relu (x)"), "net.onnx")
    check_functions(model("y = o.F3 (x)", *doubling(3)), "net.onnx")
    check_functions(model("y = o.F (x)", "F (x, z) => (y, more) { y = Relu (x) more = Neg (x) }"), "net.onnx")


@pytest.mark.parametrize("depth", [18, 64, 900])
def test_functions_that_make_too_many_nodes(depth):
    with pytest.raises(ModelError, match=r"net\.onnx: expected functions that make at most 262,144 nodes"):
        check_functions(model(f"y = o.F{depth} (x) z = Neg (y)", *doubling(depth)), "net.onnx")


def test_functions_that_make_too_many_bytes(monkeypatch):
    called = model("y = o.F6 (x)", *doubling(6))
    size = 64 * called.functions[0].node[0].ByteSize()
    for most in (size, size - 1):
        monkeypatch.setattr(functions, "MOST_BYTES", most)
        if most == size:
            check_functions(called, "net.onnx")
    with pytest.raises(ModelError, match="where they are called, found more"):
        check_functions(called, "net.onnx")


@pytest.mark.parametrize(
    ("texts", "through"),
    [
        (["A (x) => (y) { y = o.A (x) }"], "'A'"),
        (["A (x) => (y) { y = o.B (x) }", "B (x) => (y) { t = Relu (x) y = o.A (t) }"], "'B'"),
    ],
)
@pytest.mark.parametrize("body", ["y = o.A (x)", "y = Relu (x)"])
def test_a_function_that_calls_itself(body, texts, through):
    with pytest.raises(
        ModelError, match=f"function 'A': expected one that does not call .* through {through}"
    ):
        check_functions(model(body, *texts), "net.onnx")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[call] y, more = o.A (x)", "at most 1 outputs, as many as its function has, found 2"),
        ("[call] y = o.A (x, x)", "at most 1 inputs, as many as its function has, found 2"),
    ],
)
def test_a_call_with_more_than_the_function_has(body, message):
    with pytest.raises(ModelError, match=rf"net\.onnx: node 'call' \(A\): expected {message}; export"):
        check_functions(model(body, "A (x) => (y) { y = Relu (x) }"), "net.onnx")
