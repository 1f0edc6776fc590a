"""What several commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from onnx2snn.report.measures import reached

if TYPE_CHECKING:
    from onnx2snn.analysis.evaluation import Evaluation


def print_uncounted(console: Console, figures: Evaluation) -> None:
    """Which layers no spikes feed."""
    if figures.uncounted:
        names = ", ".join(figures.uncounted)
        text = f"fed by values that are no spikes, so charged as MACs and not as operations: {names}"
        console.print(Text(text, "yellow"), soft_wrap=True)


def print_reference(console: Console, figures: Evaluation) -> None:
    """What the figures were measured on, and what the ANN reaches there."""
    own = figures.reference_measures
    ann = f"; the ANN itself reaches {reached(figures.task, own)}" if own else ""
    console.print(Text(f"{figures.samples} samples{ann}. Energy: {figures.energy.convention}.", "dim"))
