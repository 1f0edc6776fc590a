"""Every command on the embedded net, as a user types it."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from importlib import resources
from pathlib import Path

import click
import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner, Result

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.model.file import write_atomically
from tests.helpers import normal, parse

COMMANDS = list(main.places)
DEMO = "onnx2snn.demo"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The embedded net with its data, compiled at T = 8."""
    place = tmp_path_factory.mktemp("cli")
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        (place / name).write_bytes(resources.files(DEMO).joinpath(name).read_bytes())
    result = CliRunner().invoke(
        main,
        f"compile {place}/digits.onnx --calib {place}/digits_calibration.npz --scale 1/16 --signed "
        f"-o {place}/digits.snn.onnx --json {place}/report.json".split(),
    )
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    for words in ("spiking", "linear", "folded", "T = 8", "onnx2snn evaluate"):
        assert words in result.stdout
    return place


def call(*arguments: object) -> Result:
    runner = CliRunner(env={"COLUMNS": "200"})  # wide enough that no cell of a table wraps
    result = runner.invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def test_compile_report(folder):
    report = json.loads((folder / "report.json").read_text())
    assert report["output"] == str(folder / "digits.snn.onnx")
    assert report["version"] == onnx2snn.__version__
    assert report["options"]["signed"] is True
    assert report["calibration"]["source"] == "digits_calibration.npz"
    assert report["roles"]["refused"] == 0
    assert sum(report["roles"].values()) == len(report["nodes"])
    assert report["seconds"]["Calibrate"] >= 0


def test_compile_writes_beside_the_user_by_default(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(
        "compile",
        folder / "digits.onnx",
        "--calib",
        folder / "digits_calibration.npz",
        "--scale",
        "1/16",
        "--max-samples",
        8,
        "-T",
        2,
        "-G",
        2,
        "--levels",
        1,
        "--threshold",
        "max",
        "--granularity",
        "layer",
        "--no-correct-bias",
        "--strict",
        "--dynamic-timesteps",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["digits.snn.onnx"]
    session = onnx2snn.SpikingSession("digits.snn.onnx")
    assert session.artifact.metadata["calibration"]["samples"] == 8
    options = session.artifact.metadata["options"]
    assert {
        key: options[key] for key in ("timesteps", "max_spikes", "levels", "threshold", "granularity")
    } == {"timesteps": 2, "max_spikes": 2, "levels": 1, "threshold": "max", "granularity": "layer"}
    assert options["strict"]
    assert options["dynamic_timesteps"]
    assert not options["correct_bias"]


def test_compile_json_on_stdout_is_json_alone(folder, tmp_path):
    result = call(
        "compile",
        folder / "digits.onnx",
        "--calib",
        folder / "digits_calibration.npz",
        "--scale",
        "1/16",
        "-o",
        tmp_path / "x.onnx",
        "--json",
        "-",
    )
    assert json.loads(result.stdout)["roles"]["spiking"] > 0
    assert "evaluate" in result.stderr


def test_evaluate_json_on_stdout(folder):
    """Preprocessing comes from the artifact: no --scale here."""
    result = call(
        "evaluate",
        folder / "digits.snn.onnx",
        "--data",
        folder / "digits_test.npz",
        "--reference",
        folder / "digits.onnx",
        "--timesteps",
        "8,1,4",
        "--json",
        "-",
    )
    figures = json.loads(result.stdout)
    assert figures["timesteps"] == [1, 4, 8]
    assert figures["samples"] == len(np.load(folder / "digits_test.npz")["labels"])
    assert figures["accuracy"][-1] >= 0.97
    assert figures["agreement"][-1] >= 0.98
    assert figures["reference_accuracy"] >= 0.97
    for name in (
        "accuracy",
        "agreement",
        "spikes_per_sample",
        "synaptic_operations_per_sample",
        "samples_per_second",
        "output_error",
    ):
        assert len(figures[name]) == 3
    assert figures["spikes_per_sample"] == sorted(figures["spikes_per_sample"])
    assert sum(figures["spikes_by_neuron"].values()) == pytest.approx(
        figures["spikes_per_sample"][-1], rel=1e-9
    )
    assert figures["output_error"] == sorted(figures["output_error"], reverse=True)
    energy = figures["energy"]
    for operations, joules in zip(
        figures["synaptic_operations_per_sample"], energy["snn_joules_per_sample"], strict=True
    ):
        expected = energy["prefix_macs_per_sample"] * 4.6e-12 + operations * 0.9e-12
        assert joules == pytest.approx(expected, rel=1e-9)
    assert energy["ann_joules_per_sample"] == pytest.approx(energy["ann_macs_per_sample"] * 4.6e-12, rel=1e-9)
    assert "accuracy" in result.stderr


def test_evaluate_json_file_and_table(folder, tmp_path):
    result = call(
        "evaluate",
        folder / "digits.snn.onnx",
        "--data",
        folder / "digits_test.npz",
        "--max-samples",
        50,
        "--batch-size",
        16,
        "--json",
        tmp_path / "figures.json",
    )
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["samples"] == 50
    assert figures["timesteps"] == [1, 2, 4, 8]
    assert figures["agreement"] == [None] * 4
    assert figures["reference_accuracy"] is None
    for words in ("timesteps", "accuracy", "synaptic operations", "energy", "50 samples"):
        assert words in result.stdout
    assert "same answer as the ANN" not in result.stdout


def test_run_writes_what_a_plain_session_gives(folder, tmp_path):
    images = np.load(folder / "digits_test.npz")["images"][:9]
    np.save(tmp_path / "x.npy", images)
    result = call("run", folder / "digits.snn.onnx", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npz")
    session = onnxruntime.InferenceSession(
        str(folder / "digits.snn.onnx"), providers=["CPUExecutionProvider"]
    )
    (fed,), (given,) = session.get_inputs(), session.get_outputs()
    (expected,) = session.run(None, {fed.name: images.astype(np.float32) / 16})
    with np.load(tmp_path / "y.npz") as written:
        assert written.files == [given.name]
        np.testing.assert_allclose(written[given.name], expected, rtol=0, atol=1e-5)
    assert ", ".join(map(str, expected.argmax(axis=1))) in result.stdout
    assert "[9, 10] float32" in result.stdout


def test_run_shows_without_writing_and_takes_timesteps(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("run", folder / "digits.snn.onnx", "--input", folder / "digits_test.npz", "--timesteps", 3)
    assert "classes" in result.stdout
    assert ", …" in result.stdout
    assert not list(tmp_path.iterdir())


def test_inspect_an_ann(folder, tmp_path):
    result = call("inspect", folder / "digits.onnx", "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kind"] == "ann"
    assert report["roles"]["spiking"] > 0
    for node in report["nodes"]:
        assert node["node"] in result.stdout
        assert node["reason"]
    on_stdout = call("inspect", folder / "digits.onnx", "--json", "-").stdout
    assert json.loads(on_stdout) == report


def test_inspect_an_snn(folder):
    text = call("inspect", folder / "digits.snn.onnx").stdout
    for words in ("SignedBurstIF", "median θ", f"onnx2snn {onnx2snn.__version__}", "T = 8, Γ = 4"):
        assert words in text
    report = json.loads(call("inspect", folder / "digits.snn.onnx", "--json", "-").stdout)
    assert report["kind"] == "snn"
    assert report["nodes"] == json.loads((folder / "report.json").read_text())["nodes"]


def test_demo(tmp_path):
    text = call("demo", "--out", tmp_path / "demo").stdout
    for words in (
        "timesteps",
        "accuracy",
        "same answer as the ANN",
        "spikes a sample",
        "energy",
        "digits.snn.onnx",
    ):
        assert words in text
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert names == {"digits.onnx", "digits.snn.onnx", "digits_calibration.npz", "digits_test.npz"}
    again = call("demo", "--out", tmp_path / "demo").stdout
    assert "digits.snn.onnx" in again


def test_demo_fits_its_tables_where_there_is_no_terminal(tmp_path):
    result = CliRunner(env={"COLUMNS": "40"}).invoke(main, ["demo", "--out", str(tmp_path / "demo")])
    assert "same answer as the ANN" in result.stdout


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


def test_names_with_brackets_are_printed_as_they_are(folder, tmp_path):
    model = (resources.files("onnx2snn.analysis.energy_models") / "45nm-float32.toml").read_text()
    (tmp_path / "board.toml").write_text(model.replace("45nm-float32", "board[/b]"))
    arguments = ("--data", folder / "digits_test.npz", "--max-samples", 4)
    told = call("evaluate", folder / "digits.snn.onnx", *arguments, "--energy-model", tmp_path / "board.toml")
    assert "board[/b]" in told.stdout


def save_fixed(folder: Path, rng: np.random.Generator) -> np.ndarray:
    """A compiled net whose batch is always 4, and 6 samples."""
    text = "(float[4,3] x) => (float[4,2] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"
    samples = rng.standard_normal((6, 3)).astype(np.float32)
    onnx2snn.compile(parse(text, **normal(rng, w1=(3, 5), w2=(5, 2))), samples).save(folder / "net.onnx")
    np.save(folder / "x.npy", samples)
    return samples


def test_run_fills_the_last_batch_of_a_fixed_size(tmp_path, rng):
    samples = save_fixed(tmp_path, rng)
    call("run", tmp_path / "net.onnx", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npz")
    session = onnx2snn.SpikingSession(tmp_path / "net.onnx")
    expected = [session.run(samples[first : first + 4]).outputs["y"] for first in (0, 2)]
    written = np.load(tmp_path / "y.npz")["y"]
    np.testing.assert_allclose(written, [*expected[0], *expected[1][2:]], rtol=0, atol=1e-6)


def test_outputs_may_replace_outputs_and_lie_among_the_data(folder, tmp_path):
    (tmp_path / "data.npz").write_bytes((folder / "digits_test.npz").read_bytes())
    for _ in range(2):
        arguments = ("--data", tmp_path, "--max-samples", 4, "--json", tmp_path / "figures.json")
        call("evaluate", folder / "digits.snn.onnx", *arguments)


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert {path.name for path in target.parent.iterdir()} == {"real"}


def test_new_files_get_the_users_mode_without_a_change_of_the_umask(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _: pytest.fail("the umask is the whole process's"))
            write_atomically(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_no_arguments_give_the_help():
    assert call().stdout == call("--help").stdout
    assert "\nCommands:\n" in call().stdout


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag):
    text = call(flag).stdout
    assert all(f"  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option(command):
    text = call(command, "--help").stdout
    found = main.get_command(click.Context(main), command)
    for parameter in found.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
            assert parameter.opts[-1] in text
    assert len(found.help.splitlines()[0]) > 20


def test_diagnose_says_which_layer_and_why(folder, tmp_path):
    asked = (
        f"diagnose {folder}/digits.snn.onnx --reference {folder}/digits.onnx --data {folder}/digits_test.npz"
    )
    told = call(*asked.split(), "--max-samples", "32", "--json", str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert told.exit_code == 0
    assert told.stdout.startswith(found["verdict"][0])
    assert found["samples"] == 32
    assert {layer["layer"] for layer in found["layers"]} >= set(found["worst"])
    assert all(layer["layer"] in told.stdout for layer in found["layers"])
    nothing = tmp_path / "unlabelled.npy"
    np.save(nothing, np.load(folder / "digits_test.npz")["images"][:8])
    without = call(*asked.replace(f"{folder}/digits_test.npz", str(nothing)).split(), "--json", "-")
    assert json.loads(without.stdout)["accuracy"] is None
    assert json.loads(without.stdout)["agreement"] is not None


def test_version():
    assert call("--version").stdout == f"onnx2snn {onnx2snn.__version__}\n"


def test_verbose_logs_every_pass(folder, tmp_path):
    # In a process of its own: here pytest holds the root logger.
    arguments = (
        f"-v compile {folder}/digits.onnx --calib {folder}/digits_calibration.npz --scale 1/16 -o x.onnx"
    )
    command = [sys.executable, "-m", "onnx2snn", *arguments.split(), "--max-samples", "4"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for name in ("FoldBatchNorm", "Calibrate", "ReplaceRelu", "ReplaceMaxPool", "CorrectBias"):
        assert name in result.stderr


def test_a_bug_is_no_usage_error(folder):
    """Exit code 1 and one line; the traceback is for those who ask for it."""
    broken = (
        "import onnx2snn.cli.inspect as i; i.load_model = lambda *_, **__: 1 / 0;"
        "from onnx2snn.cli import main; main()"
    )
    for options, lines in ([], 1), (["-v"], None):
        command = [sys.executable, "-c", broken, "inspect", str(folder / "digits.onnx"), *options]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert "bug: ZeroDivisionError: division by zero; please report" in result.stderr
        assert lines in (None, result.stderr.count("\n"))
        assert ("Traceback (most recent call last)" in result.stderr) == bool(options)
