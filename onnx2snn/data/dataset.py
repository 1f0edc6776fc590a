"""A data set: parts that are read one after the other, and turned into a model's inputs batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.array_files import release
from onnx2snn.data.preprocessing import CHANNEL_COUNTS, Layout, Preprocessing, infer_layout
from onnx2snn.data.targets import Targets, some_targets
from onnx2snn.errors import DataError, OptionError

INTEGER_KINDS = "iub"
"""`numpy.dtype.kind` of what is preprocessed: signed, unsigned, bool."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: its name in the graph.
        dtype: its element type.
        shape: its dimensions, the batch first; None where a dimension is dynamic.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Part:
    """Consecutive samples that are stored together: a file, or the arrays of a caller.

    Attributes:
        samples: how many of its samples belong to the data set: the first, or those `taken`.
        where: for each input, what to call its array in a message.
        sample_shapes: for each input, the shape of one sample in the model's layout.
        read: gives the stored arrays [at least `samples`, ...] by input name, in their stored dtype.
        taken: int64 [samples], numbers of stored samples in order; None for the first ones.
    """

    samples: int
    where: Mapping[str, str]
    sample_shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[], Mapping[str, NDArray[Any]]]
    taken: NDArray[np.int64] | None = None

    def some(self, numbers: NDArray[np.int64]) -> Part:
        """Some of its samples, by their numbers among those that belong to the data set."""
        taken = numbers if self.taken is None else self.taken[numbers]
        return replace(self, samples=len(taken), taken=taken)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples in a fixed order, converted no more than one batch at a time.

    Attributes:
        inputs: the model's inputs.
        parts: where the samples are, in order.
        preprocessing: what turns integers into the model's floats.
        source: base name of the file or directory, or "arrays".
        labels: int64 [N], the class of each sample; None: unknown.
        label_names: name of each class, where sub-folders name them.
        recordings: int64 [N], ascending: the recording each sample is a frame of; None: there are none.
        targets: labels that are no classes: numbers [N, …], or the objects of each image; None: none.
    """

    inputs: tuple[InputSpec, ...]
    parts: tuple[Part, ...]
    preprocessing: Preprocessing
    source: str
    labels: NDArray[np.int64] | None = None
    label_names: tuple[str, ...] | None = None
    recordings: NDArray[np.int64] | None = None
    targets: Targets | None = None

    def __len__(self) -> int:
        return sum(part.samples for part in self.parts)

    def batches(self, batch_size: int) -> Iterator[dict[str, NDArray[Any]]]:
        """Batches of `batch_size` samples (the last one may be smaller) as the model's inputs by name.

        Every call starts at the first sample again. The arrays are copies in the dtype of the input.

        Raises:
            OptionError: a batch size below 1, or a mean or std that does not fit the channels.
            DataError: while iterating, a file that cannot be read or a value that the input cannot take.
        """
        if batch_size < 1:
            raise OptionError(f"batch size: expected at least 1, found {batch_size}")
        return self._batches(batch_size)

    @property
    def truth(self) -> Targets | None:
        """Its labels, whatever they are: classes, numbers or objects; None: there are none."""
        return self.labels if self.targets is None else self.targets

    def every(self, stride: int, start: int = 0) -> Dataset:
        """Every `stride`-th sample, from number `start` on."""
        return self._take(np.arange(start, len(self), stride))

    def spread(self, count: int) -> Dataset:
        """So many samples, evenly over all."""
        return self._take(np.arange(count) * len(self) // max(1, count))

    def halves(self) -> tuple[Dataset, Dataset]:
        """Every other sample and the rest; of frames every other recording, so that none is in both."""
        turns = np.arange(len(self))
        if self.recordings is not None and self.recordings[0] != self.recordings[-1]:
            turns = np.unique(self.recordings, return_inverse=True)[1]
        return self._take(np.flatnonzero(turns % 2 == 0)), self._take(np.flatnonzero(turns % 2 == 1))

    def recording(self, number: int) -> Dataset:
        """The frames of one recording, by its number."""
        if self.recordings is None:
            raise DataError(f"{self.source}: expected frames of recordings, found samples of their own")
        return self._take(np.flatnonzero(self.recordings == number))

    def _take(self, numbers: NDArray[np.int64]) -> Dataset:
        """Some samples, by their numbers in order."""
        starts = np.cumsum([0, *(part.samples for part in self.parts)])
        bounds = np.searchsorted(numbers, starts)
        parts = [
            part.some(numbers[first:last] - start)
            for part, start, first, last in zip(self.parts, starts, bounds, bounds[1:], strict=False)
            if first < last
        ]
        labels = None if self.labels is None else self.labels[numbers]
        recordings = None if self.recordings is None else self.recordings[numbers]
        targets = None if self.targets is None else some_targets(self.targets, numbers)
        return replace(self, parts=tuple(parts), labels=labels, recordings=recordings, targets=targets)

    def _batches(self, batch_size: int) -> Iterator[dict[str, NDArray[Any]]]:
        pending: list[dict[str, NDArray[Any]]] = []
        filled = 0
        for part in self.parts:
            stored = part.read()
            start = 0
            while start < part.samples:
                stop = min(start + batch_size - filled, part.samples)
                rows = np.arange(start, stop) if part.taken is None else part.taken[start:stop]
                wanted = slice(start, stop) if part.taken is None else rows  # a slice makes no copy
                pending.append(
                    {
                        spec.name: _convert(
                            stored[spec.name][wanted], spec, self.preprocessing, part.where[spec.name], rows
                        )
                        for spec in self.inputs
                    }
                )
                filled += stop - start
                start = stop
                if filled == batch_size:
                    batch, pending, filled = _join(pending), [], 0
                    for array in stored.values():
                        release(array)
                    yield batch
        if pending:
            yield _join(pending)


def fit_array(
    where: str, shape: tuple[int, ...], dtype: np.dtype[Any], spec: InputSpec, preprocessing: Preprocessing
) -> tuple[int, ...]:
    """The shape [N, ...] that a stored array has in the model's layout.

    Raises:
        DataError: the array's dtype or shape is not one that the input takes.
    """
    integers_only = spec.dtype.kind in INTEGER_KINDS
    if dtype.kind not in (INTEGER_KINDS if integers_only else INTEGER_KINDS + "f"):
        kinds = "integers" if integers_only else "floats or integers"
        raise DataError(
            f"{where}: expected {kinds} for input '{spec.name}' ({spec.dtype}), found dtype {dtype}; "
            f"store a plain numeric array"
        )
    axes = _layout_axes(shape, spec, preprocessing) if dtype.kind in INTEGER_KINDS else None
    fitted = shape if axes is None else tuple(shape[axis] for axis in axes)
    if not shape or not _fits(fitted, spec):
        raise DataError(
            f"{where}: expected shape {_show(('N', *spec.shape[1:]))} for input '{spec.name}', "
            f"found {_show(shape)}; reshape or transpose the array"
        )
    if preprocessing.resize is not None and dtype.kind in INTEGER_KINDS and len(fitted) == 4:
        size = fitted[2:] if _layout(spec, preprocessing) == "NCHW" else fitted[1:3]
        if size != preprocessing.resize:
            raise DataError(
                f"{where}: expected {_show(preprocessing.resize)} pixels, the size to resize images to, "
                f"found {_show(size)}; only image files are resized, so store the array in that size"
            )
    return fitted


def _layout(spec: InputSpec, preprocessing: Preprocessing) -> Layout:
    return preprocessing.layout or infer_layout(spec.shape)


def _fits(shape: tuple[int, ...], spec: InputSpec) -> bool:
    """Rank and static dimensions agree; the batch dimension is the caller's affair."""
    return len(shape) == len(spec.shape) and all(
        expected in (None, found) for expected, found in zip(spec.shape[1:], shape[1:], strict=True)
    )


def _layout_axes(
    shape: tuple[int, ...], spec: InputSpec, preprocessing: Preprocessing
) -> tuple[int, int, int, int] | None:
    """The transposition from the other layout to the model's; None where the array needs none."""
    if len(shape) != 4 or len(spec.shape) != 4:
        return None
    here, there, axes = (
        (1, 3, (0, 3, 1, 2)) if _layout(spec, preprocessing) == "NCHW" else (3, 1, (0, 2, 3, 1))
    )
    # A dynamic channel dimension fits anything, so there the array's own channel count has to tell.
    told_by_count = shape[there] in CHANNEL_COUNTS and shape[here] not in CHANNEL_COUNTS
    if _fits(shape, spec) and not (spec.shape[here] is None and told_by_count):
        return None
    return axes if _fits(tuple(shape[axis] for axis in axes), spec) else None


def _convert(
    stored: NDArray[Any],
    spec: InputSpec,
    preprocessing: Preprocessing,
    where: str,
    numbers: NDArray[np.int64],
) -> NDArray[Any]:
    """Stored samples [n, ...] as a new array of the input's dtype; `numbers` are theirs in messages."""
    array = stored
    if stored.dtype.kind in INTEGER_KINDS:
        axes = _layout_axes(stored.shape, spec, preprocessing)
        array = stored if axes is None else stored.transpose(axes)
        if spec.dtype.kind not in INTEGER_KINDS:
            array = preprocessing.apply(array, _layout(spec, preprocessing))
    with np.errstate(over="ignore"):
        result = np.array(array, spec.dtype, order="C")
    # Checked after the cast: a float64 or an int64 that the input's dtype cannot hold is as bad as a NaN.
    good = result == array if spec.dtype.kind in INTEGER_KINDS else np.isfinite(result)
    bad_samples = np.flatnonzero(~good.reshape(len(good), -1).all(axis=1))
    if bad_samples.size:
        raise DataError(
            f"{where}, sample {numbers[bad_samples[0]]}: expected finite values in the range of {spec.dtype} "
            f"for input '{spec.name}', found NaN, infinity or a value past it; repair or remove the sample"
        )
    return result


def _join(chunks: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    if len(chunks) == 1:
        return chunks[0]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _show(shape: Sequence[int | str | None]) -> str:
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"
