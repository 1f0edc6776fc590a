"""What the browser needs to step an artifact: its parts as ONNX files, and what goes between them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnx2snn.artifact.artifact import Artifact, final_name
from onnx2snn.ops import CELLS
from onnx2snn.ops.names import TIMESTEPS
from onnx2snn.web.grades import add_grades

Array = npt.NDArray[Any]

_PREFIX = "onnx2snn/web/"


@dataclass(frozen=True)
class Stepping:
    """An artifact's parts.

    Attributes:
        models: name → ONNX file: `prefix` (where there is one), `step` and `head`.
        carried: what goes from step to step and into the head, as the page reads it.
        spikes: for each neuron layer the output of `step` that has its spikes of one timestep, int32; in the
            schedule `layer` those of the whole run. Graded ones are sign times n - i, there [N, T, …].
    """

    models: dict[str, onnx.ModelProto]
    carried: list[dict[str, Any]]
    spikes: list[str]

    def describe(self) -> dict[str, Any]:
        """All but the files, as the page reads it."""
        return {"elapsed": TIMESTEPS, "carried": self.carried, "parts": list(self.models)}


def take_steps(artifact: Artifact) -> Stepping:
    """Make an artifact's parts ready to be stepped; the step also tells what its neurons send."""
    step = onnx.ModelProto()
    step.CopyFrom(artifact.step)
    layered = artifact.schedule == "layer"
    spikes = []
    for number, cell in enumerate(artifact.neurons):
        name = f"{_PREFIX}{number}"
        if CELLS[cell.op_type].sums:
            add_grades(step, artifact, cell, name)
        else:
            step.graph.node.extend(_count_nodes(artifact, cell, name, layered=layered))
        if layered and CELLS[cell.op_type].uneven:
            step.graph.initializer.extend(_count_constants(artifact, cell, name))
        step.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.INT32, None))
        spikes.append(name)
    models = {"prefix": artifact.prefix, "step": step, "head": artifact.head}
    carried = [
        {
            "before": value.before,
            "after": value.after,
            "final": final_name(value),
            "initial": describe_tensor(value.initial),
        }
        for value in artifact.carried
    ]
    return Stepping({name: model for name, model in models.items() if model is not None}, carried, spikes)


def describe_tensor(array: Array) -> dict[str, Any]:
    """A small tensor as the page reads it."""
    return {
        "type": array.dtype.name,
        "dims": list(array.shape),
        "data": base64.b64encode(little_endian(array)).decode(),
    }


def little_endian(array: Array) -> bytes:
    """An array's elements in the byte order of WebAssembly."""
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _count_nodes(
    artifact: Artifact, cell: onnx.NodeProto, target: str, *, layered: bool
) -> list[onnx.NodeProto]:
    """From what a neuron reads and gives to the number of its spikes, as `SpikingSession` counts them."""
    operator = CELLS[cell.op_type]
    exact = f"{target}/exact"
    if operator.uneven and layered:
        nodes = _chain(
            target,
            ("Div", [cell.input[0], _threshold(artifact, cell)]),
            ("Add", [f"{target}/start"]),
            ("Floor", []),
            ("Clip", [f"{target}/least", f"{target}/most"]),
        )
    elif operator.uneven:
        place = 1 + operator.states.index("sent")
        nodes = _chain(target, ("Sub", [cell.output[place], cell.input[place]]))
    elif len(cell.input) > 1:
        nodes = _chain(target, ("Div", [cell.output[0], _threshold(artifact, cell)]))
    else:  # the integer neuron sends the number itself
        nodes = _chain(target, ("Cast", [cell.output[0]]))
        nodes[0].attribute.append(helper.make_attribute("to", onnx.TensorProto.FLOAT))
    nodes.append(helper.make_node("Round", [nodes[-1].output[0]], [exact]))
    nodes.append(helper.make_node("Cast", [exact], [target], to=onnx.TensorProto.INT32))
    return nodes


def _chain(target: str, *links: tuple[str, Sequence[str]]) -> list[onnx.NodeProto]:
    """Nodes that each read what the one before gives, and the inputs named."""
    nodes: list[onnx.NodeProto] = []
    for op, inputs in links:
        before = [nodes[-1].output[0]] if nodes else []
        nodes.append(helper.make_node(op, [*before, *inputs], [f"{target}/{op}"]))
    return nodes


def _threshold(artifact: Artifact, cell: onnx.NodeProto) -> str:
    """Name of the initializer that holds a neuron's θ."""
    weights = {item.name for item in artifact.step.graph.initializer}
    return [name for name in cell.input if name in weights][-1]


def _count_constants(artifact: Artifact, cell: onnx.NodeProto, target: str) -> list[onnx.TensorProto]:
    """What a leaky neuron of the schedule `layer` rounds with, and where it ends."""
    attributes = {item.name: helper.get_attribute_value(item) for item in cell.attribute}
    levels, element = attributes["levels"], artifact.threshold(cell).dtype
    values = {"start": attributes["potential"], "least": -levels, "most": levels}
    return [
        numpy_helper.from_array(np.asarray(value, element), f"{target}/{name}")
        for name, value in values.items()
    ]
