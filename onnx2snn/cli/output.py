"""What several commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from onnx2snn.report.measures import reached
from onnx2snn.report.tables import percent

if TYPE_CHECKING:
    from onnx2snn.analysis.evaluation import Evaluation
    from onnx2snn.artifact.output_errors import OutputFigures
    from onnx2snn.runtime.session import SpikingSession


def print_uncounted(console: Console, figures: Evaluation) -> None:
    """Which layers no spikes feed."""
    if figures.uncounted:
        names = ", ".join(figures.uncounted)
        text = f"fed by values that are no spikes, so charged as MACs and not as operations: {names}"
        console.print(Text(text, "yellow"), soft_wrap=True)


def print_answer(console: Console, session: SpikingSession) -> None:
    """Which output is judged, where others could be as well and nobody has named one."""
    scored = [name for name, spec in session.outputs.items() if spec.may_have_scores]
    if len(scored) > 1 and not session.artifact.named:
        text = f"judged by output '{scored[0]}'; --answer names another of {', '.join(scored)}"
        console.print(Text(text, "yellow"), soft_wrap=True)


def print_outputs(console: Console, outputs: OutputFigures | None) -> None:
    """What each of several outputs is off by, and all jointly."""
    if outputs is None:
        return
    parts = [
        f"{name} {percent(error)}{' of the values differ' if name in outputs.equal else ''}"
        for name, error in outputs.errors.items()
    ]
    joint = f"; jointly {percent(outputs.joint)}" if len(parts) > 1 else ""
    console.print(Text(f"outputs are off by: {', '.join(parts)}{joint}"), soft_wrap=True)


def print_reference(console: Console, figures: Evaluation) -> None:
    """What the figures were measured on, and what the ANN reaches there."""
    own = figures.reference_measures
    ann = f"; the ANN itself reaches {reached(figures.task, own)}" if own else ""
    console.print(Text(f"{figures.samples} samples{ann}. Energy: {figures.energy.convention}.", "dim"))
