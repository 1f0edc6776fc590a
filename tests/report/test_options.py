"""`--report`: what it asks for before any work, and where it writes."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from onnx2snn.cli import main, repeat
from onnx2snn.report import recording
from tests.report.conftest import LINES, call


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
@pytest.mark.parametrize("command", LINES)
def test_a_missing_extra_is_named_before_any_work(command, missing, monkeypatch):
    from onnx2snn.report import plots

    there = plots.find_spec
    monkeypatch.setattr(plots, "find_spec", lambda name: None if name == missing else there(name))
    words = LINES[command].split()
    words[1] = "not-there.onnx"  # said later
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: --report: expected {missing}, found none; pip install 'onnx2snn[report]'\n"
    )


def test_a_page_is_named_as_one():
    result = CliRunner().invoke(main, LINES["compile"].replace("compile.html", "compile.pdf").split())
    assert result.exit_code == 2
    assert "--report: expected a file name in .html or .htm, found 'compile.pdf'; rename it" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", LINES)
def test_a_bar_shows_while_it_records_and_draws(command, folder, monkeypatch):
    happened = []

    @contextmanager
    def bar(name):
        happened.append(name)
        yield lambda phase, done: happened.append((phase, done))
        happened.append("end")

    monkeypatch.setattr(repeat, "progress_bar", bar)
    monkeypatch.setattr(recording, "record", lambda *_: happened.append("record"))
    monkeypatch.setattr(repeat, "write_report", lambda *drawn: drawn[-1](1.0))
    result = call(folder, LINES[command])
    assert result.exit_code == 0, result.output
    assert f"report  {command}.html\n" in result.stdout
    recorded = ["record"] * (command in ("evaluate", "diagnose"))
    assert happened == ["report", *recorded, ("report", 1.0), "end"]


@pytest.mark.parametrize("command", LINES)
def test_it_overwrites_nothing_of_the_command(command, folder):
    line = LINES[command].replace(f"{command}.html", "same.html") + " --json same.html"
    result = call(folder, line)
    assert result.exit_code == 2
    assert "expected a file of its own, found the output of --json" in result.stderr
    assert not (folder / "same.html").exists()
    nowhere = call(folder, LINES[command].replace(f"{command}.html", "nowhere/page.html"))
    assert nowhere.exit_code == 2
    assert "the folder" in nowhere.stderr
