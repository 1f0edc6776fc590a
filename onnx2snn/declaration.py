"""How an option is declared: everything that anyone asks about it stands with its field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Section = Literal["Neurons", "Calibration", "Savings", "What may be converted", "Samples"]


@dataclass(frozen=True)
class Declaration:
    """What there is to know of an option beside its name, type and default.

    Attributes:
        section: of the command's help.
        help: what it does, for the command line and the documentation.
        choices: its values; empty where they are not counted.
        bounds: the least and the largest whole number; None for other values.
        short: a letter for the command line.
        metavar: what a value is called there.
        switch: of a flag: whether it can be turned off as well.
    """

    section: Section
    help: str
    choices: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None
    short: str = ""
    metavar: str | None = None
    switch: bool = False


def option(default: Any, section: Section, help: str, **more: Any) -> Any:  # noqa: A002 - as click has it
    """A field of `CompileOptions` with all that anyone asks about it: see `Declaration`."""
    return field(default=default, metadata={"option": Declaration(section, help, **more)})
