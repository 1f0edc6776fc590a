"""Boxes in COCO's form: whose they are, which class, and what is wrong with them in one line."""

from __future__ import annotations

import json

import pytest

from onnx2snn.data.coco import read_coco
from onnx2snn.errors import DataError

BOXES = {
    "images": [{"id": 9, "file_name": "b.png"}, {"id": 4, "file_name": "deep/a.png"}],
    "annotations": [
        {"image_id": 9, "category_id": 7, "bbox": [1, 2, 3, 4]},
        {"image_id": 9, "category_id": 3, "bbox": [0, 0, 5, 5.5], "iscrowd": 1},
    ],
    "categories": [{"id": 7}, {"id": 3}],
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(BOXES))
    return path


def test_images_go_by_the_order_of_their_ids(file):
    first, second = read_coco(file, 2)
    assert first.boxes.shape == (0, 4)
    assert second.boxes.tolist() == [[1, 2, 4, 6], [0, 0, 5, 5.5]]
    assert second.classes.tolist() == [1, 0]
    assert second.crowd.tolist() == [False, True]
    (alone,) = read_coco(file, 1, cut=True)
    assert len(alone.classes) == 0


def test_images_go_by_their_names(file):
    found = read_coco(file, ["/data/b.png", "/data/deep/a.png"])
    assert [len(one.classes) for one in found] == [2, 0]
    with pytest.raises(DataError, match=r"expected an image with the file_name of /data/a\.png, found none;"):
        read_coco(file, ["/data/a.png"])


def test_other_samples(file):
    with pytest.raises(
        DataError, match="expected 3 images, one a sample in the order of their ids, found 2;"
    ):
        read_coco(file, 3)
    with pytest.raises(DataError, match="expected 1 images"):
        read_coco(file, 1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("{", "expected JSON, cannot be read"),
        ([], "expected a list 'images', found none"),
        ({"annotations": {}}, "expected a list 'annotations', found none"),
        ({"images": [{"name": 1}]}, r"images\[0\]: expected id, found name"),
        ("[" * 100_000, "expected JSON, cannot be read .*recursion"),
        ({"images": [3]}, r"images\[0\]: expected id, found no record"),
        ({"categories": [{"id": "cat"}]}, r"categories\[0\]: expected a whole number as id, found 'cat'"),
        (
            {"annotations": [{"image_id": 9, "category_id": 7, "bbox": [1, 2, -3, 4]}]},
            r"annotations\[0\]: expected bbox \[x, y, width, height\] in pixels, found \[1, 2, -3, 4\]",
        ),
        (
            {"annotations": [{"image_id": 9, "category_id": 7, "bbox": [1 << 70, 2, 3, 4]}]},
            r"expected bbox .* found \[1180591620717411303424, 2, 3, 4\]",
        ),
        (
            {"annotations": [{"image_id": [9], "category_id": 7, "bbox": [1, 2, 3, 4]}]},
            r"annotations\[0\]: expected a whole number as image_id, found \[9\]",
        ),
        (
            {"annotations": [{"image_id": 9, "category_id": 7, "bbox": [1, 2, 3]}]},
            r"expected bbox .* found \[1, 2, 3\]",
        ),
        ({"annotations": [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}]}, "found one of image 1"),
        (
            {"annotations": [{"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4]}]},
            "found one of category 1",
        ),
    ],
)
def test_what_is_no_coco_file(file, changed, message):
    if isinstance(changed, str):
        file.write_text(changed)
    else:
        file.write_text(json.dumps(changed if isinstance(changed, list) else BOXES | changed))
    with pytest.raises(DataError, match=message) as caught:
        read_coco(file, 2)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
