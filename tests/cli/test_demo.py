"""`onnx2snn demo`: its files, tables, and commands that can be copied."""

from __future__ import annotations

from click.testing import CliRunner

from onnx2snn.cli import main
from tests.cli.calls import call, refused


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


def test_a_folder_that_is_none(place):
    message = "cannot be made a folder (File exists); choose another with --out"
    assert refused(place, "demo --out out") == f"out: {message}"


def test_what_stands_when_it_is_stopped(tmp_path, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("onnx2snn.compile", stop)
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "demo")])
    assert result.exit_code == 130
    assert result.stderr == f"stopped; the files in {tmp_path}/demo are whole; the demo has more of them\n"
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {
        *("digits.onnx", "digits_calibration.npz", "digits_test.npz")
    }
