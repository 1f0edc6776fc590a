"""What a search for options may choose: ladders of settings, each dearer and better than the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnx2snn.errors import OptionError
from onnx2snn.options import CompileOptions

Options = dict[str, Any]


@dataclass(frozen=True)
class Ladder:
    """The settings of one schedule and code, by ascending energy.

    Attributes:
        schedule, code: of all of them.
        size: the option beside T: n of graded spikes; empty where T is all there is.
        rungs: pairs of T and `size`, or T alone.
        fallback: tried only where options rule out graded spikes, which send less for the same loss.
    """

    schedule: str
    code: str
    size: str
    rungs: tuple[tuple[int, ...], ...]
    fallback: bool = False

    def settings(self) -> list[Options]:
        """As options, in order."""
        names = ("timesteps", self.size) if self.size else ("timesteps",)
        fixed = {"schedule": self.schedule, "code": self.code}
        return [fixed | dict(zip(names, rung, strict=True)) for rung in self.rungs]


#: In the order in which they are climbed: what was cheapest on trained nets comes first, and bounds others.
#: One size more of a spike, n, costs some 20 % of energy; one timestep more, T, some 3.
LADDERS = (
    Ladder(
        "layer",
        "graded",
        "exponents",
        ((2, 4), (3, 4), (2, 5), (3, 5), (2, 6), (3, 6), (2, 7), (3, 7), (3, 8), (4, 9), (5, 11)),
    ),
    Ladder("layer", "radix", "", ((3,), (4,), (5,), (6,), (8,))),
    Ladder(
        "stream", "graded", "exponents", ((3, 5), (4, 5), (3, 6), (4, 6), (4, 7), (5, 8), (6, 8), (8, 10))
    ),
    Ladder("layer", "burst", "", ((1,), (2,), (4,), (8,), (16,), (32,)), fallback=True),
    Ladder("stream", "burst", "", ((2,), (4,), (8,), (16,), (32,), (64,)), fallback=True),
)


def open_ladders(given: Mapping[str, Any]) -> list[list[Options]]:
    """The ladders that the user's options leave, with these in place of a rung's own.

    Raises:
        OptionError: options that no conversion takes.
    """
    first: OptionError | None = None
    found: list[tuple[bool, list[Options]]] = []
    for ladder in LADDERS:
        if given.get("schedule", ladder.schedule) != ladder.schedule or given.get("code") not in (
            None,
            ladder.code,
        ):
            continue
        rungs: list[Options] = []
        for setting in ladder.settings():
            rung = {name: given.get(name, value) for name, value in setting.items()}
            try:
                CompileOptions(**{**given, **rung})
            except OptionError as error:
                first = first or error
                continue
            if rung not in rungs:
                rungs.append(rung)
        if rungs:
            found.append((ladder.fallback, rungs))
    if not found:
        raise first or _contradiction(given)
    graded = any(not fallback for fallback, _ in found)
    return [rungs for fallback, rungs in found if not (fallback and graded)]


def by_timesteps(rungs: list[Options]) -> list[Options]:
    """The finest setting of every T, by ascending T: what a search for latency climbs."""
    finest = {rung["timesteps"]: max(rung.get("exponents", 0) for rung in rungs) for rung in rungs}
    return [
        rungs[0] | {"timesteps": steps} | ({"exponents": size} if size else {})
        for steps, size in sorted(finest.items())
    ]


def by_size(rungs: list[Options], timesteps: int) -> list[Options]:
    """The settings of one T, by ascending energy."""
    sizes = sorted({rung["exponents"] for rung in rungs if "exponents" in rung})
    return [rungs[0] | {"timesteps": timesteps, "exponents": size} for size in sizes]


def _contradiction(given: Mapping[str, Any]) -> OptionError:
    """Why a schedule and a code that go together nowhere do not."""
    try:
        CompileOptions(**given)
    except OptionError as error:
        return error
    raise AssertionError(f"{dict(given)} are options of no ladder")
