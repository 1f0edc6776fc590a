"""How many columns of the inputs a column of each neuron stands for, along the last axis."""

from __future__ import annotations

from fractions import Fraction

import onnx

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.ops import DOMAIN
from onnx2snn.ops.standard import having

#: Operators with a kernel that steps along the last axis.
_WINDOWS = ("Conv", "MaxPool", "AveragePool", "LpPool")
#: Operators that leave every place of the last axis where it is.
_KEEPING = {*having(rows="each"), "BatchNormalization", "Pad"}


def strides(artifact: Artifact) -> dict[str, int]:
    """Neuron → columns of the inputs that one of its columns stands for.

    Neurons behind an operator that leaves no axis of columns, or does not say where it goes, are not listed.
    """
    known = {spec.name: Fraction(1) for spec in artifact.inputs if len(spec.shape) > 2}
    for part in (artifact.prefix, artifact.step):
        for node in part.graph.node if part is not None else ():
            found = {known[name] for name in node.input if name in known}
            if len(found) == 1 and (stride := _behind(node, found.pop())) is not None:
                known |= dict.fromkeys(node.output, stride)
    return {
        cell.name: int(known[cell.output[0]])
        for cell in artifact.neurons
        if cell.output[0] in known and known[cell.output[0]].denominator == 1
    }


def _behind(node: onnx.NodeProto, stride: Fraction) -> Fraction | None:
    """What a column of its output stands for; None where there are no columns any more."""
    step = next((item.ints[-1] for item in node.attribute if item.name == "strides"), 1)
    if node.domain == DOMAIN or node.op_type in _WINDOWS:
        return stride * step
    if node.op_type == "ConvTranspose":
        return stride / step
    beside = any(item.name == "axis" and item.i == 1 for item in node.attribute)
    return stride if node.op_type in _KEEPING or (node.op_type == "Concat" and beside) else None
