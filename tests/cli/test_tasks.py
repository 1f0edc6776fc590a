"""`evaluate` of every task, as a user types it; and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx2snn
from tests.cli.calls import call, refused
from tests.tasks.fitted import coco_form, example, measured


@pytest.fixture(scope="module")
def nets(tmp_path_factory) -> Path:
    """A detector and a denoiser with their networks, samples and labels."""
    folder = tmp_path_factory.mktemp("tasks")
    for task in ("detect", "restore"):
        one = example(task)
        onnx.save(one.model, folder / f"{task}.onnx")
        one.session()
        options = {"timesteps": 2, "exponents": 4, "threshold": "max", "correct_bias": False}
        onnx2snn.compile(one.model, one.calibration, **options).save(folder / f"{task}.snn.onnx")
        np.save(folder / f"{task}.npy", one.samples)
    np.savez(folder / "images.npz", images=one.samples, labels=one.labels)
    np.savez(folder / "floats.npz", images=example("detect").samples, labels=np.ones(100))
    (folder / "boxes.json").write_text(json.dumps(coco_form(example("detect").labels)))
    (folder / "my_decode.py").write_text(
        "def boxes(outputs):\n    return [(r[:, :4], r[:, 4], r[:, 5]) for r in outputs['y']]\n\n"
        "def broken(outputs):\n    return outputs['logits']\n"
    )
    return folder


@pytest.fixture
def place(nets, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for file in nets.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def evaluated(line: str) -> dict:
    return json.loads(call("evaluate", *line.split(), "--json", "-").stdout)


@pytest.mark.parametrize("more", ["", " --decode my_decode:boxes", " --task detect"])
@pytest.mark.usefixtures("place")
def test_boxes(more):
    found = evaluated(f"detect.snn.onnx --data detect.npy --labels boxes.json --reference detect.onnx{more}")
    assert found["task"] == "detect"
    assert found["measures"]["map"][-1] == pytest.approx(measured("detect").measures["map"][0])
    assert found["reference_measures"] == pytest.approx(measured("detect").reference_measures)
    few = evaluated("detect.snn.onnx --data detect.npy --labels boxes.json --max-samples 9")
    assert few["samples"] == 9


@pytest.mark.usefixtures("place")
def test_images_and_their_table():
    shown = call("evaluate", "restore.snn.onnx", "--data", "images.npz", "--reference", "restore.onnx").stdout
    for word in ("PSNR", "SSIM", "PSNR, ANN as truth", "error of the output", "reaches PSNR 18.74 dB"):
        assert word in shown
    found = evaluated("restore.snn.onnx --data images.npz --data-range 10")
    plain = measured("restore")
    assert found["measures"]["psnr"][-1] == pytest.approx(plain.measures["psnr"][0] + 20)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "detect.snn.onnx --data detect.npy --labels boxes.json --task classify",
            "in output 'y', found float32",
        ),
        (
            "detect.snn.onnx --data detect.npy --labels restore.npy",
            "labels: expected those of a task of output",
        ),
        (
            "restore.snn.onnx --data restore.npy --labels boxes.json --task restore",
            "found boxes of 100 images;",
        ),
        ("detect.snn.onnx --data detect.npy --task detect --decode my_decode", "expected module:function"),
        (
            "detect.snn.onnx --data detect.npy --task detect --decode my_decode:no",
            "found nothing of that name",
        ),
        (
            "detect.snn.onnx --data detect.npy --task detect --decode my_decode:broken",
            "it raised KeyError: 'logits'; mend it",
        ),
        (
            "detect.snn.onnx --data floats.npz",
            "found float64 of shape [100], which are of another; give labels",
        ),
        ("restore.snn.onnx --data images.npz --data-range -1", "--data-range: expected a number above 0"),
        (
            "detect.snn.onnx --data detect.npy --labels nothing.json",
            "nothing.json: expected JSON, found nothing there; check the path",
        ),
        ("detect.snn.onnx --data detect.npy --early-exit confidence", "expected class scores [N, classes]"),
    ],
)
def test_refused(place, line, message):
    assert message in refused(place, f"evaluate {line}")


def test_a_sweep_of_a_denoiser(place):
    few = "--calib-samples 40 --kinds graded-layer --timesteps 1,2 --exponents 4 --max-loss none"
    line = f"sweep restore.onnx --calib restore.npy --data images.npz {few} --json"
    shown = call(*line.split(), "found.json").stdout
    assert "PSNR" in shown
    found = json.loads((place / "found.json").read_text())
    assert (found["measure"], found["task"], found["labelled"]) == ("psnr", "restore", True)
    assert [point["measures"]["psnr"] for point in found["points"]] == sorted(
        point["measures"]["psnr"] for point in found["points"]
    )
    found = json.loads(call(*f"{line} - --task regress".split()).stdout)
    assert found["measure"] == "rmse"
    assert found["points"][-1]["best"] is True
    message = refused(place, f"{line} out --labels nothing.csv")
    assert "expected labels in an .npy or a COCO .json, found .csv" in message
