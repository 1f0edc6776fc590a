"""Domains of operators: ONNX's own under one name, every other one declared."""

from __future__ import annotations

from functools import cache

import onnx
import onnx.defs
import onnx.helper

#: Operators of other tools that some of these write into ONNX's own domain, where ONNX has none of that name.
MISPLACED = (
    *("BipolarQuant", "IntQuant", "MultiThreshold", "Quant", "RequantShift", "SimplifiedLayerNormalization"),
    "Trunc",
)
#: The domain that they get, so that ONNX's own code leaves them alone.
FOREIGN = "ai.onnx.foreign"
#: The domain of operators that the declared opset lacks yet, while the others are brought to a newer one.
EARLY = "ai.onnx.early"


def with_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which ONNX's own domain is always spelled '', and every other one is declared.

    Exporters of quantisers leave the declaration out. Operators of others in ONNX's own domain get `FOREIGN`,
    those that ONNX added after the declared opset `EARLY`: runtimes take a LayerNormalization in opset 12.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    declared = own_opset(model)
    for opset in plain.opset_import:
        opset.domain = "" if opset.domain == "ai.onnx" else opset.domain
    for node in plain.graph.node:
        node.domain = "" if node.domain == "ai.onnx" else node.domain
        if not node.domain and node.op_type in MISPLACED:
            node.domain = FOREIGN
        elif declared and first_opset(node) > declared:
            node.domain = EARLY
    known = {opset.domain for opset in plain.opset_import}
    used = {node.domain for node in plain.graph.node if node.domain}
    plain.opset_import.extend(onnx.helper.make_opsetid(domain, 1) for domain in sorted(used - known))
    return plain


def needs_domains(model: onnx.ModelProto) -> bool:
    """Whether `with_domains` would change anything."""
    known = {opset.domain for opset in model.opset_import}
    declared = own_opset(model)
    return "ai.onnx" in known or any(
        node.domain == "ai.onnx"
        or (node.domain and node.domain not in known)
        or (not node.domain and node.op_type in MISPLACED)
        or (declared and first_opset(node) > declared)
        for node in model.graph.node
    )


def own_opset(model: onnx.ModelProto) -> int:
    """The opset of ONNX's own operators that a model declares; 0 for none."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


@cache
def _opsets() -> dict[str, int]:
    """For every operator of ONNX's own domain, the opset that brought it."""
    first: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            first[schema.name] = min(schema.since_version, first.get(schema.name, schema.since_version))
    return first


def first_opset(node: onnx.NodeProto) -> int:
    """The opset that brought an operator of ONNX's own domain; 0 for any other."""
    return 0 if node.domain not in ("", "ai.onnx") else _opsets().get(node.op_type, 0)
