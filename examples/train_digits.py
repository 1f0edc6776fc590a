"""Train the small digit classifier that `onnx2snn demo` compiles, and write it with its data.

Needs, besides onnx2snn itself: `pip install torch scikit-learn`. Takes under a minute on one CPU core.

The data are scikit-learn's bundled digits: 1,797 grey images of 8x8 pixels with values 0..16, no download.
The network is a ResNet in miniature, with what a compiler has to cope with: BatchNorm after every
convolution, a ReLU module used twice, a residual Add, MaxPool, global average pooling. Three files:

    digits.onnx              `images` float32 [batch, 1, 8, 8] in 0..1  ->  `logits` float32 [batch, 10]
    digits_calibration.npz   300 training images: `images` uint8 [N, 1, 8, 8] in 0..16, `labels` int64 [N]
    digits_test.npz          500 images that training never saw, same keys

Feed the network `images / 16`. The same machine and package versions write the same bytes every time.
"""

import argparse
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

SEED = 0
EPOCHS = 60
TEST_SAMPLES = 500
CALIBRATION_SAMPLES = 300
DEFAULT_OUT = Path(__file__).parents[1] / "onnx2snn" / "demo"


class ConvNorm(nn.Module):
    """A 3x3 convolution that keeps the image size, then BatchNorm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, inputs, height, width] to [batch, outputs, height, width]."""
        return self.norm(self.conv(x))


class Residual(nn.Module):
    """The basic ResNet block; shapes stay as they are."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels)
        self.second = ConvNorm(channels, channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(x + second(relu(first(x))))."""
        return self.relu(x + self.second(self.relu(self.first(x))))


def digit_network(channels: int = 24) -> nn.Module:
    """Return the untrained network; its layers' names become the node names of the ONNX file."""
    layers = {
        "stem": ConvNorm(1, channels),
        "stem_relu": nn.ReLU(),
        "block": Residual(channels),
        "pool": nn.MaxPool2d(2),
        "widen": ConvNorm(channels, 2 * channels),
        "widen_relu": nn.ReLU(),
        "average": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "classifier": nn.Linear(2 * channels, 10),
    }
    return nn.Sequential(OrderedDict(layers))


def to_input(images: np.ndarray) -> Tensor:
    """Scale pixels 0..16 to the float32 range 0..1 that the network takes."""
    return torch.from_numpy(images.astype(np.float32) / 16)


def shift(images: Tensor) -> Tensor:
    """Move a batch by at most one pixel each way, filling in with background."""
    down, right = torch.randint(3, (2,)).tolist()
    return functional.pad(images, (1, 1, 1, 1))[:, :, down : down + 8, right : right + 8]


def train(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> None:
    """Fit the network in place. It keeps the last epoch, so the test images choose nothing."""
    samples = TensorDataset(to_input(images), torch.from_numpy(labels))
    loader = DataLoader(samples, batch_size=32, shuffle=True)
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=EPOCHS * len(loader))
    network.train()
    for _ in range(EPOCHS):
        for inputs, targets in loader:
            optimizer.zero_grad()
            functional.cross_entropy(network(shift(inputs)), targets).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def export(network: nn.Module, path: Path) -> None:
    """Write ONNX in which every BatchNorm is still a node: hence the older exporter, and no folding."""
    axes = {"images": {0: "batch"}, "logits": {0: "batch"}}
    names = {"input_names": ["images"], "output_names": ["logits"], "dynamic_axes": axes}
    keep_nodes = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    example = (torch.zeros(1, 1, 8, 8),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(network, example, path, dynamo=False, opset_version=17, **names, **keep_nodes)


def main() -> None:
    """Train, write the three files, and report the held-out accuracy before and after export."""
    parser = argparse.ArgumentParser(description="Train the digit classifier of `onnx2snn demo`.")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="directory to write to [%(default)s]")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # one order of summation, whatever the number of cores
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    images, labels = digits.images[:, np.newaxis].astype(np.uint8), digits.target.astype(np.int64)
    split = train_test_split(images, labels, test_size=TEST_SAMPLES, stratify=labels, random_state=SEED)
    train_images, test_images, train_labels, test_labels = split
    network = digit_network()
    train(network, train_images, train_labels)

    export(network, out / "digits.onnx")
    calibration = {"images": train_images[:CALIBRATION_SAMPLES], "labels": train_labels[:CALIBRATION_SAMPLES]}
    np.savez_compressed(out / "digits_calibration.npz", **calibration)
    np.savez_compressed(out / "digits_test.npz", images=test_images, labels=test_labels)

    inputs = to_input(test_images)
    with torch.no_grad():
        before = network(inputs).numpy()
    (after,) = onnxruntime.InferenceSession(out / "digits.onnx").run(["logits"], {"images": inputs.numpy()})
    for name, logits in {"PyTorch": before, "digits.onnx": after}.items():
        print(f"{name:<11}  held-out accuracy {np.mean(logits.argmax(axis=1) == test_labels):.1%}")


if __name__ == "__main__":
    main()
