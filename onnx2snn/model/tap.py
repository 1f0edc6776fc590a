"""Give out what goes on inside a model."""

from __future__ import annotations

from collections.abc import Iterable

import onnx


def tap(model: onnx.ModelProto, names: Iterable[str], *, only: bool = False) -> onnx.ModelProto:
    """Let a model give out some of its tensors as well, in the order given; with `only`, nothing else.

    Types and shapes are left to whoever loads it.

    Returns:
        The model itself, which is changed.
    """
    if only:
        del model.graph.output[:]
    present = {item.name for item in model.graph.output}
    added = [name for name in dict.fromkeys(names) if name not in present]
    model.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, added))
    return model
