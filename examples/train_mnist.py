"""Train a net for spikes, once as it is and once with the spike penalty, and compare the spiking networks.

Needs `pip install 'onnx2snn[train]'`, and the folder with `mnist_train4000.npz` and `mnist_test2000.npz`
(`images` uint8 [N, 1, 28, 28], `labels` int64 [N]) in ONNX2SNN_DATA. Takes two minutes on two CPU cores.

A small ResNet with BatchNorm, MaxPool and ReLU modules used twice learns the digits. Then every ReLU becomes
a quantiser with 15 levels, which 4 timesteps of the radix code have room for, and the net is fine-tuned from
there twice, for as long and with the same seed: with and without the penalty. The same machine and package
versions print the same numbers every time.

The spiking network computes what the exported net does in the same runtime. PyTorch adds in another order:
where an activation lies on the edge between two levels to the last bits of float32, it may round to the other
one, and the image then comes out a little different. The table counts the images for which that is so.
"""

import argparse
import copy
import io
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import onnx2snn
from onnx2snn.training import finetune, quantize_relus

SEED = 0
CHANNELS = 12
TRAIN_EPOCHS = 8
FINETUNE_EPOCHS = 6
TIMESTEPS = 4
LEVELS = 2**TIMESTEPS - 1
SPIKE_WEIGHT = 0.5
CALIBRATION_SAMPLES = 500
#: Logits are the same up to here; the next larger difference is a neuron that fires another level.
SAME = 1e-4


class ConvNorm(nn.Sequential):
    """A 3x3 convolution that keeps the image size, then BatchNorm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs))


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


def digit_network() -> nn.Module:
    """Return the untrained network: float32 [N, 1, 28, 28] in 0..1 to logits [N, 10]."""
    return nn.Sequential(
        ConvNorm(1, CHANNELS),
        nn.ReLU(),
        nn.MaxPool2d(2),
        Residual(CHANNELS),
        ConvNorm(CHANNELS, 2 * CHANNELS),
        nn.ReLU(),
        nn.MaxPool2d(2),
        Residual(2 * CHANNELS),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * CHANNELS, 10),
    )


class Digits(Dataset):
    """Images with labels, each moved by at most two pixels each way whenever it is asked for."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = functional.pad(images, (2, 2, 2, 2))
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        down, right = torch.randint(5, (2,)).tolist()
        return self.images[index, :, down : down + 28, right : right + 28], self.labels[index]


def load(path: Path) -> tuple[Tensor, Tensor]:
    """Read images, scaled to float32 0..1, and labels."""
    with np.load(path, allow_pickle=False) as file:
        return torch.from_numpy(file["images"].astype(np.float32) / 255), torch.from_numpy(file["labels"])


def train(network: nn.Module, dataset: Digits) -> None:
    """Fit the network with its ReLUs, in place; it keeps the last epoch, so test images choose nothing."""
    torch.manual_seed(SEED)
    batches = DataLoader(dataset, batch_size=64, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters())
    steps = TRAIN_EPOCHS * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    network.train()
    for _ in range(TRAIN_EPOCHS):
        for images, labels in batches:
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def export(network: nn.Module) -> onnx.ModelProto:
    """Write the network as ONNX; the newer exporter (dynamo=True) does as well."""
    buffer = io.BytesIO()
    axes = {"images": {0: "batch"}, "logits": {0: "batch"}}
    names = {"input_names": ["images"], "output_names": ["logits"], "dynamic_axes": axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(network, (torch.zeros(1, 1, 28, 28),), buffer, dynamo=False, **names)
    return onnx.load_model_from_string(buffer.getvalue())


@dataclass(frozen=True)
class Measured:
    """A trained net beside its spiking network, on all test images.

    Attributes:
        net_accuracy: of the net in PyTorch.
        accuracy: of the spiking network.
        spikes: a sample.
        operations: synaptic operations a sample.
        to_onnx: largest difference of a logit to the exported net in onnxruntime.
        to_torch: the same to the net in PyTorch.
        others: images of which a logit differs from PyTorch's by more than `SAME`.
    """

    net_accuracy: float
    accuracy: float
    spikes: float
    operations: float
    to_onnx: float
    to_torch: float
    others: int


def compare(
    network: nn.Module, exported: onnx.ModelProto, artifact: onnx.ModelProto, images: Tensor, labels: Tensor
) -> Measured:
    """Run the net in PyTorch, as exported and as compiled, and count spikes and synaptic operations."""
    net = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    snn = onnx2snn.SpikingSession(artifact)
    torch_logits, onnx_logits, logits, spikes, operations = [], [], [], 0, 0
    for batch in images.split(250):
        (run,) = snn.run_counted(batch.numpy(), [TIMESTEPS])
        logits.append(run.outputs["logits"])
        spikes += sum(int(count.sum()) for count in run.spikes.values())
        operations += sum(int(count.sum()) for count in run.synaptic_operations.values())
        onnx_logits.append(net.run(["logits"], {"images": batch.numpy()})[0])
        with torch.no_grad():
            torch_logits.append(network(batch).numpy())
    found, expected, truth = np.concatenate(logits), np.concatenate(torch_logits), labels.numpy()
    differences = np.abs(found - expected).max(axis=1)
    return Measured(
        net_accuracy=np.mean(expected.argmax(axis=1) == truth),
        accuracy=np.mean(found.argmax(axis=1) == truth),
        spikes=spikes / len(truth),
        operations=operations / len(truth),
        to_onnx=np.abs(found - np.concatenate(onnx_logits)).max(),
        to_torch=differences.max(),
        others=np.count_nonzero(differences > SAME),
    )


def report(rows: dict[str, Measured]) -> Table:
    """Lay out the measurements, with spikes and operations as a share of the first row's."""
    title = f"MNIST, {LEVELS} levels, T = {TIMESTEPS}, schedule layer, code radix"
    caption = f"largest |SNN - net| over all logits; in brackets the images that differ by more than {SAME:g}"
    table = Table(title=title, caption=caption)
    for column in ("trained", "net", "SNN", "spikes", "synaptic operations", "to ONNX net", "to PyTorch net"):
        table.add_column(column, justify="left" if column == "trained" else "right")
    first = next(iter(rows.values()))
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row.net_accuracy:.2%}",
            f"{row.accuracy:.2%}",
            f"{row.spikes:,.0f} ({row.spikes / first.spikes - 1:+.0%})",
            f"{row.operations:,.0f} ({row.operations / first.operations - 1:+.0%})",
            f"{row.to_onnx:.1e}",
            f"{row.to_torch:.1e} ({row.others})",
        )
    return table


def main() -> None:
    """Train, fine-tune twice, compile, and print the table."""
    parser = argparse.ArgumentParser(description="Train MNIST for spikes, with and without the penalty.")
    parser.add_argument("--out", type=Path, help="directory for the two artifacts [none is written]")
    out = parser.parse_args().out
    if "ONNX2SNN_DATA" not in os.environ:
        sys.exit("ONNX2SNN_DATA: expected a folder with mnist_train4000.npz, found nothing; set the variable")
    data = Path(os.environ["ONNX2SNN_DATA"])
    images, labels = load(data / "mnist_train4000.npz")
    test_images, test_labels = load(data / "mnist_test2000.npz")

    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # one order of summation, whatever the number of cores
    torch.use_deterministic_algorithms(True)
    dataset, calibration = Digits(images, labels), images[:CALIBRATION_SAMPLES]
    network = digit_network()
    train(network, dataset)
    quantized = quantize_relus(network, LEVELS, calibration.split(100))

    rows = {}
    for name, weight in {"plain": 0.0, "penalty": SPIKE_WEIGHT}.items():
        trained = copy.deepcopy(quantized)
        finetune(trained, dataset, epochs=FINETUNE_EPOCHS, seed=SEED, spike_weight=weight, learning_rate=3e-3)
        exported = export(trained)
        compiled = onnx2snn.compile(
            exported,
            calibration.numpy(),
            schedule="layer",
            code="radix",
            timesteps=TIMESTEPS,
            correct_bias=False,  # there is no error to correct
        )
        rows[name] = compare(trained, exported, compiled.model, test_images, test_labels)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            compiled.save(out / f"mnist_{name}.snn.onnx")
    Console(width=110).print(report(rows))


if __name__ == "__main__":
    main()
