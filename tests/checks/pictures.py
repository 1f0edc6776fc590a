"""Small colour pictures in four classes, and a net that is fitted to them, without any training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx

from onnx2snn.checks.evidence import Evidence
from onnx2snn.checks.findings import net_of
from onnx2snn.data.dataset import Dataset, InputSpec
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import dataset_from_arrays
from tests.helpers import parse, run

SIZE, CLASSES = 16, 4
SCALED = Preprocessing(scale=1 / 255)
#: Reddish, greenish, bluish, yellowish: red and blue exchanged is another class.
_TINTS = np.float32([[1.0, 0.4, 0.3], [0.4, 1.0, 0.35], [0.3, 0.4, 1.0], [0.9, 0.8, 0.3]])
_BODY = """(float[N,3,16,16] x) => (float[N,4] y) {
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    n = BatchNormalization (c, gamma, beta, mean, var)
    r = Relu (n)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    y = Gemm (f, v, b)
}"""
_FOLDED = """(float[N,3,16,16] x) => (float[N,4] y) {
    c = Conv <pads = [1, 1, 1, 1]> (x, w, shift)
    r = Relu (c)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    y = Gemm (f, v, b)
}"""


def pictures(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, 3, 16, 16] and labels: smooth brightness in the colour of the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    coarse = rng.uniform(0.2, 1.0, (count, 1, 4, 4))
    brightness = np.kron(coarse, np.ones((1, 1, 4, 4)))
    for axis in (2, 3):  # smooth
        brightness = (brightness + np.roll(brightness, 1, axis) + np.roll(brightness, -1, axis)) / 3
    tints = _TINTS[labels] + rng.normal(0, 0.15, (count, 3))
    noise = rng.normal(0, 0.02, (count, 3, SIZE, SIZE))
    values = brightness * tints[:, :, None, None] + noise
    return (np.clip(values, 0, 1) * 255).astype(np.uint8), labels


@dataclass(frozen=True)
class Fitted:
    """The net, with its BatchNormalization and with that folded into its weights."""

    model: onnx.ModelProto
    folded: onnx.ModelProto


def fitted(scale: float = 1 / 255) -> Fitted:
    """A net that expects pictures times `scale`: random filters, their statistics, a ridge regression."""
    rng = np.random.default_rng(7)
    images, labels = pictures(1, 256)
    x = images.astype(np.float32) * np.float32(scale)
    w = (rng.standard_normal((8, 3, 3, 3)) / (27**0.5 * x.std())).astype(np.float32)
    first = parse(
        "(float[N,3,16,16] x) => (float[N,8,16,16] c) { c = Conv <pads = [1, 1, 1, 1]> (x, w) }", w=w
    )
    (c,) = run(first, {"x": x})
    mean, var = c.mean(axis=(0, 2, 3)), c.var(axis=(0, 2, 3))
    gamma, beta = np.ones(8, np.float32), rng.normal(0, 0.5, 8).astype(np.float32)
    factor = gamma / np.sqrt(var + np.float32(1e-5))
    shift = beta - mean * factor
    features = np.maximum(c * factor[:, None, None] + shift[:, None, None], 0).mean(axis=(2, 3))
    design = np.hstack([features, np.ones((256, 1))])
    targets = 10 * np.eye(CLASSES)[labels]
    solved = np.linalg.solve(design.T @ design + 1e-2 * np.eye(9), design.T @ targets).astype(np.float32)
    ends = {"v": solved[:8], "b": solved[8]}
    return Fitted(
        parse(_BODY, w=w, gamma=gamma, beta=beta, mean=mean, var=var, **ends),
        parse(_FOLDED, w=w * factor[:, None, None, None], shift=shift, **ends),
    )


def dataset(
    images: np.ndarray, labels: np.ndarray | None = None, preprocessing: Preprocessing = SCALED
) -> Dataset:
    """Pictures as a user gives them."""
    spec = InputSpec("x", np.dtype(np.float32), (None, *images.shape[1:]))
    return dataset_from_arrays(images, [spec], preprocessing, labels=labels)


def evidence(data: Dataset, model: onnx.ModelProto | None, *, labelled: bool = True) -> Evidence:
    """What checks know of the data with a net."""
    return Evidence(
        data if labelled else replace(data, labels=None), None if model is None else net_of(model)
    )
