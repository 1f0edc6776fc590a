"""Random attributes of pools, and what onnxruntime makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import helper

from onnx2snn.model.file import IR_VERSION
from onnx2snn.ops import OPSET_VERSION


def random_pool(rng: np.random.Generator, op: str, dims: int) -> dict[str, Any]:
    """Attributes of a pool over so many axes, each of which may be there or not."""
    kernel = [int(k) for k in rng.integers(1, 5, dims)]
    pool: dict[str, Any] = {"kernel_shape": kernel}
    if rng.random() < 0.8:
        pool["strides"] = [int(s) for s in rng.integers(1, 4, dims)]
    if rng.random() < 0.2:
        pool["dilations"] = [int(d) for d in rng.integers(1, 4, dims)]
    if rng.random() < 0.4:
        pool["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    elif rng.random() < 0.8:
        pool["pads"] = [int(rng.integers(0, k)) for k in 2 * kernel]
    if rng.random() < 0.6:
        pool["ceil_mode"] = 1
    if op == "AveragePool" and rng.random() < 0.6:
        pool["count_include_pad"] = 1
    return pool


def by_onnxruntime(op: str, x: np.ndarray, attributes: dict[str, Any]) -> np.ndarray | None:
    """None where onnxruntime takes no such pool."""
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    infos = [helper.make_tensor_value_info(name, kind, None) for name in "xy"]
    graph = helper.make_graph([node], "pool", infos[:1], infos[1:])
    opsets = [helper.make_opsetid("", OPSET_VERSION)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    try:
        (y,) = onnxruntime.InferenceSession(model.SerializeToString(), settings).run(None, {"x": x})
    except Exception:  # noqa: BLE001 - whatever it raises
        return None
    return y if y.size else None
