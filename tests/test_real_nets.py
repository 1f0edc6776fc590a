"""The four real nets, where `ONNX2SNN_DATA` (default: ../shared/data beside the checkout) has them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import onnx2snn

DATA = Path(os.environ.get("ONNX2SNN_DATA") or Path(__file__).parents[2] / "shared" / "data")

pytestmark = pytest.mark.skipif(
    not (DATA / "models").is_dir(), reason=f"real nets are absent from {DATA}; set ONNX2SNN_DATA"
)

Images = tuple[np.ndarray, np.ndarray]
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def cifar() -> Images:
    """128 images to calibrate on, 200 to test, [N, 3, 32, 32] of 0 to 255."""
    with np.load(DATA / "cifar10_train2000.npz") as train, np.load(DATA / "cifar10_test2000.npz") as test:
        return train["images"][:128].astype(np.float32), test["images"][:200].astype(np.float32)


def normalized() -> Images:
    train, test = cifar()
    return tuple((images / 255 - MEAN[:, None, None]) / STD[:, None, None] for images in (train, test))


def unit() -> Images:
    train, test = cifar()
    return train / 255, test / 255


def event_frames(name: str, count: int) -> np.ndarray:
    """Event counts [count, 2, 34, 34] of thirds of the first recordings."""
    with np.load(DATA / name) as held:
        events, offsets = held["events"], held["offsets"]
    frames = np.zeros((count, 2, 34, 34), np.float32)
    for index in range(count):
        recording, third = divmod(index, 3)
        x, y, polarity, time = events[offsets[recording] : offsets[recording + 1]].T
        part = np.minimum((time - time.min()) * 3 // (np.ptp(time) + 1), 2) == third
        np.add.at(frames[index], (polarity[part], y[part], x[part]), 1)
    return frames


def events() -> Images:
    return event_frames("nmnist_train200.npz", 128), event_frames("nmnist_test100.npz", 200)


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("resnet20_cifar10", normalized),
        ("resnet8_cifar10", cifar),
        ("vgg8bn_cifar10", unit),
        ("cnn3_nmnist", events),
    ],
)
def test_agrees_with_the_ann(name, load):
    path = DATA / "models" / f"{name}.onnx"
    calibration, test = load()
    compiled = onnx2snn.compile(path, calibration, timesteps=8, signed=True)
    assert compiled.report["roles"]["refused"] == 0
    ann = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    snn = onnxruntime.InferenceSession(compiled.model.SerializeToString(), providers=["CPUExecutionProvider"])
    fed = {ann.get_inputs()[0].name: test}
    (expected,), (found,) = ann.run(None, fed), snn.run(None, fed)
    assert len(np.unique(expected.argmax(axis=1))) == 10
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95
