"""Outputs of many batches as if of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.artifact.outputs import OutputSpec
from onnx2snn.errors import OptionError, shape_text

Array = npt.NDArray[Any]


def gather(
    spec: OutputSpec, batches: Sequence[tuple[Mapping[str, Array], int, int]], source: str = "data"
) -> Array:
    """One output of consecutive batches, along the axis on which its samples are.

    Args:
        spec: the output.
        batches: for each its outputs by name, how many of its samples count, and how many it has.
        source: what the samples are called.

    Raises:
        OptionError: what a batch gives cannot be told apart by sample, and there is more than one, or one
            with samples that only fill it up.
    """
    values = [outputs[spec.name] for outputs, _, _ in batches]
    apart = spec.layout is not None or all(
        spec.has_rows(array.shape, samples) for array, (_, _, samples) in zip(values, batches, strict=True)
    )
    if apart:
        parts = [
            spec.first(array, count, samples)
            for array, (_, count, samples) in zip(values, batches, strict=True)
        ]
        return np.concatenate(parts, axis=max(spec.layout or 0, 0))
    if len(batches) == 1 and batches[0][1] == batches[0][2]:
        return values[0]
    samples = batches[0][2]
    raise OptionError(
        f"{source}: expected {samples} samples, one batch, where output '{spec.name}' of shape "
        f"{shape_text(values[0].shape)} has not one row a sample, found "
        f"{sum(count for _, count, _ in batches)}; give {samples} at a time, or export the model without it"
    )
