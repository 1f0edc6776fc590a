"""Options that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import click

from onnx2snn.aim import AIM_DECLARATIONS, Aim
from onnx2snn.cli.files import ANY_FILE
from onnx2snn.data.event_frames import Polarity, parse_accumulate
from onnx2snn.data.preprocessing import Normalize, Preprocessing, parse_floats, parse_scale, parse_size
from onnx2snn.errors import OptionError
from onnx2snn.options import AUTO, DECLARATIONS, SECTIONS, CompileOptions

if TYPE_CHECKING:
    from onnx2snn.runtime.session import SpikingSession

DEFAULTS = CompileOptions()
DATA_HELP = (
    "An .npz, an .npy, a file of events, a directory of these, or a directory of images (class sub-folders "
    "give labels)."
)
Command = Callable[..., Any]
_FIELDS = {item.name: item for kind in (Aim, CompileOptions) for item in fields(kind)}
#: Sections of options in a command's help that several have.
PREPROCESSING = {
    "Preprocessing": ["scale", "mean", "std", "layout", "resize", "normalize"],
    "Event recordings": ["frames", "accumulate", "polarity", "sensor"],
}
SAMPLES = {"Samples": ["max_samples", "batch_size"], **PREPROCESSING}
EXIT = {"Early exit": ["early_exit", "calib", "max_loss"]}


def _read_spikes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """A whole number, or `auto`."""
    return value if value in (None, AUTO) else int(click.INT(value, param, ctx))


def declared(name: str) -> Callable[[Command], Command]:
    """One of the compiler's options, as it is declared."""
    declared, default = (DECLARATIONS | AIM_DECLARATIONS)[name], _FIELDS[name].default
    flag = "--" + name.replace("_", "-")
    names = [f"-{declared.short}", flag] if declared.short else [flag]
    if isinstance(default, bool):
        if declared.switch:
            flag = f"{flag}/--no-{name.replace('_', '-')}"
            return click.option(flag, default=default, show_default=True, help=declared.help)
        return click.option(flag, is_flag=True, help=declared.help)
    kind: Any = click.Choice(declared.choices) if declared.choices else None
    if kind is None and (declared.metavar is None or (declared.bounds and AUTO not in declared.metavar)):
        kind = float if "float" in str(_FIELDS[name].type) else int
    return click.option(
        *names,
        type=kind,
        default=default,
        show_default=default is not None,
        metavar=declared.metavar,
        callback=_read_spikes if declared.metavar and AUTO in declared.metavar and declared.bounds else None,
        help=declared.help,
    )


def compile_options(command: Command) -> Command:
    """All of the compiler's options, less those of `sample_options`."""
    for name in reversed(DECLARATIONS):
        if name not in SAMPLES["Samples"]:
            command = declared(name)(command)
    return command


def search_options(command: Command) -> Command:
    """What a search for options aims at, beside `--max-loss`."""
    for name in reversed(AIM_DECLARATIONS):
        command = declared(name)(command)
    return command


def compile_sections() -> dict[str, list[str]]:
    """Which of the compiler's options stand in which section of its help."""
    return {
        section: [name for name, declared in DECLARATIONS.items() if declared.section == section]
        for section in SECTIONS
    }


def preprocessing_options(command: Command) -> Command:
    """How integer arrays, images and event recordings become what the model eats."""
    for option in reversed(
        (
            click.option("--scale", metavar="NUMBER", help="Factor on integers and images, such as 1/255."),
            click.option("--mean", metavar="A,B,C", help="Subtracted after scaling, per channel."),
            click.option("--std", metavar="A,B,C", help="Divided by after that, per channel."),
            click.option(
                "--layout", type=click.Choice(["NCHW", "NHWC"]), help="Axis order the model expects."
            ),
            click.option(
                "--resize", metavar="H,W", help="Size that image files are resized to, and events counted in."
            ),
            click.option(
                "--normalize",
                type=click.Choice(get_args(Normalize)),
                help="Before scaling, each sample: its signs, or divided by its largest magnitude.",
            ),
            click.option(
                "--frames",
                metavar="time:10ms|events:2000|count:30",
                help="How an event recording becomes frames, each a sample.",
            ),
            click.option(
                "--accumulate",
                metavar="N|all",
                help="How many frames are summed into each, up to itself.  [default: 1]",
            ),
            click.option(
                "--polarity",
                type=click.Choice(get_args(Polarity)),
                help="What a frame counts: darker and brighter apart, brighter less darker, or all.",
            ),
            click.option(
                "--sensor",
                metavar="H,W",
                help="Size of the event camera.  [default: the input's]",
            ),
        )
    ):
        command = option(command)
    return command


def sample_options(command: Command, most: int | None = None) -> Command:
    """Which samples, at most `most` of them where the user does not say, and where the figures go."""
    for option in (
        click.option(
            "--json",
            "json_file",
            type=ANY_FILE,
            metavar="FILE|-",
            help="Write the figures as JSON; - for stdout.",
        ),
        declared("batch_size"),
        click.option(
            "--max-samples",
            type=int,
            default=most,
            help=f"Use at most that many samples.  [default: {most or 'all'}]",
        ),
    ):
        command = option(command)
    return command


def exit_options(command: Command) -> Command:
    """When samples stop."""
    for option in (
        click.option(
            "--max-loss",
            type=float,
            help="For --early-exit auto with --calib: answers that may differ, in percent, or what may be "
            "lost in the task's measure.  [default: 0.1]",
        ),
        click.option(
            "--calib",
            type=ANY_FILE,
            metavar="DATA",
            help="For --early-exit auto: samples to find its thresholds with.",
        ),
        click.option(
            "--early-exit",
            metavar="auto|confidence|entropy|change[:X]",
            help="Stop each sample as soon as it is decided, or its output changes by no more than a share "
            "X; auto: as it was compiled, or by --calib.",
        ),
    ):
        command = option(command)
    return command


answer_option = click.option(
    "--answer",
    metavar="NAME",
    help="Of several outputs the one that is judged, and that an early exit goes by.  [default: as compiled]",
)


threads_option = click.option(
    "--threads", type=int, help="Threads that an operator may use.  [default: one a core]"
)


strict_option = click.option(
    "--strict", is_flag=True, help="Refuse data that cannot be right, instead of warning."
)


energy_option = click.option(
    "--energy-model",
    type=ANY_FILE,
    metavar="NAME|FILE.toml",
    help="What operations take: 45nm-float32, 45nm-int8, rolls-77fj, or a file of yours.  "
    "[default: 45nm-float32]",
)


def _check_report(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Say before any work what a report lacks."""
    if value is not None:
        from onnx2snn.report.page import check_report

        check_report(value)
    return value


report_option = click.option(
    "--report",
    "report_file",
    type=ANY_FILE,
    metavar="OUT.html",
    callback=_check_report,
    help="Write what was found as one HTML page, with pictures.",
)


def read_preprocessing(values: dict[str, Any], base: Preprocessing) -> Preprocessing:
    """Take the preprocessing options out of `values`; what is not given stays as in `base`."""
    parsers: dict[str, Callable[[str], Any]] = {
        "scale": parse_scale,
        "mean": parse_floats,
        "std": parse_floats,
        "layout": str,
        "resize": parse_size,
        "normalize": str,
        "frames": str,
        "accumulate": lambda text: text if text == "all" else parse_accumulate(text),
        "polarity": str,
        "sensor": partial(parse_size, name="sensor"),
    }
    given = {name: (values.pop(name), parse) for name, parse in parsers.items()}
    return replace(base, **{name: parse(text) for name, (text, parse) in given.items() if text is not None})


def recorded(session: SpikingSession, values: dict[str, Any]) -> Preprocessing:
    """The preprocessing that an artifact was compiled with, as far as options do not change it."""
    return read_preprocessing(values, Preprocessing.from_dict(session.artifact.record.preprocessing))


def read_timesteps(text: str | None, compiled: int) -> list[int]:
    """The numbers of timesteps to report; powers of two up to T where none are named."""
    if text is None:
        return sorted(
            {1 << power for power in range(compiled.bit_length()) if 1 << power < compiled} | {compiled}
        )
    try:
        steps = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise OptionError(
            f"--timesteps: expected numbers such as 1,2,4,8, found '{text}'; separate them by commas"
        ) from error
    if steps[0] < 1:
        raise OptionError(
            f"--timesteps: expected numbers of at least 1, found {steps[0]}; leave it out for all to T"
        )
    return steps


def check_positive(flag: str, value: int) -> None:
    """Refuse a number below 1."""
    if value < 1:
        raise OptionError(f"{flag}: expected at least 1, found {value}; leave it out for the default")
