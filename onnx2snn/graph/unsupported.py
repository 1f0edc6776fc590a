"""Operators that no spiking network can have, wherever they stand: refused by name, with a remedy."""

from __future__ import annotations

import numpy as np
import onnx

from onnx2snn.engine.blocked import BLOCKED_DOMAIN
from onnx2snn.graph.graph import Node, constant, is_flow
from onnx2snn.graph.subgraphs import inner_nodes
from onnx2snn.model.domains import FOREIGN
from onnx2snn.model.newer import NEWER
from onnx2snn.ops import DOMAIN, OPSET_VERSION
from onnx2snn.ops.standard import RECURRENT

#: Remedy for control flow.
TRACE = "export the model with fixed control flow (trace it rather than script it)"
_TIME_FIRST = "export it with layout = 0, a Transpose before it and one behind"
_OWN = "export the model with ONNX's own operators"
_RANDOM = "export the model in evaluation mode"
_TENSORS = "move it out of the model, before its input or after its output"

_KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("control flow over a sequence", TRACE, ("SequenceMap",)),
    (
        "it draws random numbers",
        _RANDOM,
        (
            *("Bernoulli", "Multinomial"),
            *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        ),
    ),
    (
        "it works on strings",
        _TENSORS,
        (
            "RegexFullMatch",
            "StringConcat",
            "StringNormalizer",
            "StringSplit",
            "TfIdfVectorizer",
        ),
    ),
    (
        "it works on sequences, optional values or files, not on tensors",
        _TENSORS,
        (
            *("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase"),
            *("SequenceInsert", "SequenceLength", "SplitToSequence"),
            *("ImageDecoder", "Optional", "OptionalGetElement", "OptionalHasElement"),
        ),
    ),
    (
        "it is for training",
        "export the model for inference",
        ("Adagrad", "Adam", "Gradient", "Momentum", "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
    ),
)
_BY_OP = {op: (reason, remedy) for reason, remedy, ops in _KINDS for op in ops}


def why_unsupported(node: Node) -> tuple[str, str] | None:
    """Reason and remedy for a node that is refused in any place; None for any other."""
    if node.domain == NEWER:
        reason = f"ONNX added it after opset {OPSET_VERSION}, and it has no form in older operators"
        return reason, f"export the model with opset {OPSET_VERSION}"
    if node.domain == BLOCKED_DOMAIN:
        reason = f"'{node.domain}' has channels in the blocks of the processor that wrote the file"
        return (
            reason,
            "let onnxruntime optimise the model at ORT_ENABLE_EXTENDED, or give the model from before",
        )
    if node.domain == FOREIGN:
        return "an operator that ONNX does not define", "export the model with ONNX's own operators"
    if node.domain not in (None, "", DOMAIN):
        reason = f"an operator of the domain '{node.domain}', which ONNX does not define"
        return reason, _OWN
    # onnx_graphsurgeon leaves ONNX's own number for an element type that NumPy lacks.
    exotic = next((tensor.dtype for tensor in node.outputs if isinstance(tensor.dtype, int)), None)
    if exotic is not None:
        name = str(onnx.TensorProto.DataType.Name(exotic)).lower()
        return f"it works on {name}, which NumPy lacks", "export the model in float32"
    if any(tensor.dtype == np.object_ for tensor in node.outputs):
        return "it works on strings", _TENSORS
    if node.op in ("BatchNormalization", "Dropout") and _is_training(node):
        return "it is in training mode", "export the model in evaluation mode"
    if node.op == "Clip":
        sizes = [value.size for value in map(constant, node.inputs[1:]) if value is not None]
        if any(size != 1 for size in sizes):
            return f"a bound of {max(sizes)} values, where ONNX takes one", "write it as Min and Max"
    if node.op in RECURRENT and node.attrs.get("layout"):
        return "it has its samples first (layout = 1), for which onnxruntime has no kernel", _TIME_FIRST
    return _BY_OP.get(node.op) or (_within(node) if is_flow(node) else None)


def _within(node: Node) -> tuple[str, str] | None:
    """Reason and remedy for control flow with an operator in its body that is refused anywhere."""
    for inner in inner_nodes(node.attrs["body"]):
        if inner.domain not in ("", DOMAIN):
            return f"its body has '{inner.domain}.{inner.op_type}', which ONNX does not define", _OWN
        if inner.op_type in _BY_OP:
            reason, remedy = _BY_OP[inner.op_type]
            return f"its body has {inner.op_type}: {reason}", remedy
    return None


def _is_training(node: Node) -> bool:
    if node.op == "BatchNormalization":
        return bool(node.attrs.get("training_mode", 0))
    if len(node.inputs) < 3 or node.inputs[2].is_empty():
        return False
    training = constant(node.inputs[2])
    return training is None or bool(training.item())
