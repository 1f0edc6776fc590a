"""Follow recordings frame by frame: answers over time, and what frames cost with state and anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.analysis.evaluation import Reference
from onnx2snn.data.event_frames import FrameRule
from onnx2snn.data.labels import check_labels
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import DataError, OptionError
from onnx2snn.records import Record
from onnx2snn.runtime.frames import Frame, Pace
from onnx2snn.runtime.playing import play
from onnx2snn.runtime.session import SpikingSession

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class StreamEvaluation(Record):
    """Figures of a network that follows recordings; lists have one entry for each frame of a recording.

    The answer of a recording after some frames is the class with the largest sum of the frames' scores.
    Recordings that have ended keep their answer.

    Attributes:
        recordings: how many.
        frames: of all of them.
        steps_per_frame: as asked for.
        tolerance: as asked for.
        accuracy: share of recordings whose answer in the end is right; None without labels.
        reference_accuracy: the ANN's, from the same frames.
        agreement: share of frames whose own answer is the ANN's; None without a reference.
        output_error: relative L2 distance from the ANN's outputs, over all frames; None without a reference.
        accuracy_by_frame: share of recordings whose answer after so many frames is right.
        frames_to_right: frames that it takes until the first right answer, on average over the recordings
            that have one; None without labels, or where none has.
        never_right: share of recordings that have none.
        seconds_to_right: the same in the frames' own time; None where that is not known.
        timesteps_by_frame: on average; until rest, those up to the last spike.
        events_per_frame: how often neurons send something, on average.
        operations_per_frame: events times connections, and multiply-accumulates before the first neuron of
            what has changed of the inputs.
        anew_operations_per_frame: the same where each frame is evaluated on its own, with all inputs.
        operations_ratio: of the two.
        frames_per_second: of one stream after the other, without counting.
        real_time_factor: how much faster than the frames come; None where their rate is not known.
    """

    recordings: int
    frames: int
    steps_per_frame: int | str
    tolerance: int
    accuracy: float | None
    reference_accuracy: float | None
    agreement: float | None
    output_error: float | None
    accuracy_by_frame: list[float] | None
    frames_to_right: float | None
    never_right: float | None
    seconds_to_right: float | None
    timesteps_by_frame: list[float]
    events_per_frame: float
    operations_per_frame: float
    anew_operations_per_frame: float
    operations_ratio: float
    frames_per_second: float
    real_time_factor: float | None


def frame_seconds(preprocessing: Preprocessing, rate: float | None) -> float | None:
    """The time from frame to frame in seconds; None where it is not known.

    Args:
        preprocessing: with the length of frames of event recordings.
        rate: frames a second, where the user says so.

    Raises:
        OptionError: a rate that is not positive.
    """
    if rate is not None:
        if not 0 < rate < np.inf:
            raise OptionError(f"frame rate: expected a positive number of frames a second, found {rate:g}")
        return 1 / rate
    if preprocessing.frames is None:
        return None
    rule = FrameRule.parse(preprocessing.frames)
    return rule.size / 1e6 if rule.kind == "time" else None


def recordings_of(dataset: Dataset) -> list[Dataset]:
    """The recordings of a data set, each as its frames; one of all samples where there are none."""
    if dataset.recordings is None:
        return [dataset]
    return [dataset.recording(number) for number in np.unique(dataset.recordings)]


class _Tally:
    """Sums over the frames seen so far.

    Args:
        labels: the class of each recording; None where they are not known.
        count: of recordings.
    """

    def __init__(self, labels: Array | None, count: int) -> None:
        self.labels = labels
        self.frames = 0
        self.agreeing = 0
        self.missed = self.norm = 0.0
        self.events = self.operations = self.anew = 0
        self.seconds = 0.0
        self.sums: list[Array | None] = [None] * count
        self._expected: list[Array | None] = [None] * count
        self.right: list[list[bool]] = [[] for _ in range(count)]
        self.timesteps: list[list[int]] = []

    def add(
        self, numbers: list[int], places: list[int], frame: Frame, scores: Array, expected: Array | None
    ) -> None:
        """Add a frame of some recordings."""
        self.frames += len(numbers)
        self.events += int(frame.events.sum())
        self.operations += int(frame.operations.sum() + frame.prefix_macs.sum())
        for place, steps in zip(places, frame.timesteps.tolist(), strict=True):
            self.timesteps += [[] for _ in range(place + 1 - len(self.timesteps))]
            self.timesteps[place].append(steps)
        if expected is not None:
            self.missed += float(((scores - expected).astype(np.float64) ** 2).sum())
            self.norm += float((expected.astype(np.float64) ** 2).sum())
        found = top1(scores)
        if found is None:
            return
        if expected is not None:
            self.agreeing += int((found == expected.argmax(axis=1)).sum())
            _add_up(self._expected, numbers, expected)
        _add_up(self.sums, numbers, scores)
        if self.labels is not None:
            for number in numbers:
                answer = np.asarray(self.sums[number]).argmax()
                self.right[number].append(bool(answer == self.labels[number]))

    def reference_accuracy(self) -> float | None:
        """Of the ANN's answers in the end."""
        sums = [total for total in self._expected if total is not None]
        if self.labels is None or not sums:
            return None
        return float(np.mean(np.stack(sums).argmax(axis=1) == self.labels))


def _add_up(sums: list[Array | None], numbers: list[int], scores: Array) -> None:
    for number, row in zip(numbers, scores.astype(np.float64), strict=True):
        before = sums[number]
        sums[number] = row if before is None else before + row


def evaluate_stream(
    session: SpikingSession,
    dataset: Dataset,
    pace: Pace,
    reference: Reference | None = None,
    *,
    at_once: int = 32,
    seconds: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> StreamEvaluation:
    """Let a network follow the recordings of a data set, several at a time.

    Args:
        session: the spiking network, of the schedule `stream`.
        dataset: frames of recordings; all its samples are one recording where it knows of none.
        pace: how it follows them; all is counted.
        reference: the ANN, for the agreement.
        at_once: recordings that are followed together.
        seconds: from frame to frame, see `frame_seconds`.
        progress: called with the number of frames done.

    Raises:
        DataError: no frames, or labels past the output's classes.
        OptionError: a network that cannot follow frames so.
    """
    if not len(dataset):
        raise DataError(
            f"{dataset.source}: expected at least one frame, found none; give data to evaluate on"
        )
    recordings = recordings_of(dataset)
    output = session.artifact.outputs[0]
    labels = None
    if dataset.labels is not None and dataset.recordings is not None:
        labels = np.array([recording.labels[0] for recording in recordings if recording.labels is not None])
    tally = _Tally(labels, len(recordings))
    stream = session.open_stream(replace(pace, count=True))
    prefix_macs = None
    for numbers, places, feeds, frame in play(stream, (part.batches(1) for part in recordings), at_once):
        scores = frame.outputs[output]
        if labels is not None and (classes := 0 if top1(scores) is None else scores.shape[1]):
            check_labels(dataset, output, classes)
        tally.add(numbers, places, frame, scores, None if reference is None else reference.run(feeds, scores))
        (point,) = session.run_counted(feeds, [session.timesteps])
        prefix_macs = prefix_macs or session.work_per_sample(feeds).prefix_macs
        tally.anew += sum(int(events.sum()) for events in point.synaptic_events.values())
        tally.anew += prefix_macs * len(numbers)
        if progress is not None:
            progress(tally.frames)
    return _figures(tally, pace, seconds, _rate(session, pace, recordings[0]), compared=reference is not None)


def _rate(session: SpikingSession, pace: Pace, recording: Dataset) -> float:
    """Frames a second of one recording alone, without counting; the first frame warms up."""
    stream = session.open_stream(replace(pace, count=False))
    frames = list(recording.batches(1))
    taken = []
    for frame in (frames[0], *frames):
        started = time.perf_counter()
        stream.advance(frame, [0])
        taken.append(time.perf_counter() - started)
    return 1 / float(np.mean(taken[1:]))


def _figures(
    tally: _Tally, pace: Pace, seconds: float | None, rate: float, *, compared: bool
) -> StreamEvaluation:
    frames = tally.frames
    answered = any(tally.right)
    firsts = [right.index(True) + 1 for right in tally.right if True in right]
    mean_first = float(np.mean(firsts)) if answered and firsts else None
    longest = len(tally.timesteps)
    by_frame = np.array([right + right[-1:] * (longest - len(right)) for right in tally.right if right])
    classes = any(total is not None for total in tally.sums)
    return StreamEvaluation(
        recordings=len(tally.right),
        frames=frames,
        steps_per_frame=pace.steps_per_frame,
        tolerance=pace.tolerance,
        accuracy=float(np.mean([right[-1] for right in tally.right])) if answered else None,
        reference_accuracy=tally.reference_accuracy(),
        agreement=tally.agreeing / frames if compared and classes else None,
        output_error=float(np.sqrt(tally.missed / tally.norm)) if compared and tally.norm else None,
        accuracy_by_frame=by_frame.mean(axis=0).tolist() if answered else None,
        frames_to_right=mean_first,
        never_right=1 - len(firsts) / len(tally.right) if answered else None,
        seconds_to_right=mean_first * seconds if mean_first is not None and seconds else None,
        timesteps_by_frame=[float(np.mean(steps)) for steps in tally.timesteps],
        events_per_frame=tally.events / frames,
        operations_per_frame=tally.operations / frames,
        anew_operations_per_frame=tally.anew / frames,
        operations_ratio=tally.operations / max(1, tally.anew),
        frames_per_second=rate,
        real_time_factor=rate * seconds if seconds else None,
    )


def top1(scores: Array) -> Array | None:
    """The class of each sample, None where the output is not [N, classes]."""
    return scores.argmax(axis=1) if scores.ndim == 2 and scores.shape[1] > 1 else None
