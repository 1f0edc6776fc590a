"""The command line that gives a result again: printed, and on a report."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

from tests.cli.calls import call


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
