"""Small models with foreign operators, and what is left of the difference once these are written out."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx.shape_inference
from onnx import numpy_helper

from onnx2snn.lowering.write_out import WrittenOut, write_out
from onnx2snn.model.file import flatten_model
from tests.helpers import Arrays, run

DOMAINS = {"com.microsoft": 1, "com.microsoft.nchwc": 1, "ai.onnx.ml": 3, "qonnx.custom_op.general": 1}


def foreign(text: str, opset: int = 21, **constants: np.ndarray) -> onnx.ModelProto:
    """A model from `(inputs) => (outputs) { nodes }`; any domain may be used, and float[] is of any shape."""
    imports = ", ".join(f'"{domain}" : {version}' for domain, version in DOMAINS.items())
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}, {imports}]> g{text}')
    for item in model.graph.output:
        if not item.type.tensor_type.shape.dim:
            item.type.tensor_type.ClearField("shape")
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items())
    return model


def written(model: onnx.ModelProto) -> WrittenOut:
    """The model written out: valid, without foreign operators, its inputs and outputs the same."""
    before = model.SerializeToString(deterministic=True)
    result = write_out(flatten_model(model))
    assert model.SerializeToString(deterministic=True) == before
    inferred = onnx.shape_inference.infer_shapes(result.model, check_type=True, strict_mode=True)
    onnx.checker.check_model(inferred, full_check=True)
    assert not [node.op_type for node in result.model.graph.node if node.domain], result.nodes
    for part in ("input", "output"):
        names = [[item.name for item in getattr(m.graph, part)] for m in (model, result.model)]
        assert names[0] == names[1]
    return result


def both(model: onnx.ModelProto, feeds: Arrays) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The outputs of the model in onnxruntime, and of the model written out."""
    return run(model, feeds), run(written(model).model, feeds)


def difference(model: onnx.ModelProto, feeds: Arrays) -> float:
    """The largest difference of any output, as a share of that output's largest value."""
    pairs = zip(*both(model, feeds), strict=True)
    return max(np.abs(a.astype(float) - b).max() / max(np.abs(a).max(), 1e-30) for a, b in pairs)


def ops(result: WrittenOut) -> list[str]:
    """The operators that depend on more than constants."""
    fixed = {tensor.name for tensor in result.model.graph.initializer}
    found = []
    for node in result.model.graph.node:
        if all(name in fixed for name in node.input):
            fixed.update(node.output)
        else:
            found.append(node.op_type)
    return found
