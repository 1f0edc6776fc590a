"""Data sets of Python objects: pairs of a recording, or of its frames, and a label, as those of tonic are."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.dataset import Dataset, InputSpec, Part, fit_array
from onnx2snn.data.event_files import Recordings, one_recording
from onnx2snn.data.events import holds_events
from onnx2snn.data.labels import check_classes
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.recordings import Source, alike, recording_dataset
from onnx2snn.errors import DataError

_NAME = "items"


class Items(Protocol):
    """What gives an item by its number, the same one each time."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, number: int, /) -> Any:
        """A pair of an array and a label, or events alone."""


def are_items(data: object) -> TypeGuard[Items]:
    """Whether an object gives pairs, or arrays with the fields of events, by their numbers."""
    if isinstance(data, np.ndarray | Mapping | str) or hasattr(data, "__array__"):
        return False
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__") or not len(data):
        return False
    first = data[0]
    return (isinstance(first, tuple) and len(first) == 2) or holds_events(np.asarray(first).dtype)


def item_dataset(
    items: Items, inputs: Sequence[InputSpec], preprocessing: Preprocessing, max_samples: int | None
) -> Dataset:
    """A data set of items, which are asked for once here, and again when they are used.

    Args:
        items: of (events, label), arrays with the fields of events that become frames; or of (array, label),
            a sample or the frames [T, …] of a recording, as transforms such as tonic's `ToFrame` make them.
            A label that is no integer is none.
        inputs: the model's, which has to be one.
        preprocessing: with `frames` where items are events.
        max_samples: use the first ones only.

    Raises:
        DataError: items that are broken, of different kinds, or do not fit the model.
    """
    if len(inputs) != 1:
        raise DataError(
            f"{_NAME}: expected a model with 1 input for pairs of an array and a label, found {len(inputs)}; "
            "give a mapping of arrays by the inputs' names"
        )
    if holds_events(_pair(items, 0)[0].dtype):
        sources = [Source(f"item {number}", partial(_events, items, number)) for number in range(len(items))]
        return recording_dataset(sources, inputs, preprocessing, max_samples, _NAME)
    return _array_items(items, inputs[0], preprocessing, max_samples)


def _array_items(
    items: Items, spec: InputSpec, preprocessing: Preprocessing, max_samples: int | None
) -> Dataset:
    parts: list[Part] = []
    labels: list[int | None] = []
    room, framed = max_samples, False
    for number in range(len(items)):
        array, label = _pair(items, number)
        frames = array if array.ndim == len(spec.shape) else array[np.newaxis]
        where = f"item {number}"
        shape = fit_array(where, frames.shape, frames.dtype, spec, preprocessing)
        samples = len(frames) if room is None else min(room, len(frames))
        read = partial(_frames, items, number, spec, frames.shape)
        parts.append(Part(samples, {spec.name: where}, {spec.name: shape[1:]}, read))
        labels.append(label)
        framed |= frames is array
        room = None if room is None else room - samples
        if room == 0:
            break
    counts = [part.samples for part in parts]
    if not sum(counts):
        raise DataError(f"{_NAME}: expected at least 1 sample, found 0; add data")
    known = [label for label in labels if label is not None]
    if known and len(known) < len(labels):
        raise DataError(
            f"{_NAME}: expected an integer as label of every item or of none, found one in {len(known)} of "
            f"{len(labels)}; give labels to all"
        )
    check_classes(_NAME, np.array(known, object))
    classes = np.repeat(np.array(known, np.int64), counts) if known else None
    recordings = np.repeat(np.arange(len(counts)), counts) if framed else None
    return Dataset((spec,), alike(tuple(parts)), preprocessing, _NAME, classes, recordings=recordings)


def _frames(items: Items, number: int, spec: InputSpec, shape: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    array = _pair(items, number)[0]
    frames = array if array.ndim == len(spec.shape) else array[np.newaxis]
    if frames.shape != shape:
        raise DataError(
            f"item {number}: expected an array of shape {list(shape)} as before, found {list(frames.shape)}; "
            "leave random transforms out"
        )
    return {spec.name: frames}


def _events(items: Items, number: int) -> Recordings:
    events, label = _pair(items, number)
    found = one_recording(f"item {number}", events)
    if label is None:
        return found
    check_classes(f"item {number}", np.array([label], object))
    return replace(found, labels=np.array([label], np.int64))


def _pair(items: Items, number: int) -> tuple[NDArray[Any], int | None]:
    item = items[number]
    array, label = item if isinstance(item, tuple) else (item, None)
    try:
        return np.asarray(array), operator.index(label)
    except TypeError:
        return np.asarray(array), None
