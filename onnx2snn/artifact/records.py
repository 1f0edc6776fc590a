"""What an artifact, and the report of its compilation, say of its neurons: figures with names and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.errors import ModelError, OptionError
from onnx2snn.exits.rule import ExitRule
from onnx2snn.graph.macs import Macs
from onnx2snn.options import DECLARATIONS, CompileOptions
from onnx2snn.records import Count, Record, RecordError, Share, Size

Role = Literal["spiking", "linear", "analog", "folded", "refused"]
ROLES: tuple[Role, ...] = ("spiking", "linear", "analog", "folded", "refused")


@dataclass(frozen=True)
class Verdict(Record):
    """What one node is or becomes.

    Attributes:
        node: its name in the user's graph.
        op: its operator there.
        role: see `ROLES`.
        reason: one phrase.
        remedy: for refused nodes, what the user can do; else empty.
        island: name of the first node of the analog island that the node belongs to; else empty.
    """

    node: str
    op: str
    role: Role
    reason: str
    remedy: str = ""
    island: str = ""


@dataclass(frozen=True)
class Spread(Record):
    """Values of all channels of a layer."""

    least: float
    median: float
    greatest: float

    @staticmethod
    def of(values: Any) -> Spread:
        """Those of an array."""
        array = np.asarray(values, np.float64)
        return Spread(float(array.min()), float(np.median(array)), float(array.max()))


@dataclass(frozen=True)
class NeuronRecord(Record):
    """One neuron layer.

    Attributes:
        op: operator in the domain `onnx2snn`.
        max_spikes: Γ, the most spikes a timestep.
        levels: spikes a timestep that stand for R; of a neuron that fires once, N of a run.
        channels: thresholds.
        threshold: θ in the ANN's units.
        clip: where the activation saturates; None for one that does not.
        theta: name of the initializer with θ; None where θ is in the weights.
        correction: what was added to the current to correct the bias, for each channel.
        unit: what a spike stands for in the ANN, for each channel, where θ is in the weights.
        exponents: n of a graded neuron, whose θ is R.
    """

    op: str
    max_spikes: Count
    levels: Size
    channels: Count
    threshold: Spread
    clip: float | None
    theta: str | None = None
    correction: list[float] | None = None
    unit: list[float] | None = None
    exponents: int | None = None


@dataclass(frozen=True)
class ActivationRecord(Record):
    """The activations of one neuron layer on calibration data, in the ANN's units.

    Attributes:
        zeros: share of them that is zero.
        maximum: the largest.
        bin: width of a bin of the histogram, which begins at 0.
        counts: activations above zero, for each bin.
        clipped: share of their sum above what the layer's neurons can send.
        range: R.
        threshold: θ.
    """

    zeros: Share
    maximum: float
    bin: Size
    counts: list[Count]
    clipped: Share
    range: Spread
    threshold: Spread


@dataclass(frozen=True)
class InputRecord(Record):
    """What an input was fed with during calibration, of a few samples that were spread over all.

    Attributes:
        samples: how many.
        mean, deviation: of each channel.
        least, greatest: of all values.
        middle: each sample's mean: the mean of these and their deviation.
        contrast: the logarithm of each sample's deviation: the same.
    """

    samples: Count
    mean: list[float]
    deviation: list[float]
    least: float
    greatest: float
    middle: tuple[float, float]
    contrast: tuple[float, float]


@dataclass(frozen=True)
class CalibrationRecord(Record):
    """What calibration saw.

    Attributes:
        samples: how many.
        source: where they came from.
        inputs: input → what it was fed with; None in older files.
    """

    samples: Count
    source: str
    inputs: dict[str, InputRecord] | None = None


@dataclass(frozen=True)
class LayerAdaptation(Record):
    """How a layer's firing was changed.

    Attributes:
        scale: factor on its thresholds.
        spikes: a sample.
        without: the same before.
    """

    scale: float
    spikes: float
    without: float


@dataclass(frozen=True)
class Adaptation(Record):
    """What a search for ways of firing traded.

    Attributes:
        mode: a budget of spikes, timesteps that differ with a given mean, or compression.
        saves: what compression saves: `spikes` or `energy`.
        max_loss, loss: the bound, and what was lost, in points.
        measure: of what.
        held_back: samples that the loss was measured on.
        budget: spikes a sample.
        met: whether the bound or the budget was kept.
        spikes_per_sample, synaptic_operations_per_sample: before and after.
        layers: neuron layer → its change.
    """

    mode: Literal["spike_budget", "timesteps", "compress"]
    saves: str | None = None
    max_loss: float | None = None
    loss: float | None = None
    measure: str | None = None
    held_back: int | None = None
    budget: float | None = None
    met: bool = False
    spikes_per_sample: tuple[float, float] = (0.0, 0.0)
    synaptic_operations_per_sample: tuple[float, float] = (0.0, 0.0)
    layers: dict[str, LayerAdaptation] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial(Record):
    """A setting that a search has tried.

    Attributes:
        name: in a few words.
        options: those that the search chose.
        energy: a sample, the ANN's is 1.
        latency: timesteps until the output is there, where a neuron layer takes one.
        loss, error: points, and their standard error; None where they were not asked for.
        changed: percent of answers that differ from the ANN's.
        verdict: what became of it.
        chosen: whether it was.
    """

    name: str
    options: dict[str, Any]
    energy: float
    latency: int
    loss: float | None
    error: float | None
    changed: float | None
    verdict: str
    chosen: bool = False


@dataclass(frozen=True)
class SearchRecord(Record):
    """What a search for options tried, and why it chose what it did.

    Attributes:
        max_loss, target_energy, prefer: what it aimed at.
        measure: points of `accuracy` or `agreement`, percent of relative `error`, or in words that of a task.
        calibrated, held_back: samples that settings were calibrated on, and judged by.
        met: whether the aim was.
        stopped: what ended it early; empty for nothing.
        passes: of the ANN over all calibration samples that it took, about, with the last conversion.
        trials: in the order in which they were tried.
    """

    max_loss: float | None
    target_energy: float | None
    prefer: str
    measure: str
    calibrated: int
    held_back: int
    met: bool
    stopped: str
    passes: float
    trials: list[Trial]

    @property
    def chosen(self) -> Trial:
        """The setting of the network."""
        return next(trial for trial in self.trials if trial.chosen)


@dataclass(frozen=True)
class Metadata(Record):
    """What an artifact says of itself; what an older file lacks, or one of which a tool dropped it, is empty.

    Attributes:
        nodes: a verdict for each node of the ANN.
        macs: multiply-accumulates of the ANN.
        neurons: neuron layer → how it fires.
        activations: neuron layer → its activations on calibration data.
        options: that it was compiled with.
        calibration: on what.
        layers: with int8 weights, as in the report of a compilation.
        adaptation: what a search for ways of firing traded.
        search: what chose the options.
        early_exit: when it stops by itself.
        preprocessing: of integer arrays and images.
        schedule: `stream` or `layer`.
        source_sha256: of the ANN.
        version: of onnx2snn.
    """

    nodes: list[Verdict] = field(default_factory=list)
    macs: Macs | None = None
    neurons: dict[str, NeuronRecord] = field(default_factory=dict)
    activations: dict[str, ActivationRecord] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    calibration: CalibrationRecord | None = None
    layers: dict[str, str] | None = None
    adaptation: Adaptation | None = None
    search: SearchRecord | None = None
    early_exit: ExitRule | None = None
    preprocessing: dict[str, Any] = field(default_factory=dict)
    schedule: str = "stream"
    source_sha256: str | None = None
    version: str | None = None

    @classmethod
    def read(cls, held: Mapping[str, Any], source: str) -> Self:
        """The entries of a file, which anybody may have written, each checked.

        Args:
            held: the decoded entries.
            source: what an error calls the file.

        Raises:
            ModelError: an entry of another form, or a value out of its range.
        """
        try:
            record = cls.from_dict({name: value for name, value in held.items() if value is not None})
            record._check()
        except (RecordError, OptionError) as error:
            raise ModelError(
                f"{source}: metadata onnx2snn.{error}; compile again, or take that entry out"
            ) from error
        return record

    def _check(self) -> None:
        """What types alone do not say."""
        if self.early_exit is not None and not self.early_exit.thresholds:
            raise RecordError("early_exit.thresholds", "at least one", [])
        if self.search is not None and not any(trial.chosen for trial in self.search.trials):
            raise RecordError("search.trials", "one that is chosen", "none")
        for name, seen in ((self.calibration and self.calibration.inputs) or {}).items():
            if len(seen.mean) != len(seen.deviation):
                raise RecordError(f"calibration.inputs.{name}.deviation", "as many as means", seen.deviation)
        _check_options(self.options)
        try:
            Preprocessing.from_dict(self.preprocessing)
        except OptionError as error:
            where = "" if str(error).startswith("preprocessing: ") else "preprocessing."
            raise OptionError(f"{where}{error}") from error


def _check_options(options: Mapping[str, Any]) -> None:
    """Those that this version knows, where they are there."""
    for name, value in CompileOptions.read_fields(options, "options").items():
        bounds = DECLARATIONS[name].bounds
        if bounds is not None and isinstance(value, int) and not bounds[0] <= value <= bounds[1]:
            raise RecordError(f"options.{name}", f"from {bounds[0]} to {bounds[1]}", value)
