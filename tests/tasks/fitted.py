"""A net for each task, fitted here: random features behind a ReLU, then what is linear by least squares.

Inputs and weights are multiples of powers of two, so that sums are exact and every machine has the same nets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import onnx2snn
from onnx2snn.analysis.evaluation import Evaluation, Reference, evaluate
from onnx2snn.artifact.artifact import input_specs
from onnx2snn.data.readers import Dataset, dataset_from_arrays
from onnx2snn.data.targets import Objects
from onnx2snn.engine.engines import make_engine
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.tasks.asked import Asked
from tests.helpers import parse

#: Samples that a net is fitted on; those behind them test it.
TRAINED = 300
_SAMPLES = 400
_HIDDEN, _MANY, _FILTERS = 24, 128, 12
#: Added to the diagonal of the normal equations.
_RIDGE = 1.0


@dataclass(frozen=True)
class Example:
    """A fitted net with the samples that test it and their labels."""

    task: str
    model: onnx.ModelProto
    calibration: np.ndarray
    samples: np.ndarray
    labels: Any

    def session(self) -> SpikingSession:
        """The net compiled, coarse enough to be no copy of the ANN."""
        options = {"timesteps": 2, "exponents": 4, "threshold": "max", "correct_bias": False}
        return SpikingSession(onnx2snn.compile(self.model, self.calibration, **options).model)

    def dataset(self, *, labelled: bool = True) -> Dataset:
        specs = input_specs(self.model)
        if isinstance(self.labels, tuple):
            data = dataset_from_arrays(self.samples, specs)
            return replace(data, targets=self.labels if labelled else None)
        return dataset_from_arrays(self.samples, specs, labels=self.labels if labelled else None)

    def reference(self) -> Reference:
        return Reference("ann.onnx", make_engine(self.model), {"x": "x"}, "y", {"y": "y"})


@cache
def measured(task: str) -> Evaluation:
    """What the fitted net of a task reaches."""
    one = example(task)
    asked = Asked(task if task == "control" else "auto")
    return evaluate(one.session(), one.dataset(), [2], one.reference(), asked=asked)


def check(task: str, network: dict[str, float], ann: dict[str, float]) -> None:
    """Compare with what `independent.py` prints."""
    found = measured(task)
    assert found.task == task
    assert {key: values[0] for key, values in found.measures.items()} == pytest.approx(network, rel=1e-9)
    assert found.reference_measures == pytest.approx(ann, rel=1e-9)


def coco_form(labels: Sequence[Objects]) -> dict[str, list[dict]]:
    """Objects of two classes as COCO's files have them."""
    annotations = []
    for number, objects in enumerate(labels):
        for box, kind in zip(objects.boxes.tolist(), objects.classes.tolist(), strict=True):
            size = [box[2] - box[0], box[3] - box[1]]
            annotations.append({"image_id": number, "category_id": kind, "bbox": [*box[:2], *size]})
    images = [{"id": number} for number in range(len(labels))]
    return {"images": images, "annotations": annotations, "categories": [{"id": 0}, {"id": 1}]}


def grid(values: np.ndarray, step: float) -> np.ndarray:
    return (np.round(np.asarray(values, np.float64) / step) * step).astype(np.float32)


def solved(features: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases that give what is wanted of features behind the ReLU."""
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ wanted)
    weights = grid(weights, 1 / 256)
    return weights[:-1], weights[-1]


def dense(rng: np.random.Generator, x: np.ndarray, wanted: np.ndarray, tail: str = "") -> onnx.ModelProto:
    """`y = Relu(x·w + b)·v + c`, fitted on the first samples."""
    hidden = _MANY if tail else _HIDDEN
    w = grid(rng.standard_normal((x.shape[1], hidden)) / np.sqrt(x.shape[1]), 1 / 64)
    b = grid(rng.standard_normal(hidden), 1 / 16)
    v, c = solved(np.maximum(x @ w + b, 0)[:TRAINED], wanted[:TRAINED])
    shape = f"N,{wanted.shape[1]}" if not tail else "N,1,6"
    body = "h = MatMul(x, w) a = Add(h, b) r = Relu(a) o = MatMul(r, v)"
    text = f"(float[N,{x.shape[1]}] x) => (float[{shape}] y) {{ {body} {tail or 'y = Add(o, c)'} }}"
    extra = {"s": np.int64([0, 1, 6])} if tail else {}
    return parse(text, w=w, b=b, v=v, c=c, **extra)


def convolved(rng: np.random.Generator, x: np.ndarray, wanted: np.ndarray) -> onnx.ModelProto:
    """A convolution of 3 × 3, a ReLU, and one of 1 × 1 that is fitted."""
    w = grid(rng.standard_normal((_FILTERS, 1, 3, 3)) / 3, 1 / 64)
    b = grid(rng.standard_normal(_FILTERS) / 2, 1 / 16)
    padded = np.pad(x[:TRAINED, 0], ((0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (3, 3), axis=(1, 2)).reshape(-1, 9)
    features = np.maximum(windows @ w.reshape(_FILTERS, 9).T + b, 0)
    v, c = solved(features, np.moveaxis(wanted[:TRAINED], 1, -1).reshape(-1, wanted.shape[1]))
    text = f"(float[N,1,16,16] x) => (float[N,{wanted.shape[1]},16,16] y)"
    body = "a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a) y = Conv(r, v, c)"
    return parse(f"{text} {{ {body} }}", w=w, b=b, v=np.ascontiguousarray(v.T[:, :, None, None]), c=c)


def example(task: str) -> Example:
    """The example of a task."""
    model, x, labels = _MAKERS[task](np.random.default_rng(18))
    return Example(task, model, x[:TRAINED], x[TRAINED:], labels)


Made = tuple[onnx.ModelProto, np.ndarray, Any]


def classify(rng: np.random.Generator) -> Made:
    """Eight clouds of points that overlap."""
    classes = rng.integers(0, 8, _SAMPLES)
    x = grid(rng.standard_normal((8, 6))[classes] + rng.standard_normal((_SAMPLES, 6)), 1 / 16)
    return dense(rng, x, np.eye(8)[classes]), x, classes[TRAINED:]


def multilabel(rng: np.random.Generator) -> Made:
    """Which of four half spaces a point is in."""
    x = grid(rng.standard_normal((_SAMPLES, 6)), 1 / 16)
    there = x @ rng.standard_normal((6, 4)) + rng.standard_normal((_SAMPLES, 4)) > [0, 0.5, 1, 2]
    return dense(rng, x, np.where(there, 1, -1)), x, there[TRAINED:].astype(np.int64)


def regress(rng: np.random.Generator) -> Made:
    """Three functions of five numbers, with noise."""
    x = grid(rng.standard_normal((_SAMPLES, 5)), 1 / 16)
    wanted = np.stack([np.sin(x[:, 0]) + x[:, 1], x[:, 2] * x[:, 3], 3 + np.abs(x[:, 4])], axis=1)
    wanted = grid(wanted + 0.1 * rng.standard_normal(wanted.shape), 1 / 64)
    return dense(rng, x, wanted), x, wanted[TRAINED:]


def control(rng: np.random.Generator) -> Made:
    """A controller's two actions, within bounds, cloned."""
    x = grid(rng.standard_normal((_SAMPLES, 4)), 1 / 16)
    actions = grid(np.clip(x @ rng.standard_normal((4, 2)), -1, 1), 1 / 64)
    return dense(rng, x, actions), x, actions[TRAINED:]


def _squares(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images with a bright or a brighter rectangle each, where these are, and which."""
    corners = rng.integers(0, 8, (_SAMPLES, 2))
    boxes = np.concatenate([corners, corners + rng.integers(4, 9, (_SAMPLES, 2))], axis=1)
    kinds = rng.integers(0, 2, _SAMPLES)
    places = np.arange(16)
    across = (places >= boxes[:, :1]) & (places < boxes[:, 2:3])
    down = (places >= boxes[:, 1:2]) & (places < boxes[:, 3:])
    inside = down[:, :, None] & across[:, None, :]
    return inside * (1 + kinds)[:, None, None] / 2, boxes, kinds


def restore(rng: np.random.Generator) -> Made:
    """Noise taken from images of rectangles."""
    clean = _squares(rng)[0][:, None].astype(np.float32)
    noisy = grid(clean + 0.25 * rng.standard_normal(clean.shape), 1 / 16)
    return convolved(rng, noisy, clean), noisy, clean[TRAINED:]


def segment(rng: np.random.Generator) -> Made:
    """Background and two kinds of rectangles; what lies at the border counts for nothing."""
    clean, _, _ = _squares(rng)
    classes = np.rint(2 * clean).astype(np.int64)
    noisy = grid(clean[:, None] + 0.25 * rng.standard_normal((_SAMPLES, 1, 16, 16)), 1 / 16)
    wanted = np.moveaxis(np.eye(3)[classes], -1, 1)
    labels = classes.astype(np.uint8)
    labels[:, 0] = 255
    return convolved(rng, noisy, wanted), noisy, labels[TRAINED:]


def detect(rng: np.random.Generator) -> Made:
    """The box of a rectangle, from its shadows on the sides of an image; some images have none."""
    clean, boxes, kinds = _squares(rng)
    there = rng.random(_SAMPLES) < 2 / 3
    clean = clean * there[:, None, None]
    x = grid(np.concatenate([clean.max(axis=1), clean.max(axis=2)], axis=1), 1 / 16)
    wanted = np.concatenate([boxes, there[:, None], kinds[:, None]], axis=1) * there[:, None]
    labels = tuple(
        Objects(box[None].astype(float), np.array([kind]), np.zeros(1, bool))
        if seen
        else Objects(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool))
        for box, kind, seen in zip(boxes, kinds, there, strict=True)
    )
    return dense(rng, x, wanted, "d = Add(o, c) y = Reshape(d, s)"), x, labels[TRAINED:]


_MAKERS: dict[str, Callable[[np.random.Generator], Made]] = {
    maker.__name__: maker for maker in (classify, multilabel, regress, control, restore, segment, detect)
}
TASKS = tuple(_MAKERS)
