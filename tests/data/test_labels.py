"""Labels that fit the classes of a net, or not."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.data.labels import are_classes, check_labels, with_labels
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import DataError
from tests.data.reader_cases import VECTOR, floats


def labelled(labels):
    return dataset_from_arrays(floats(3, 2), VECTOR, labels=labels)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0], None])
def test_labels_up_to_the_last_class(labels):
    check_labels(labelled(None if labels is None else np.asarray(labels)), "y", 3)


def test_one_class_has_only_its_own_label():
    check_labels(labelled(np.zeros(3, np.int64)), "y", 1)
    with pytest.raises(DataError, match="expected classes 0 to 0, those of output 'y', found 1;"):
        check_labels(labelled(np.asarray([0, 1, 0])), "y", 1)


@pytest.mark.parametrize(("labels", "most"), [([0, 3, 1], 3), ([9, 0, 0], 9)])
def test_labels_past_the_last_class(labels, most):
    with pytest.raises(DataError) as caught:
        check_labels(labelled(np.asarray(labels)), "y", 3)
    assert str(caught.value) == (
        f"arrays: labels: expected classes 0 to 2, those of output 'y', found {most}; give the data the "
        "model was trained for"
    )


def test_integers_in_a_row_are_classes_and_all_else_is_not():
    data = labelled(None)
    assert are_classes(np.arange(3, dtype=np.uint8))
    assert not are_classes(np.arange(3.0))
    assert not are_classes(np.eye(3, dtype=int))
    found = with_labels(data, "here", np.arange(3, dtype=np.uint8))
    assert found.labels is not None
    assert (found.labels.dtype, found.targets) == (np.int64, None)
    numbers = with_labels(found, "here", np.eye(3))
    assert numbers.labels is None
    assert numbers.truth is numbers.targets


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.array(["a", "b", "c"]),
            "here: expected numbers of shape [3, …], found <U1 of shape [3]; store the ",
        ),
        (
            np.eye(2),
            "here: expected 3 labels, one a sample, found 2; store the labels of each sample in a row",
        ),
        (
            np.array([0, -1, 0]),
            "here: expected class numbers from 0, found -1; leave samples of no class out, ",
        ),
    ],
)
def test_what_are_no_labels(labels, message):
    with pytest.raises(DataError) as caught:
        with_labels(labelled(None), "here", labels)
    assert str(caught.value).startswith(message)


def test_a_class_number_that_int64_does_not_hold():
    for most in (2**63, 2**64 - 1):
        with pytest.raises(DataError) as caught:
            labelled(np.array([0, 1, most], np.uint64))
        assert str(caught.value) == (
            f"arrays: labels: expected class numbers from 0, found {most}; leave samples of no class out, "
            "and store integers that are no classes as floats"
        )
    assert labelled(np.array([0, 1, 2**63 - 1], np.uint64)).labels.tolist() == [0, 1, 2**63 - 1]
