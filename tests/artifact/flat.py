"""Artifacts of the schedule `layer`, written by hand."""

from __future__ import annotations

import numpy as np

from onnx2snn.artifact.artifact import Artifact, take_apart
from onnx2snn.emit.cells import functions_of
from onnx2snn.emit.metadata import add_metadata
from tests.helpers import parse


def flat(text: str, timesteps: int = 4, **weights: np.ndarray) -> Artifact:
    """The artifact of `(inputs) => (outputs) { nodes }`."""
    model = parse(text, **weights)
    for node in model.graph.node:
        node.name = node.output[0]
    model.functions.extend(functions_of(model.graph.node))
    add_metadata(model, {"options": {"timesteps": timesteps}})
    return take_apart(model)
