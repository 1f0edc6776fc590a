"""What a user may choose about a conversion, in one validated place."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

from onnx2snn.errors import OptionError
from onnx2snn.exits import parse_exit
from onnx2snn.records import Record
from onnx2snn.thresholds.rules import RULES

Granularity = Literal["channel", "layer"]
Approximation = Literal["none", "relu-sum"]
Schedule = Literal["stream", "layer"]
Code = Literal["burst", "radix"]
Weights = Literal["float", "int8"]
Compression = Literal["none", "spikes", "energy"]
LossMeasure = Literal["auto", "accuracy", "agreement"]

_RANGES: dict[str, tuple[int, int]] = {
    # 2^24 bounds what float32 counts exactly: the spikes of one neuron over a whole run.
    "timesteps": (1, 65_536),
    "max_spikes": (1, 255),
    "levels": (1, 255),
    "batch_size": (1, 1 << 20),
    "max_search_samples": (1, 1 << 30),
}


#: Γ where the user names none: a radix neuron sends one bit a timestep.
_BURST = 4
#: The most spikes of a neuron that uint8 holds.
MOST_SPIKES = 255
#: The most timesteps of the radix code: 2^T - 1 levels, and twice that, are numbers that float32 has.
_MOST_BITS = 16

_CHOICES: dict[str, tuple[str, ...]] = {
    "schedule": get_args(Schedule),
    "code": get_args(Code),
    "weights": get_args(Weights),
    "threshold": tuple(RULES),
    "granularity": get_args(Granularity),
    "approximate": get_args(Approximation),
    "compress": get_args(Compression),
    "loss_measure": get_args(LossMeasure),
}
_FLAGS = ("signed", "correct_bias", "refit", "strict", "dynamic_timesteps")

#: What `max_spikes` is where every layer gets a Γ of its own.
AUTO = "auto"


@dataclass(frozen=True)
class CompileOptions(Record):
    """Options of `onnx2snn.compile` and of the command `onnx2snn compile`.

    Attributes:
        timesteps: T, the simulation length written into the artifact.
        max_spikes: Γ, the most spikes one neuron emits in one timestep; None means 4, or 1 with code `radix`;
            `auto`: each layer gets a Γ, and levels, of its own.
        levels: spikes a timestep that stand for the range R (θ = R/levels); None means Γ.
        signed: use the signed burst neuron, which can take spikes back.
        schedule: `stream`: every layer advances one timestep at a time; `layer`: a layer takes in all T
            timesteps of its input before it fires.
        code: how a neuron of the schedule `layer` spreads its spikes over T: `burst` (N = Γ·T levels) or
            `radix` (bits, N = 2^T - 1).
        weights: `int8`: with the schedule `layer`, layers behind a neuron have weights of 8 bits, one step
            per output channel, and compute in integers; spikes are uint8.
        threshold: the rule that turns activation statistics into the range R.
        percentile: for the rule `percentile`: the share of activations, in percent, that R covers.
        granularity: one threshold per channel or one per layer.
        correct_bias: correct each layer's bias against the already converted prefix.
        refit: with the schedule `layer` and `correct_bias`, refit each layer's weights in the same sweep.
        approximate: `relu-sum`: write smooth activations (GELU, SiLU, …) as sums of ReLUs, which spike.
        spike_budget: with max_spikes `auto`, spikes a sample; or, as in `50%`, a share of what the net sends
            with Γ = 4 everywhere. None means 100%.
        compress: raise thresholds where the output suffers least: `spikes` saves spikes, `energy` synaptic
            operations.
        early_exit: let the file's Loop end once every sample of a batch is decided: `confidence` or
            `entropy`, also with a threshold as in `confidence:0.9`, or `auto`, with one a timestep from
            calibration data.
        max_loss: what adaptation may cost. For `compress`, points of `loss_measure` on the half of the
            samples that is held back for it; None means 0.3. For `early_exit` auto, answers that may differ
            from those after all timesteps, in percent; None means 0.1.
        loss_measure: `accuracy`, `agreement` with the ANN, or `auto`: accuracy where the calibration data
            have labels.
        max_search_samples: samples that the sensitivity of layers is measured on.
        strict: refuse a graph with analog nodes instead of reporting them.
        dynamic_timesteps: make `timesteps` an optional input of the artifact.
        batch_size: samples per calibration batch.

    Raises:
        OptionError: a value outside its range, or values that contradict each other.
    """

    timesteps: int = 8
    max_spikes: int = cast(int, None)  # a number once `__post_init__` has seen it
    levels: int | None = None
    signed: bool = False
    schedule: Schedule = "stream"
    code: Code = "burst"
    weights: Weights = "float"
    threshold: str = "mse"
    percentile: float = 99.9
    granularity: Granularity = "channel"
    correct_bias: bool = True
    refit: bool = True
    approximate: Approximation = "none"
    spike_budget: str | float | None = None
    compress: Compression = "none"
    early_exit: str | None = None
    max_loss: float | None = None
    loss_measure: LossMeasure = "auto"
    max_search_samples: int = 128
    strict: bool = False
    dynamic_timesteps: bool = False
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise OptionError(
                    f"{_flag(name)}: expected one of {', '.join(choices)}, found {getattr(self, name)!r}; "
                    f"leave it out for {_default(name)}"
                )
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise OptionError(
                    f"{_flag(name)}: expected True or False, found {getattr(self, name)!r}; "
                    f"leave it out for {_default(name)}"
                )
        self._check_adaptation()
        given: int | None = self.max_spikes
        if self.code == "radix":
            self._check_radix(given)
        if given is None:
            object.__setattr__(self, "max_spikes", 1 if self.code == "radix" else _BURST)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name == "levels":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise OptionError(
                    f"{_flag(name)}: expected an integer from {low} to {high}, found {value!r}; "
                    f"leave it out for {_default(name)}"
                )
        if self.schedule == "layer":
            self._check_layer()
        if self.weights == "int8":
            self._check_integers()
        if self.levels is not None and self.levels > self.max_spikes:
            raise OptionError(
                f"--levels: expected at most --max-spikes = {self.max_spikes}, found {self.levels}; "
                "a range of more spikes than a neuron can send would always be clipped"
            )
        if not (_is_number(self.percentile) and 0 < self.percentile <= 100):
            raise OptionError(
                f"--percentile: expected more than 0 and at most 100, found {self.percentile!r}; "
                f"leave it out for {_default('percentile')}"
            )

    @property
    def range_levels(self) -> int:
        """Spikes a timestep that stand for R: `levels`, or Γ where `levels` is None."""
        return self.max_spikes if self.levels is None else self.levels

    @property
    def total_levels(self) -> int:
        """N, the levels that stand for R over a whole run."""
        return (1 << self.timesteps) - 1 if self.code == "radix" else self.range_levels * self.timesteps

    @property
    def most_levels(self) -> int:
        """The level at which a neuron saturates over a whole run: more than N with headroom."""
        return self.total_levels if self.code == "radix" else self.max_spikes * self.timesteps

    @property
    def adapts(self) -> bool:
        """Whether layers choose how they fire."""
        return self.spike_budget is not None or self.compress != "none"

    def to_dict(self) -> dict[str, Any]:
        """All options, in the order of their definition."""
        return asdict(self)

    def _check_adaptation(self) -> None:
        """Read `auto` and its budget, and hold compression to what it can do."""
        given: object = self.max_spikes
        if given == AUTO:
            if self.code == "radix":
                raise OptionError(
                    "--max-spikes: expected none with --code radix, found 'auto'; a bit is one spike, "
                    "so leave it out, or give --compress to save spikes"
                )
            if self.levels is not None or self.compress != "none":
                other = "--levels" if self.levels is not None else "--compress"
                raise OptionError(
                    f"{other}: expected none with --max-spikes auto, which chooses thresholds by itself, "
                    "found one; leave out one of the two"
                )
            object.__setattr__(self, "max_spikes", _BURST)
            if self.spike_budget is None:
                object.__setattr__(self, "spike_budget", "100%")
            parse_budget(self.spike_budget)
        elif self.spike_budget is not None:
            raise OptionError(
                f"--spike-budget: expected only with --max-spikes auto, found {self.spike_budget!r} without; "
                "give that as well"
            )
        loss: object = self.max_loss
        if loss is not None and not (_is_number(loss) and 0 < float(str(loss)) <= 100):
            raise OptionError(
                f"--max-loss: expected more than 0 and at most 100 points, found {loss!r}; leave it out for "
                "0.3 with --compress, 0.1 with --early-exit auto"
            )
        named = None if self.early_exit is None else parse_exit(self.early_exit)
        calibrated = self.early_exit is not None and named is None
        if loss is not None and self.compress == "none" and not calibrated:
            raise OptionError(
                f"--max-loss: expected only with --compress or --early-exit auto, found {loss!r} without; "
                "give one of them, or leave it out"
            )
        if self.loss_measure != "auto" and self.compress == "none":
            raise OptionError(
                f"--loss-measure: expected only with --compress, found {self.loss_measure!r} without; give "
                "that as well, or leave it out"
            )

    def _check_radix(self, max_spikes: int | None) -> None:
        if self.schedule != "layer":
            raise OptionError(
                f"--code: expected burst with --schedule {self.schedule}, found radix; a neuron that fires "
                "before its input is complete cannot know its leading bits, so add --schedule layer"
            )
        if max_spikes not in (None, 1):
            raise OptionError(
                f"--max-spikes: expected none with --code radix, found {max_spikes!r}; "
                "a bit is one spike, so leave it out"
            )
        if isinstance(self.timesteps, int) and self.timesteps > _MOST_BITS:
            raise OptionError(
                f"--timesteps: expected at most {_MOST_BITS} with --code radix, found {self.timesteps}; "
                f"T = {_MOST_BITS} already has {2**_MOST_BITS - 1} levels"
            )

    def _check_layer(self) -> None:
        refused = {
            "signed": (self.signed, "a neuron that has seen all of its input has nothing to take back"),
            "levels": (self.levels is not None, "there is nothing to catch up with, so no headroom"),
            "dynamic_timesteps": (self.dynamic_timesteps, "θ depends on T"),
            "early_exit": (self.early_exit is not None, "its output is there only after the last timestep"),
        }
        for name, (given, why) in refused.items():
            if given:
                raise OptionError(
                    f"{_flag(name)}: expected only with --schedule stream, found with layer; "
                    f"{why}: leave it out"
                )

    def _check_integers(self) -> None:
        if self.schedule != "layer":
            raise OptionError(
                f"--weights: expected float with --schedule {self.schedule}, found int8; only a layer that "
                "fires once has a sum that integers hold, so add --schedule layer"
            )
        if self.total_levels > MOST_SPIKES:
            raise OptionError(
                f"--weights: expected at most {MOST_SPIKES} levels with int8, which uint8 holds, found "
                f"{self.total_levels}; give fewer --timesteps"
            )


def parse_budget(budget: object) -> tuple[float, bool]:
    """A spike budget, and whether it is a share of what the net sends without it.

    Raises:
        OptionError: neither a number of spikes above zero nor a percentage above zero.
    """
    text = str(budget).strip()
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if isinstance(budget, bool) or not 0 < value < math.inf:
        raise OptionError(
            f"--spike-budget: expected spikes a sample, such as 200000, or a share, such as 50%, found "
            f"{budget!r}; leave it out for 100%"
        )
    return (value / 100, True) if text.endswith("%") else (value, False)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _default(name: str) -> object:
    default = next(field.default for field in fields(CompileOptions) if field.name == name)
    if default is None:
        return _BURST if name == "max_spikes" else "the value of --max-spikes"
    return default
