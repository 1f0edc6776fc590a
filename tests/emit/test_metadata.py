"""What an artifact says of itself, as it stands in the file."""

from __future__ import annotations

import onnx

from onnx2snn.emit.metadata import METADATA_PREFIX, add_metadata


def test_entries_are_sorted_and_what_is_in_them_is_not():
    model = onnx.ModelProto()
    model.metadata_props.add(key="author", value="somebody")
    add_metadata(model, {"options": {"timesteps": 8, "code": "burst"}, "neurons": ["z", "é"]})
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [
        ("author", "somebody"),
        ("onnx2snn.neurons", '["z", "é"]'),
        ("onnx2snn.options", '{"timesteps": 8, "code": "burst"}'),
    ]
    assert METADATA_PREFIX == "onnx2snn."
