"""One call of the command line: what it logs, what stands when it is stopped, and readers that leave."""

from __future__ import annotations

import io
import logging
import os

import click
import pytest

from onnx2snn.cli.invocation import Invocation, PatientConsole, current, discard
from onnx2snn.model.file import write_atomically

LOGGER = logging.getLogger("onnx2snn.somewhere")


def logged(width=40, **options):
    """What is shown of a line of each level."""
    file = io.StringIO()
    invocation = Invocation(console=PatientConsole(file=file, width=width), **options)
    with invocation.log():
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            LOGGER.log(level, "%s of [r]", logging.getLevelName(level))
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("options", "levels"),
    [
        ({"quiet": True}, ["ERROR"]),
        ({}, ["WARNING", "ERROR"]),
        ({"verbosity": 1}, ["INFO", "WARNING", "ERROR"]),
        ({"verbosity": 2}, ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ({"verbosity": 5}, ["DEBUG", "INFO", "WARNING", "ERROR"]),
    ],
)
def test_it_logs_as_much_as_the_user_wants(options, levels):
    lines = logged(**options)
    assert [line.removesuffix(" of [r]").split()[-1] for line in lines] == levels


def test_a_line_has_the_time_or_how_bad_it_is():
    info, warning, error = logged(verbosity=1)
    seconds, unit, *rest = info.split()
    assert float(seconds) > 0
    assert [unit, *rest] == ["s", "INFO", "of", "[r]"]
    assert (warning, error) == ("warning: WARNING of [r]", "error: ERROR of [r]")


def test_a_warning_is_shown_once():
    file = io.StringIO()
    with Invocation(console=PatientConsole(file=file), verbosity=1).log():
        for text in ("one", "two", "one"):
            LOGGER.warning(text)
            LOGGER.info("again")
    assert file.getvalue().count("warning: one\n") == 1
    assert file.getvalue().count("warning: two\n") == 1
    assert file.getvalue().count("again\n") == 3


def test_a_line_in_a_file_is_not_broken():
    file = io.StringIO()
    with Invocation(console=PatientConsole(file=file, width=20)).log():
        LOGGER.warning("many words " * 10)
    assert len(file.getvalue().splitlines()) == 1


def test_the_log_is_as_before_afterwards():
    logger = logging.getLogger("onnx2snn")
    before = logger.level, list(logger.handlers)
    with Invocation(verbosity=2).log():
        assert logger.level == logging.DEBUG
    assert (logger.level, logger.handlers) == before
    with pytest.raises(KeyError), Invocation().log():
        raise KeyError
    assert (logger.level, logger.handlers) == before


def test_quiet_and_verbose_at_once():
    with pytest.raises(click.UsageError) as caught, Invocation(quiet=True, verbosity=1).log():
        pass
    assert caught.value.message == "--quiet, --verbose: expected one of them, found both; leave one out."


def test_the_invocation_is_that_of_the_command():
    assert current() is not current()
    with click.Context(click.Command("outer")) as outer:
        assert current() is current()
        first = current()
        with click.Context(click.Command("inner"), parent=outer):
            assert current() is first
    with click.Context(click.Command("other")):
        assert current() is not first


def test_who_reads_no_more_is_no_error(tmp_path):
    path = tmp_path / "read"
    with path.open("w") as file:
        discard(file.fileno())
        file.write("nowhere")
    assert path.read_text() == ""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as file:
        console = PatientConsole(file=file)
        console.print("[b]names[/b] as they are")
        console.print("and again")


def test_what_stands_when_somebody_stops_it(tmp_path):
    old, new, other = (tmp_path / name for name in ("old", "new", "other"))
    old.write_text("before")
    found = Invocation()
    found.watch([old, new, other])
    assert found.what_stands() == "nothing was written"
    write_atomically(old, b"after")
    write_atomically(new, b"new")
    assert found.what_stands() == f"{old}, {new} is complete"
    found.remains = "points are kept"
    assert found.what_stands() == "points are kept"
