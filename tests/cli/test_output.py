"""What several commands print: what the figures were measured on, and which layers no spikes feed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import onnx2snn
from onnx2snn.analysis.evaluation import evaluate
from onnx2snn.artifact.output_errors import OutputFigures
from onnx2snn.cli.output import print_answer, print_outputs, print_reference, print_uncounted
from onnx2snn.data.readers import dataset_from_arrays
from tests import outputs_zoo as zoo
from tests.analysis.by_hand import SAMPLES, compiled


@pytest.fixture(scope="module")
def figures():
    session = compiled()
    return evaluate(session, dataset_from_arrays(SAMPLES, session.inputs), [4]).to_dict()


def printed(show, figures, width=40):
    from onnx2snn.analysis.evaluation import Evaluation

    file = io.StringIO()
    show(Console(file=file, width=width, markup=False), Evaluation.from_dict(figures))
    return file.getvalue()


def test_samples_and_energy(figures):
    convention = figures["energy"]["convention"]
    assert printed(print_reference, figures, 500) == f"4 samples. Energy: {convention}.\n"


def test_what_the_ann_reaches(figures):
    text = printed(
        print_reference, figures | {"task": "classify", "reference_measures": {"top1": 0.934}}, 500
    )
    assert text.startswith("4 samples; the ANN itself reaches 93.4 %. Energy: ")
    assert "reaches PSNR –, SSIM 0.5." in printed(
        print_reference, figures | {"task": "restore", "reference_measures": {"psnr": None, "ssim": 0.5}}, 500
    )


def test_layers_that_no_spikes_feed_stand_on_one_line(figures):
    assert printed(print_uncounted, figures) == ""
    assert printed(print_uncounted, figures | {"uncounted": ["a/MatMul", "[b]"]}) == (
        "fed by values that are no spikes, so charged as MACs and not as operations: a/MatMul, [b]\n"
    )


def test_what_each_output_is_off_by_and_which_one_is_judged():
    file = io.StringIO()
    console = Console(file=file, width=500, markup=False)
    print_outputs(console, None)
    print_outputs(console, OutputFigures({"y": 0.125, "k": 0.5}, ["k"], 0.25))
    text = "outputs are off by: y 12.5 %, k 50.0 % of the values differ; jointly 25.0 %\n"
    assert file.getvalue() == text
    x = zoo.samples()["images"]
    for name, options in (("two scores", {}), ("two scores", {"answer": "z"}), ("scores and a map", {})):
        model = onnx2snn.compile(zoo.model(name), x, timesteps=2, **options).model
        print_answer(console, onnx2snn.SpikingSession(model))
    assert file.getvalue() == f"{text}judged by output 'y'; --answer names another of y, z\n"
