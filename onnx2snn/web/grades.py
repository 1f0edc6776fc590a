"""What graded neurons send, as the page shows it: sign times n - i for a spike ±R·2^(-i), and 0 for none."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.ops import DOMAIN
from onnx2snn.ops.graded_fire import CELLS as FIRES


def add_grades(step: onnx.ModelProto, artifact: Artifact, cell: onnx.NodeProto, target: str) -> None:
    """Let a step give the spikes of one graded neuron, int32.

    Args:
        step: the artifact's step; changed.
        artifact: it.
        cell: the neuron.
        target: name of its spikes: [N, …], in the schedule `layer` [N, T, …] of the whole run.
    """
    values = {
        "none": 0.0,
        "ln2": math.log(2.0),
        "sizes": float(helper.get_node_attr_value(cell, "exponents")),
    }
    element = artifact.threshold(cell).dtype
    constants = {name: np.asarray(value, element) for name, value in values.items()}
    for name, value in (constants | {"axis": np.asarray([1])}).items():
        step.graph.initializer.append(numpy_helper.from_array(value, f"{target}/{name}"))
    nodes = step.graph.node
    if artifact.schedule == "stream":
        nodes.extend(_grade(cell.input[1], cell.output[0], cell.input[-1], target, target))
        nodes.append(helper.make_node("Cast", [f"{target}/grade"], [target], to=onnx.TensorProto.INT32))
        return
    trains = []
    for time, (before, after) in enumerate(pairwise(_words(step, artifact, cell, target)), 1):
        at = f"{target}/{time}"
        nodes.extend(_grade(before, after, cell.input[-1], target, at))
        nodes.append(helper.make_node("Unsqueeze", [f"{at}/grade", f"{target}/axis"], [f"{at}/train"]))
        trains.append(f"{at}/train")
    nodes.append(helper.make_node("Concat", trains, [f"{target}/trains"], axis=1))
    nodes.append(helper.make_node("Cast", [f"{target}/trains"], [target], to=onnx.TensorProto.INT32))


def _words(step: onnx.ModelProto, artifact: Artifact, cell: onnx.NodeProto, target: str) -> list[str]:
    """What a neuron of the schedule `layer` has sent after 0, 1, … T spikes: as one of fewer timesteps."""
    words = [f"{target}/none"]
    known = {function.name for function in step.functions}
    for fewer in FIRES[: artifact.timesteps]:
        node = helper.make_node(fewer.op, cell.input, [f"{target}/{fewer.op}"], domain=DOMAIN)
        node.attribute.extend(cell.attribute)
        step.graph.node.append(node)
        words.append(node.output[0])
        if fewer.op not in known:
            step.functions.append(fewer.function)
    return words


def _grade(before: str, after: str, reach: str, target: str, at: str) -> list[onnx.NodeProto]:
    """From what was sent before and after a spike to its grade; of powers of two, so rounding is far."""
    links: list[tuple[str, list[str], str]] = [
        ("Sub", [after, before], "change"),
        ("Abs", [f"{at}/change"], "size"),
        ("Div", [f"{at}/size", reach], "ratio"),
        ("Log", [f"{at}/ratio"], "logarithm"),
        ("Div", [f"{at}/logarithm", f"{target}/ln2"], "exponent"),
        ("Round", [f"{at}/exponent"], "whole"),
        ("Add", [f"{at}/whole", f"{target}/sizes"], "steps"),
        ("Sign", [f"{at}/change"], "sign"),
        ("Mul", [f"{at}/steps", f"{at}/sign"], "signed"),
        ("Equal", [f"{at}/change", f"{target}/none"], "still"),
        ("Where", [f"{at}/still", f"{target}/none", f"{at}/signed"], "grade"),
    ]
    return [helper.make_node(op, inputs, [f"{at}/{result}"]) for op, inputs, result in links]
