"""One pass over the calibration data: what is counted, what is left out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.statistics import (
    Activation,
    calibration_batches,
    collect_ranges,
    collect_statistics,
    evaluate_elementwise,
    fixed_batch,
    ignore,
)
from onnx2snn.data.dataset import InputSpec
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.errors import DataError, ModelError, OptionError
from onnx2snn.graph.graph import extract
from onnx2snn.memory import MemoryBound
from tests.helpers import graph_of, parse

PLENTY = MemoryBound(1 << 20)

X = np.float32([[1, -1], [2, 0], [3, -3], [4, 4], [90, 90]])


def net(body="y = Relu(x)", batch="N"):
    return graph_of(parse(f"(float[{batch},2] x) => (float[{batch},2] y) {{ {body} }}"))


def dataset(batch=None, x=X):
    return dataset_from_arrays(x, [InputSpec("x", np.dtype(np.float32), (batch, 2))])


def collected(graph, data, batch_size=2, slope=None, advance=ignore, memory=PLENTY):
    tensor = "y" if slope is None else "x"
    activations = {"y": Activation(tensor, slope)}
    return collect_statistics(graph, data, batch_size, activations, advance, memory=memory)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_every_sample_is_counted_in_its_channel(batch_size):
    found = collected(net(), dataset(), batch_size)
    assert found.samples == 5
    histogram = found.histograms["y"]
    assert histogram.maximum.tolist() == [90, 90]
    assert histogram.zeros.tolist() == [0, 3]
    assert histogram.counts.sum(axis=1).tolist() == [5, 2]


def test_the_peak_of_every_sample_is_kept():
    found = collected(net(), dataset(), 2)
    assert [value for batch in found.peaks["x"] for value in batch] == [1, 2, 3, 4, 90]
    assert [value for batch in found.peaks["y"] for value in batch] == [1, 2, 3, 4, 90]
    assert list(found.peaks) == ["x", "y"]
    signed = collected(net("y = LeakyRelu <alpha = 0.5> (x)"), dataset(x=-X), 4, slope=np.float32(0.5))
    assert [value for batch in signed.peaks["y"] for value in batch] == [1, 2, 3, 4, 90]


def test_rows_that_are_no_samples_have_no_peaks():
    graph = graph_of(
        parse("(float[N,2] x) => (float[M,1] y) { r = Reshape (x, s) y = Relu (r) }", s=np.int64([-1, 1]))
    )
    assert collected(graph, dataset()).peaks["y"] == []


def test_a_partial_batch_is_dropped_where_the_batch_is_fixed():
    done = []
    found = collected(net(batch="2"), dataset(2), 64, advance=done.append)
    assert found.samples == 4
    assert found.histograms["y"].maximum.tolist() == [4, 4]
    assert done == [0.4, 0.8]


def test_batches_have_the_model_s_own_size():
    free, fixed = net(), net(batch="2")
    assert (fixed_batch(free), fixed_batch(fixed)) == (None, 2)
    assert [count for _, count in calibration_batches(free, dataset(), 3)] == [3, 2]
    batches = list(calibration_batches(fixed, dataset(2), 3))
    assert [(len(batch["x"]), count) for batch, count in batches] == [(2, 2), (2, 2)]


def test_less_than_one_whole_batch_is_refused():
    with pytest.raises(DataError) as caught:
        collected(net(batch="8"), dataset(8))
    assert str(caught.value) == (
        "arrays: expected at least 8 samples, one batch of the model, found 5; "
        "give more, or export the model with a dynamic batch"
    )


def test_what_lies_below_zero_weighs_as_its_slope_squared():
    found = collected(net(), dataset(), slope=np.float32(0.5)).histograms["y"]
    assert found.maximum.tolist() == [90, 90]
    assert found.zeros.tolist() == [0, 1]
    assert found.counts.sum(axis=1).tolist() == [5, 2 + 2 * 0.25]


def test_a_slope_whose_square_float32_does_not_hold():
    found = collected(net(), dataset(), slope=np.float32(1e30)).histograms["y"]
    assert np.isfinite(found.counts).all()
    assert found.counts.max() >= 1e59


def test_progress_is_the_share_of_the_samples():
    done = []
    collected(net(), dataset(), advance=done.append)
    assert done == [0.4, 0.8, 1.0]


@pytest.mark.parametrize("collect", ["statistics", "ranges"])
def test_activations_that_are_not_finite_are_refused(collect):
    graph = net("y = Log(x)")
    with pytest.raises(ModelError) as caught:
        collected(graph, dataset()) if collect == "statistics" else collect_ranges(
            graph, dataset(), 2, ["y"], memory=PLENTY
        )
    assert str(caught.value) == (
        "tensor 'y': expected finite activations on calibration data, found NaN or Inf; "
        "check the preprocessing (--scale, --mean, --std) and the model"
    )


def test_batches_are_as_large_as_memory_allows(monkeypatch):
    sizes, run = [], OnnxruntimeEngine.run

    def counted(self, feeds):
        sizes.append(len(feeds["x"]))
        return run(self, feeds)

    monkeypatch.setattr(OnnxruntimeEngine, "run", counted)
    found = collected(net(), dataset(), 64, memory=MemoryBound(2 * 8 * 8))
    assert (found.largest, found.total) == (8, 8)
    assert sizes == [1, 2, 2, 1]  # the first tells what one sample takes
    assert (
        found.histograms["y"].counts.tolist()
        == collected(net(), dataset(), 64).histograms["y"].counts.tolist()
    )


@pytest.mark.parametrize(("batch", "what"), [("N", "one sample takes"), (2, "one batch of 2 samples takes")])
def test_memory_for_less_than_one_sample_says_how_much(batch, what):
    with pytest.raises(OptionError) as caught:
        collected(net(batch=batch), dataset(None if batch == "N" else batch), memory=MemoryBound(7))
    assert str(caught.value) == (
        f"--memory: expected at least 1KiB, since {what} 1KiB of activations, found 1KiB; give more"
    )


def test_ranges_are_those_of_both_signs():
    done = []
    found = collect_ranges(net("y = Neg(x)"), dataset(), 2, ["y"], done.append, memory=PLENTY)["y"]
    assert found.maximum.tolist() == [3, 90]
    assert (found.counts.sum(axis=1) + found.zeros).tolist() == [10, 10]
    assert found.counts.sum(axis=1).tolist() == [2, 7]
    assert done == [0.4, 0.8, 1.0]


def test_an_elementwise_part_is_evaluated_at_points_of_any_number():
    part = extract(net("a = Abs(x) y = Sqrt(a)"), ["x"], ["y"])
    found = evaluate_elementwise(part, np.float64([-4, 9, 0]))
    assert (found.tolist(), found.dtype) == ([2, 3, 0], np.float64)
