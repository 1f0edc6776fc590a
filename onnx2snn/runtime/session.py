"""Run an artifact: whole, step by step, with spikes recorded and operations counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from operator import index
from pathlib import Path

import numpy as np
import onnx

from onnx2snn.artifact.artifact import Artifact, Carried, final_name, take_apart
from onnx2snn.artifact.samples import keep_samples_apart
from onnx2snn.data.readers import Dataset, InputSpec
from onnx2snn.emit.stream import TIMESTEPS
from onnx2snn.engine.engines import Array, Backend, Engine, EngineOptions, make_engine
from onnx2snn.errors import DataError, OptionError
from onnx2snn.exits import ExitRule
from onnx2snn.model.file import load_model
from onnx2snn.ops import CELLS
from onnx2snn.ops.accumulate_fire import count_spikes, spike_train
from onnx2snn.runtime.batching import BatchSplit
from onnx2snn.runtime.counting import Counting
from onnx2snn.runtime.early_exit import check_scores, find_rule, run_until_decided
from onnx2snn.runtime.explicit import simulate
from onnx2snn.runtime.inputs import are_alike, check_inputs, count_samples, cut
from onnx2snn.runtime.probing import Prober
from onnx2snn.runtime.results import Checkpoint, Run, Work
from onnx2snn.runtime.stepper import Stepper, make_stepper

#: Samples that an early exit begins with together: they soon are fewer.
_EXITING = 64


class SpikingSession:
    """A spiking network ready to run.

    Args:
        model: path of an `.snn.onnx` file, or the loaded model.
        backend: `onnxruntime`, or `numpy` for the reference implementation.
        providers: onnxruntime execution providers; the CPU by default.
        threads: threads that an operator may use; as onnxruntime chooses by default.
        native: let the CPU run spiking operators by the native kernels, where the package has them; the
            results are the same.

    Raises:
        ModelError: the file cannot be read, or was not written by onnx2snn.
        OptionError: an unknown backend or provider, or an impossible number of threads.
    """

    def __init__(
        self,
        model: str | Path | onnx.ModelProto,
        backend: Backend = "onnxruntime",
        providers: Sequence[str] | None = None,
        *,
        threads: int | None = None,
        native: bool = True,
    ) -> None:
        loaded = model if isinstance(model, onnx.ModelProto) else load_model(model)
        self.artifact: Artifact = take_apart(loaded, "model" if loaded is model else str(model))
        self._backend: Backend = backend
        self._options = EngineOptions(providers, threads, native)
        self._stepper: Stepper | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._frames: Stepper | None = None
        self._elapsed = 0
        self._samples: int | None = None
        self._split = BatchSplit()
        # Loaded now, so that what cannot be is said here.
        self._whole: Engine | None = None
        if self.artifact.schedule == "layer" and backend != "numpy":
            self._whole = make_engine(loaded, backend, replace(self._options, alone=True), states={})
        else:
            self._step: Engine = self._engine(self.artifact.step, self._private_states())

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
        record: bool = False,
    ) -> Run:
        """Run samples from the initial state.

        Args:
            inputs: one array for the only input, or arrays by input name, in the ANN's shapes and dtypes.
            timesteps: T; as compiled by default.
            early_exit: stop each sample as soon as it is decided: `confidence` or `entropy`, each also with a
                threshold as in `confidence:0.9`, `auto` as the file was compiled with, or a rule.
            record: also return the output after every timestep, and every neuron's spikes.

        Raises:
            DataError: arrays that do not fit the inputs.
            OptionError: timesteps that are no whole number of at least 1, or other than compiled in the
                schedule `layer`; an early exit there, without class scores, or with `record`.
        """
        feeds = check_inputs(self.inputs, inputs)
        steps = self._check(timesteps)
        if early_exit is not None:
            if record:
                raise OptionError(
                    "early_exit: expected none with record, found one; leave out one of the two"
                )
            return self._run_early(feeds, steps, self.exit_rule(early_exit))
        if self.artifact.schedule == "layer" and (record or self._whole is None):
            return self._run_layers(feeds, record=record)
        if self._whole is not None:
            return Run(steps, self._whole.run(feeds))
        if record:
            return self._run_steps(feeds, steps, record=True)
        samples = count_samples(self.inputs, feeds)
        size = self._split.size(samples) if self._apart and are_alike(self.inputs, feeds) else samples
        with self._split.measured(size, max(1, samples) * steps):
            runs = [self._run_steps(group, steps).outputs for group in cut(feeds, samples, size)]
        if len(runs) == 1:
            return Run(steps, runs[0])
        return Run(steps, {name: np.concatenate([run[name] for run in runs]) for name in runs[0]})

    def _run_steps(self, feeds: dict[str, Array], steps: int, *, record: bool = False) -> Run:
        bridge = self._bridge(feeds)
        stepper = (
            make_stepper(self._recording_step, self.artifact.carried, bridge)
            if record
            else self._stepper_for(bridge)
        )
        outputs: list[dict[str, Array]] = []
        spikes: dict[str, list[Array]] = {cell.name: [] for cell in self.artifact.neurons}
        graded = [cell for cell in self.artifact.neurons if CELLS[cell.op_type].graded]
        sent = [cell.input[1 + CELLS[cell.op_type].states.index("sent")] for cell in graded]
        for number in range(1, steps + 1):
            before = stepper.carried(sent) if record else {}
            stepper.advance()
            if record or number == steps:
                outputs.append(self._read_out(bridge, stepper.carried(self._sums), number))
            if record:
                results = stepper.results()
                for cell in self.artifact.neurons:
                    spikes[cell.name].append(self._spikes(cell, before, results))
        if not record:
            return Run(steps, outputs[-1])
        return Run(
            steps,
            outputs[-1],
            {name: np.stack([output[name] for output in outputs]) for name in self.artifact.outputs},
            {name: np.stack(sent) for name, sent in spikes.items()},
        )

    def exit_rule(self, early_exit: str | ExitRule) -> ExitRule:
        """The rule that an early exit names.

        Raises:
            OptionError: no such rule, or a network that cannot exit early.
        """
        return find_rule(self.artifact, early_exit)

    def check_scores(self, scores: Array) -> None:
        """Make sure that the first output can tell when a sample is decided.

        Raises:
            OptionError: it has no class scores.
        """
        check_scores(self.artifact.outputs[0], scores)

    def _run_early(self, feeds: dict[str, Array], steps: int, rule: ExitRule) -> Run:
        samples = count_samples(self.inputs, feeds)
        apart = self._apart and are_alike(self.inputs, feeds)
        runs = [
            self._exit_early(group, steps, rule, apart=apart)
            for group in cut(feeds, samples, _EXITING if apart else samples)
        ]
        outputs = {name: np.concatenate([run.outputs[name] for run in runs]) for name in runs[0].outputs}
        used = [run.timesteps_used for run in runs if run.timesteps_used is not None]
        return Run(steps, outputs, timesteps_used=np.concatenate(used))

    def _exit_early(self, feeds: dict[str, Array], steps: int, rule: ExitRule, *, apart: bool) -> Run:
        bridge = self._bridge(feeds)
        return run_until_decided(
            make_stepper(self._step, self.artifact.carried, bridge),
            bridge,
            lambda values, stepper, number: self._read_out(values, stepper.carried(self._sums), number),
            rule,
            count_samples(self.inputs, feeds),
            steps,
            apart=apart,
        )

    def outputs_by_step(
        self, inputs: Array | Mapping[str, Array], timesteps: int | None = None
    ) -> Iterator[dict[str, Array]]:
        """The outputs after 1, 2, … T timesteps, as `run` would give them.

        Raises:
            DataError, OptionError: as `run`.
        """
        feeds, steps = check_inputs(self.inputs, inputs), self._check(timesteps)
        bridge = self._bridge(feeds)
        stepper = make_stepper(self._step, self.artifact.carried, bridge)
        for number in range(1, steps + 1):
            stepper.advance()
            yield self._read_out(bridge, stepper.carried(self._sums), number)

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
        return self._counting.checkpoints(self._bridge, feeds, wanted, self._sums, self._read_out)

    def fan_out(self, inputs: Array | Mapping[str, Array]) -> dict[str, float]:
        """Synaptic operations that a spike of each neuron causes on average, pools on its way included.

        Args:
            inputs: samples; only where spikes go at a border depends on them.
        """
        bridge = self._bridge(check_inputs(self.inputs, inputs))
        return self._counting.fan_out(bridge, 1 if self.artifact.schedule == "layer" else self.timesteps)

    def macs_per_sample(self, inputs: Array | Mapping[str, Array]) -> tuple[int, int]:
        """Multiply-accumulates a sample of the whole ANN, and those before the first neuron.

        Zero padding does not count; the samples only give the shapes.
        """
        work = self.work_per_sample(inputs)
        return work.ann_macs, work.prefix_macs

    def work_per_sample(self, inputs: Array | Mapping[str, Array]) -> Work:
        """What is computed for a sample beside spikes, and how many neurons there are, from real shapes."""
        return self._counting.work(check_inputs(self.inputs, inputs))

    def stream(self, frames: Iterable[Array | Mapping[str, Array]]) -> Iterator[dict[str, Array]]:
        """Feed one frame a timestep and give the outputs' mean since the last `reset`.

        The state persists from frame to frame, and from call to call, until `reset`.

        Raises:
            DataError: arrays that do not fit the inputs, or as many samples as the state was not made for.
            OptionError: a network of the schedule `layer`.
        """
        if self.artifact.schedule == "layer":
            raise OptionError(
                "stream: expected a network of --schedule stream, found layer, in which the second layer "
                "fires only after the last frame; compile with --schedule stream"
            )
        for frame in frames:
            feeds = check_inputs(self.inputs, frame)
            samples = count_samples(self.inputs, feeds)
            if self._samples not in (None, samples):
                raise DataError(
                    f"frame: expected {self._samples} samples, as the frames since the last reset had, "
                    f"found {samples}; call reset() first"
                )
            bridge = self._bridge(feeds)
            if self._frames is None:
                self._frames = make_stepper(self._step, self.artifact.carried, bridge)
            self._frames.advance(bridge)
            self._elapsed += 1
            self._samples = samples
            yield self._read_out(bridge, self._frames.carried(self._sums), self._elapsed)

    def reset(self) -> None:
        """Put `stream` back to the initial state."""
        self._frames = None
        self._elapsed = 0
        self._samples = None

    def batches(self, dataset: Dataset, batch_size: int) -> Iterator[tuple[dict[str, Array], int]]:
        """Batches of a data set that fit the inputs, each with how many samples it has.

        Where the model's batch is fixed it counts instead of `batch_size`, and copies of its last sample fill
        up the last batch.
        """
        fixed = next((spec.shape[0] for spec in self.inputs if spec.shape and spec.shape[0]), None)
        for batch in dataset.batches(fixed or batch_size):
            samples = count_samples(self.inputs, batch)
            rows = np.minimum(np.arange(fixed or samples), samples - 1)
            yield {name: array[rows] for name, array in batch.items()}, samples

    @cached_property
    def prober(self) -> Prober:
        """Runs with changed neurons, for the diagnosis."""
        return Prober(self.artifact, self._engine, self._bridge, self._read_out)

    @cached_property
    def _prefix(self) -> Engine | None:
        return None if self.artifact.prefix is None else self._engine(self.artifact.prefix)

    def _stepper_for(self, bridge: dict[str, Array]) -> Stepper:
        """The last run's places for states and bindings serve again for a batch of the same shapes."""
        shapes = {name: array.shape for name, array in bridge.items()}
        if self._stepper is not None and shapes == self._shapes:
            self._stepper.restart(bridge)
        else:
            self._stepper = make_stepper(self._step, self.artifact.carried, bridge)
            self._shapes = shapes
        return self._stepper

    @cached_property
    def _apart(self) -> bool:
        """Whether the samples of a batch may be run in groups."""
        parts = (self.artifact.prefix, self.artifact.step, self.artifact.head)
        return (
            self._backend == "onnxruntime"
            and all(spec.shape[:1] == (None,) for spec in self.inputs)
            and keep_samples_apart([part for part in parts if part is not None], {TIMESTEPS})
        )

    @cached_property
    def _head(self) -> Engine:
        return self._engine(self.artifact.head)

    @cached_property
    def _recording_step(self) -> Engine:
        model = onnx.ModelProto()
        model.CopyFrom(self.artifact.step)
        # In the schedule `layer` what a neuron has accumulated, else what it sends.
        layered = self.artifact.schedule == "layer"
        made = {name for node in model.graph.node for name in node.output}
        shown = [cell.input[0] if layered else cell.output[0] for cell in self.artifact.neurons]
        present = {item.name for item in model.graph.output}
        names = [name for name in dict.fromkeys(shown) if name in made - present]
        model.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, names))
        return self._engine(model)

    @cached_property
    def _counting(self) -> Counting:
        return Counting(self.artifact, self._engine)

    def _run_layers(self, feeds: dict[str, Array], *, record: bool) -> Run:
        """Run the schedule `layer`: in explicit timesteps in NumPy, else on sums."""
        if self._whole is None:
            simulation = simulate(self.artifact, feeds)
            return Run(self.timesteps, simulation.outputs, {}, simulation.spikes if record else {})
        bridge = self._bridge(feeds)
        results = self._recording_step.run(bridge)
        state = {value.before: results[value.after] for value in self.artifact.carried}
        spikes = {cell.name: self._train(cell, bridge | results) for cell in self.artifact.neurons}
        return Run(self.timesteps, self._read_out(bridge, state, self.timesteps), {}, spikes)

    def _train(self, cell: onnx.NodeProto, values: Mapping[str, Array]) -> Array:
        """The spikes [T, …] of a neuron of the schedule `layer`, from its accumulated current."""
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in cell.attribute}
        counts = count_spikes(values[cell.input[0]], self.artifact.parameters(cell), attributes)
        return spike_train(counts, attributes["code"].decode(), attributes["levels"], self.timesteps)

    def _spikes(
        self, cell: onnx.NodeProto, before: Mapping[str, Array], results: Mapping[str, Array]
    ) -> Array:
        """What a neuron sent in a step, from the state before it and the step's results."""
        operator = CELLS[cell.op_type]
        if operator.graded:
            place = 1 + operator.states.index("sent")
            sent = results[cell.output[place]] - before[cell.input[place]]
        else:
            sent = results[cell.output[0]] / self.artifact.threshold(cell)
        spikes: Array = np.rint(sent).astype(np.int16)
        return spikes

    def _engine(self, model: onnx.ModelProto, states: Mapping[str, str] | None = None) -> Engine:
        return make_engine(model, self._backend, self._options, states)

    def _private_states(self) -> dict[str, str]:
        """What goes from step to step, is not read behind the last one, and begins as a single number.

        A number for each channel would not follow where the layout of the others goes.
        """
        return {
            value.before: value.after
            for value in self.artifact.carried
            if value.before not in self._sums and value.initial.size == 1
        }

    @cached_property
    def _summed(self) -> list[Carried]:
        """What adds up over time, and is read behind the last step."""
        read = {item.name for item in self.artifact.head.graph.input}
        return [value for value in self.artifact.carried if final_name(value) in read]

    @property
    def _sums(self) -> list[str]:
        return [value.before for value in self._summed]

    def _bridge(self, feeds: dict[str, Array]) -> dict[str, Array]:
        """What the step and the head read beside the state: inputs, and what the prefix makes of them."""
        if self._prefix is None:
            return feeds
        return feeds | self._prefix.run(feeds)

    def _read_out(
        self, bridge: Mapping[str, Array], state: Mapping[str, Array], timesteps: int
    ) -> dict[str, Array]:
        available = dict(bridge)
        available |= {final_name(value): state[value.before] for value in self._summed}
        available[TIMESTEPS] = np.asarray(timesteps, dtype=np.int64)
        return self._head.run(available)

    def _check(self, timesteps: int | None) -> int:
        try:
            value = self.timesteps if timesteps is None else index(timesteps)
        except TypeError:
            value = 0
        if value < 1:
            raise OptionError(
                f"timesteps: expected a whole number, at least 1, found {timesteps!r}; "
                f"leave it out for {self.timesteps}"
            )
        if self.artifact.schedule == "layer" and value != self.timesteps:
            raise OptionError(
                f"timesteps: expected {self.timesteps}, which the levels of the network are made "
                f"for, found {value}; compile again with --timesteps {value}"
            )
        return value
