"""Mean average precision: pycocotools' numbers on seeded images, and single cases by hand."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.data.targets import Objects
from onnx2snn.tasks.average_precision import AveragePrecision, Detections, overlaps
from tests.tasks.coco_case import cases

BOX = [0.0, 0, 10, 10]


def precision(*images):
    found = AveragePrecision()
    for detections, objects in images:
        found.add(detections, objects)
    return found.by_class()


def objects(*boxes, crowd=False):
    return Objects(
        np.array(boxes, float).reshape(-1, 4), np.zeros(len(boxes), int), np.full(len(boxes), crowd)
    )


def detections(*rows):
    table = np.array(rows, float).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4], np.zeros(len(table), int))


def test_the_numbers_of_pycocotools():
    """`python -m tests.tasks.coco_case`."""
    by_class = np.stack(list(precision(*cases()).values()))
    expected = (
        [0.18639035316806188, 0.4387337906209731],
        [0.1873714473156967, 0.22616438172093123, 0.14563523046755789],
    )
    assert [by_class.mean(), by_class[:, 0].mean()] == pytest.approx(expected[0], rel=1e-12)
    assert by_class.mean(axis=1).tolist() == pytest.approx(expected[1], rel=1e-12)


def test_what_overlaps():
    found = overlaps(np.array([BOX]), np.array([[0, 5, 10, 15], [20, 20, 30, 30]]), np.array([False, False]))
    assert found.tolist() == [[pytest.approx(1 / 3), 0]]
    assert overlaps(np.array([BOX]), np.array([[0, 5, 10, 99]]), np.array([True])).tolist() == [[0.5]]


def test_an_object_is_taken_once():
    found = precision((detections([*BOX, 0.9], [*BOX, 0.8]), objects(BOX)))
    assert found[0] == pytest.approx(np.ones(10))
    found = precision((detections([50, 50, 60, 60, 0.9], [*BOX, 0.8]), objects(BOX)))
    assert found[0] == pytest.approx(np.full(10, 0.5))


def test_a_crowd_is_taken_often_and_counts_for_nothing():
    crowd = Objects(np.array([BOX, [20, 0, 40, 20]]), np.zeros(2, int), np.array([False, True]))
    found = precision((detections([20, 0, 25, 5, 0.9], [30, 5, 40, 9, 0.9], [*BOX, 0.8]), crowd))
    assert found[0] == pytest.approx(np.ones(10))


def test_classes_without_objects_have_none():
    assert precision((detections([*BOX, 0.9]), objects())) == {}
    assert precision((detections(), objects(BOX, crowd=True))) == {}
    assert precision((detections(), objects(BOX)))[0].tolist() == [0] * 10


def test_a_hundred_detections_are_looked_at():
    many = [[50, 50, 60, 60, 0.9]] * 100
    assert precision((detections(*many, [*BOX, 0.8]), objects(BOX)))[0].max() == 0
    assert precision((detections(*many[1:], [*BOX, 0.8]), objects(BOX)))[0].max() > 0
