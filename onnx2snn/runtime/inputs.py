"""What goes into a run: checked against the model, counted, and cut into groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.data.readers import InputSpec
from onnx2snn.errors import DataError, OptionError, shape_text
from onnx2snn.options import Schedule

Array = npt.NDArray[Any]


def check_inputs(specs: Sequence[InputSpec], inputs: Array | Mapping[str, Array]) -> dict[str, Array]:
    """The inputs by name.

    Raises:
        DataError: arrays that do not fit the model's inputs.
    """
    arrays = inputs if isinstance(inputs, Mapping) else {specs[0].name: inputs}
    expected = {spec.name for spec in specs}
    if set(arrays) != expected:
        raise DataError(
            f"inputs: expected {', '.join(sorted(expected))}, "
            f"found {', '.join(sorted(arrays)) or 'none'}; give every input by its name"
        )
    for spec in specs:
        _check_array(spec, np.asarray(arrays[spec.name]))
    return {spec.name: np.asarray(arrays[spec.name]) for spec in specs}


def count_samples(specs: Sequence[InputSpec], feeds: Mapping[str, Array]) -> int:
    """How many samples a batch has."""
    return next((len(feeds[spec.name]) for spec in specs if spec.shape), 1)


def are_alike(specs: Sequence[InputSpec], feeds: Mapping[str, Array]) -> bool:
    """Whether every input has as many samples."""
    return len({len(feeds[spec.name]) for spec in specs if spec.shape}) <= 1


def cut(feeds: Mapping[str, Array], samples: int, size: int) -> list[dict[str, Array]]:
    """The samples in groups of about one size."""
    if size >= samples:
        return [dict(feeds)]
    bounds = np.linspace(0, samples, -(-samples // size) + 1).astype(int)
    return [{name: array[a:b] for name, array in feeds.items()} for a, b in pairwise(bounds)]


def _check_array(spec: InputSpec, array: Array) -> None:
    fits = array.ndim == len(spec.shape) and all(
        size is None or size == found for size, found in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        wanted = tuple("N" if size is None else size for size in spec.shape)
        raise DataError(
            f"input '{spec.name}': expected shape {shape_text(wanted)}, found {shape_text(array.shape)}; "
            "reshape or transpose the array"
        )
    if array.dtype != spec.dtype:
        raise DataError(
            f"input '{spec.name}': expected dtype {spec.dtype}, found {array.dtype}; convert it with "
            f".astype('{spec.dtype}') and the model's preprocessing"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"input '{spec.name}': expected finite values, found NaN or Inf; repair the samples")


def check_timesteps(given: int | None, compiled: int, schedule: Schedule) -> int:
    """How many timesteps a run takes: as many as the network was compiled for, or as somebody says.

    Raises:
        OptionError: no whole number of at least 1, or another than `compiled` in the schedule `layer`.
    """
    try:
        value = compiled if given is None else index(given)
    except TypeError:
        value = 0
    if value < 1:
        raise OptionError(
            f"timesteps: expected a whole number, at least 1, found {given!r}; leave it out for {compiled}"
        )
    if schedule == "layer" and value != compiled:
        raise OptionError(
            f"timesteps: expected {compiled}, which the levels of the network are made for, found {value}; "
            f"compile again with --timesteps {value}"
        )
    return value
