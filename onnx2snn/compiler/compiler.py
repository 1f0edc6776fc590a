"""From a trained ANN to the artifact: the pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx

import onnx2snn
from onnx2snn.artifact.artifact import input_specs, is_artifact
from onnx2snn.artifact.outputs import check_answer
from onnx2snn.artifact.records import CalibrationRecord
from onnx2snn.calibration.statistics import Statistics
from onnx2snn.checks.findings import Findings, examine
from onnx2snn.checks.net import look_at
from onnx2snn.compiler.adaptation import adapt
from onnx2snn.compiler.exit_calibration import calibrate_exit
from onnx2snn.compiler.report import CompileReport, Inspection
from onnx2snn.data.items import Items
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import Dataset, dataset_from_arrays, open_dataset
from onnx2snn.emit.layer import emit_layer
from onnx2snn.emit.metadata import add_metadata
from onnx2snn.emit.stream import emit_stream
from onnx2snn.engine.engines import make_engine
from onnx2snn.errors import DataError, ModelError, OptionError
from onnx2snn.exits.in_file import add_early_exit
from onnx2snn.exits.rule import parse_exit
from onnx2snn.exits.until_rest import add_until_rest
from onnx2snn.graph.graph import Graph
from onnx2snn.graph.macs import count_macs
from onnx2snn.memory import peak_memory
from onnx2snn.model.check import check_model, check_structure
from onnx2snn.model.file import digest, load_model
from onnx2snn.model.header import mended
from onnx2snn.model.save import save_model
from onnx2snn.model.spill import spilling
from onnx2snn.model.weights import initializers, is_present, let_go, place_of, references
from onnx2snn.ops import DOMAIN
from onnx2snn.options import Code, CompileOptions
from onnx2snn.passes.approximate_activations import to_approximate
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.coverage import judge, refusals
from onnx2snn.passes.grade_activations import preview
from onnx2snn.passes.pipeline import (
    ADMISSION,
    COMPLETION,
    CONVERSION,
    LOWERING,
    PREPARATION,
    begin,
    prepare,
    run_pass,
)
from onnx2snn.runtime.session import SpikingSession

#: How often a sample's activations are held while an exit is calibrated.
_EXIT_COPIES = 4

Calibration = str | Path | npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]] | Items | Dataset
#: Called with the name of a pass and the share of its work that is done, 0 to 1.
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class CompiledModel:
    """A compiled spiking network.

    Attributes:
        model: the artifact; runs in a stock onnxruntime. Weights of more than one file can hold are in files
            that only this process knows: `save` it to run it elsewhere.
        report: what became of every node, how neurons fire, and what it took.
    """

    model: onnx.ModelProto
    report: CompileReport

    def save(self, path: str | Path) -> list[Path]:
        """Write the artifact, whole or not at all.

        Returns:
            The file; and that of its weights, beside it, where one file cannot hold them.

        Raises:
            OutputError: a file cannot be written; what was there is left as it was.
        """
        return save_model(path, self.model)


def convert(
    model: str | Path | onnx.ModelProto,
    calibration: Calibration,
    chosen: CompileOptions,
    *,
    preprocessing: Preprocessing | None = None,
    max_samples: int | None = None,
    progress: Progress | None = None,
    measured: dict[tuple[int, bool], Statistics] | None = None,
    found: Findings | None = None,
) -> CompiledModel:
    """As `onnx2snn.compile`, for one of many conversions of a model on the same data.

    `chosen` has the options, `measured` the statistics that earlier conversions measured, by the number of
    samples and whether of the targets of graded neurons; what is missing is filled in. `found` is what checks
    of the data have said; they are asked here where it is None.
    """
    with spilling() as spill:
        artifact, report = _convert(
            model, calibration, chosen, preprocessing, max_samples, _Phases(progress), measured, found
        )
        spill.keep_only({place_of(tensor)[0] for tensor in references(artifact)})
    return CompiledModel(artifact, report)


def _convert(
    model: str | Path | onnx.ModelProto,
    calibration: Calibration,
    chosen: CompileOptions,
    preprocessing: Preprocessing | None,
    max_samples: int | None,
    phases: _Phases,
    measured: dict[tuple[int, bool], Statistics] | None,
    found: Findings | None,
) -> tuple[onnx.ModelProto, CompileReport]:
    with phases.timed("read"):
        source = read_model(model)
        if chosen.answer is not None:
            check_answer(chosen.answer, tuple(output.name for output in source.graph.output))
        graph, context = begin(source, chosen)
        net = look_at(context.model, graph) if found is None else None
    phases.run((*PREPARATION, *ADMISSION), graph, context)
    # Opened only now: a graph that is refused costs no look at the data.
    dataset = open_calibration(calibration, context.model, preprocessing or Preprocessing(), max_samples)
    if found is None:
        with phases.timed("check"):
            found = examine(dataset, net, strict=chosen.strict)
    del net  # and its sessions
    context.dataset, held_back = _split(dataset, chosen)
    seen = len(context.dataset), chosen.code == "graded"
    if measured is not None and seen in measured:
        context.statistics = measured[seen]
        context.established.add("ranges_measured")
    phases.run(CONVERSION, graph, context)
    found = found.with_ranges(context.statistics, context.dataset, strict=chosen.strict)
    if measured is not None and context.statistics is not None:
        measured[seen] = context.statistics

    def finish(graph: Graph, context: Context) -> tuple[onnx.ModelProto, CompileReport]:
        phases.run(COMPLETION, graph, context)
        with phases.timed("emit"):
            return _emit(graph, context, digest(source), found)

    if held_back is None:
        artifact, report = finish(graph, context)
    else:
        with phases.timed("adapt"):
            context.advance = phases.progress_of("Sensitivity", context.advance)
            artifact, report = adapt(graph, context, held_back, finish)
    if chosen.early_exit is not None:
        with phases.timed("early exit"):
            artifact, report = _exit_early(artifact, report, context, phases.progress)
    if chosen.until_rest:
        artifact = add_until_rest(artifact)
        check_structure(artifact, "the artifact (this is a bug, please report it)")
        make_engine(artifact)
    return artifact, replace(report, seconds=phases.seconds, peak_megabytes=phases.megabytes)


def _exit_early(
    artifact: onnx.ModelProto, report: CompileReport, context: Context, progress: Progress | None
) -> tuple[onnx.ModelProto, CompileReport]:
    """Let the artifact stop by itself, by the user's rule or by one from the calibration data."""
    options, dataset = context.options, context.dataset
    assert options.early_exit is not None
    assert dataset is not None
    session = SpikingSession(artifact)
    if parse_exit(options.early_exit) is None:
        advance = None if progress is None else partial(progress, "Early exit")
        rule = calibrate_exit(
            session, dataset, options.max_loss, batch_size=context.batch(_EXIT_COPIES), progress=advance
        )
    else:
        batch, _ = next(
            session.batches(dataset, 2)
        )  # of one alone any first axis of size 1 is a row a sample
        scores = next(session.outputs_by_step(batch, 1))[session.artifact.outputs[0]]
        session.check_scores(scores, len(next(iter(batch.values()))))
        rule = replace(session.exit_rule(options.early_exit), output=session.artifact.answer or None)
    stopping = add_early_exit(artifact, rule)
    add_metadata(stopping, {"early_exit": rule.to_dict()})
    check_structure(stopping, "the artifact (this is a bug, please report it)")
    make_engine(stopping)
    return stopping, replace(report, early_exit=rule)


def _split(dataset: Dataset, options: CompileOptions) -> tuple[Dataset, Dataset | None]:
    """The samples to calibrate on, and those that a search is judged by; None where nothing adapts.

    With compression every other sample is held back.
    """
    if options.compress == "none":
        return dataset, dataset if options.adapts else None
    if len(dataset) < 2:
        raise DataError(
            f"{dataset.source}: expected at least 2 samples with --compress, half of which are held back, "
            f"found {len(dataset)}; give more"
        )
    return dataset.halves()


@dataclass
class _Phases:
    """What a compilation costs, phase by phase."""

    progress: Progress | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)

    def run(self, steps: Iterable[Pass], graph: Graph, context: Context) -> None:
        """Run passes in order, a phase each."""
        for step in steps:
            context.advance = self.progress_of(step.name, context.advance)
            context.advance(0.0)
            with self.timed(step.name):
                run_pass(step, graph, context)

    def progress_of(self, name: str, otherwise: Callable[[float], None]) -> Callable[[float], None]:
        """What a phase calls with the share of its work that is done."""
        return otherwise if self.progress is None else partial(self.progress, name)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """A phase; one that comes again adds to what it was."""
        started = time.perf_counter()
        yield
        let_go()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)
        peak = peak_memory()
        if peak is not None:  # the kernel adds it up roughly: it can come back a page lower than it was
            self.megabytes[name] = max(round(peak / 2**20, 1), *self.megabytes.values(), 0.0)


def inspect(
    model: str | Path | onnx.ModelProto, *, strict: bool = False, code: Code = "graded"
) -> Inspection:
    """What every node of an ANN would become, without any data; large weights are not even read.

    Args:
        model: as for `compile`.
        strict: judge as `compile` does with that option.
        code: the same.

    Raises:
        ModelError: the model cannot be read.
        OptionError: no such code.
    """
    options = CompileOptions(code=code, schedule="layer" if code == "radix" else "stream")
    graph, context = prepare(read_model(model, weights=False), options)
    for activation in to_approximate(graph, options):
        for node in activation.nodes:
            context.note(node.name, node.op, "spiking", "sums of ReLUs in its place")
    graph, notes = preview(graph, context)
    return Inspection(judge(context.model, graph, notes, strict=strict), count_macs(graph))


def _emit(
    graph: Graph, context: Context, source_sha256: str, found: Findings
) -> tuple[onnx.ModelProto, CompileReport]:
    """Write the converted graph as an artifact with its metadata; and the report, which is the same."""
    options, original, dataset = context.options, context.model, context.dataset
    assert dataset is not None
    verdicts = judge(original, graph, context.last_notes)
    if refusals(verdicts):
        raise AssertionError(f"the passes made what cannot be emitted: {refusals(verdicts)[0]}")
    assert context.statistics is not None
    macs = count_macs(graph)
    for step in LOWERING:
        run_pass(step, graph, context)
    report = CompileReport(
        verdicts,
        macs,
        context.neurons,
        context.activations,
        options,
        CalibrationRecord(context.statistics.samples, dataset.source, found.inputs or None),
        context.layers,
        warnings=found.warnings,
    )
    if options.schedule == "layer":
        artifact = emit_layer(graph)
    else:
        artifact = emit_stream(graph, options.timesteps, dynamic_timesteps=options.dynamic_timesteps)
    artifact.producer_name, artifact.producer_version = "onnx2snn", onnx2snn.__version__
    metadata = report.to_dict()
    for name in ("roles", "seconds", "peak_megabytes", "warnings"):
        del metadata[name]
    add_metadata(
        artifact,
        {
            **metadata,
            "preprocessing": dataset.preprocessing.to_dict(),
            "schedule": options.schedule,
            "source_sha256": source_sha256,
            "version": onnx2snn.__version__,
        },
    )
    check_structure(artifact, "the artifact (this is a bug, please report it)")
    make_engine(artifact)  # what onnxruntime cannot load is never written
    return artifact, report


def read_options(options: Mapping[str, Any]) -> CompileOptions:
    """Options by their names.

    Raises:
        OptionError: unknown ones, or bad values.
    """
    names = {field.name for field in fields(CompileOptions)}
    unknown = sorted(set(options) - names)
    if unknown:
        raise OptionError(
            f"options: expected some of {', '.join(sorted(names))}, "
            f"found {', '.join(unknown)}; see onnx2snn.CompileOptions"
        )
    return CompileOptions(**options)


def read_model(model: object, *, weights: bool = True) -> onnx.ModelProto:
    """An ANN, from its file or as it is.

    Raises:
        ModelError: it cannot be read, or is a spiking network already.
    """
    if isinstance(model, str | Path):
        source, loaded = str(model), load_model(model, weights=weights)
    elif isinstance(model, onnx.ModelProto):
        source, loaded = "model", mended(model)
        check_model(loaded, source)
        if weights and not all(map(is_present, initializers(model.graph))):
            raise ModelError(
                f"{source}: expected its weights, found some left out; give the path of its file"
            )
    else:
        found = type(model).__name__
        raise ModelError(f"model: expected a path or an onnx.ModelProto, found {found}; use onnx.load")
    own = next((node for node in loaded.graph.node if node.domain == DOMAIN), None)
    if own is not None:
        raise ModelError(
            f"{source}: node '{own.name}' ({DOMAIN}.{own.op_type}): expected an ANN, found an operator of "
            "spiking networks; give the model that the network came from"
        )
    if is_artifact(loaded):
        raise ModelError(
            f"{source}: expected an ANN, found a compiled spiking network; give the model it came from"
        )
    return loaded


def open_calibration(
    calibration: Calibration, model: onnx.ModelProto, preprocessing: Preprocessing, max_samples: int | None
) -> Dataset:
    """Samples for a model, from wherever they are.

    Raises:
        DataError: they cannot be read, or do not fit.
    """
    if isinstance(calibration, Dataset):
        return calibration
    inputs = input_specs(model)
    if isinstance(calibration, str | Path):
        dataset = open_dataset(calibration, inputs, preprocessing, max_samples)
    else:
        dataset = dataset_from_arrays(calibration, inputs, preprocessing, max_samples)
    if preprocessing.frames is not None and dataset.recordings is None:
        raise DataError(
            f"{dataset.source}: expected event recordings with --frames, found arrays or images; "
            "leave --frames out"
        )
    return dataset
