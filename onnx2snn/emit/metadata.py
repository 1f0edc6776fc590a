"""What an artifact says of itself: `metadata_props` under `onnx2snn.`, each value JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import onnx

METADATA_PREFIX = "onnx2snn."


def add_metadata(model: onnx.ModelProto, entries: Mapping[str, Any]) -> None:
    """Write the entries in the order of their keys; inside, the order is theirs (neurons as they fire)."""
    for key in sorted(entries):
        value = json.dumps(entries[key], ensure_ascii=False)
        model.metadata_props.add(key=METADATA_PREFIX + key, value=value)
