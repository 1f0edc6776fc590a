"""What an artifact says of itself, as it stands in the file."""

from __future__ import annotations

import onnx
import pytest

from onnx2snn.emit.metadata import METADATA_PREFIX, add_metadata, read_metadata
from onnx2snn.errors import ModelError


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


def test_what_was_written_is_read_and_nobody_elses():
    model = onnx.ModelProto()
    entries = {"neurons": ["z", "é"], "options": {"timesteps": 8, "max_loss": None}}
    add_metadata(model, entries)
    model.metadata_props.add(key="author", value="somebody")
    assert read_metadata(model) == entries


def test_damaged_entries_are_named():
    model = onnx.ModelProto()
    model.metadata_props.add(key="onnx2snn.options", value="{")
    with pytest.raises(
        ModelError, match=r"^metadata 'onnx2snn.options': expected JSON, found '{'; compile again$"
    ):
        read_metadata(model)


@pytest.mark.parametrize("value", ["[" * 100_000, "1" * 9999])
def test_what_nobody_can_decode_is_no_json(value):
    """Too deep, and a number of thousands of digits."""
    model = onnx.ModelProto()
    model.metadata_props.add(key="onnx2snn.options", value=value)
    with pytest.raises(ModelError, match=r"^metadata 'onnx2snn.options': expected JSON, found"):
        read_metadata(model)
