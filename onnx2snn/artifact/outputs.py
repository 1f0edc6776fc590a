"""The outputs of an artifact: what each of them holds, and which one is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.artifact.layouts import TOGETHER, Layout, find_layouts
from onnx2snn.errors import OptionError
from onnx2snn.graph.graph import import_graph
from onnx2snn.graph.tail import find_tail

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OutputSpec:
    """One output.

    Attributes:
        name: its name.
        dtype: its element type.
        shape: its dimensions as the file has them, None where one is open; None where the rank is.
        layout: where the samples of a batch are, as far as that can be followed.
        batch: samples of a batch where the model fixes them.
        varying: whether its shape depends on values, such as that of boxes which are found.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None
    layout: Layout
    batch: int | None
    varying: bool = False

    @property
    def counts(self) -> bool:
        """Whether it holds whole numbers or truth values, which are equal or are not."""
        return self.dtype.kind in "iub"

    def has_rows(self, shape: tuple[int, ...], samples: int) -> bool:
        """Whether values of a shape have one row for each of so many samples."""
        if self.varying or shape[:1] != (samples,) or self.layout not in (None, 0, TOGETHER):
            return False
        first = self.shape[0] if self.shape else None
        # A size that stays whatever the batch is has nothing to do with it, even if it is the same by chance.
        return self.layout is not None or first is None or first == self.batch

    def has_scores(self, values: Array, samples: int) -> bool:
        """Whether values are class scores [N, classes] of so many samples."""
        wide = values.ndim == 2 and values.shape[1] > 1 and not self.counts
        return wide and self.has_rows(values.shape, samples)

    def has_answers(self, values: Array, samples: int) -> bool:
        """Whether values are whole numbers [N], or [N, 1], of so many samples: what an ArgMax gives."""
        alone = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
        return alone and self.counts and self.has_rows(values.shape, samples)

    def answers(self, values: Array, samples: int) -> Array | None:
        """The class of each of so many samples [N]; None where there are none."""
        if self.has_scores(values, samples):
            found: Array = values.argmax(axis=1)
            return found
        return values.reshape(samples) if self.has_answers(values, samples) else None

    def first(self, values: Array, count: int, samples: int) -> Array:
        """What belongs to the first samples of a batch; all of it where they are not told apart."""
        if count == samples or (self.layout is None and not self.has_rows(values.shape, samples)):
            return values
        axis = max(self.layout or 0, 0)
        size = values.shape[axis] if values.ndim > axis else 1
        return values.take(np.arange(size * count // samples), axis) if size % samples == 0 else values

    @property
    def may_have_scores(self) -> bool:
        """Whether the file says nothing against class scores."""
        return self._may_have_rows(2) and not self.counts and self.shape is not None and self.shape[1] != 1

    @property
    def may_have_answers(self) -> bool:
        """Whether the file says nothing against a whole number for each sample."""
        return self._may_have_rows(1) and self.counts

    def _may_have_rows(self, rank: int) -> bool:
        if self.shape is None or len(self.shape) != rank:
            return False
        samples = self.batch or self.shape[0] or 1
        return self.has_rows((self.shape[0] or samples,), samples)


def output_specs(artifact: Artifact) -> dict[str, OutputSpec]:
    """All outputs by name, in the order of `Artifact.outputs`."""
    layouts, varying = find_layouts(artifact), _varying(artifact)
    batch = next((spec.shape[0] for spec in artifact.inputs if spec.shape and spec.shape[0]), None)
    given = {item.name: item.type.tensor_type for item in artifact.model.graph.output}
    specs = {}
    for name in artifact.outputs:
        dims = given[name].shape.dim if given[name].HasField("shape") else None
        shape = None if dims is None else tuple(d.dim_value if d.dim_value > 0 else None for d in dims)
        dtype = helper.tensor_dtype_to_np_dtype(given[name].elem_type)
        specs[name] = OutputSpec(name, dtype, shape, layouts.get(name), batch, name in varying)
    return specs


def _varying(artifact: Artifact) -> set[str]:
    """The outputs in the tail: a step gives another number of values than the next, and than the ANN."""
    graph = import_graph(artifact.head)
    tail = find_tail(graph, {tensor.name for tensor in graph.inputs})
    return {tensor.name for node in graph.nodes if node.name in tail for tensor in node.outputs}


def choose_answer(artifact: Artifact, named: str | None = None) -> Artifact:
    """The artifact with the output that is its answer in front.

    It is the one that is named, here or when the network was compiled; else the first that may have class
    scores; else the first with a whole number for each sample; else the first.

    Raises:
        OptionError: no output of that name.
    """
    named = named if named is not None else artifact.record.options.get("answer")
    if named is None:
        if len(artifact.outputs) == 1:
            return artifact
        specs = output_specs(artifact).values()
        found = [spec for spec in specs if spec.may_have_scores] or [s for s in specs if s.may_have_answers]
        return replace(artifact, answer=found[0].name if found else artifact.outputs[0])
    check_answer(named, artifact.outputs)
    return replace(artifact, answer=named, named=True)


def check_answer(named: str, outputs: tuple[str, ...]) -> None:
    """Make sure that an output has that name.

    Raises:
        OptionError: none has.
    """
    if named not in outputs:
        raise OptionError(
            f"--answer: expected one of the outputs {', '.join(outputs)}, found '{named}'; give one of these"
        )


def find_answer(specs: Mapping[str, OutputSpec], outputs: Mapping[str, Array], samples: int) -> str | None:
    """The only output with class scores, or without any with whole numbers [N]; None for no such one."""
    scored = [name for name, spec in specs.items() if spec.has_scores(outputs[name], samples)]
    answering = scored or [name for name, spec in specs.items() if spec.has_answers(outputs[name], samples)]
    return answering[0] if len(answering) == 1 else None
