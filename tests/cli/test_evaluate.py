"""`onnx2snn evaluate` and `onnx2snn run`: figures, outputs, the early exit, and what they refuse."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import onnx2snn
from onnx2snn.exits.rule import ExitRule
from tests.cli.calls import call, refused
from tests.helpers import normal, parse


def test_evaluate_json_on_stdout(digits):
    """Preprocessing comes from the artifact: no --scale here."""
    result = call(
        "evaluate",
        digits / "digits.snn.onnx",
        "--data",
        digits / "digits_test.npz",
        "--reference",
        digits / "digits.onnx",
        "--timesteps",
        "8,1,4",
        "--json",
        "-",
    )
    figures = json.loads(result.stdout)
    assert figures["timesteps"] == [1, 4, 8]
    assert figures["samples"] == len(np.load(digits / "digits_test.npz")["labels"])
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


def test_evaluate_json_file_and_table(digits, tmp_path):
    result = call(
        "evaluate",
        digits / "digits.snn.onnx",
        "--data",
        digits / "digits_test.npz",
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


def test_run_writes_what_a_plain_session_gives(digits, tmp_path):
    images = np.load(digits / "digits_test.npz")["images"][:9]
    np.save(tmp_path / "x.npy", images)
    result = call("run", digits / "digits.snn.onnx", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npz")
    session = onnxruntime.InferenceSession(
        str(digits / "digits.snn.onnx"), providers=["CPUExecutionProvider"]
    )
    (fed,), (given,) = session.get_inputs(), session.get_outputs()
    (expected,) = session.run(None, {fed.name: images.astype(np.float32) / 16})
    with np.load(tmp_path / "y.npz") as written:
        assert written.files == [given.name]
        np.testing.assert_allclose(written[given.name], expected, rtol=0, atol=1e-5)
    assert ", ".join(map(str, expected.argmax(axis=1))) in result.stdout
    assert "[9, 10] float32" in result.stdout


def test_run_shows_without_writing_and_takes_timesteps(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("run", digits / "digits.snn.onnx", "--input", digits / "digits_test.npz", "--timesteps", 3)
    assert "classes" in result.stdout
    assert ", …" in result.stdout
    assert not list(tmp_path.iterdir())


def save_fixed(folder: Path, rng: np.random.Generator) -> np.ndarray:
    """A compiled net whose batch is always 4, and 6 samples."""
    text = "(float[4,3] x) => (float[4,2] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"
    samples = rng.standard_normal((6, 3)).astype(np.float32)
    onnx2snn.compile(parse(text, **normal(rng, w1=(3, 5), w2=(5, 2))), samples, code="burst").save(
        folder / "net.onnx"
    )
    np.save(folder / "x.npy", samples)
    return samples


def test_run_fills_the_last_batch_of_a_fixed_size(tmp_path, rng):
    samples = save_fixed(tmp_path, rng)
    call("run", tmp_path / "net.onnx", "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npz")
    session = onnx2snn.SpikingSession(tmp_path / "net.onnx")
    expected = [session.run(samples[first : first + 4]).outputs["y"] for first in (0, 2)]
    written = np.load(tmp_path / "y.npz")["y"]
    np.testing.assert_allclose(written, [*expected[0], *expected[1][2:]], rtol=0, atol=1e-6)


def test_names_with_brackets_are_printed_as_they_are(digits, tmp_path):
    model = (resources.files("onnx2snn.analysis.energy_models") / "45nm-float32.toml").read_text()
    (tmp_path / "board.toml").write_text(model.replace("45nm-float32", "board[/b]"))
    arguments = ("--data", digits / "digits_test.npz", "--max-samples", 4)
    told = call("evaluate", digits / "digits.snn.onnx", *arguments, "--energy-model", tmp_path / "board.toml")
    assert "board[/b]" in told.stdout


def test_outputs_may_replace_outputs_and_lie_among_the_data(digits, tmp_path):
    (tmp_path / "data.npz").write_bytes((digits / "digits_test.npz").read_bytes())
    for _ in range(2):
        arguments = ("--data", tmp_path, "--max-samples", 4, "--json", tmp_path / "figures.json")
        call("evaluate", digits / "digits.snn.onnx", *arguments)


EVALUATE = "evaluate net.snn.onnx --data data.npz"
RUN = "run net.snn.onnx --input x.npy"


def test_a_layered_network_has_its_timesteps_alone(place):
    call("evaluate", "layer.snn.onnx", "--data", "data.npz", "--json", "x.json")
    assert json.loads((place / "x.json").read_text())["timesteps"] == [8]


def test_an_early_exit_has_its_table(place):
    text = call(*f"{EVALUATE} --early-exit confidence:0 --timesteps 4 --json x.json".split()).stdout
    found = json.loads((place / "x.json").read_text())["early_exit"]
    assert found["histogram"] == [16, 0, 0, 0]
    assert "early exit  1.00 of 4 timesteps on average" in text


def test_an_early_exit_is_calibrated_where_data_are_given(place):
    more = "--early-exit auto --calib x.npy --max-loss 50 --timesteps 4"
    call(*f"{EVALUATE} {more} --json x.json".split())
    rule = json.loads((place / "x.json").read_text())["early_exit"]["rule"]
    assert rule["criterion"] == "confidence"
    assert len(rule["thresholds"]) == 4
    call(*f"{RUN} {more} -o y.npz".split())
    with np.load("y.npz") as written:
        session = onnx2snn.SpikingSession("net.snn.onnx")
        expected = session.run(np.load("x.npy"), 4, early_exit=ExitRule.from_dict(rule))
        np.testing.assert_array_equal(written["timesteps_used"], expected.timesteps_used)
        np.testing.assert_allclose(written["y"], expected.outputs["y"], rtol=1e-6)


def test_a_run_says_how_many_timesteps_samples_took(place):
    text = call(*RUN.split(), "--early-exit", "confidence:0").stdout
    assert "\ntimesteps_used  [16] int64\non average  1.00 timesteps: 1, 1, " in text
    assert sorted(path.name for path in place.glob("*.npz")) == ["data.npz"]


def test_the_first_twenty_classes_are_shown(place):
    x = np.load("x.npy")
    np.save("twenty.npy", np.tile(x, (2, 1))[:20])
    np.save("more.npy", np.tile(x, (2, 1))[:21])
    classes = onnx2snn.SpikingSession("net.snn.onnx").run(np.load("twenty.npy")).outputs["y"].argmax(axis=1)
    shown = ", ".join(map(str, classes))
    for name, end in (("twenty", ""), ("more", ", …")):
        text = call(*RUN.replace("x.npy", f"{place}/{name}.npy").split()).stdout
        assert text.endswith(f"classes  {shown}{end}\n")


ONTO = "expected a file of its own, found the input"
EXIT = "--max-loss: expected --early-exit auto and --calib DATA to find thresholds with, found --early-exit"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            f"{EVALUATE} --timesteps 4,0",
            "--timesteps: expected numbers of at least 1, found 0; leave it out for all to T",
        ),
        (
            f"{EVALUATE} --timesteps a",
            "--timesteps: expected numbers such as 1,2,4,8, found 'a'; separate them by commas",
        ),
        (
            f"{EVALUATE} --batch-size 0",
            "--batch-size: expected at least 1, found 0; leave it out for the default",
        ),
        (f"{EVALUATE} --max-samples 0", "max samples: expected at least 1, found 0; leave it out for all"),
        (
            f"{EVALUATE} --reference net.onnx --json net.onnx",
            f"net.onnx: {ONTO} net.onnx; choose another with --json",
        ),
        (
            f"{EVALUATE} --json gone/x",
            "gone/x: the folder '{place}/gone' does not exist; create it or choose another",
        ),
        (
            f"{EVALUATE} --energy-model mine",
            "--energy-model: expected 45nm-float32, 45nm-int8, rolls-77fj or a file that ends in .toml, "
            "found 'mine'; choose one of these",
        ),
        (
            f"{EVALUATE} --max-loss 3",
            "--max-loss: expected only with --early-exit auto; add that, or leave it out",
        ),
        (
            f"{EVALUATE} --calib x.npy --max-loss 3",
            "--calib: expected only with --early-exit auto; add that, or leave it out",
        ),
        (
            f"{EVALUATE} --early-exit confidence --max-loss 3",
            f"{EXIT} confidence without --calib; give both",
        ),
        (f"{EVALUATE} --early-exit auto --max-loss 3", f"{EXIT} auto without --calib; give both"),
        (
            f"{EVALUATE} --early-exit entropy:0.2 --max-loss 3 --calib x.npy",
            f"{EXIT} entropy:0.2; give both",
        ),
        (
            f"{EVALUATE} --early-exit auto",
            "--early-exit: expected a network compiled with --early-exit auto, found one without its "
            "thresholds; compile it with that option, give --calib, or give confidence:0.9, say",
        ),
        (
            f"{RUN} --timesteps 0",
            "timesteps: expected a whole number, at least 1, found 0; leave it out for 8",
        ),
        (
            f"{RUN} --threads 0",
            "threads: expected a whole number, at least 1, found 0; "
            "leave it out for as many as there are cores",
        ),
        (
            f"{RUN} --calib x.npy",
            "--calib: expected only with --early-exit auto; add that, or leave it out",
        ),
        (f"{RUN} -o net.snn.onnx", f"net.snn.onnx: {ONTO} net.snn.onnx; choose another with -o"),
        (f"{RUN} -o x.npy", f"x.npy: {ONTO} x.npy; choose another with -o"),
        (
            f"{RUN} -o gone/x",
            "gone/x: the folder '{place}/gone' does not exist; create it or choose another",
        ),
    ],
)
def test_it_refuses_in_one_line(place, line, message):
    assert refused(place, line) == message.format(place=place)
