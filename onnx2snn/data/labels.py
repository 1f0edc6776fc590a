"""Labels: integers that are class numbers, and fit the classes of a net; or numbers of any shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.array_files import Header
from onnx2snn.data.dataset import Dataset
from onnx2snn.errors import DataError

LABELS_KEY = "labels"


def check_label_array(where: str, header: Header, samples: int, of: str = "sample") -> None:
    """Make sure that an array can be the labels of so many samples, or of other things.

    Raises:
        DataError: no integers, or not as many.
    """
    remedy = f"store one class number a {of}"
    if len(header.shape) != 1 or header.dtype.kind not in "iu":
        raise DataError(
            f"{where}: expected integers of shape [{samples}], "
            f"found {header.dtype} of shape {list(header.shape)}; {remedy}"
        )
    if header.shape[0] != samples:
        raise DataError(f"{where}: expected {samples} labels, one a {of}, found {header.shape[0]}; {remedy}")


def check_target_array(where: str, header: Header, samples: int) -> None:
    """Make sure that an array can be the labels of so many samples, for whatever task.

    Raises:
        DataError: no numbers, or not as many.
    """
    if header.dtype.kind not in "iubf" or not header.shape:
        raise DataError(
            f"{where}: expected numbers of shape [{samples}, …], found {header.dtype} of shape "
            f"{list(header.shape)}; store the labels of each sample in a row"
        )
    if header.shape[0] != samples:
        raise DataError(
            f"{where}: expected {samples} labels, one a sample, found {header.shape[0]}; store the labels of "
            "each sample in a row"
        )


def are_classes(array: NDArray[Any]) -> bool:
    """Whether labels are class numbers: integers [N]."""
    return array.ndim == 1 and array.dtype.kind in "iu"


def with_labels(dataset: Dataset, where: str, labels: NDArray[Any]) -> Dataset:
    """The data set with labels: classes, or numbers of any shape.

    Raises:
        DataError: no numbers, not as many as samples, or classes below 0.
    """
    check_target_array(where, Header(labels.shape, labels.dtype), len(dataset))
    if are_classes(labels):
        check_classes(where, labels)
        return replace(dataset, labels=np.asarray(labels, np.int64), targets=None)
    return replace(dataset, labels=None, targets=labels)


def check_classes(where: str, labels: NDArray[Any]) -> None:
    """Make sure that labels are class numbers.

    Raises:
        DataError: a number below 0, or one that int64 does not hold.
    """
    lowest, most = labels.min(initial=0), labels.max(initial=0)
    if lowest < 0 or most > np.iinfo(np.int64).max:
        found = lowest if lowest < 0 else most
        raise DataError(
            f"{where}: expected class numbers from 0, found {found}; leave samples of no class out, "
            "and store integers that are no classes as floats"
        )


def check_labels(dataset: Dataset, output: str, classes: int) -> None:
    """Make sure that every label is a class.

    Raises:
        DataError: labels past the classes of the output.
    """
    most = 0 if dataset.labels is None else int(dataset.labels.max(initial=0))
    if most >= classes:
        raise DataError(
            f"{dataset.source}: labels: expected classes 0 to {classes - 1}, those of output '{output}', "
            f"found {most}; give the data the model was trained for"
        )
