"""What a report is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from onnx2snn.artifact.records import Metadata
from onnx2snn.report.recording import Recording


@dataclass(frozen=True)
class Subject:
    """Everything that a page is made of.

    Attributes:
        command: `compile`, `evaluate`, `sweep` or `diagnose`.
        name: the file that it was about; only its last part is shown.
        figures: what the command found: `CompileReport`, `Evaluation`, `Sweep` or `Diagnosis`.
        line: what to type to have it again.
        metadata: what the artifact says of itself; empty where there is no artifact.
        recording: spikes of some samples; None where nothing was run.
    """

    command: str
    name: str
    figures: Any
    line: str
    metadata: Metadata = field(default_factory=Metadata)
    recording: Recording | None = None
