"""Labels in a file of their own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from onnx2snn.data.label_files import add_labels
from onnx2snn.data.readers import open_dataset
from onnx2snn.errors import DataError
from tests.data.reader_cases import GREY, VECTOR, floats, pixels, save_image


@pytest.fixture
def data(tmp_path):
    np.save(tmp_path / "x.npy", floats(3, 2))
    return open_dataset(tmp_path / "x.npy", VECTOR)


def saved(folder, array):
    np.save(folder / "labels.npy", array)
    return folder / "labels.npy"


def test_an_array_of_classes_or_of_numbers(data, tmp_path):
    found = add_labels(data, saved(tmp_path, np.array([2, 0, 1], np.uint8)))
    assert found.labels is not None
    assert (found.labels.dtype, found.labels.tolist(), found.targets) == (np.int64, [2, 0, 1], None)
    found = add_labels(found, saved(tmp_path, floats(3, 4, 5)))
    assert found.labels is None
    assert found.targets.shape == (3, 4, 5)
    assert found.every(2).truth.shape == (2, 4, 5)


def test_labels_of_more_samples_than_are_used(data, tmp_path):
    labels = saved(tmp_path, np.arange(5))
    assert add_labels(data, labels, cut=True).labels.tolist() == [0, 1, 2]
    with pytest.raises(DataError, match=r"labels\.npy: expected 3 labels, one a sample, found 5"):
        add_labels(data, labels)


def test_boxes_go_by_the_names_of_image_files(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "b"):
        save_image(folder / f"{name}.png", pixels(1, 2, 2)[0])
    boxes = {
        "images": [{"id": 1, "file_name": "b.png"}, {"id": 2, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}],
        "categories": [{"id": 1}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    found = add_labels(open_dataset(folder, GREY), tmp_path / "boxes.json")
    assert [len(one.classes) for one in found.targets] == [0, 1]
    assert [len(one.classes) for one in found.every(1, 1).truth] == [1]


def test_other_files(data, tmp_path):
    with pytest.raises(
        DataError, match=r"labels in an \.npy or a COCO \.json, found \.csv; give one of these"
    ):
        add_labels(data, tmp_path / "labels.csv")


def test_an_order_that_is_not_known(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("cat", "dog"):
        save_image(tmp_path / "images" / name / "a.png", pixels(1, 2, 2)[0])
    data = open_dataset(tmp_path / "images", GREY, max_samples=1)
    with pytest.raises(DataError, match="expected no --max-samples where labels go by the order of samples"):
        add_labels(data, saved(tmp_path, np.arange(2)), cut=True)
