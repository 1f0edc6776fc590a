"""What a user may choose about a conversion, in one validated place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from onnx2snn import rules
from onnx2snn.declaration import Declaration, Section, option
from onnx2snn.errors import OptionError
from onnx2snn.memory import MemoryBound, default_memory, parse_memory
from onnx2snn.records import Record
from onnx2snn.rules import MOST_BITS, flag, is_number
from onnx2snn.thresholds.budget import parse_budget
from onnx2snn.thresholds.rules import RULES

Granularity = Literal["channel", "layer"]
Approximation = Literal["auto", "none", "relu-sum"]
Schedule = Literal["stream", "layer"]
Code = Literal["burst", "radix", "graded"]
Weights = Literal["float", "int8"]
Compression = Literal["none", "spikes", "energy"]
LossMeasure = Literal["auto", "accuracy", "agreement"]

#: Γ where the user names none: a radix neuron sends one bit a timestep.
_BURST = 4
#: n, the exponents of a graded spike, where the user names none.
EXPONENTS = 8
#: What `max_spikes` is where every layer gets a Γ of its own.
AUTO = "auto"


@dataclass(frozen=True)
class CompileOptions(Record):
    """Options of `onnx2snn.compile` and of the command `onnx2snn compile`.

    To add one, add its field: the checks of its values, the command line, its help and the documentation
    follow from it. What options ask of each other is below.

    Raises:
        OptionError: a value outside its range, or values that contradict each other.
    """

    timesteps: int = option(
        8,
        "Neurons",
        "Simulation length T.",
        # 2^24 bounds what float32 counts exactly: the spikes of one neuron over a whole run.
        bounds=(1, 65_536),
        short="T",
    )
    max_spikes: int = option(  # a number once `__post_init__` has seen it
        None,
        "Neurons",
        "For --code burst: most spikes of a neuron a timestep, Γ; auto: each layer gets its own, and "
        "levels.  [default: 4]",
        bounds=(1, 255),
        short="G",
        metavar="INTEGER|auto",
    )
    levels: int | str | None = option(
        None,
        "Neurons",
        "For burst: spikes a timestep that stand for R.  [default: Γ]  For radix: auto, each layer gets its "
        "own T, with --timesteps on average.",
        bounds=(1, 255),
        metavar="INTEGER|auto",
    )
    signed: bool = option(False, "Neurons", "For burst: neurons that can take spikes back.")
    schedule: Schedule = option(
        "stream",
        "Neurons",
        "Every layer at every timestep, or a layer fires once all its input is in.",
        choices=get_args(Schedule),
    )
    code: Code = option(  # a code once `__post_init__` has seen it
        None,
        "Neurons",
        "graded: powers of two with a sign, of any activation; burst: bursts of equal spikes; radix, for "
        "--schedule layer: the bits of 2^T - 1 levels.  "
        "[default: graded; burst with an option that only it has]",
        choices=get_args(Code),
    )
    exponents: int | None = option(
        None,
        "Neurons",
        "For --code graded: sizes that a spike may have, n: R, R/2, … R/2^(n-1); auto: each layer gets its "
        "own, and R.  [default: 8]",
        bounds=(1, 16),
        metavar="INTEGER|auto",
    )
    weights: Weights = option(
        "float",
        "Neurons",
        "For --schedule layer, not graded: weights of 8 bits, and integer arithmetic.",
        choices=get_args(Weights),
    )
    threshold: str = option(  # a rule once `__post_init__` has seen it
        None,
        "Calibration",
        "Rule that chooses R from the activations.  [default: percentile with --code graded, or else mse]",
        choices=tuple(RULES),
    )
    percentile: float = option(99.9, "Calibration", "For --threshold percentile.")
    granularity: Granularity = option(
        "channel",
        "Calibration",
        "One threshold per channel or per layer.",
        choices=get_args(Granularity),
    )
    correct_bias: bool = option(True, "Calibration", "Correct biases layer by layer.", switch=True)
    refit: bool = option(
        True,
        "Calibration",
        "With --schedule layer, as part of --correct-bias: refit weights to the spikes before them.",
        switch=True,
    )
    approximate: Approximation = option(
        AUTO,
        "What may be converted",
        "For burst and radix: smooth activations (GELU, SiLU, …) spike, as sums of ReLUs; auto: where "
        "nothing else would.",
        choices=get_args(Approximation),
    )
    spike_budget: str | float | None = option(
        None,
        "Savings",
        "For auto: spikes a sample, or a share of what Γ = 4, or n = 8, sends.  [default: 100%]",
        metavar="N|P%",
    )
    compress: Compression = option(
        "none",
        "Savings",
        "Send less where nobody notices, to save spikes, or synaptic operations.",
        choices=get_args(Compression),
    )
    early_exit: str | None = option(
        None,
        "Savings",
        "The file stops by itself once every sample of a batch is decided.",
        metavar="auto|confidence|entropy[:X]",
    )
    until_rest: bool = option(
        False,
        "Savings",
        "For --code graded: the file stops by itself once no neuron sends, with the same answer.",
    )
    max_loss: float | None = option(
        None,
        "Savings",
        "Points that may be lost: chooses all options that are left out. With --compress: what that may "
        "cost; with --early-exit auto: answers that may differ, in percent.  [default: none; 0.3; 0.1]",
    )
    loss_measure: LossMeasure = option(
        "auto",
        "Savings",
        "For --max-loss: points of what; auto: accuracy where DATA has labels.",
        choices=get_args(LossMeasure),
    )
    answer: str | None = option(
        None,
        "Savings",
        "Of several outputs the one whose class scores are the answer.  [default: the first that has some]",
        metavar="NAME",
    )
    max_search_samples: int = option(
        128,
        "Samples",
        "Samples that layers are measured on for auto and --compress.",
        bounds=(1, 1 << 30),
    )
    strict: bool = option(
        False,
        "What may be converted",
        "Refuse nodes that would be computed without spikes, a --max-loss that nothing keeps, and data that "
        "cannot be right.",
    )
    dynamic_timesteps: bool = option(
        False, "What may be converted", "Make T an optional input of the artifact."
    )
    batch_size: int = option(64, "Samples", "Samples a batch.", bounds=(1, 1 << 20))

    memory: str | int | None = option(
        None,
        "Samples",
        "Activations and spikes that compiling may hold, such as 2GiB; what is more waits on disk.  "
        "[default: an eighth of the system's memory, at most 1.5GiB]",
        metavar="SIZE",
    )

    def __post_init__(self) -> None:
        if self.memory is not None:
            parse_memory(self.memory)
        for name in ("code", "threshold"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self._default(name))
        for name, declaration in DECLARATIONS.items():
            value, choices = getattr(self, name), declaration.choices
            if choices and value not in choices:
                raise OptionError(
                    f"{flag(name)}: expected one of {', '.join(choices)}, found {value!r}; "
                    f"leave it out for {self._default(name)}"
                )
            if isinstance(self._default(name), bool) and not isinstance(value, bool):
                raise OptionError(
                    f"{flag(name)}: expected True or False, found {value!r}; "
                    f"leave it out for {self._default(name)}"
                )
        if self.code == "graded":
            self._check_graded(self.max_spikes)
        self._check_adaptation()
        given: int | None = self.max_spikes
        if self.code == "radix":
            rules.check_radix(self, given)
        for name in () if self.code == "graded" else ("exponents", "until_rest"):
            if getattr(self, name) not in (None, False):
                raise OptionError(
                    f"{flag(name)}: expected only with --code graded, found {getattr(self, name)!r} with "
                    f"{self.code}; give that code, or leave it out"
                )
        if given is None:
            object.__setattr__(self, "max_spikes", _BURST if self.code == "burst" else 1)
        for name, declaration in DECLARATIONS.items():
            value = getattr(self, name)
            if declaration.bounds is None or (value is None and name in ("levels", "exponents")):
                continue
            if name == "levels" and self.varies_timesteps:
                continue
            low, high = declaration.bounds
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise OptionError(
                    f"{flag(name)}: expected an integer from {low} to {high}, found {value!r}; "
                    f"leave it out for {self._default(name)}"
                )
        if self.schedule == "layer":
            rules.check_layer(self)
        if self.weights == "int8":
            rules.check_integers(self)
        if isinstance(self.levels, int) and self.levels > self.max_spikes:
            raise OptionError(
                f"--levels: expected at most --max-spikes = {self.max_spikes}, found {self.levels}; "
                "a range of more spikes than a neuron can send would always be clipped"
            )
        if not (is_number(self.percentile) and 0 < self.percentile <= 100):
            raise OptionError(
                f"--percentile: expected more than 0 and at most 100, found {self.percentile!r}; "
                f"leave it out for {self._default('percentile')}"
            )

    @property
    def memory_bound(self) -> MemoryBound:
        """Activations and spikes that compiling may hold."""
        if self.memory is None:
            return MemoryBound(default_memory(), strict=False)
        return MemoryBound(parse_memory(self.memory))

    @property
    def range_levels(self) -> int:
        """Spikes a timestep that stand for R: `levels`, or Γ where `levels` is None."""
        return self.levels if isinstance(self.levels, int) else self.max_spikes

    @property
    def total_levels(self) -> int:
        """N, the levels that stand for R over a whole run."""
        return (1 << self.timesteps) - 1 if self.code == "radix" else self.range_levels * self.timesteps

    @property
    def most_levels(self) -> int:
        """The level at which a neuron saturates over a whole run: more than N with headroom."""
        return self.total_levels if self.code == "radix" else self.max_spikes * self.timesteps

    @property
    def acts_on_sums(self) -> bool:
        """Whether what stands between neurons computes on sums over time, and has no state."""
        return self.schedule == "layer" or self.code == "graded"

    @property
    def adapts(self) -> bool:
        """Whether layers choose how they fire."""
        return self.spike_budget is not None or self.compress != "none" or self.varies_timesteps

    @property
    def varies_timesteps(self) -> bool:
        """Whether every layer has a T of its own, and `timesteps` is their mean."""
        return self.code == "radix" and self.levels == AUTO

    def to_dict(self) -> dict[str, Any]:
        """All options, in the order of their definition; less those of a code that was not chosen."""
        values = asdict(self)
        del values["memory"]  # which makes no difference
        if self.answer is None:
            del values["answer"]
        if self.exponents is None:
            del values["exponents"], values["until_rest"]
        return values

    def _check_adaptation(self) -> None:
        """Read `auto` and its budget, and hold compression to what it can do."""
        name = "exponents" if self.code == "graded" else "max_spikes"
        if getattr(self, name) == AUTO:
            if self.code == "radix":
                raise OptionError(
                    "--max-spikes: expected none with --code radix, found 'auto'; a bit is one spike, "
                    "so leave it out, or give --compress to save spikes"
                )
            if self.levels is not None or self.compress != "none":
                other = "--levels" if self.levels is not None else "--compress"
                raise OptionError(
                    f"{other}: expected none with {flag(name)} auto, which chooses thresholds by itself, "
                    "found one; leave out one of the two"
                )
            object.__setattr__(self, name, EXPONENTS if self.code == "graded" else _BURST)
            if self.spike_budget is None:
                object.__setattr__(self, "spike_budget", "100%")
            parse_budget(self.spike_budget)
        elif self.spike_budget is not None:
            raise OptionError(
                f"--spike-budget: expected only with {flag(name)} auto, found {self.spike_budget!r} "
                "without; give that as well"
            )
        rules.check_savings(self)

    def _code_by_default(self) -> Code:
        """The code where the user names none: graded, unless options ask for what only bursts have."""
        spikes: object = self.max_spikes
        burst = spikes is not None or any(given for given, _ in rules.not_graded(self, spikes).values())
        return "burst" if burst and self.exponents is None and not self.until_rest else "graded"

    def _default(self, name: str) -> object:
        """What an option is where it is left out."""
        resolved = {
            "code": self._code_by_default(),
            "max_spikes": f"{_BURST} with --code burst",
            "levels": "the value of --max-spikes",
            "exponents": EXPONENTS,
            "threshold": "percentile" if self.code == "graded" else "mse",
        }
        return resolved[name] if name in resolved else getattr(type(self), name)

    def _check_graded(self, max_spikes: object) -> None:
        for name, (given, why) in rules.not_graded(self, max_spikes).items():
            if given:
                raise OptionError(
                    f"{flag(name)}: expected none with --code graded, found {getattr(self, name)!r}; {why}, "
                    "so leave it out"
                )
        if self.exponents is None:
            object.__setattr__(self, "exponents", EXPONENTS)
        if self.schedule == "layer" and isinstance(self.timesteps, int) and self.timesteps > MOST_BITS:
            raise OptionError(
                f"--timesteps: expected at most {MOST_BITS} with --schedule layer and --code graded, found "
                f"{self.timesteps}; 3 spikes are near the ANN already, or give --code burst"
            )


#: Of each option, in the order of their definition.
DECLARATIONS: dict[str, Declaration] = {item.name: item.metadata["option"] for item in fields(CompileOptions)}
#: The sections of the command's help, in order.
SECTIONS: tuple[Section, ...] = get_args(Section)
