"""Operators that are refused wherever they stand: the reason and the remedy, word by word."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.graph.graph import Constant, Node, Variable
from onnx2snn.graph.unsupported import why_unsupported
from onnx2snn.model.domains import FOREIGN
from onnx2snn.model.newer import NEWER
from onnx2snn.ops import DOMAIN

TRACE = "export the model with fixed control flow (trace it rather than script it)"
TENSORS = "move it out of the model, before its input or after its output"
EVALUATION = ("it is in training mode", "export the model in evaluation mode")


def node(op, domain="", dtype=np.float32, inputs=(), **attributes):
    return Node(op, "n", attributes, list(inputs), [Variable("y", dtype, (1,))], domain)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("SequenceMap", ("control flow over a sequence", TRACE)),
        ("Bernoulli", ("it draws random numbers", "export the model in evaluation mode")),
        ("StringSplit", ("it works on strings", TENSORS)),
        ("SequenceAt", ("it works on sequences, optional values or files, not on tensors", TENSORS)),
        ("Adam", ("it is for training", "export the model for inference")),
    ],
)
def test_a_kind_of_operator_has_a_reason_and_a_remedy(op, expected):
    assert why_unsupported(node(op)) == expected


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (("RandomNormalLike", ""), ("its body has RandomNormalLike: it draws random numbers", EVALUATION[1])),
        (
            ("Gelu", "com.microsoft"),
            (
                "its body has 'com.microsoft.Gelu', which ONNX does not define",
                "export the model with ONNX's own operators",
            ),
        ),
        (("Tanh", ""), None),
    ],
)
def test_control_flow_is_as_what_lies_in_it(inner, expected):
    op, domain = inner
    body = onnx.helper.make_graph([onnx.helper.make_node(op, ["s"], ["t"], domain=domain)], "b", [], [])
    assert why_unsupported(node("Loop", body=body)) == expected


def test_what_no_runtime_has_is_refused():
    reason = "it has its samples first (layout = 1), for which onnxruntime has no kernel"
    remedy = "export it with layout = 0, a Transpose before it and one behind"
    assert why_unsupported(node("GRU", layout=1)) == (reason, remedy)
    assert why_unsupported(node("GRU", layout=0)) is None


@pytest.mark.parametrize("op", ["Relu", "Dropout", "BatchNormalization", "LSTM", "Operator of tomorrow"])
def test_others_are_not_refused_here(op):
    assert why_unsupported(node(op)) is None
    assert why_unsupported(node(op, domain=None)) is None


def test_domains():
    assert why_unsupported(node("BurstIF", DOMAIN)) is None
    assert why_unsupported(node("Gelu", "com.microsoft")) == (
        "an operator of the domain 'com.microsoft', which ONNX does not define",
        "export the model with ONNX's own operators",
    )
    assert why_unsupported(node("Conv", "com.microsoft.nchwc")) == (
        "'com.microsoft.nchwc' has channels in the blocks of the processor that wrote the file",
        "let onnxruntime optimise the model at ORT_ENABLE_EXTENDED, or give the model from before",
    )
    assert why_unsupported(node("Quant", FOREIGN))[0] == "an operator that ONNX does not define"
    assert why_unsupported(node("Swish", NEWER)) == (
        "ONNX added it after opset 21, and it has no form in older operators",
        "export the model with opset 21",
    )


def test_types_that_numpy_lacks():
    assert why_unsupported(node("Cast", dtype=int(onnx.TensorProto.FLOAT8E4M3FN))) == (
        "it works on float8e4m3fn, which NumPy lacks",
        "export the model in float32",
    )
    assert why_unsupported(node("Identity", dtype=np.object_)) == ("it works on strings", TENSORS)


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (None, None),
        (Variable.empty(), None),
        (Constant("t", np.array(False)), None),
        (Constant("t", np.array(True)), EVALUATION),
        (Variable("t", bool, ()), EVALUATION),
    ],
)
def test_dropout_in_training(training, expected):
    inputs = [Variable("x", np.float32, (1,)), Variable.empty()]
    assert (
        why_unsupported(node("Dropout", inputs=[*inputs, *([] if training is None else [training])]))
        == expected
    )


@pytest.mark.parametrize(("mode", "expected"), [(0, None), (1, EVALUATION)])
def test_batchnorm_in_training(mode, expected):
    assert why_unsupported(node("BatchNormalization", training_mode=mode)) == expected


def test_a_bound_of_several_values():
    bounds = [Variable("x", np.float32), Constant("low", np.zeros(3)), Constant("high", np.full((), 6.0))]
    assert why_unsupported(node("Clip", inputs=[bounds[0], bounds[2], bounds[2]])) is None
    assert why_unsupported(node("Clip", inputs=bounds)) == (
        "a bound of 3 values, where ONNX takes one",
        "write it as Min and Max",
    )
