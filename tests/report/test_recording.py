"""What the raster shows is what the session records, summed by hand."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.report import recording as module
from onnx2snn.report.recording import record
from tests.helpers import normal, parse

NET = (
    "(float[{batch},2,6,6] x) => (float[{batch},3] y) "
    "{{ h = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(h) g = Conv(r, w2) q = Relu(g) "
    "f = Flatten(q) y = MatMul(f, w3) }}"
)


def build(rng, batch="N", samples=7, **options):
    weights = normal(rng, w1=(4, 2, 3, 3), w2=(5, 4, 3, 3), w3=(80, 3))
    model = parse(NET.format(batch=batch), **weights)
    x = normal(rng, x=(samples, 2, 6, 6))["x"]
    compiled = onnx2snn.compile(model, x, timesteps=5, **{"code": "burst", **options})
    session = onnx2snn.SpikingSession(compiled.model)
    return session, dataset_from_arrays(x, session.inputs, labels=np.arange(samples) % 3), x


@pytest.mark.parametrize("options", [{"signed": True}, {"schedule": "layer"}, {"granularity": "layer"}])
def test_spikes_a_neuron_of_each_channel(rng, options):
    session, dataset, x = build(rng, **options)
    found = record(session, dataset, 5)
    assert found.timesteps == 5
    assert dict(found.neurons) == {"r": 4 * 36, "q": 5 * 16}
    assert [channel.layer for channel in found.channels] == ["r"] * 4 + ["q"] * 5
    chosen = x[[0, 1, 2, 3]]
    spikes = session.run(chosen, record=True).spikes
    answers = session.run(chosen).outputs["y"].argmax(axis=1)
    assert [name.split(":")[0] for name in found.samples] == [f"sample {n}" for n in range(4)]
    for number, name in enumerate(found.samples):
        right = "right" if answers[number] == number % 3 else f"wrong ({number % 3})"
        assert name.endswith(f"class {answers[number]}, {right}")
    for channel in found.channels:
        counts = spikes[channel.layer][:, :, channel.number].astype(float)  # [T, N, H, W]
        np.testing.assert_allclose(channel.sent, counts.clip(min=0).mean(axis=(2, 3)).T)
        np.testing.assert_allclose(channel.negative, (-counts).clip(min=0).mean(axis=(2, 3)).T)


def test_the_busiest_come_first_and_only_as_many_as_there_is_room_for(rng, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 4)
    session, dataset, _ = build(rng)
    found = record(session, dataset, 5)
    assert [channel.layer for channel in found.channels] == ["r", "r", "q", "q"]
    totals = [channel.sent.sum() for channel in found.channels]
    assert totals[0] >= totals[1]
    assert totals[2] >= totals[3]
    monkeypatch.setattr(module, "_ROWS", 1)
    (busiest,) = record(session, dataset, 5).channels
    assert busiest.sent.sum() == max(totals)


@pytest.mark.parametrize(("batch", "samples", "expected"), [("3", 6, 4), ("N", 2, 2), ("N", 9, 4)])
def test_few_samples_and_fixed_batches(rng, batch, samples, expected):
    session, dataset, _ = build(rng, batch=batch, samples=samples)
    found = record(session, dataset, 2)
    assert len(found.samples) == expected
    assert {channel.sent.shape for channel in found.channels} == {(expected, 2)}


def test_a_long_run_is_recorded_from_its_start(rng, monkeypatch):
    monkeypatch.setattr(module, "_MOST_TIMESTEPS", 3)
    session, dataset, _ = build(rng)
    assert record(session, dataset, 5).timesteps == 3
    session, dataset, _ = build(rng, schedule="layer")
    assert record(session, dataset, 5).timesteps == 5


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_graded_spikes_are_told_apart_by_sign_and_size(rng, schedule):
    session, dataset, x = build(rng, code="graded", exponents=4, schedule=schedule)
    found = record(session, dataset, 5)
    spikes = session.run(x[:4], record=True).spikes
    assert {channel.layer for channel in found.channels} == {"r/neuron", "q/neuron"}
    for channel in found.channels:
        sent = spikes[channel.layer][:, :, channel.number]  # [T, N, H, W], sign times n - i
        assert channel.sizes.shape == (4, 5, 2, 4)
        for size in range(4):
            for side, sign in enumerate((1, -1)):
                expected = (sent == sign * (4 - size)).mean(axis=(2, 3)).T
                np.testing.assert_allclose(channel.sizes[:, :, side, size], expected)
        np.testing.assert_allclose(channel.sent, (sent > 0).mean(axis=(2, 3)).T)
        np.testing.assert_allclose(channel.negative, (sent < 0).mean(axis=(2, 3)).T)
    assert any(channel.negative.any() for channel in found.channels)


def test_equal_spikes_have_no_sizes(rng):
    session, dataset, _ = build(rng)
    assert {channel.sizes for channel in record(session, dataset, 5).channels} == {None}
