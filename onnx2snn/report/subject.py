"""What a report is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnx2snn.report.recording import Recording


@dataclass(frozen=True)
class Subject:
    """Everything that a page is made of.

    Attributes:
        command: `compile`, `evaluate`, `sweep` or `diagnose`.
        name: the file that it was about; only its last part is shown.
        figures: what the command found, as its `--json` has it.
        line: what to type to have it again.
        metadata: what the artifact says of itself (`onnx2snn.artifact.artifact.Artifact.metadata`); empty
            where there is no artifact.
        recording: spikes of some samples; None where nothing was run.
    """

    command: str
    name: str
    figures: Mapping[str, Any]
    line: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    recording: Recording | None = None
