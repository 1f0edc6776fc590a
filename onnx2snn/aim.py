"""What a search for options aims at: what may be lost, or what may be spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from onnx2snn.declaration import Declaration, option
from onnx2snn.errors import OptionError
from onnx2snn.options import LossMeasure
from onnx2snn.records import Record
from onnx2snn.rules import flag, is_number
from onnx2snn.tasks import AUTO, TASK_NAMES
from onnx2snn.tasks.asked import Asked

Preference = Literal["energy", "latency", "accuracy"]

#: What says how much one of several things costs by itself, or ends a run early.
_SEARCHES = ("compress", "spike_budget", "early_exit")


@dataclass(frozen=True)
class Aim(Record):
    """What a search for options aims at; one of `max_loss` and `target_energy` is given.

    Attributes:
        max_loss: points that may be lost on samples held back.
        loss_measure: points of what; `auto`: of accuracy where there are labels.
        target_energy: the most energy, the ANN's is 1.
        prefer: what is to be least, or best, among what keeps `max_loss`.
        search_minutes: after which nothing more is tried.
        task, decode, data_range: what outputs are, in whose measure the bound is: see `onnx2snn.tasks`.
        labels: a file with labels of the samples.

    Raises:
        OptionError: a value outside its range.
    """

    max_loss: float | None = None
    loss_measure: LossMeasure = "auto"
    target_energy: float | None = option(
        None,
        "Savings",
        "Instead of --max-loss: the most energy, as a share of the ANN's; chooses what loses least for it.",
    )
    prefer: Preference = option(
        "energy",
        "Savings",
        "With --max-loss: what is best among all that keeps it.",
        choices=get_args(Preference),
    )
    search_minutes: float | None = option(
        None, "Savings", "Try nothing more after so many minutes.  [default: some 60 passes of the ANN]"
    )
    task: str = option(
        AUTO, "Savings", "What the outputs are, in whose measure the bound is.", choices=TASK_NAMES
    )
    labels: str | None = option(
        None, "Savings", "Labels of DATA in a file: an .npy, or boxes as COCO .json.", metavar="FILE"
    )
    decode: str | None = option(
        None,
        "Savings",
        "A function of the outputs by name that gives boxes, scores and classes, or an array.",
        metavar="MODULE:FUNCTION",
    )
    data_range: float | None = option(
        None, "Savings", "For PSNR: largest less least value of a true image.  [default: the labels']"
    )

    def __post_init__(self) -> None:
        for name, most in (("max_loss", 100), ("target_energy", None), ("search_minutes", None)):
            value: object = getattr(self, name)
            low = is_number(value) and float(str(value)) > 0
            if value is not None and not (low and (most is None or float(str(value)) <= most)):
                limit = "" if most is None else f" and at most {most}"
                raise OptionError(f"{flag(name)}: expected more than 0{limit}, found {value!r}")
        for name, choices in (("prefer", get_args(Preference)), ("loss_measure", get_args(LossMeasure))):
            if getattr(self, name) not in choices:
                raise OptionError(
                    f"{flag(name)}: expected one of {', '.join(choices)}, found {getattr(self, name)!r}"
                )
        self.asked.function()  # says what is wrong with the task before any work

    @property
    def asked(self) -> Asked:
        """What the user says of the task."""
        return Asked(self.task, self.decode, self.data_range)


#: Of each option that only a search has.
AIM_DECLARATIONS: dict[str, Declaration] = {
    item.name: item.metadata["option"] for item in fields(Aim) if "option" in item.metadata
}


def read_aim(given: Mapping[str, Any]) -> tuple[Aim | None, dict[str, Any]]:
    """What a search is to aim at, and the options that are left: None where there is nothing to search.

    `max_loss` alone asks for a search; with `compress`, or an early exit by itself, it is theirs.

    Raises:
        OptionError: options of a search without one, or that contradict it.
    """
    own = {name: given[name] for name in AIM_DECLARATIONS if given.get(name) is not None}
    rest = {name: value for name, value in given.items() if name not in AIM_DECLARATIONS}
    theirs = rest.get("compress", "none") != "none" or rest.get("early_exit") == "auto"
    bounded = rest.get("max_loss") is not None
    if "target_energy" not in own and (theirs or not bounded):
        if own:
            name, value = next(iter(own.items()))
            raise OptionError(
                f"{flag(name)}: expected only with --max-loss, and without --compress and --early-exit auto, "
                f"found {value!r}; give that, or leave this out"
            )
        return None, rest
    if "target_energy" in own:
        for name, value in (("max_loss", rest.get("max_loss")), ("prefer", own.get("prefer"))):
            if value is not None:
                raise OptionError(
                    f"{flag(name)}: expected none with --target-energy, which asks for what loses least, "
                    f"found {value!r}; leave out one of the two"
                )
    _check_open(rest)
    aims = {name: rest.pop(name) for name in ("max_loss", "loss_measure") if name in rest}
    return Aim(**aims, **own), rest


def _check_open(rest: Mapping[str, Any]) -> None:
    """Refuse what searches by itself or ends a run early: its cost would depend on what is searched."""
    asked = "--target-energy" if rest.get("max_loss") is None else "--max-loss"
    for name in _SEARCHES:
        if rest.get(name) not in (None, "none"):
            raise OptionError(
                f"{flag(name)}: expected none where {asked} chooses the options, found {rest[name]!r}; leave "
                "out one of the two"
            )
    for name in ("exponents", "max_spikes"):
        if rest.get(name) == "auto":
            raise OptionError(
                f"{flag(name)}: expected a number where {asked} chooses the options, found 'auto'; leave it "
                "out, or compile with it after the search"
            )
