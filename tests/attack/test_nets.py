"""A few random nets, the same every time; and that a backend that differs is told of, and a tie is not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.attack import nets
from tests.helpers import parse

#: Both schedules, all codes, integers, and one to three axes.
SEEDS = (3, 9, 11, 20, 24)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_backend_gives_the_same(seed):
    what, _, _, options = nets.attempt(seed)
    assert what in ("same", "tie"), options


def test_a_seed_is_a_net():
    one, other = (nets.random_net(3)[0] for _ in range(2))
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
    assert nets.random_options(3) == nets.random_options(3)


def net() -> tuple[onnx.ModelProto, np.ndarray]:
    """Neurons whose third sample is at a threshold but for a last bit."""
    text = "(float[N,1] x) => (float[N,1] y) { c = MatMul(x, w) r = Relu(c) y = MatMul(r, w) }"
    x = np.linspace(0, 1, nets.CALIBRATION, dtype=np.float32)
    samples = np.float32([0.1, 0.2, 0.125, 0.7, 0.9])
    return parse(text, w=np.ones((1, 1), np.float32)), np.concatenate([x, samples])[:, None]


OPTIONS = {"code": "burst", "schedule": "layer", "timesteps": 1, "threshold": "max", "correct_bias": False}


@pytest.mark.parametrize(
    ("sample", "step", "expected"),
    [(0, 0.0, "same"), (2, -0.25, "tie"), (0, -0.25, "numpy differs by 0.25")],
)
def test_what_differs_is_told_unless_it_is_a_tie(monkeypatch, sample, step, expected):
    def backends(artifact, x):
        (values,) = nets.onnxruntime.InferenceSession(artifact.SerializeToString()).run(None, {"x": x})
        values[sample] += np.float32(step)
        return {"numpy": lambda: values}

    monkeypatch.setattr(nets, "_backends", backends)
    assert nets.compare(*net(), OPTIONS) == expected


def test_what_a_backend_refuses_is_told(monkeypatch):
    def refuses():
        raise nets.Onnx2SnnError("no such operator")

    monkeypatch.setattr(nets, "_backends", lambda *_: {"numpy": refuses})
    assert nets.compare(*net(), OPTIONS) == "numpy fails: no such operator"
    assert nets.compare(*net(), {**OPTIONS, "timesteps": 0}).startswith("refused: --timesteps")
