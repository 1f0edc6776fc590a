"""What an artifact says of itself: `metadata_props` under `onnx2snn.`, each value JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import onnx

from onnx2snn.errors import ModelError

METADATA_PREFIX = "onnx2snn."


def add_metadata(model: onnx.ModelProto, entries: Mapping[str, Any]) -> None:
    """Write the entries in the order of their keys; inside, the order is theirs (neurons as they fire)."""
    for key in sorted(entries):
        value = json.dumps(entries[key], ensure_ascii=False)
        model.metadata_props.add(key=METADATA_PREFIX + key, value=value)


def read_metadata(model: onnx.ModelProto) -> dict[str, Any]:
    """The entries of a file, decoded.

    Raises:
        ModelError: an entry that is no JSON.
    """
    decoded: dict[str, Any] = {}
    for entry in model.metadata_props:
        if not entry.key.startswith(METADATA_PREFIX):
            continue
        try:
            decoded[entry.key.removeprefix(METADATA_PREFIX)] = json.loads(entry.value)
        except (ValueError, RecursionError) as error:  # no JSON, a number of thousands of digits, too deep
            raise ModelError(
                f"metadata '{entry.key}': expected JSON, found {entry.value[:40]!r}; compile again"
            ) from error
    return decoded
