"""Windows of a longer signal that overlap: what neurons have sent moves along, and only new columns are new.

A neuron of a column stands in the next window where the column does. From there it follows its input like any
other, so that a state that fits badly, at a border or behind a layer that mixes all columns, costs spikes but
no accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.artifact.strides import strides
from onnx2snn.ops import CELLS

Array = npt.NDArray[Any]


def shifts(artifact: Artifact, hop: int) -> dict[str, int]:
    """Input name of what a graded neuron has sent → columns by which it moves, for those that move along."""
    columns = strides(artifact) if hop else {}
    return {
        cell.input[1 + CELLS[cell.op_type].states.index("sent")]: hop // columns[cell.name]
        for cell in artifact.neurons
        if cell.name in columns and hop % columns[cell.name] == 0
    }


def moved_along(values: Mapping[str, Array], columns: Mapping[str, int]) -> dict[str, Array]:
    """Arrays [N, C, …, L] moved to the left by so many columns each; what comes in is 0."""
    return {name: move(value, columns[name]) for name, value in values.items()}


def move(value: Array, columns: int) -> Array:
    """The same for one array."""
    result = np.zeros_like(value)
    if columns < value.shape[-1]:
        result[..., : value.shape[-1] - columns] = value[..., columns:]
    return result
