"""The frontier for somebody who does not know what to choose: many conversions of one net, side by side."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx

import onnx2snn
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.calibration.statistics import Statistics
from onnx2snn.compiler.compiler import convert
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import DataError, OptionError, OutputError
from onnx2snn.model.file import digest, write_atomically
from onnx2snn.options import CompileOptions
from onnx2snn.runtime.session import SpikingSession

logger = logging.getLogger(__name__)

#: Name → options: how neurons fire.
KINDS: dict[str, dict[str, Any]] = {
    "stream": {"schedule": "stream"},
    "signed": {"schedule": "stream", "signed": True},
    "layer": {"schedule": "layer"},
    "radix": {"schedule": "layer", "code": "radix"},
}
#: What a point keeps of its evaluation.
_FIGURES = ("accuracy", "agreement", "spikes_per_sample", "synaptic_operations_per_sample")
#: Runs that are timed, of one batch.
_TIMED = 3


@dataclass(frozen=True)
class Grid:
    """What is tried: every kind with every number of timesteps and spikes, and compressed.

    Attributes:
        kinds: some of `KINDS`.
        timesteps: numbers T.
        max_spikes: numbers Γ; the code radix has none.
        max_losses: bounds on what compression may cost, in points; for the largest Γ.
    """

    kinds: Sequence[str]
    timesteps: Sequence[int]
    max_spikes: Sequence[int]
    max_losses: Sequence[float]

    def points(self) -> Iterator[dict[str, Any]]:
        """The options of every conversion, the short runs first."""
        for timesteps in self.timesteps:
            for kind in self.kinds:
                given = KINDS[kind] | {"timesteps": timesteps}
                radix = kind == "radix"
                for most in (None,) if radix else self.max_spikes:
                    yield given | ({} if most is None else {"max_spikes": most})
                widest = {} if radix else {"max_spikes": max(self.max_spikes)}
                for loss in self.max_losses:
                    yield given | widest | {"compress": "energy", "max_loss": loss}


def sweep(
    model: onnx.ModelProto,
    reference: str | Path,
    calibration: Dataset,
    dataset: Dataset,
    grid: Grid,
    cache: Path,
    *,
    batch_size: int = 64,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Convert and evaluate at every point of a grid; what the cache has is not done again.

    Args:
        model: the ANN.
        reference: its file, to compare with.
        calibration: samples to calibrate on; their statistics are measured once.
        dataset: samples to evaluate on.
        grid: what to try.
        cache: a folder for the figures of each point, by everything that they depend on.
        batch_size: samples a batch.
        progress: called with what is being done and the share of what the cache lacks that is.

    Returns:
        JSON-able: `samples`, `measure` (`accuracy`, or `agreement` without labels), `reference_accuracy`,
        `points` (figures and `options` of each, by ascending energy, `best` where no other point is as good
        for less, `knee` at one of them).

    Raises:
        DataError: neither labels nor class scores to measure by.
        OutputError: a cache that cannot be written.
    """
    points = list(grid.points())
    for options in points:
        CompileOptions(**options)  # says what is wrong before any work
    about = _fingerprint(model, calibration, dataset)
    measured: dict[int, Statistics] = {}
    found = []
    places = [cache / f"{_key(about, options)}.json" for options in points]
    cached = [_read(place) for place in places]
    missing, done = cached.count(None), 0
    for options, place, figures in zip(points, places, cached, strict=True):
        if figures is None:
            if progress is not None:
                progress(describe(options), done / missing)
            done += 1
            try:
                figures = _measure(model, reference, calibration, dataset, options, measured, batch_size)
            except OptionError as error:
                if "compress" not in options:
                    raise
                # Nothing to choose, in a net that was trained with its own levels, say.
                logger.warning("%s is left out: %s", describe(options), error)
                continue
            write_atomically(place, (json.dumps(figures, indent=2) + "\n").encode())
        if figures["accuracy"] is None and figures["agreement"] is None:
            raise DataError(
                "sweep: expected class scores to measure by, found an output without; use evaluate, whose "
                "output_error needs none"
            )
        found.append(figures)
    return _summary(found, len(dataset))


def describe(options: Mapping[str, Any]) -> str:
    """A point in a few words."""
    kind = next(name for name, given in reversed(KINDS.items()) if given.items() <= options.items())
    spikes = f", Γ = {options['max_spikes']}" if "max_spikes" in options else ""
    saved = f", compressed {options['max_loss']:g}" if "compress" in options else ""
    return f"{kind}, T = {options['timesteps']}{spikes}{saved}"


def command(options: Mapping[str, Any]) -> str:
    """The options as they are typed."""
    words = []
    for name, value in options.items():
        if (name, value) != ("schedule", "stream"):
            words.append("--" + name.replace("_", "-") + ("" if value is True else f" {value}"))
    return " ".join(words)


def _measure(
    model: onnx.ModelProto,
    reference: str | Path,
    calibration: Dataset,
    dataset: Dataset,
    options: Mapping[str, Any],
    measured: dict[int, Statistics],
    batch_size: int,
) -> dict[str, Any]:
    compiled = convert(model, calibration, CompileOptions(**options), measured=measured)
    session = SpikingSession(compiled.model)
    figures = evaluate(
        session, dataset, [session.timesteps], open_reference(reference, session), batch_size=batch_size
    )
    batch, _ = next(session.batches(dataset, min(batch_size, len(dataset))))
    seconds = []
    for _ in range(_TIMED + 1):  # the first allocates memory
        started = time.perf_counter()
        session.run(batch)
        seconds.append(time.perf_counter() - started)
    return {
        "name": describe(options),
        "options": dict(options),
        **{name: figures[name][0] for name in _FIGURES},
        "joules_per_sample": figures["energy"]["snn_joules_per_sample"][0],
        "energy_ratio": figures["energy"]["ratio"][0],
        "milliseconds_per_sample": 1e3 * median(seconds[1:]) / len(next(iter(batch.values()))),
        "reference_accuracy": figures["reference_accuracy"],
    }


def _summary(points: list[dict[str, Any]], samples: int) -> dict[str, Any]:
    measure = "accuracy" if points[0]["accuracy"] is not None else "agreement"
    ordered = sorted(points, key=lambda point: (point["joules_per_sample"], -point[measure]))
    best, reached = [], -1.0
    for number, point in enumerate(ordered):
        if point[measure] > reached:
            best.append(number)
            reached = point[measure]
    at = find_knee([(ordered[n]["joules_per_sample"], ordered[n][measure]) for n in best])
    rows = [
        {**point, "best": number in best, "knee": number == best[at]} for number, point in enumerate(ordered)
    ]
    return {
        "samples": samples,
        "measure": measure,
        "reference_accuracy": points[0]["reference_accuracy"],
        "points": rows,
    }


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


def _fingerprint(model: onnx.ModelProto, *datasets: Dataset) -> str:
    """A hash of all that every point depends on."""
    content = hashlib.sha256(f"{onnx2snn.__version__} {digest(model)}".encode())
    for dataset in datasets:
        for batch in dataset.batches(256):
            for name in sorted(batch):
                content.update(f"{name} {batch[name].dtype} {batch[name].shape}".encode())
                content.update(np.ascontiguousarray(batch[name]).tobytes())
        if dataset.labels is not None:
            content.update(np.ascontiguousarray(dataset.labels).tobytes())
        content.update(f"end, preprocessed by {dataset.preprocessing.to_dict()}".encode())
    return content.hexdigest()


def _key(about: str, options: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{about} {json.dumps(options, sort_keys=True)}".encode()).hexdigest()[:32]


def _read(place: Path) -> dict[str, Any] | None:
    """What the cache has of a point; a file that is none counts as nothing."""
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return None
    except OSError as error:
        raise OutputError(f"{place}: cannot be read ({error.strerror}); choose another --cache") from error
    return found if isinstance(found, dict) and "joules_per_sample" in found else None
