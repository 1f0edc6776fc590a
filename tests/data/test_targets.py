"""Labels that are no classes."""

from __future__ import annotations

import numpy as np

from onnx2snn.data.targets import Objects, describe_targets, some_targets


def test_some_targets_and_what_they_are():
    objects = tuple(Objects(np.zeros((0, 4)), np.array([k]), np.zeros(0, bool)) for k in range(3))
    assert [one.classes[0] for one in some_targets(objects, np.array([2, 0]))] == [2, 0]
    assert some_targets(np.arange(6).reshape(3, 2), np.array([2, 0])).tolist() == [[4, 5], [0, 1]]
    assert describe_targets(objects) == "boxes of 3 images"
    assert describe_targets(np.zeros((3, 2), np.uint8)) == "uint8 of shape [3, 2]"
