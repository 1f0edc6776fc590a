"""What the readers' tests share: inputs of models, arrays, images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from onnx2snn.data.readers import Dataset, InputSpec

Write = Callable[[Path], object]


def spec(*shape: int | None, dtype: str = "float32", name: str = "x") -> InputSpec:
    return InputSpec(name, np.dtype(dtype), shape)


VECTOR = [spec(None, 2)]
CHW = [spec(None, 3, 6, 5)]
HWC = [spec(None, 6, 5, 3)]
GREY = [spec(None, 1, 2, 2)]
PAIR = [spec(None, 2, name="a"), spec(None, 1, name="b")]


def floats(samples: int, *shape: int) -> np.ndarray:
    return np.arange(samples * int(np.prod(shape)), dtype=np.float32).reshape(samples, *shape)


def pixels(samples: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (samples, *shape), dtype=np.uint8)


def whole(data: Dataset, batch_size: int = 2, name: str = "x") -> np.ndarray:
    return np.concatenate([batch[name] for batch in data.batches(batch_size)])


def save_image(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)
