"""What the values of constants must be: numbers, and finite where something is multiplied by them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from onnx2snn.errors import ModelError, first_line
from onnx2snn.model.nodes import nested
from onnx2snn.model.weights import initializers, is_mapped, is_present, let_go, pieces, values_of
from onnx2snn.ops.standard import having

#: Operators that multiply what they read: 0·∞ is no number. Masks are added, bounds compared.
_PRODUCTS = frozenset.union(
    *(having(linear=kind) for kind in ("factor", "operand", "dividend", "inference")),
    {"PRelu", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization"},
)
#: Operators that give on what they read as it is.
_MOVES = having(moves=True) | {"Cast", "CastLike", "Concat", "DepthToSpace", "Expand", "Split", "Tile"}
#: What NumPy has no numbers for, and the operators that may read it: what these make of it is written out.
_WRITTEN_OUT: dict[int, tuple[str, ...]] = {
    onnx.TensorProto.INT4: ("QuantizeLinear", "DequantizeLinear"),
    onnx.TensorProto.UINT4: ("QuantizeLinear", "DequantizeLinear"),
    onnx.TensorProto.STRING: ("ArrayFeatureExtractor",),
}


def check_constants(model: onnx.ModelProto, source: str) -> None:
    """Check the values of initializers and Constant nodes, those of loops' and branches' bodies as well.

    Raises:
        ModelError: another number of values than the shape says, a type that NumPy lacks, NaN, or an infinite
            weight.
    """
    nodes = list(nested(model.graph.node))
    multiplied = _multiplied(nodes)
    readers: dict[str, set[str]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    for name, tensor in _constants(model, nodes):
        allowed = _WRITTEN_OUT.get(tensor.data_type)
        if not is_present(tensor) or (allowed is not None and readers.get(name, set()) <= {*allowed}):
            continue
        try:
            values = values_of(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"{source}: constant '{name}': expected as many values as its shape {list(tensor.dims)} and "
                f"type say, found others ({first_line(error)}); export the model again"
            ) from error
        if values.dtype.kind not in "fiub":
            raise ModelError(
                f"{source}: constant '{name}': expected numbers of a type that NumPy has, found "
                f"{_type_name(tensor.data_type)}; export the model in float32"
            )
        parts = (part for _, part in pieces(values)) if is_mapped(values) else (values,)
        finite = values.dtype.kind != "f" or all(np.isfinite(part).all() for part in parts)
        let_go()
        if not finite and np.isnan(values).any():
            raise ModelError(
                f"{source}: constant '{name}': expected numbers, found NaN; retrain or repair the model"
            )
        if not finite and name in multiplied:
            raise ModelError(
                f"{source}: constant '{name}': expected finite weights, found an infinite one; retrain or "
                "repair the model"
            )


def _multiplied(nodes: list[onnx.NodeProto]) -> set[str]:
    """Names of what meets a product, also once it has been moved about."""
    names: set[str] = set()
    for node in reversed(nodes):
        if node.op_type in _PRODUCTS or (node.op_type in _MOVES and not names.isdisjoint(node.output)):
            names.update(node.input)
    return names


def _constants(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Initializers, and what Constant nodes hold, by name."""
    for initializer in initializers(model.graph):
        yield initializer.name, initializer
    for node in nodes:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                yield node.output[0], attribute.t


def _type_name(number: int) -> str:
    return str(onnx.TensorProto.DataType.Name(number)).lower()
