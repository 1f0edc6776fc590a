"""What following frames gave, in tables that fit 80 columns."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from rich.console import Console

from onnx2snn.analysis.stream_evaluation import StreamEvaluation
from onnx2snn.report.stream_tables import FrameLog, figures_table, time_table
from onnx2snn.runtime.frames import Frame

FIGURES = StreamEvaluation(
    recordings=100,
    frames=3100,
    steps_per_frame="rest",
    tolerance=1,
    accuracy=0.99,
    reference_accuracy=1.0,
    agreement=0.995,
    output_error=0.0113,
    accuracy_by_frame=[0.25, *np.linspace(0.3, 0.99, 49).tolist()],
    frames_to_right=3.53,
    never_right=0.01,
    seconds_to_right=0.0353,
    timesteps_by_frame=[3.0] * 50,
    events_per_frame=7026.0,
    operations_per_frame=3_511_865.0,
    anew_operations_per_frame=10_400_670.0,
    operations_ratio=0.338,
    frames_per_second=261.0,
    real_time_factor=2.61,
)


def shown(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    return " ".join(out.getvalue().split())


def frame(scores: list[float]) -> Frame:
    one = np.array([1])
    return Frame({"y": np.float32([scores])}, 2 * one, 0.5, {}, 30 * one, 400 * one, 5000 * one)


def test_figures():
    text = shown(figures_table(FIGURES))
    for words in (
        "100 of 3,100 frames",
        "99.0 % of recordings (the ANN: 100.0 %)",
        "99.5 % of frames",
        "1.13 %",
        "after 3.53 frames on average, 35.3 ms; never in 1.0 % of recordings",
        "3,511,865; each frame anew 10,400,670: 0.338 of them",
        "261 frames/s of one stream, 2.61 times real time",
    ):
        assert words in text
    nothing = dict.fromkeys(("accuracy", "agreement", "output_error", "frames_to_right", "real_time_factor"))
    text = shown(figures_table(replace(FIGURES, **nothing)))
    for words in ("accuracy", "same answer", "error", "first right", "real time"):
        assert words not in text


def test_accuracy_over_time():
    text = shown(time_table(FIGURES, 0.01))
    assert text.startswith("frames ms accuracy timesteps 1 10 25.0 % 3.00")
    assert text.endswith("50 500 99.0 % 3.00")
    assert "ms" not in shown(time_table(FIGURES, None))


def test_a_log_of_frames_has_the_first_ones_and_sums_of_all():
    log = FrameLog("y")
    for _ in range(25):
        log.add(3, frame([0.0, 2.0]))
    text = shown(log.table())
    assert "recording frame answer timesteps events operations MACs of the input 3 0 1 2 30 400 5,000" in text
    assert text.endswith("… … … … … … …")
    lines = dict(log.lines(0.1))
    assert lines["frames"].startswith("25; on average 2 timesteps, 30 events, 400 synaptic operations")
    assert lines["speed"] == "2 frames/s while counting, 0.2 times real time"
    few = FrameLog("y")
    few.add(0, frame([1.0]))
    assert "answer" not in shown(few.table())
    assert "real time" not in dict(few.lines(None))["speed"]
