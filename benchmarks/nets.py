"""The real nets and data that every benchmark measures on; see the README beside them.

They are not part of the project. Their folder is named by the environment variable `ONNX2SNN_DATA`, by
default `../shared/data` next to the checkout.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn import Preprocessing
from onnx2snn.data.readers import Dataset, InputSpec, dataset_from_arrays, open_dataset

Array = npt.NDArray[Any]

DATA = Path(os.environ.get("ONNX2SNN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True)
class Net:
    """A net with its data.

    Attributes:
        name: short name, as in the tables.
        file: its ONNX file under `DATA/models`.
        shape: shape of one sample.
        preprocessing: of its images.
        images: the data set that they are from.
    """

    name: str
    file: str
    shape: tuple[int, ...]
    preprocessing: Preprocessing
    images: str = "cifar10"

    @property
    def path(self) -> Path:
        """The ANN."""
        return DATA / "models" / self.file

    def train(self, samples: int | None) -> Dataset:
        """The first training samples, for calibration."""
        return self._open("nmnist_train200.npz", f"{self.images}_train2000.npz", samples)

    def train_parts(self, parts: int) -> list[Dataset]:
        """The training samples in parts of one size, without one in common."""
        (whole,) = self.train(None).batches(1 << 20)
        inputs = [InputSpec("input", np.dtype(np.float32), (None, *self.shape))]
        return [dataset_from_arrays(whole["input"][part::parts], inputs) for part in range(parts)]

    def test(self, samples: int | None = None) -> Dataset:
        """Test samples with labels."""
        return self._open("nmnist_test100.npz", f"{self.images}_test2000.npz", samples)

    def _open(self, events: str, images: str, samples: int | None) -> Dataset:
        inputs = [InputSpec("input", np.dtype(np.float32), (None, *self.shape))]
        if self.shape[0] != 2:
            return open_dataset(DATA / images, inputs, self.preprocessing, samples)
        frames, labels = event_frames(DATA / events)
        return dataset_from_arrays(frames, inputs, self.preprocessing, samples, labels=labels)


NETS = {
    net.name: net
    for net in (
        Net("resnet20", "resnet20_cifar10.onnx", (3, 32, 32), Preprocessing(scale=1 / 255, **IMAGENET)),
        Net("resnet8", "resnet8_cifar10.onnx", (3, 32, 32), Preprocessing()),
        Net("vgg8bn", "vgg8bn_cifar10.onnx", (3, 32, 32), Preprocessing(scale=1 / 255)),
        Net("cnn3", "cnn3_nmnist.onnx", (2, 34, 34), Preprocessing()),
    )
}

#: Trained as the literature has them; `NETS` are the quick ones.
_CIFAR = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)}
LITERATURE = {
    name: Net(name, f"{name}.onnx", (3, 32, 32), Preprocessing(scale=1 / 255, **_CIFAR), name.split("_")[-1])
    for name in ("vgg16_cifar10", "resnet18_cifar100", "resnet20_cifar100", "mobilenet_v2_cifar10")
}


def event_frames(path: Path) -> tuple[Array, Array]:
    """Event recordings as event counts, float32 [3·N, 2, 34, 34], three frames per recording, and labels."""
    with np.load(path, allow_pickle=False) as file:
        events, offsets, labels = file["events"], file["offsets"], file["labels"]
    frames = np.zeros((len(labels), 3, 2, 34, 34), dtype=np.float32)
    for number, (start, stop) in enumerate(pairwise(offsets)):
        x, y, polarity, time = events[start:stop].T
        third = np.minimum((time - time.min()) * 3 // (time.max() - time.min() + 1), 2)
        np.add.at(frames[number], (third, polarity, y, x), 1)
    return frames.reshape(-1, 2, 34, 34), np.repeat(labels, 3)
