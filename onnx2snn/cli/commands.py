"""What all commands have in common: how they are found, explained, hushed and stopped, and how they fail."""

from __future__ import annotations

import pkgutil
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType, TracebackType
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.text import Text

from onnx2snn.cli.invocation import Invocation, PatientConsole, current, discard
from onnx2snn.errors import Onnx2SnnError

#: Ctrl-C, and what `kill` sends.
_STOPS = (signal.SIGINT, signal.SIGTERM)


def _hush(_: click.Context, __: click.Parameter, value: bool) -> None:
    current().quiet |= bool(value)


def _louder(_: click.Context, __: click.Parameter, value: int) -> None:
    current().verbosity += value or 0


def _verbosity_options() -> list[click.Parameter]:
    """Before the command's name and after it: who types them does not know which."""
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_hush,
            help="Print nothing but errors, and what --json - asks for.",
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_louder,
            help="Log each pass (-v) or each node (-vv) to stderr.",
        ),
    ]


class _Helped(click.Command):
    """A command whose help has sections of options and ends in examples.

    Args:
        examples: command lines that work.
        sections: title → names of its parameters; what is in none comes last.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str],
        sections: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.params += _verbosity_options()
        self.examples = tuple(examples)
        self.sections = dict(sections or {})

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        rows = {
            str(parameter.name): row
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and (row := parameter.get_help_record(ctx)) is not None
        }
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([rows.pop(name) for name in names])
        with formatter.section("Other options" if self.sections else "Options"):
            formatter.write_dl(list(rows.values()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, as they are typed."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self.examples:
                for line in example.splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Command(_Helped):
    """One command: `@click.command(cls=Command, examples=[…])`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, with the log that the user wants."""
        with current().log():
            return super().invoke(ctx)


class Commands(_Helped, click.Group):
    """All commands, each imported only when it is called: help and completion answer at once.

    Whatever happens ends in one line and an exit code: 0 done, 2 what the user can mend, 1 a bug of ours (its
    traceback with -v), 130 stopped by Ctrl-C, 143 by SIGTERM.

    Args:
        places: name → where the command is (`module:function`) and what it does, in the order of the help.
    """

    def __init__(self, *args: Any, places: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = dict(places)

    def list_commands(self, _: click.Context) -> list[str]:
        """Names, in the order of the user's road."""
        return list(self.places)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.places:
            return None
        command: click.Command = pkgutil.resolve_name(self.places[cmd_name][0])
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options and the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.places.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands without importing them, and options."""
        names = [name for name in self.places if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self.places[name][1]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take no arguments for a call for help."""
        return super().parse_args(ctx, args or ["--help"])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; say in one line that it was stopped."""
        sys.excepthook = partial(_report_bug, current())  # Python's exit code for what nobody catches is 1
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            signum = stop.args[0] if stop.args else signal.SIGINT
            current().console.print(f"stopped; {current().what_stands()}", soft_wrap=True)
            ctx.exit(128 + signum)
        except MemoryError as error:
            _fail(f"not enough memory ({error}); use fewer samples, smaller batches or a smaller model")
        except BrokenPipeError:
            discard(sys.stdout.fileno())

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and exit."""
        kwargs["standalone_mode"] = False
        _print_what_can_be_printed()
        try:
            with _stoppable():
                result = super().main(*args, **kwargs)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "onnx2snn"
            _fail(f"{error.format_message()} See '{command} --help'.")
        except (Onnx2SnnError, click.ClickException) as error:
            _fail(error.format_message() if isinstance(error, click.ClickException) else str(error))
        except OSError as error:
            if not _printing(error):
                raise
            discard(sys.stdout.fileno())
            _fail(f"stdout: cannot be written ({error.strerror})")
        except click.Abort:  # before the command was even found
            sys.exit(128 + signal.SIGINT)
        sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str) -> None:
    line = " ".join(message.split())
    console = PatientConsole(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), line), soft_wrap=True)
    sys.exit(2)


def _printing(error: OSError) -> bool:
    """Whether stdout takes no more, as on a full disk: only what is printed is written by click and rich."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return bool(frame.f_globals["__name__"].startswith(("click.", "rich.")))


def _report_bug(
    invocation: Invocation, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """The line that stands for a traceback; see `sys.excepthook`."""
    console = invocation.console
    if invocation.verbosity:
        console.print(Text("".join(traceback.format_exception(kind, error, trace))), soft_wrap=True)
    message = " ".join(f"{kind.__name__}: {error}".split())
    remedy = "please report this line, the command and the traceback" + (
        "" if invocation.verbosity else " that -v shows"
    )
    console.print(Text.assemble(("bug: ", "bold red"), f"{message}; {remedy}"), soft_wrap=True)


def _print_what_can_be_printed() -> None:
    """Where the terminal's encoding has no Γ or θ, print ? instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextmanager
def _stoppable() -> Iterator[None]:
    """The first signal unwinds the command, which leaves no half file; a second one ends it at once."""

    def stop(signum: int, _: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        raise KeyboardInterrupt(signum)

    before = {signum: signal.getsignal(signum) for signum in _STOPS}
    try:
        for signum in _STOPS:
            signal.signal(signum, stop)
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
