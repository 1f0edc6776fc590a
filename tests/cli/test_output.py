"""What several commands print: what the figures were measured on, and which layers no spikes feed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from onnx2snn.analysis.evaluation import evaluate
from onnx2snn.cli.output import print_reference, print_uncounted
from onnx2snn.data.readers import dataset_from_arrays
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
