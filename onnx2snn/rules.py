"""What options ask of each other, and how a refusal names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx2snn.errors import OptionError
from onnx2snn.exits.rule import parse_exit

if TYPE_CHECKING:
    from onnx2snn.options import CompileOptions

#: The most spikes of a neuron that uint8 holds.
MOST_SPIKES = 255
#: The most timesteps of the radix code: 2^T - 1 levels, and twice that, are numbers that float32 has.
MOST_BITS = 16


def is_number(value: object) -> bool:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def flag(name: str) -> str:
    """An option as it is typed."""
    return "--" + name.replace("_", "-")


def check_savings(options: CompileOptions) -> None:
    """Hold what savings may cost to those who save."""
    loss: object = options.max_loss
    if loss is not None and not (is_number(loss) and 0 < float(str(loss)) <= 100):
        raise OptionError(
            f"--max-loss: expected more than 0 and at most 100 points, found {loss!r}; leave it out for "
            "0.3 with --compress, 0.1 with --early-exit auto"
        )
    named = None if options.early_exit is None else parse_exit(options.early_exit)
    if named is not None and named[0] == "change":
        raise OptionError(
            f"--early-exit: expected auto, confidence or entropy, which a file can tell by itself, found "
            f"'{options.early_exit}'; give that to evaluate and run, or compile with --until-rest"
        )
    calibrated = options.early_exit is not None and named is None
    if loss is not None and options.compress == "none" and not calibrated:
        raise OptionError(
            f"--max-loss: expected only with --compress or --early-exit auto, found {loss!r} without; "
            "give one of them, or leave it out"
        )
    if options.loss_measure != "auto" and options.compress == "none":
        raise OptionError(
            f"--loss-measure: expected only with --compress, found {options.loss_measure!r} without; give "
            "that as well, or leave it out"
        )


def check_radix(options: CompileOptions, max_spikes: int | None) -> None:
    """What the radix code asks for; `max_spikes` as it was given."""
    if options.varies_timesteps and options.compress != "none":
        raise OptionError(
            "--compress: expected none with --levels auto, which chooses levels by itself, found one; "
            "leave out one of the two"
        )
    if options.schedule != "layer":
        raise OptionError(
            f"--code: expected graded or burst with --schedule {options.schedule}, found radix; a "
            "neuron that fires before its input is complete cannot know its leading bits, so add "
            "--schedule layer"
        )
    if max_spikes not in (None, 1):
        raise OptionError(
            f"--max-spikes: expected none with --code radix, found {max_spikes!r}; "
            "a bit is one spike, so leave it out"
        )
    if isinstance(options.timesteps, int) and options.timesteps > MOST_BITS:
        raise OptionError(
            f"--timesteps: expected at most {MOST_BITS} with --code radix, found {options.timesteps}; "
            f"T = {MOST_BITS} already has {2**MOST_BITS - 1} levels"
        )


def not_graded(options: CompileOptions, max_spikes: object) -> dict[str, tuple[bool, str]]:
    """What graded neurons refuse: whether each was given, and why."""
    return {
        "max_spikes": (max_spikes not in (None, 1), "a neuron sends one spike a timestep, of any size"),
        "approximate": (options.approximate == "relu-sum", "graded neurons send any activation as it is"),
        "weights": (options.weights != "float", "spikes of different sizes are no integers of one unit"),
        "levels": (options.levels is not None, "a spike's sizes are powers of two"),
        "signed": (options.signed, "graded spikes have a sign already"),
    }


def check_layer(options: CompileOptions) -> None:
    """What the schedule `layer` has no use for."""
    refused = {
        "signed": (options.signed, "a neuron that has seen all of its input has nothing to take back"),
        "levels": (isinstance(options.levels, int), "there is nothing to catch up with, so no headroom"),
        "dynamic_timesteps": (options.dynamic_timesteps, "its neurons are made for one T"),
        "early_exit": (options.early_exit is not None, "its output is there only after the last timestep"),
        "until_rest": (options.until_rest, "there is nothing to stop before the last timestep"),
    }
    for name, (given, why) in refused.items():
        if given:
            raise OptionError(
                f"{flag(name)}: expected only with --schedule stream, found with layer; {why}: leave it out"
            )


def check_integers(options: CompileOptions) -> None:
    """What int8 weights ask for."""
    if options.schedule != "layer":
        raise OptionError(
            f"--weights: expected float with --schedule {options.schedule}, found int8; only a layer that "
            "fires once has a sum that integers hold, so add --schedule layer"
        )
    if options.total_levels > MOST_SPIKES:
        raise OptionError(
            f"--weights: expected at most {MOST_SPIKES} levels with int8, which uint8 holds, found "
            f"{options.total_levels}; give fewer --timesteps"
        )
