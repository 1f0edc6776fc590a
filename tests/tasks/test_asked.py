"""What the user says of the task."""

from __future__ import annotations

import pytest

from onnx2snn.errors import OptionError
from onnx2snn.tasks.asked import Asked


def test_a_function_by_name_or_itself():
    assert Asked().function() is None
    assert Asked(decode=max).function() is max
    assert Asked(decode="math:sqrt").function()(4) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "draw"}, "--task: expected one of classify, multilabel, .* auto, found 'draw'"),
        ({"data_range": 0}, "--data-range: expected a number above 0, found 0; give 1 for images"),
        ({"data_range": float("nan")}, "found nan"),
    ],
)
def test_refused(given, message):
    with pytest.raises(OptionError, match=message):
        Asked(**given)
