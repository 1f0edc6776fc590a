"""The frontier for somebody who does not know what to choose: many conversions of one net, side by side."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx

import onnx2snn
from onnx2snn.analysis.candidates import KINDS, Candidates, describe
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.checks.findings import examine_both
from onnx2snn.data.readers import Dataset
from onnx2snn.data.targets import target_arrays
from onnx2snn.errors import DataError, OptionError, OutputError, first_line
from onnx2snn.files import check_regular
from onnx2snn.model.file import digest, write_atomically
from onnx2snn.model.spill import spilling
from onnx2snn.options import EXPONENTS, CompileOptions
from onnx2snn.records import Record, Share, Size
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.tasks import named
from onnx2snn.tasks.asked import Asked
from onnx2snn.tasks.classify import CLASSIFY, FIRST
from onnx2snn.tasks.task import Measure

logger = logging.getLogger(__name__)

#: Measures of class scores, and what they are called.
SHARES = {"accuracy": "accuracy", "agreement": "same answer as the ANN"}
#: Runs that are timed, of one batch.
_TIMED = 3


@dataclass(frozen=True)
class Grid:
    """What is tried: every kind with every number of timesteps, and of spikes or sizes; and compressed.

    Attributes:
        kinds: some of `KINDS`.
        timesteps: numbers T.
        max_spikes: numbers Γ of bursts.
        max_losses: bounds on what compression may cost, in points; for the largest Γ. Not of graded spikes.
        exponents: numbers n of graded spikes.
        answer: the output that is judged; None: see `onnx2snn.artifact.outputs`.
    """

    kinds: Sequence[str]
    timesteps: Sequence[int]
    max_spikes: Sequence[int]
    max_losses: Sequence[float]
    exponents: Sequence[int] = (EXPONENTS,)
    answer: str | None = None

    def points(self) -> Iterator[dict[str, Any]]:
        """The options of every conversion, the short runs first."""
        for timesteps in self.timesteps:
            for kind in self.kinds:
                given = KINDS[kind] | {"timesteps": timesteps}
                given |= {} if self.answer is None else {"answer": self.answer}
                varied = self._varied(given["code"])
                for choice in varied:
                    yield given | choice
                for loss in () if given["code"] == "graded" else self.max_losses:
                    yield given | varied[-1] | {"compress": "energy", "max_loss": loss}

    def _varied(self, code: str) -> list[dict[str, int]]:
        """What a code's spikes may be, the most last."""
        name, numbers = {
            "burst": ("max_spikes", self.max_spikes),
            "graded": ("exponents", self.exponents),
        }.get(code, ("", ()))
        return [{name: number} for number in sorted(numbers)] or [{}]

    def check(self) -> None:
        """Say what is wrong with a point before any work.

        Raises:
            OptionError: options that no conversion takes.
        """
        for options in self.points():
            CompileOptions(**options)


@dataclass(frozen=True)
class Point(Record):
    """One conversion and what it reaches.

    Attributes:
        name: its options in a few words.
        options: what it was compiled with.
        accuracy, agreement, spikes_per_sample, synaptic_operations_per_sample: see `Evaluation`.
        joules_per_sample: energy, estimated.
        energy_ratio: the same over the ANN's.
        milliseconds_per_sample: to run.
        reference_accuracy: the ANN's.
        best: whether no other point is as good for less energy; known once all points are.
        knee: whether more energy helps little beyond it.
        measures: the task's figures, against labels, or else against the ANN.
        task: which.
    """

    name: str
    options: dict[str, Any]
    accuracy: Share | None
    agreement: Share | None
    spikes_per_sample: Size
    synaptic_operations_per_sample: Size
    joules_per_sample: Size
    energy_ratio: Size | None
    milliseconds_per_sample: Size
    reference_accuracy: Share | None
    best: bool | None = None
    knee: bool | None = None
    measures: dict[str, float | None] = field(default_factory=dict)
    task: str = CLASSIFY.name

    def value(self, measure: str) -> float | None:
        """Its accuracy or agreement, or another figure of the task."""
        own = {"accuracy": self.accuracy, "agreement": self.agreement}
        return own[measure] if measure in own else self.measures.get(measure)


@dataclass(frozen=True)
class Sweep(Record):
    """The points of a sweep, by ascending energy.

    Attributes:
        samples: that each was evaluated on.
        measure: `accuracy`, or `agreement` without labels; of other tasks their first measure.
        reference_accuracy: the ANN's.
        points: all of them.
        command: the line that compiles the knee.
        source_sha256: of the ANN.
        task: what the outputs were taken for.
        labelled: whether the measure is against labels, and not against the ANN.
        warnings: what cannot be right about the data.
    """

    samples: int
    measure: str
    reference_accuracy: float | None
    points: list[Point]
    command: str | None = None
    source_sha256: str | None = None
    task: str = CLASSIFY.name
    labelled: bool = True
    warnings: list[str] = field(default_factory=list)

    @property
    def compared(self) -> Measure:
        """What points are compared by, with its name."""
        if self.measure in SHARES:
            return Measure(self.measure, SHARES[self.measure])
        found = named(self.task).named(self.measure)
        return found if self.labelled else replace(found, name=f"{found.name}, ANN as truth")

    def quality(self, point: Point) -> float:
        """How good a point is: more is better, and one without a figure is worst."""
        value = point.value(self.measure)
        return -np.inf if value is None else value if self.compared.more else -value

    @property
    def knee(self) -> Point:
        """The point beyond which more energy helps little."""
        return next(point for point in self.points if point.knee)


def sweep(
    model: onnx.ModelProto,
    reference: str | Path,
    calibration: Dataset,
    dataset: Dataset,
    grid: Grid,
    cache: Path,
    *,
    batch_size: int = 64,
    asked: Asked | None = None,
    strict: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Sweep:
    """Convert and evaluate at every point of a grid; what the cache has is not done again.

    Args:
        model: the ANN.
        reference: its file, to compare with.
        calibration: samples to calibrate on; their statistics are measured once.
        dataset: samples to evaluate on.
        grid: what to try.
        cache: a folder for the figures of each point, by everything that they depend on.
        batch_size: samples a batch.
        asked: what the task is, and how outputs are read; None: what output and labels tell.
        strict: refuse data that cannot be right.
        progress: called with what is being done and the share of what the cache lacks that is.

    Raises:
        DataError: labels of another task, or outputs of none.
        OutputError: a cache that cannot be written.
    """
    grid.check()
    points = list(grid.points())
    said = examine_both(calibration, dataset, model, strict=strict)
    asked = asked or Asked()
    about = _fingerprint(model, asked, calibration, dataset)
    candidates = Candidates(model, calibration)
    tried: list[Point] = []
    places = [cache / f"{_key(about, options)}.json" for options in points]
    cached = [_read(place) for place in places]
    missing, done = cached.count(None), 0
    for options, place, point in zip(points, places, cached, strict=True):
        if point is None:
            if progress is not None:
                progress(describe(options), done / missing)
            done += 1
            point = _try(candidates, reference, dataset, options, batch_size, asked)
            if point is None:
                continue
            write_atomically(place, (json.dumps(point.to_dict(), indent=2) + "\n").encode())
        if not point.measures:
            raise DataError(
                "sweep: expected outputs with a row for each sample to measure by, found others; use "
                "evaluate, whose output_error needs none"
            )
        tried.append(point)
    return replace(_summary(tried, dataset), warnings=said)


def _try(
    candidates: Candidates,
    reference: str | Path,
    dataset: Dataset,
    options: Mapping[str, Any],
    batch_size: int,
    asked: Asked,
) -> Point | None:
    """A point, measured; None where there is nothing to choose."""
    try:
        with spilling() as spill, closing(spill):
            return _figures(candidates.session(options), reference, dataset, options, batch_size, asked)
    except OptionError as error:
        if "compress" not in options:
            raise
        # A net that was trained with its own levels, say.
        logger.warning("%s is left out: %s", describe(options), error)
        return None


def _figures(
    session: SpikingSession,
    reference: str | Path,
    dataset: Dataset,
    options: Mapping[str, Any],
    batch_size: int,
    asked: Asked,
) -> Point:
    opened = open_reference(reference, session)
    more: dict[str, Any] = {"batch_size": batch_size, "asked": asked, "warnings": ()}
    figures = evaluate(session, dataset, [session.timesteps], opened, **more)
    measured = figures.measures or figures.agreement_measures
    batch, _ = next(session.batches(dataset, min(batch_size, len(dataset))))
    seconds = []
    for _ in range(_TIMED + 1):  # the first allocates memory
        started = time.perf_counter()
        session.run(batch)
        seconds.append(time.perf_counter() - started)
    return Point(
        describe(options),
        dict(options),
        figures.accuracy[0],
        figures.agreement[0],
        figures.spikes_per_sample[0],
        figures.synaptic_operations_per_sample[0],
        joules_per_sample=figures.energy.snn_joules_per_sample[0],
        energy_ratio=figures.energy.ratio[0],
        milliseconds_per_sample=1e3 * median(seconds[1:]) / len(next(iter(batch.values()))),
        reference_accuracy=figures.reference_accuracy,
        measures={key: values[0] for key, values in measured.items()},
        task=figures.task,
    )


def _summary(points: list[Point], dataset: Dataset) -> Sweep:
    first, labelled = points[0], dataset.truth is not None
    measure = next(iter(first.measures))
    if measure == FIRST:
        measure = "accuracy" if labelled else "agreement"
    swept = Sweep(len(dataset), measure, first.reference_accuracy, [], task=first.task, labelled=labelled)
    ordered = sorted(points, key=lambda point: (point.joules_per_sample, -swept.quality(point)))
    best: list[int] = []
    reached = -np.inf
    for number, point in enumerate(ordered):
        if swept.quality(point) > reached or not best:
            best.append(number)
            reached = swept.quality(point)
    at = find_knee([(ordered[n].joules_per_sample, swept.quality(ordered[n])) for n in best])
    rows = [
        replace(point, best=number in best, knee=number == best[at]) for number, point in enumerate(ordered)
    ]
    return replace(swept, points=rows)


def find_knee(front: Sequence[tuple[float, float]]) -> int:
    """Where a front (cost, quality), both ascending, turns: farthest above the line between its ends.

    The cost counts by its logarithm.
    """
    cost, quality = np.log([point[0] for point in front]), np.asarray([point[1] for point in front])
    if len(front) < 3:
        return len(front) - 1
    along = (cost - cost[0]) / (cost[-1] - cost[0])
    above = (quality - quality[0]) / (quality[-1] - quality[0])
    return int(np.argmax(above - along))


def _fingerprint(model: onnx.ModelProto, asked: Asked, *datasets: Dataset) -> str:
    """A hash of all that every point depends on."""
    content = hashlib.sha256(f"{onnx2snn.__version__} {digest(model)} {asked.fingerprint()}".encode())
    for dataset in datasets:
        for batch in dataset.batches(256):
            for name in sorted(batch):
                content.update(f"{name} {batch[name].dtype} {batch[name].shape}".encode())
                content.update(np.ascontiguousarray(batch[name]).tobytes())
        for array in () if dataset.truth is None else target_arrays(dataset.truth):
            content.update(f"{array.dtype} {array.shape}".encode())
            content.update(np.ascontiguousarray(array).tobytes())
        content.update(f"end, preprocessed by {dataset.preprocessing.to_dict()}".encode())
    return content.hexdigest()


def _key(about: str, options: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{about} {json.dumps(options, sort_keys=True)}".encode()).hexdigest()[:32]


def _read(place: Path) -> Point | None:
    """What the cache has of a point; a file that is none, or of impossible figures, counts as nothing."""
    if place.exists():
        check_regular(place, "a point of a sweep", OutputError)
    try:
        return Point.from_dict(json.loads(place.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{place}: cannot be read ({error.strerror}); choose another --cache") from error
    except (ValueError, RecursionError) as error:
        logger.warning(
            "%s: is measured again, since it is no point of a sweep (%s)", place, first_line(error)
        )
        return None
