"""The command line that gives a result again: printed, and on a report."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from onnx2snn.cli.files import ANY_FILE
from onnx2snn.cli.repeat import typed_command
from tests.cli.calls import call

BOTH = "--correct-bias/--no-correct-bias"


@click.command("mix")
@click.argument("model", type=ANY_FILE)
@click.option("-o", "--output", type=ANY_FILE)
@click.option("-T", "--timesteps", type=int, default=8)
@click.option("--scale")
@click.option("--signed", is_flag=True)
@click.option(BOTH, default=True)
def mix(**_):
    click.echo(typed_command())


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("a/b/net.onnx", "net.onnx"),
        ("-T 3 net.onnx", "net.onnx --timesteps 3"),
        ("net.onnx -T 8", "net.onnx --timesteps 8"),
        ("net.onnx --signed --no-correct-bias", "net.onnx --signed --no-correct-bias"),
        ("net.onnx --correct-bias", "net.onnx --correct-bias"),
        ("net.onnx -o ../x/out.html --scale 1/255", "net.onnx --output out.html --scale 1/255"),
        ("'/home/me/my net.onnx'", "'my net.onnx'"),
    ],
)
def test_what_was_typed_is_typed_again_with_files_by_their_names(typed, again):
    result = CliRunner().invoke(mix, shlex.split(typed))
    assert result.stdout == f"onnx2snn mix {again}\n"


def test_what_the_environment_gives_is_not_typed():
    result = CliRunner(env={"MIX_SCALE": "2"}).invoke(mix, ["net.onnx"], auto_envvar_prefix="MIX")
    assert result.stdout == "onnx2snn mix net.onnx\n"


def test_printed_commands_can_be_copied(tmp_path, monkeypatch):
    """Also from folders and files with spaces, quotes and brackets."""
    monkeypatch.chdir(tmp_path)
    place = Path("[/b] it's mine")
    demo = call("demo", "--out", place).stdout
    assert f"Files in {place}: " in demo
    model, data = place / "digits.onnx", place / "digits_calibration.npz"
    given = ("--calib", data, "--scale", "1/16", "--max-samples", 4)
    compiled = call("compile", model, *given, "-o", "my net.onnx").stdout
    less = ("--calib-samples", 4, "--kinds", "radix", "--timesteps", 2, "--max-loss", "none")
    swept = call("sweep", model, *given, *less, "--data", data, "--report", "sweep.html").stdout
    lines = [line for text in (demo, compiled, swept) for line in text.splitlines() if "  onnx2snn " in line]
    assert len(lines) == 4
    for line in lines:
        words = shlex.split(line.partition("  onnx2snn ")[2])
        call(*(data if word == "DATA" else word for word in words), "--max-samples", 4)
    page = re.sub("</?code>", "", Path("sweep.html").read_text())
    (line,) = re.findall("<pre[^>]*>onnx2snn (compile .*)</pre>", page)
    monkeypatch.chdir(place)  # a report names files without their folders
    call(*shlex.split(html.unescape(line)), "--max-samples", 4)
