"""LSTM, GRU and RNN in NumPy against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.engine.engines import NumpyEngine
from onnx2snn.errors import ModelError
from tests.helpers import normal, parse, run

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
CASES = [
    ("LSTM", "", "x, w, r"),
    ("LSTM", "", "x, w, r, b, n, h, c, p"),
    ("LSTM", 'direction = "reverse"', "x, w, r, b, n"),
    ("LSTM", 'direction = "bidirectional"', "x, w, r, b, n, h, c, p"),
    ("LSTM", "clip = 0.5", "x, w, r, b"),
    ("LSTM", 'activations = ["Sigmoid", "Softsign", "Relu"]', "x, w, r, b"),
    ("LSTM", "input_forget = 1", "x, w, r, b"),
    ("GRU", "", "x, w, r, b, , h"),
    ("GRU", 'linear_before_reset = 1, direction = "bidirectional"', "x, w, r, b, n"),
    ("GRU", 'direction = "reverse"', "x, w, r"),
    ("RNN", "", "x, w, r, b, n, h"),
    ("RNN", 'activations = ["Relu"]', "x, w, r"),
    ("RNN", 'direction = "bidirectional", activations = ["Tanh", "Relu"]', "x, w, r, b"),
]


@pytest.mark.parametrize(("op", "attributes", "inputs"), CASES)
def test_as_onnxruntime_has_it(op, attributes, inputs, rng):
    directions, outputs = 1 + ("bidirectional" in attributes), 2 + (op == "LSTM")
    given = normal(
        rng,
        w=(directions, GATES[op] * 3, 2),
        r=(directions, GATES[op] * 3, 3),
        b=(directions, 2 * GATES[op] * 3),
        h=(directions, 4, 3),
        c=(directions, 4, 3),
        p=(directions, 9),
    ) | {"n": np.int32([5, 2, 1, 3])}
    names = ("y", "last", "cell")[:outputs]
    text = f"(float[5,4,2] x) => ({', '.join(f'float[] {name}' for name in names)})"
    listed = ", ".join(["hidden_size = 3", *([attributes] if attributes else [])])
    read = [name for name in inputs.split(", ") if name in given]
    inputs = inputs.replace(" ,", ' "",') if ", ," in inputs else inputs
    model = parse(
        f"{text} {{ {', '.join(names)} = {op}<{listed}>({inputs}) }}", **{name: given[name] for name in read}
    )
    values = normal(rng, x=(5, 4, 2))
    found = NumpyEngine(model).run(values)
    for name, expected in zip(names, run(model, values), strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-6)


def test_parameters_of_activations_are_refused(rng):
    weights = normal(rng, w=(1, 3, 2), r=(1, 3, 3))
    text = (
        '(float[5,4,2] x) => (float[] y) { y = RNN<hidden_size = 3, activations = ["LeakyRelu"], '
        "activation_alpha = [0.5]>(x, w, r) }"
    )
    with pytest.raises(ModelError, match=r"activations with parameters of their own.*use onnxruntime"):
        NumpyEngine(parse(text, **weights)).run(normal(rng, x=(5, 4, 2)))
