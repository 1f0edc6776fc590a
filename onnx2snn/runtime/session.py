"""Run an artifact: whole, step by step, with spikes recorded and operations counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import onnx

from onnx2snn.artifact.artifact import Artifact, take_apart
from onnx2snn.artifact.outputs import OutputSpec, choose_answer, output_specs
from onnx2snn.artifact.samples import keep_samples_apart
from onnx2snn.data.batches import model_batches
from onnx2snn.data.readers import Dataset, InputSpec
from onnx2snn.engine.engines import Array, Backend, Engine, EngineOptions, make_engine
from onnx2snn.errors import OptionError
from onnx2snn.exits.rule import ExitRule
from onnx2snn.exits.stopping import check_rows, check_scores, find_rule, run_until_decided
from onnx2snn.exits.until_rest import comes_to_rest
from onnx2snn.model.file import load_model
from onnx2snn.model.tap import tap
from onnx2snn.ops.names import TIMESTEPS
from onnx2snn.runtime.batching import BatchSplit
from onnx2snn.runtime.counting import Counting
from onnx2snn.runtime.explicit import simulate
from onnx2snn.runtime.frames import Frame, Pace, Steps
from onnx2snn.runtime.inputs import are_alike, check_inputs, check_timesteps, count_samples, cut
from onnx2snn.runtime.probing import Prober
from onnx2snn.runtime.results import Checkpoint, Run, Work
from onnx2snn.runtime.runner import Network, Step
from onnx2snn.runtime.streaming import Stream
from onnx2snn.runtime.trains import record_run, whole_train

#: Samples that an early exit begins with together: they soon are fewer.
_EXITING = 64


class SpikingSession:
    """A spiking network ready to run.

    Threads may share a session: each run has a state of its own. The state that `stream` carries from frame
    to frame is one for the session, and threads take turns with its frames; `open_stream` makes others.

    Args:
        model: path of an `.snn.onnx` file, or the loaded model.
        backend: `onnxruntime`, or `numpy` for the reference implementation.
        providers: onnxruntime execution providers; the CPU by default.
        threads: threads that an operator may use; as onnxruntime chooses by default.
        native: let the CPU run spiking operators by the native kernels, where the package has them; the
            results are the same.
        answer: the output that is judged, and that an early exit goes by; see `onnx2snn.artifact.outputs`.

    Raises:
        ModelError: the file cannot be read, or was not written by onnx2snn.
        OptionError: an unknown backend, provider or output, or an impossible number of threads.
    """

    def __init__(
        self,
        model: str | Path | onnx.ModelProto,
        backend: Backend = "onnxruntime",
        providers: Sequence[str] | None = None,
        *,
        threads: int | None = None,
        native: bool = True,
        answer: str | None = None,
    ) -> None:
        loaded = model if isinstance(model, onnx.ModelProto) else load_model(model)
        artifact = take_apart(loaded, "model" if loaded is model else str(model))
        self.artifact: Artifact = choose_answer(artifact, answer)
        options = EngineOptions(providers, threads, native)
        self._network = Network(self.artifact, backend, options)
        self._stream: Stream | None = None
        self._turn = Lock()
        self._split = BatchSplit()
        # Loaded now, so that what cannot be is said here.
        self._whole: Engine | None = None
        if self.artifact.schedule == "layer" and backend != "numpy":
            self._whole = make_engine(loaded, backend, replace(options, alone=True), states={})
        else:
            _ = self._network.step

    @property
    def timesteps(self) -> int:
        """T as compiled."""
        return self.artifact.timesteps

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The ANN's inputs."""
        return self.artifact.inputs

    @property
    def neurons(self) -> tuple[str, ...]:
        """Names of the neurons, in the order in which they fire."""
        return tuple(cell.name for cell in self.artifact.neurons)

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Layers whose operations are not counted: what they read changes over time, but is no spikes."""
        return self._counting.uncounted

    def run(
        self,
        inputs: Array | Mapping[str, Array],
        timesteps: int | None = None,
        *,
        early_exit: str | ExitRule | None = None,
        until_rest: bool | None = None,
        record: bool = False,
    ) -> Run:
        """Run samples from the initial state.

        Args:
            inputs: one array for the only input, or arrays by input name, in the ANN's shapes and dtypes.
            timesteps: T; as compiled by default.
            early_exit: stop each sample as soon as it is decided: `confidence` or `entropy`, each also with a
                threshold as in `confidence:0.9`, `auto` as the file was compiled with, or a rule.
            until_rest: stop as soon as no neuron of a graded network sends; the outputs are those of any
                later timestep. As the file was compiled by default.
            record: also return the output after every timestep, and every neuron's spikes.

        Raises:
            DataError: arrays that do not fit the inputs.
            OptionError: timesteps that are no whole number of at least 1, or other than compiled in the
                schedule `layer`; an early exit there, without class scores, or with `record`; a rest where
                neurons do not come to one, or with `record`.
        """
        feeds = check_inputs(self.inputs, inputs)
        steps = self._check(timesteps)
        step = self._network.resting_step if self._rests(until_rest, record=record) else None
        if early_exit is not None:
            if record:
                raise OptionError(
                    "early_exit: expected none with record, found one; leave out one of the two"
                )
            return self._run_early(feeds, steps, self.exit_rule(early_exit), step)
        if self.artifact.schedule == "layer" and (record or self._whole is None):
            return self._run_layers(feeds, record=record)
        if self._whole is not None:
            found = self._whole.run(feeds)
            return Run(steps, {name: found[name] for name in self.artifact.outputs})
        if record:
            return record_run(self.artifact, self._network.start(feeds, self._recording_step), steps)
        samples = count_samples(self.inputs, feeds)
        size = self._split.size(samples) if self._apart and are_alike(self.inputs, feeds) else samples
        with self._split.measured(size, max(1, samples) * steps):
            runs = [self._run_steps(group, steps, step) for group in cut(feeds, samples, size)]
        if len(runs) == 1:
            return runs[0]
        outputs = {name: np.concatenate([run.outputs[name] for run in runs]) for name in runs[0].outputs}
        used = [run.timesteps_used for run in runs if run.timesteps_used is not None]
        return Run(steps, outputs, timesteps_used=np.concatenate(used) if used else None)

    def _run_steps(self, feeds: dict[str, Array], steps: int, step: Step | None) -> Run:
        if step is None:
            with self._network.borrowed(feeds) as runner:
                runner.advance_to(steps)
                return Run(steps, runner.outputs())
        runner = self._network.start(feeds, step)
        runner.advance_to(steps)
        used = np.full(count_samples(self.inputs, feeds), runner.timesteps, np.int64)
        return Run(steps, runner.outputs(), timesteps_used=used)

    def _rests(self, until_rest: bool | None, *, record: bool) -> bool:
        """Whether a run is to end at rest."""
        if until_rest is None:
            return self.artifact.stops_at_rest and not record
        if until_rest and record:
            raise OptionError("until_rest: expected none with record, found one; leave out one of the two")
        if until_rest and (self.artifact.schedule == "layer" or not comes_to_rest(self.artifact.neurons)):
            raise OptionError(
                "until_rest: expected a network of --code graded in the schedule stream, found one whose "
                "neurons fire in every timestep, or once; leave it out, or compile with --code graded"
            )
        return until_rest

    def exit_rule(self, early_exit: str | ExitRule) -> ExitRule:
        """The rule that an early exit names.

        Raises:
            OptionError: no such rule, or a network that cannot exit early.
        """
        return find_rule(
            early_exit,
            self.artifact.schedule,
            self.artifact.exit_rule,
            probabilities=self.artifact.gives_probabilities,
            answer=self.artifact.outputs[0],
        )

    def check_scores(self, scores: Array, samples: int | None = None) -> None:
        """Make sure that the answer can tell when a sample, of so many, is decided.

        Raises:
            OptionError: it has no class scores, or rows that are no samples.
        """
        name = self.artifact.outputs[0]
        check_scores(name, scores)
        if samples is not None:
            check_rows("early exit", name, scores, samples, self.outputs[name].has_rows)

    @cached_property
    def outputs(self) -> dict[str, OutputSpec]:
        """What each output holds, the answer first."""
        return output_specs(self.artifact)

    def _run_early(self, feeds: dict[str, Array], steps: int, rule: ExitRule, step: Step | None) -> Run:
        samples = count_samples(self.inputs, feeds)
        apart = self._apart and are_alike(self.inputs, feeds)
        runs = [
            run_until_decided(
                self._network.start(group, step),
                rule,
                count_samples(self.inputs, group),
                steps,
                apart=apart,
                has_rows={name: spec.has_rows for name, spec in self.outputs.items()},
            )
            for group in cut(feeds, samples, _EXITING if apart else samples)
        ]
        outputs = {name: np.concatenate([given[name] for given, _ in runs]) for name in runs[0][0]}
        return Run(steps, outputs, timesteps_used=np.concatenate([used for _, used in runs]))

    def outputs_by_step(
        self, inputs: Array | Mapping[str, Array], timesteps: int | None = None
    ) -> Iterator[dict[str, Array]]:
        """The outputs after 1, 2, … T timesteps, as `run` would give them.

        Raises:
            DataError, OptionError: as `run`.
        """
        feeds, steps = check_inputs(self.inputs, inputs), self._check(timesteps)
        runner = self._network.start(feeds)
        while runner.timesteps < steps:
            runner.advance()
            yield runner.outputs()

    def run_counted(self, inputs: Array | Mapping[str, Array], timesteps: Sequence[int]) -> list[Checkpoint]:
        """Run samples from the initial state and count, once to the largest of `timesteps`.

        Returns:
            One checkpoint for each of `timesteps`, in ascending order, with spikes and synaptic operations
            of every sample so far.

        Raises:
            DataError: arrays that do not fit the inputs.
            OptionError: no timesteps, or some that are no whole number of at least 1.
        """
        feeds = check_inputs(self.inputs, inputs)
        wanted = sorted({self._check(value) for value in timesteps})
        if not wanted:
            raise OptionError(
                f"timesteps: expected at least one number, found none; give [{self.timesteps}] as compiled"
            )
        return self._counting.checkpoints(feeds, wanted)

    def fan_out(self, inputs: Array | Mapping[str, Array]) -> dict[str, float]:
        """Synaptic operations that a spike of each neuron causes on average, pools on its way included.

        Args:
            inputs: samples; only where spikes go at a border depends on them.
        """
        return self._counting.fan_out(check_inputs(self.inputs, inputs))

    def macs_per_sample(self, inputs: Array | Mapping[str, Array]) -> tuple[int, int]:
        """Multiply-accumulates a sample of the whole ANN, and those before the first neuron.

        Zero padding does not count; the samples only give the shapes.
        """
        work = self.work_per_sample(inputs)
        return work.ann_macs, work.prefix_macs

    def work_per_sample(self, inputs: Array | Mapping[str, Array]) -> Work:
        """What is computed for a sample beside spikes, and how many neurons there are, from real shapes."""
        return self._counting.work(check_inputs(self.inputs, inputs))

    def stream(
        self,
        frames: Iterable[Array | Mapping[str, Array]],
        steps_per_frame: Steps = 1,
        *,
        tolerance: int = 1,
        count: bool = False,
        hop: int = 0,
    ) -> Iterator[Frame]:
        """Follow frames, each of a batch of streams, with the state carried from frame to frame.

        The state also persists from call to call, until `reset`.

        Args:
            frames: one array for the only input, or arrays by input name; a stream keeps its place in all.
            steps_per_frame: timesteps, or `rest`: until no neuron of a graded network sends.
            tolerance: a power of two: neurons of a graded network that have settled send no spikes smaller
                than so many of their smallest ones.
            count: also count events and synaptic operations of every frame.
            hop: columns by which a frame, a window of a longer signal, lies behind the one before.

        Raises:
            DataError: arrays that do not fit the inputs, or as many samples as the state was not made for.
            OptionError: a network of the schedule `layer`, a rest or a tolerance without graded spikes, or
                another way to follow frames than those before were followed.
        """
        pace = Pace(steps_per_frame, tolerance, count, hop)
        with self._turn:
            if self._stream is None or not self._stream.keeps(pace):
                self._stream = self.open_stream(pace)
        for frame in frames:
            feeds = check_inputs(self.inputs, frame)
            with self._turn:
                made = self._stream.advance_all(feeds, count_samples(self.inputs, feeds))
            yield made

    def reset(self, streams: Iterable[int] | None = None) -> None:
        """Let streams begin anew with the next frame: some, by their places in the batch, or all."""
        with self._turn:
            if self._stream is not None:
                self._stream.forget(streams)

    def open_stream(self, pace: Pace) -> Stream:
        """Streams of their own, which `stream` and `reset` do not touch.

        Raises:
            OptionError: as `stream`.
        """
        if self.artifact.schedule == "layer":
            raise OptionError(
                "stream: expected a network of --schedule stream, found layer, in which the second layer "
                "fires only after the last frame; compile with --schedule stream"
            )
        return Stream(self._network, self._counting if pace.count else None, pace, apart=self._apart)

    def batches(self, dataset: Dataset, batch_size: int) -> Iterator[tuple[dict[str, Array], int]]:
        """Batches of a data set that fit the inputs, each with how many samples it has.

        Where the model's batch is fixed it counts instead of `batch_size`, and copies of its last sample fill
        up the last batch.
        """
        fixed = next((spec.shape[0] for spec in self.inputs if spec.shape and spec.shape[0]), None)
        return model_batches(dataset, batch_size, fixed, fill=True)

    @cached_property
    def prober(self) -> Prober:
        """Runs with changed neurons, for the diagnosis."""
        return Prober(self._network)

    @cached_property
    def _apart(self) -> bool:
        """Whether the samples of a batch may be run in groups."""
        parts = (self.artifact.prefix, self.artifact.step, self.artifact.head)
        return (
            self._network.backend == "onnxruntime"
            and all(spec.shape[:1] == (None,) for spec in self.inputs)
            and keep_samples_apart([part for part in parts if part is not None], {TIMESTEPS})
        )

    @cached_property
    def _recording_step(self) -> Step:
        """The step, which also gives what neurons send, or accumulate in the schedule `layer`."""
        model = onnx.ModelProto()
        model.CopyFrom(self.artifact.step)
        layered = self.artifact.schedule == "layer"
        made = {name for node in model.graph.node for name in node.output}
        shown = [cell.input[0] if layered else cell.output[0] for cell in self.artifact.neurons]
        step = tap(model, [name for name in shown if name in made])
        return Step(self._network.load(step), self.artifact.carried)

    @cached_property
    def _counting(self) -> Counting:
        return Counting(self._network)

    def _run_layers(self, feeds: dict[str, Array], *, record: bool) -> Run:
        """Run the schedule `layer`: in explicit timesteps in NumPy, else on sums."""
        if self._whole is None:
            simulation = simulate(self.artifact, feeds)
            return Run(self.timesteps, simulation.outputs, {}, simulation.spikes if record else {})
        runner = self._network.start(feeds, self._recording_step)
        runner.advance()
        values = runner.bridge | runner.results()
        spikes = {cell.name: whole_train(self.artifact, cell, values) for cell in self.artifact.neurons}
        return Run(self.timesteps, runner.outputs(), {}, spikes)

    def _check(self, timesteps: int | None) -> int:
        return check_timesteps(timesteps, self.timesteps, self.artifact.schedule)
