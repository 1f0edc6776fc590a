"""Domains of operators: ONNX's own under one name, every other one declared."""

from __future__ import annotations

import onnx
import onnx.helper

#: Operators of other tools that some of these write into ONNX's own domain, where ONNX has none of that name.
MISPLACED = (
    *("BipolarQuant", "IntQuant", "MultiThreshold", "Quant", "RequantShift", "SimplifiedLayerNormalization"),
    "Trunc",
)
#: The domain that they get, so that ONNX's own code leaves them alone.
FOREIGN = "ai.onnx.foreign"


def with_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which ONNX's own domain is always spelled '', and every other one is declared.

    Exporters of quantisers leave the declaration out. Operators of others in ONNX's own domain get `FOREIGN`.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    for opset in plain.opset_import:
        opset.domain = "" if opset.domain == "ai.onnx" else opset.domain
    for node in plain.graph.node:
        node.domain = "" if node.domain == "ai.onnx" else node.domain
        if not node.domain and node.op_type in MISPLACED:
            node.domain = FOREIGN
    known = {opset.domain for opset in plain.opset_import}
    used = {node.domain for node in plain.graph.node if node.domain}
    plain.opset_import.extend(onnx.helper.make_opsetid(domain, 1) for domain in sorted(used - known))
    return plain


def needs_domains(model: onnx.ModelProto) -> bool:
    """Whether `with_domains` would change anything."""
    known = {opset.domain for opset in model.opset_import}
    return "ai.onnx" in known or any(
        node.domain == "ai.onnx"
        or (node.domain and node.domain not in known)
        or (not node.domain and node.op_type in MISPLACED)
        for node in model.graph.node
    )
