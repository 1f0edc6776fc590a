"""Local functions of a model: whether they can be written out, and how much that would make.

A function that calls another twice, which calls another twice, … makes of a few lines more nodes than memory
holds, and ONNX's inliner cannot be interrupted. So what it will make is counted first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx

from onnx2snn.errors import ModelError
from onnx2snn.model.nodes import label, nested
from onnx2snn.model.weights import MOST_BYTES

#: Nodes that a model may have once its functions are written out.
MOST_NODES = 1 << 18

#: Domain, name and overload.
Key = tuple[str, str, str]


@dataclass(frozen=True)
class _Size:
    """What nodes make once all that they call is written out; counted up to where it is too much."""

    nodes: int
    bytes: int


_ITSELF = _Size(1, 0)


def check_functions(model: onnx.ModelProto, source: str) -> None:
    """Make sure that a model's functions can be written out.

    Raises:
        ModelError: one calls itself, is called with more inputs or outputs than it has, or all make too much.
    """
    if not model.functions:
        return
    functions = {(_domain(it.domain), it.name, it.overload): it for it in model.functions}
    for body in (model.graph.node, *(function.node for function in functions.values())):
        for node in nested(body):
            function = functions.get(_key(node))
            if function is not None:
                _check_call(node, function, source)
    sizes: dict[Key, _Size] = {}
    for key in _callees_first(functions, source):
        sizes[key] = _size(functions[key].node, sizes)
    whole = _size(model.graph.node, sizes)
    if whole.nodes > MOST_NODES or whole.bytes > MOST_BYTES:
        raise ModelError(
            f"{source}: expected functions that make at most {MOST_NODES:,} nodes and {MOST_BYTES / 1e9:.1f} "
            "GB where they are called, found more; export the model without local functions"
        )


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _key(node: onnx.NodeProto) -> Key:
    return _domain(node.domain), node.op_type, node.overload


def _check_call(node: onnx.NodeProto, function: onnx.FunctionProto, source: str) -> None:
    for what, given, declared in (
        ("inputs", node.input, function.input),
        ("outputs", node.output, function.output),
    ):
        if len(given) > len(declared):
            raise ModelError(
                f"{source}: {label(node)}: expected at most {len(declared)} {what}, as many as its function "
                f"has, found {len(given)}; export the model again"
            )


def _callees_first(functions: dict[Key, onnx.FunctionProto], source: str) -> Iterator[Key]:
    """All functions, each after those that it calls."""
    done: set[Key] = set()
    open_: dict[Key, Iterator[Key]] = {}
    for start in functions:
        pending = [start] if start not in done else []
        while pending:
            key = pending[-1]
            if key not in open_:
                open_[key] = iter({_key(node): None for node in nested(functions[key].node)})
            callee = next((it for it in open_[key] if it in functions and it not in done), None)
            if callee is None:
                done.add(key)
                pending.pop()
                yield key
            elif callee in open_:
                raise ModelError(
                    f"{source}: function '{callee[1]}': expected one that does not call itself, found one "
                    f"that does, through '{key[1]}'; export the model without local functions"
                )
            else:
                pending.append(callee)


def _size(nodes: Iterable[onnx.NodeProto], sizes: dict[Key, _Size]) -> _Size:
    nodes = list(nodes)
    made = [sizes.get(_key(node), _ITSELF) for node in nested(nodes)]
    count = sum(callee.nodes for callee in made)
    size = sum(callee.bytes for callee in made)
    size += sum(node.ByteSize() for node in nodes if _key(node) not in sizes)
    return _Size(min(count, MOST_NODES + 1), min(size, MOST_BYTES + 1))
