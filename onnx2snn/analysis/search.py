"""Choose schedule, code, timesteps and sizes by what may be lost or spent; and `compile`, which may ask so.

Settings stand on ladders by ascending energy (`ladders.py`). Each ladder is climbed by halving: of a setting
first the energy is measured, on few samples, and what is dearer than the best so far goes no further; then
what it loses (`loss.py`), until it is clear that it is too much, or all samples held back are done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import onnx

from onnx2snn.aim import Aim, read_aim
from onnx2snn.analysis.candidates import describe
from onnx2snn.analysis.ladders import Options, by_size, by_timesteps, open_ladders
from onnx2snn.analysis.trials import BudgetError, Trials, Tried, latency
from onnx2snn.artifact.records import SearchRecord
from onnx2snn.checks.findings import examine_model
from onnx2snn.compiler.compiler import (
    Calibration,
    CompiledModel,
    Progress,
    convert,
    open_calibration,
    read_model,
    read_options,
)
from onnx2snn.data.label_files import add_labels
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import Dataset
from onnx2snn.emit.metadata import add_metadata
from onnx2snn.errors import OptionError, UnsupportedGraphError
from onnx2snn.options import CompileOptions

logger = logging.getLogger(__name__)

#: More sizes than a spike has.
_MANY = 1 << 10
#: In what a loss is counted, where its name does not say it.
_UNITS = {"error": "%", "accuracy": "points", "agreement": "points"}
#: What is compared, by preference, in words.
_WANTED = {"energy": "least energy", "latency": "least latency", "accuracy": "least loss"}


def compile(  # noqa: A001 - the public verb, read as onnx2snn.compile
    model: str | Path | onnx.ModelProto,
    calibration: Calibration,
    *,
    preprocessing: Preprocessing | None = None,
    max_samples: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> CompiledModel:
    """Compile a trained ANN into a spiking network.

    With `max_loss` and nothing that uses it (`compress`, `early_exit="auto"`), or with `target_energy`, the
    options that are left out are chosen: see `onnx2snn.aim.Aim`.

    Args:
        model: path of the ANN's ONNX file, or the loaded model, which is not changed.
        calibration: path of a file or directory with samples (see `onnx2snn.data.readers`), or
            arrays: one for the only input, or by input name; shapes [N, …] as the model's inputs; or pairs of
            a recording, or of an array, and a label (see `onnx2snn.data.items`), as tonic's data sets give.
        preprocessing: how integers, images and events become the model's floats; recorded in the artifact.
        max_samples: use at most that many samples.
        progress: called with the name of each pass as it starts, and with how far the long ones are.
        **options: the fields of `CompileOptions`; and of `Aim` `target_energy`, `prefer`, `search_minutes`.

    Raises:
        ModelError, DataError, OptionError: bad input, each in one line; with `strict` also an aim that
            nothing meets.
        UnsupportedGraphError: nodes that cannot be converted, all listed.
    """
    aim, given = read_aim(options)
    if aim is None:
        return convert(
            model,
            calibration,
            read_options(given),
            preprocessing=preprocessing,
            max_samples=max_samples,
            progress=progress,
        )
    if set(given) - {item.name for item in fields(CompileOptions)}:
        read_options(given)  # which says what there is
    ladders = open_ladders(given)
    source = read_model(model)
    dataset = open_calibration(calibration, source, preprocessing or Preprocessing(), max_samples)
    if aim.labels is not None:
        dataset = add_labels(dataset, aim.labels, cut=max_samples is not None)
    return _Search(source, dataset, aim, given, ladders, progress).run()


class _Search:
    """One search over ladders of settings."""

    def __init__(
        self,
        source: onnx.ModelProto,
        dataset: Dataset,
        aim: Aim,
        given: Mapping[str, Any],
        ladders: Sequence[list[Options]],
        progress: Progress | None,
    ) -> None:
        self.source, self.dataset, self.aim, self.progress = source, dataset, aim, progress
        self.given, self.ladders = dict(given), ladders
        self.found = examine_model(dataset, source, strict=bool(given.get("strict")))
        self.trials = Trials(source, dataset, aim, given, progress)
        self.bound = float("inf") if aim.max_loss is None else float(aim.max_loss)
        self.stopped = ""
        self.refused: UnsupportedGraphError | None = None

    def run(self) -> CompiledModel:
        """Search, and convert with what was found on all samples."""
        started = time.monotonic()
        try:
            best, met = self._by_loss() if self.aim.target_energy is None else self._by_energy()
        except BudgetError as error:
            self.stopped = str(error)
            best, met = self._best_so_far()
        if not met:
            self._say_unmet(best)
        elif self.stopped:
            logger.warning("search: %s; the best so far is taken", self.stopped)
        best.verdict = f"chosen: {self._why(met=met)}"
        self.trials.convert_all(best.options)
        seconds = round(time.monotonic() - started, 3)
        options = CompileOptions(**(self.given | best.options))
        compiled = convert(self.source, self.dataset, options, progress=self.progress, found=self.found)
        record = self._record(best, met=met)
        add_metadata(compiled.model, {"search": record.to_dict()})
        phases = {"search": seconds, **compiled.report.seconds}
        return CompiledModel(compiled.model, replace(compiled.report, search=record, seconds=phases))

    def _by_loss(self) -> tuple[Tried, bool]:
        """What is preferred of all that keeps the bound; what loses least where nothing does."""
        best: Tried | None = None
        ladders = self.ladders
        if self.aim.prefer == "accuracy":
            best = self._finest()
            if best.lost > self.bound:
                return best, False
            self.bound = min(self.bound, best.lost + float(best.error or 0))
        if self.aim.prefer == "latency":
            for rungs in ladders:
                with self._unless_refused():
                    best = self._climb(by_timesteps(rungs), best, self._latency)
            if best is not None:  # what is left is to save energy at this latency
                found = best.options
                ladders = [
                    by_size(rungs, found["timesteps"])
                    for rungs in ladders
                    if all(rungs[0][name] == found[name] for name in ("schedule", "code"))
                ]
        for rungs in ladders:
            with self._unless_refused():
                best = self._climb(rungs, best, self._energy)
        return (best, True) if best is not None else (self._least_loss(), False)

    def _finest(self) -> Tried:
        """What loses least of the tops of all ladders."""
        finest = []
        for rungs in self.ladders:
            with self._unless_refused():
                finest.append(self.trials.measure(rungs[-1]))
                self.trials.lose(finest[-1])
        return min(self._some(finest), key=lambda tried: (tried.lost, tried.energy))

    def _climb(
        self, rungs: list[Options], best: Tried | None, cost: Callable[[Options], float]
    ) -> Tried | None:
        """The lowest rung that keeps the bound, where it costs less than the best so far; else that."""
        low, high = self._hopeless(rungs), len(rungs)
        while low < high:
            middle = (low + high) // 2
            if (
                best is not None
                and rungs[middle] != best.options
                and cost(rungs[middle]) >= cost(best.options)
            ):
                high = middle
                for tried in self.trials.all:
                    if tried.options == rungs[middle] and tried.loss is None:
                        tried.verdict, tried.session = "dearer than what keeps the bound", None
                continue
            tried = self.trials.measure(rungs[middle])
            self.trials.lose(tried, self.bound)
            if tried.lost <= self.bound:
                best, high, tried.verdict = tried, middle, "keeps the bound"
            else:
                low, tried.verdict = middle + 1, "loses too much"
        return best

    def _hopeless(self, rungs: list[Options]) -> int:
        """How many low rungs need not be tried: `stream` does not beat `layer` with the same sizes."""
        lost = [
            tried.options["exponents"]
            for tried in self.trials.all
            if tried.lost > self.bound and tried.loss is not None and "exponents" in tried.options
        ]
        if rungs[0]["schedule"] != "stream" or not lost:
            return 0
        return sum(rung.get("exponents", _MANY) <= max(lost) for rung in rungs)

    def _energy(self, options: Options) -> float:
        return self.trials.measure(options).energy

    def _latency(self, options: Options) -> float:
        return latency(options, self.trials.all[0].layers)

    def _by_energy(self) -> tuple[Tried, bool]:
        """What loses least of the highest rungs within the energy; the cheapest where none is."""
        most = float(self.aim.target_energy or 0)
        finalists = []
        for rungs in self.ladders:
            low, high, highest = 0, len(rungs), None
            with self._unless_refused():
                while low < high:
                    middle = (low + high) // 2
                    tried = self.trials.measure(rungs[middle])
                    if tried.energy <= most:
                        if highest is not None:
                            highest.session = None
                        low, highest, tried.verdict = middle + 1, tried, "within the energy"
                    else:
                        high, tried.verdict, tried.session = middle, "too dear", None
            finalists += [] if highest is None else [highest]
        for tried in finalists:
            self.trials.lose(tried)
        if finalists:
            return min(finalists, key=lambda tried: (tried.lost, tried.energy)), True
        cheapest = min(self._some(self.trials.all), key=lambda tried: tried.energy)
        self.trials.lose(cheapest)
        return cheapest, False

    def _best_so_far(self) -> tuple[Tried, bool]:
        """What is taken when the search is over before its end."""
        most = self.aim.target_energy
        kept = [
            tried
            for tried in self.trials.all
            if (tried.lost <= self.bound if most is None else tried.energy <= most)
        ]
        if not kept:
            return self._least_loss(), False
        if most is not None:
            for tried in kept:
                self.trials.lose(tried)
        order: dict[str, Callable[[Tried], Any]] = {
            "energy": lambda tried: tried.energy,
            "latency": lambda tried: (tried.latency, tried.energy),
            "accuracy": lambda tried: (tried.lost, tried.energy),
        }
        return min(kept, key=order[self._preferred]), True

    def _least_loss(self) -> Tried:
        return min(self._some(self.trials.all), key=lambda tried: (tried.lost, tried.energy))

    def _some(self, tried: list[Tried]) -> list[Tried]:
        """What was tried; where every ladder was refused, that is the answer."""
        if not tried and self.refused is not None:
            raise self.refused
        return tried

    @contextmanager
    def _unless_refused(self) -> Iterator[None]:
        """Leave a ladder whose code cannot have the net, with --strict, while others can."""
        try:
            yield
        except UnsupportedGraphError as error:
            self.refused = self.refused or error

    @property
    def _preferred(self) -> str:
        return self.aim.prefer if self.aim.target_energy is None else "accuracy"

    def _why(self, *, met: bool) -> str:
        if self.aim.target_energy is not None:
            return "loses least within the energy" if met else "the least energy there is"
        return f"{_WANTED[self.aim.prefer]} within the bound" if met else "loses least"

    def _say_unmet(self, best: Tried) -> None:
        """Warn that the aim is missed, or refuse with --strict."""
        meter = self.trials.meter
        unit = "points" if meter is None else _UNITS.get(meter.measure, meter.measure)
        if self.aim.target_energy is not None:
            asked = f"--target-energy: expected at most {self.aim.target_energy:g}"
            found = f"{best.energy:.3f}"
        else:
            asked = f"--max-loss: expected at most {self.aim.max_loss:g} {unit}"
            found = f"{best.lost:.2f} ± {best.error or 0:.2f}"
        stopped = f", as {self.stopped}" if self.stopped else ""
        message = f"{asked}, found {found} at best, with {describe(best.options)}{stopped}"
        if self.given.get("strict"):
            raise OptionError(f"{message}; allow more, or leave out --strict to have that")
        logger.warning("%s; that is what is written", message)

    def _record(self, best: Tried, *, met: bool) -> SearchRecord:
        trials = self.trials
        return SearchRecord(
            self.aim.max_loss,
            self.aim.target_energy,
            self._preferred,
            "" if trials.meter is None else trials.meter.measure,
            len(trials.candidates.calibration),
            len(trials.held_back),
            met,
            self.stopped,
            round(trials.passes, 2),
            [tried.trial(chosen=tried is best) for tried in trials.all],
        )
