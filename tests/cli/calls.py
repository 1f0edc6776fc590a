"""Commands as a user types them, and what a command that is refused must not have done."""

from __future__ import annotations

from pathlib import Path

from click.shell_completion import BashComplete
from click.testing import CliRunner, Result

from onnx2snn.cli import main

#: What is in the file that an output would replace.
OLD = b"what was there before"


def call(*arguments: object) -> Result:
    """A command that works, on a terminal so wide that no cell of a table wraps."""
    runner = CliRunner(env={"COLUMNS": "200"})
    result = runner.invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def refused(place: Path, line: str) -> str:
    """The message of a command that must fail: exit code 2, one line on stderr, and nothing written."""
    before = snapshot(place)
    result = CliRunner().invoke(main, line.split())
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert snapshot(place) == before
    return result.stderr.removeprefix("error: ").removesuffix("\n")


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, hidden and temporary ones too, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def complete(typed: str) -> list[tuple[str, str]]:
    """What bash is given for an unfinished line: types and values."""
    *arguments, incomplete = typed.split(" ")
    found = BashComplete(main, {}, "onnx2snn", "_ONNX2SNN_COMPLETE").get_completions(arguments, incomplete)
    return [(item.type, item.value) for item in found]
