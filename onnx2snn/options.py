"""What a user may choose about a conversion, in one validated place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from onnx2snn.errors import OptionError

ThresholdRule = Literal["max", "percentile", "mse"]
Granularity = Literal["channel", "layer"]
Approximation = Literal["none", "relu-sum"]

_RANGES: dict[str, tuple[int, int]] = {
    # 2^24 bounds what float32 counts exactly: the spikes of one neuron over a whole run.
    "timesteps": (1, 65_536),
    "max_spikes": (1, 255),
    "levels": (1, 255),
    "batch_size": (1, 1 << 20),
}


_CHOICES: dict[str, tuple[str, ...]] = {
    "threshold": get_args(ThresholdRule),
    "granularity": get_args(Granularity),
    "approximate": get_args(Approximation),
}


@dataclass(frozen=True)
class CompileOptions:
    """Options of `onnx2snn.compile` and of the command `onnx2snn compile`.

    Attributes:
        timesteps: T, the simulation length written into the artifact.
        max_spikes: Γ, the most spikes one neuron emits in one timestep.
        levels: spikes a timestep that stand for the range R (θ = R/levels); None means Γ.
        signed: use the signed burst neuron, which can take spikes back.
        threshold: the rule that turns activation statistics into the range R.
        percentile: for the rule `percentile`: the share of activations, in percent, that R covers.
        granularity: one threshold per channel or one per layer.
        correct_bias: correct each layer's bias against the already converted prefix.
        approximate: `relu-sum`: write smooth activations (GELU, SiLU, …) as sums of ReLUs, which spike.
        strict: refuse a graph with analog nodes instead of reporting them.
        dynamic_timesteps: make `timesteps` an optional input of the artifact.
        batch_size: samples per calibration batch.

    Raises:
        OptionError: a value outside its range, or values that contradict each other.
    """

    timesteps: int = 8
    max_spikes: int = 4
    levels: int | None = None
    signed: bool = False
    threshold: ThresholdRule = "mse"
    percentile: float = 99.9
    granularity: Granularity = "channel"
    correct_bias: bool = True
    approximate: Approximation = "none"
    strict: bool = False
    dynamic_timesteps: bool = False
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name == "levels":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise OptionError(
                    f"{_flag(name)}: expected an integer from {low} to {high}, found {value!r}; "
                    f"leave it out for {_default(name)}"
                )
        if self.levels is not None and self.levels > self.max_spikes:
            raise OptionError(
                f"--levels: expected at most --max-spikes = {self.max_spikes}, found {self.levels}; "
                "a range of more spikes than a neuron can send would always be clipped"
            )
        if not 0 < self.percentile <= 100:
            raise OptionError(
                f"--percentile: expected more than 0 and at most 100, found {self.percentile}; "
                f"leave it out for {_default('percentile')}"
            )
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise OptionError(
                    f"{_flag(name)}: expected one of {', '.join(choices)}, found {getattr(self, name)!r}; "
                    f"leave it out for {_default(name)}"
                )

    @property
    def range_levels(self) -> int:
        """Spikes a timestep that stand for R: `levels`, or Γ where `levels` is None."""
        return self.max_spikes if self.levels is None else self.levels

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON-able values, in the order of their definition."""
        return asdict(self)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _default(name: str) -> object:
    default = next(field.default for field in fields(CompileOptions) if field.name == name)
    return "the value of --max-spikes" if default is None else default
