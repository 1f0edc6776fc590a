"""Following recordings: answers over time, and what frames cost."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.analysis.evaluation import open_reference
from onnx2snn.analysis.stream_evaluation import evaluate_stream, frame_seconds, recordings_of
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.runtime.frames import Pace
from tests.helpers import parse

NET = "(float[N,3] x) => (float[N,3] y) { h = Gemm(x, w) r = Relu(h) y = Gemm(r, w) }"
IDENTITY = np.eye(3, dtype=np.float32)
#: Three recordings: right from the first frame on, from the second, and never.
FRAMES = [
    np.float32([[5, 1, 0], [4, 1, 0], [4, 1, 0], [4, 1, 0]]),
    np.float32([[3, 2, 0], [0, 6, 1]]),
    np.float32([[3, 2, 0], [3, 2, 0], [1, 2, 0]]),
]
LABELS = [0, 1, 2]


class Recordings:
    def __len__(self) -> int:
        return len(FRAMES)

    def __getitem__(self, number: int) -> tuple[np.ndarray, int]:
        return FRAMES[number], LABELS[number]


@pytest.fixture
def compiled(tmp_path):
    onnx.save(parse(NET, w=IDENTITY), tmp_path / "net.onnx")
    made = onnx2snn.compile(tmp_path / "net.onnx", np.concatenate(FRAMES), code="graded", correct_bias=False)
    session = onnx2snn.SpikingSession(made.model)
    return session, dataset_from_arrays(Recordings(), session.inputs, Preprocessing()), tmp_path / "net.onnx"


@pytest.mark.parametrize("at_once", [1, 3])
def test_answers_over_time(compiled, at_once):
    session, dataset, ann = compiled
    figures = evaluate_stream(
        session, dataset, Pace("rest"), open_reference(ann, session), at_once=at_once, seconds=0.01
    )
    assert (figures.recordings, figures.frames) == (3, 9)
    assert figures.accuracy == figures.reference_accuracy == pytest.approx(2 / 3)
    assert figures.accuracy_by_frame == pytest.approx([1 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert figures.frames_to_right == 1.5
    assert figures.never_right == pytest.approx(1 / 3)
    assert figures.seconds_to_right == pytest.approx(0.015)
    assert figures.agreement == 1
    assert figures.output_error < 0.02
    assert figures.timesteps_by_frame[3] == 0, "the last frame of the only one so long is a pause"
    assert figures.real_time_factor == pytest.approx(figures.frames_per_second * 0.01)


def test_costs_are_those_of_the_frames_and_of_each_anew(compiled):
    session, dataset, _ = compiled
    figures = evaluate_stream(session, dataset, Pace("rest"))
    operations = anew = 0
    for frames in FRAMES:
        session.reset()
        for frame in session.stream(frames[:, None], "rest", count=True):
            operations += int(frame.operations.sum() + frame.prefix_macs.sum())
        (point,) = session.run_counted(frames, [session.timesteps])
        anew += sum(int(events.sum()) for events in point.synaptic_events.values()) + 9 * len(frames)
    assert figures.operations_per_frame == operations / 9
    assert figures.anew_operations_per_frame == anew / 9
    assert figures.operations_ratio == operations / anew < 1
    assert (figures.agreement, figures.output_error, figures.reference_accuracy) == (None, None, None)
    assert figures.seconds_to_right is figures.real_time_factor is None


def test_samples_without_recordings_are_one(compiled):
    session, _, _ = compiled
    dataset = dataset_from_arrays({"x": FRAMES[0]}, session.inputs, Preprocessing())
    assert recordings_of(dataset) == [dataset]
    figures = evaluate_stream(session, dataset, Pace(2))
    assert (figures.recordings, figures.frames, figures.accuracy) == (1, 4, None)
    assert figures.timesteps_by_frame == [2, 2, 2, 2]


def test_recordings_are_taken_apart(compiled):
    _, dataset, _ = compiled
    parts = recordings_of(dataset)
    assert [len(part) for part in parts] == [4, 2, 3]
    for part, frames in zip(parts, FRAMES, strict=True):
        np.testing.assert_array_equal(next(part.batches(9))["x"], frames)


def test_the_time_from_frame_to_frame():
    assert frame_seconds(Preprocessing(frames="time:10ms"), None) == 0.01
    assert frame_seconds(Preprocessing(frames="time:10ms"), 50) == 0.02
    for rule in (None, "events:100", "count:3"):
        assert frame_seconds(Preprocessing(frames=rule), None) is None
    for rate in (0, -1.0, np.inf, np.nan):
        with pytest.raises(
            onnx2snn.OptionError, match="expected a positive number of frames a second, found"
        ):
            frame_seconds(Preprocessing(), rate)
