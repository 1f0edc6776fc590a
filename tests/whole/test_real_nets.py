"""The four real nets, where `ONNX2SNN_DATA` (default: ../shared/data beside the checkout) has them."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

import onnx2snn
from benchmarks.backends import tie_distances
from benchmarks.nets import DATA, NETS, event_frames
from onnx2snn.data.readers import InputSpec, open_dataset
from onnx2snn.engine.engines import make_engine
from tests.cli.calls import call

pytestmark = pytest.mark.skipif(
    not (DATA / "models").is_dir(), reason=f"real nets are absent from {DATA}; set ONNX2SNN_DATA"
)


@pytest.fixture(scope="module", params=NETS.values(), ids=NETS)
def compiled(request):
    net = request.param
    return net, onnx2snn.compile(net.path, net.train(128), timesteps=8, signed=True)


def test_agrees_with_the_ann(compiled):
    net, snn = compiled
    assert snn.report.to_dict()["roles"]["refused"] == 0
    batch = next(net.test(200).batches(200))
    (expected,), (found,) = (make_engine(m).run(batch).values() for m in (onnx.load(net.path), snn.model))
    assert len(np.unique(expected.argmax(axis=1))) == 10
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95


def test_backends_differ_at_near_ties_only(compiled):
    net, snn = compiled
    session = onnx2snn.SpikingSession(snn.model)
    distances = tie_distances(session, next(net.test().batches(6)), timesteps=4)
    assert max(distances, default=0.0) < 1e-5


def test_spikes_are_the_same_whatever_runs_them(compiled):
    """Native kernels or bodies, stepped or as the plain file, in the convolutions' layout or not."""
    net, snn = compiled
    batch = next(net.test().batches(16))
    runs = [onnx2snn.SpikingSession(snn.model, native=use).run(batch, record=True) for use in (True, False)]
    for name, spikes in runs[0].spikes.items():
        np.testing.assert_array_equal(spikes, runs[1].spikes[name])
    (plain,) = make_engine(snn.model).run(batch).values()
    for use in (True, False):
        (found,) = onnx2snn.SpikingSession(snn.model, native=use).run(batch).outputs.values()
        np.testing.assert_array_equal(found, plain)


def test_recordings_are_data(tmp_path):
    """N-MNIST as it is stored: frames as the benchmarks count them, and what the file records is enough."""
    net = NETS["cnn3"]
    file, rule = DATA / "nmnist_test100.npz", onnx2snn.Preprocessing(frames="count:3")
    expected, labels = event_frames(file)
    data = open_dataset(file, [InputSpec("input", np.dtype(np.float32), (None, *net.shape))], rule)
    np.testing.assert_array_equal(np.concatenate([batch["input"] for batch in data.batches(100)]), expected)
    np.testing.assert_array_equal(data.labels, labels)
    np.testing.assert_array_equal(data.recordings, np.repeat(np.arange(100), 3))
    snn = tmp_path / "net.snn.onnx"
    train = DATA / "nmnist_train200.npz"
    call("compile", net.path, "--calib", train, "--frames", "count:3", "--max-samples", 100, "-o", snn)
    result = call("evaluate", snn, "--data", file, "--reference", net.path, "--timesteps", 8, "--json", "-")
    figures = json.loads(result.stdout)
    assert figures["samples"] == 300
    assert figures["accuracy"] == [pytest.approx(0.99, abs=0.004)]
    assert figures["agreement"][0] >= 0.99
