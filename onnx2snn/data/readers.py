"""Open calibration and evaluation data: arrays, images, event recordings, in files and in directories."""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.array_files import Header, npz_headers, open_npy, read_npz
from onnx2snn.data.dataset import Dataset, InputSpec, Part, fit_array
from onnx2snn.data.event_files import (
    EVENT_SUFFIXES,
    READERS,
    are_recordings,
    recordings_of,
)
from onnx2snn.data.events import holds_events
from onnx2snn.data.image_folder import IMAGE_SUFFIXES, image_parts, label_folders
from onnx2snn.data.items import Items, are_items, item_dataset
from onnx2snn.data.labels import LABELS_KEY, check_target_array, with_labels
from onnx2snn.data.preprocessing import UNCHANGED, Preprocessing
from onnx2snn.data.recordings import Source, recording_dataset
from onnx2snn.errors import DataError, OptionError, one_line

__all__ = ["Dataset", "InputSpec", "dataset_from_arrays", "open_dataset"]

ARRAY_SUFFIXES = frozenset({".npy", ".npz"})
IMAGES_KEY = "images"

_KINDS = "an .npz, an .npy, a file of events, a directory of these, or a directory of image files"


def open_dataset(
    path: str | Path,
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing = UNCHANGED,
    max_samples: int | None = None,
) -> Dataset:
    """Open a data set for a model; only headers and labels are read here.

    Args:
        path: one of
            an `.npz` with the model's input names as keys, or, for a model with one input, `images` or a
            single array of any name; `labels` ([N, …], as the task has
            them: see docs/tasks.md) is optional;
            an `.npy` for a model with one input;
            event recordings, for a model with one input: an `.npz` of `events` (x, y, polarity, time in µs; a
            plain array or one with fields) and, of several, `offsets`; an `.npz` of a column each; an `.npy`
            with fields; a file of a format of `event_files.READERS`;
            a directory of these, in order of file name, where an `.npy` may also be one sample without
            its batch axis;
            a directory of image files, in order of file name; class sub-folders of images or of recordings
            give labels by their order.
        inputs: the model's inputs.
        preprocessing: what turns integers, images and events into floats.
        max_samples: use the first samples only (of class sub-folders: as many from each); None: all. Frames
            of recordings are samples.

    Raises:
        DataError: data that is missing, unreadable, mixed, or does not fit the inputs.
        OptionError: `max_samples` below 1, or a `resize` that the model does not take.
    """
    path = Path(path)
    _check_limit(max_samples)
    try:
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)}); expected {_KINDS}") from error
    if not is_directory:
        if path.suffix.lower() not in ARRAY_SUFFIXES | EVENT_SUFFIXES:
            raise DataError(f"{path}: expected {_KINDS}, found a file of another kind; give one of those")
        return _from_files(path, [path], inputs, preprocessing, max_samples)
    return _from_directory(path, inputs, preprocessing, max_samples)


def dataset_from_arrays(
    arrays: NDArray[Any] | Mapping[str, NDArray[Any]] | Items,
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing = UNCHANGED,
    max_samples: int | None = None,
    labels: NDArray[Any] | None = None,
) -> Dataset:
    """A data set from arrays in memory, which it refers to and does not change.

    Args:
        arrays: [N, ...] for a model with one input, arrays by key as in an `.npz` (event recordings too), one
            recording as an array with fields, or pairs of these and a label, as tonic's data sets give them:
            see `item_dataset`.
        inputs: the model's inputs.
        preprocessing: what turns integers and events into floats.
        max_samples: use the first samples only; None: all.
        labels: [N, …] as the task has them, of recordings an integer each; None: `arrays["labels"]`, or those
            of pairs.

    Raises:
        DataError: arrays or labels that do not fit the inputs or each other.
        OptionError: `max_samples` below 1.
    """
    _check_limit(max_samples)
    if labels is None and are_items(arrays):
        return item_dataset(arrays, inputs, preprocessing, max_samples)
    if isinstance(arrays, Mapping):
        held = {key: np.asarray(array) for key, array in arrays.items()}
    else:
        held = {IMAGES_KEY: np.asarray(arrays)}
        if len(inputs) != 1:
            raise _needs_names("arrays", inputs)
    headers = {key: Header(array.shape, array.dtype) for key, array in held.items()}
    if are_recordings(headers, {spec.name for spec in inputs}):
        labelled = held if labels is None else held | {LABELS_KEY: np.asarray(labels)}
        source = Source("arrays", partial(recordings_of, "arrays", labelled))
        return recording_dataset([source], inputs, preprocessing, max_samples, "arrays")
    keys = _choose_keys("arrays", held, inputs)
    stored = {name: held[key] for name, key in keys.items()}
    part = _array_part("arrays", keys, headers, lambda: stored, inputs, preprocessing)
    if labels is None and LABELS_KEY not in keys.values():
        labels = held.get(LABELS_KEY)
    if labels is not None:
        labels = np.asarray(labels)
        check_target_array("labels", Header(labels.shape, labels.dtype), part.samples)
    return _assemble([part], [labels], inputs, preprocessing, max_samples, "arrays")


def _from_directory(
    path: Path, inputs: Sequence[InputSpec], preprocessing: Preprocessing, max_samples: int | None
) -> Dataset:
    """The data set of a directory that has one kind of data."""
    entries = _visible(path)
    arrays = _with_suffix(entries, ARRAY_SUFFIXES)
    images = _with_suffix(entries, IMAGE_SUFFIXES)
    events = _with_suffix(entries, EVENT_SUFFIXES)
    folders = _class_folders(path, entries, IMAGE_SUFFIXES, "image file")
    recorded = {} if folders else _class_folders(path, entries, ARRAY_SUFFIXES | EVENT_SUFFIXES, "recording")
    kinds = {
        "array files": arrays,
        "image files": images,
        "event files": events,
        "class sub-folders of image files": folders,
        "class sub-folders of recordings": recorded,
    }
    found = [kind for kind, present in kinds.items() if present]
    if len(found) > 1:
        raise DataError(
            f"{path}: expected one kind of data, found {' and '.join(found)}; put each in its own directory"
        )
    if arrays or events:
        return _from_files(path, arrays or events, inputs, preprocessing, max_samples)
    labels, label_names = None, None
    if recorded:
        files, labels, label_names = label_folders(recorded, None)
        sources = [_source(file) for file in files]
        name = _base_name(path)
        return recording_dataset(sources, inputs, preprocessing, max_samples, name, labels, label_names)
    if folders:
        images, labels, label_names = label_folders(folders, max_samples)
    if not images:
        what = "no file of these kinds" if entries else "nothing"
        raise DataError(f"{path}: expected {_KINDS}, found {what} in the directory; add data or give another")
    parts = image_parts(path, images[:max_samples], inputs, preprocessing)
    return Dataset(tuple(inputs), tuple(parts), preprocessing, _base_name(path), labels, label_names)


def _from_files(
    path: Path,
    files: Sequence[Path],
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing,
    max_samples: int | None,
) -> Dataset:
    if _has_recordings(files[0], inputs):
        sources = [_source(file) for file in files]
        return recording_dataset(sources, inputs, preprocessing, max_samples, _base_name(path))
    parts, labels = [], []
    for file in files:
        if file.suffix.lower() == ".npz":
            part, part_labels = _npz_part(file, inputs, preprocessing)
        else:
            part, part_labels = _npy_part(file, inputs, preprocessing, may_be_single=file != path), None
        parts.append(part)
        labels.append(part_labels)
    return _assemble(parts, labels, inputs, preprocessing, max_samples, _base_name(path))


def _has_recordings(file: Path, inputs: Sequence[InputSpec]) -> bool:
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return are_recordings(npz_headers(file), {spec.name for spec in inputs})
    return suffix in EVENT_SUFFIXES or holds_events(open_npy(file).dtype)


def _source(file: Path) -> Source:
    return Source(str(file), partial(READERS[file.suffix.lower()], file))


def _assemble(
    parts: Sequence[Part],
    labels: Sequence[NDArray[Any] | None],
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing,
    max_samples: int | None,
    source: str,
) -> Dataset:
    """The data set of all parts, cut to `max_samples`, once the parts are known to agree."""
    first = parts[0]
    for part in parts[1:]:
        for name, shape in part.sample_shapes.items():
            expected = first.sample_shapes[name]
            if shape != expected:
                raise DataError(
                    f"{part.where[name]}: expected samples of shape {list(expected)} as in "
                    f"{first.where[name]}, found {list(shape)}; store all samples in one shape"
                )
    known = [array for array in labels if array is not None]
    if known and len(known) < len(labels):
        raise DataError(
            f"{source}: expected labels in every file or in none, found them in {len(known)} of "
            f"{len(labels)}; store '{LABELS_KEY}' in each .npz"
        )
    kept, room = [], max_samples
    for part in parts:
        samples = part.samples if room is None else min(part.samples, room)
        room = None if room is None else room - samples
        if samples:
            kept.append(replace(part, samples=samples))
    if not kept:
        raise DataError(f"{source}: expected at least 1 sample, found 0; add data")
    dataset = Dataset(tuple(inputs), tuple(kept), preprocessing, source)
    return with_labels(dataset, f"{source}: labels", _join(source, known)[:max_samples]) if known else dataset


def _join(source: str, labels: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The labels of all files; those of one as they are."""
    kinds = {(array.shape[1:], array.dtype.kind in "iub") for array in labels}
    if len(kinds) > 1:
        shapes = " and ".join(sorted({f"{array.dtype} {list(array.shape)}" for array in labels}))
        raise DataError(f"{source}: expected labels of one kind in all files, found {shapes}; store one kind")
    return labels[0] if len(labels) == 1 else np.concatenate(labels)


def _array_part(
    where: str,
    keys: Mapping[str, str],
    headers: Mapping[str, Header],
    read: Callable[[], Mapping[str, NDArray[Any]]],
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing,
) -> Part:
    """A part of arrays with known headers, after checking that they fit the inputs and each other."""
    names = {spec.name: f"{where}['{keys[spec.name]}']" if keys[spec.name] else where for spec in inputs}
    shapes = {
        spec.name: fit_array(names[spec.name], *headers[keys[spec.name]][:2], spec, preprocessing)
        for spec in inputs
    }
    first = inputs[0].name
    for name, shape in shapes.items():
        if shape[0] != shapes[first][0]:
            raise DataError(
                f"{names[name]}: expected {shapes[first][0]} samples as in {names[first]}, found {shape[0]}; "
                f"store as many samples for every input"
            )
    return Part(shapes[first][0], names, {name: shape[1:] for name, shape in shapes.items()}, read)


def _npy_part(
    file: Path, inputs: Sequence[InputSpec], preprocessing: Preprocessing, *, may_be_single: bool
) -> Part:
    if len(inputs) != 1:
        raise _needs_names(str(file), inputs)
    spec = inputs[0]
    array = open_npy(file)
    single = may_be_single and array.ndim == len(spec.shape) - 1
    header = Header((1, *array.shape) if single else array.shape, array.dtype)
    read = partial(_read_npy, file, spec.name, single=single)
    return _array_part(str(file), {spec.name: ""}, {"": header}, read, inputs, preprocessing)


def _read_npy(file: Path, name: str, *, single: bool) -> dict[str, NDArray[Any]]:
    array = open_npy(file)
    return {name: array[np.newaxis] if single else array}


def _npz_part(
    file: Path, inputs: Sequence[InputSpec], preprocessing: Preprocessing
) -> tuple[Part, NDArray[Any] | None]:
    headers = npz_headers(file)
    keys = _choose_keys(str(file), headers, inputs)
    part = _array_part(str(file), keys, headers, partial(read_npz, file, keys), inputs, preprocessing)
    if LABELS_KEY not in headers or LABELS_KEY in keys.values():
        return part, None
    where = f"{file}['{LABELS_KEY}']"
    check_target_array(where, headers[LABELS_KEY], part.samples)
    return part, read_npz(file, {LABELS_KEY: LABELS_KEY})[LABELS_KEY]


def _choose_keys(where: str, keys: Collection[str], inputs: Sequence[InputSpec]) -> dict[str, str]:
    """The key of every input's array."""
    names = [spec.name for spec in inputs]
    if all(name in keys for name in names):
        return {name: name for name in names}
    others = [key for key in keys if key != LABELS_KEY]
    if len(names) == 1 and IMAGES_KEY in keys:
        return {names[0]: IMAGES_KEY}
    if len(names) == 1 and len(others) == 1:
        return {names[0]: others[0]}
    expected = f"'{IMAGES_KEY}' or '{names[0]}'" if len(names) == 1 else ", ".join(map(repr, names))
    listing = ", ".join(repr(key) for key in sorted(keys)) or "none"
    raise DataError(f"{where}: expected the key {expected}, found {listing}; rename the arrays")


def _check_limit(max_samples: int | None) -> None:
    if max_samples is not None and max_samples < 1:
        raise OptionError(f"max samples: expected at least 1, found {max_samples}; leave it out for all")


def _visible(folder: Path) -> list[Path]:
    """The entries in order of name, without hidden ones such as macOS's `._image.png`."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({one_line(error)}); check its permissions") from error
    return sorted(entries, key=lambda entry: entry.name)


def _with_suffix(entries: Sequence[Path], suffixes: Collection[str]) -> list[Path]:
    return [entry for entry in entries if entry.suffix.lower() in suffixes and not entry.is_dir()]


def _class_folders(
    root: Path, entries: Sequence[Path], suffixes: Collection[str], kind: str
) -> dict[str, list[Path]]:
    """The files of one kind in every sub-folder; empty where no sub-folder has any."""
    contents = {entry: _visible(entry) for entry in entries if entry.is_dir()}
    wanted = {folder.name: _with_suffix(files, suffixes) for folder, files in contents.items()}
    if not any(wanted.values()):
        return {}
    others = (ARRAY_SUFFIXES | EVENT_SUFFIXES) - frozenset(suffixes)
    for folder, files in contents.items():
        if not wanted[folder.name] or _with_suffix(files, others):
            found = f"no {kind}"
            if wanted[folder.name]:
                found = "array files" if _with_suffix(files, ARRAY_SUFFIXES) else "event files"
            raise DataError(
                f"{folder}: expected {kind}s as in the other class sub-folders of {root.name}, "
                f"found {found}; move or remove them, since the order of sub-folders gives the labels"
            )
    return wanted


def _base_name(path: Path) -> str:
    # Never a whole path: it goes into artifacts that are the same on every machine.
    return path.absolute().name


def _needs_names(where: str, inputs: Sequence[InputSpec]) -> DataError:
    names = ", ".join(f"'{spec.name}'" for spec in inputs)
    return DataError(
        f"{where}: expected an array for each of the model's {len(inputs)} inputs, found one without a name; "
        f"give an .npz (or a mapping) with the keys {names}"
    )
