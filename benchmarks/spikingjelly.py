"""SpikingJelly's converted net, where it is installed: IF neurons, a step at a time, in inference mode.

Only its time is compared, which does not depend on weights: these are random. Accuracy of its conversions is
another matter (see the documentation).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from spikingjelly.activation_based import functional
from spikingjelly.activation_based.ann2snn import Converter, RateCodingRecipe
from torch import Tensor, nn


class _Block(nn.Module):
    """A residual block of CIFAR's ResNets, with a projection where the size changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.relu2 = nn.ReLU()
        changes = stride > 1 or inputs != outputs
        self.shortcut: nn.Module = nn.Conv2d(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.conv2(self.relu1(self.conv1(x))) + self.shortcut(x))


def resnet20() -> nn.Module:
    """A ResNet-20 for 32×32 images, BatchNorm folded."""
    blocks: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU()]
    channels = 16
    for width in (16, 32, 64):
        for number in range(3):
            blocks.append(_Block(channels, width, 2 if width > 16 and number == 0 else 1))
            channels = width
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def vgg16(widths: tuple[int, ...]) -> nn.Module:
    """A VGG-16 for 32×32 images; 0 is a MaxPool."""
    layers: list[nn.Module] = []
    channels = 3
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        channels = width or channels
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, 10))


def make_runner(ann: nn.Module, timesteps: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Convert a net, and give what runs it: a batch of images → its output's mean."""
    torch.set_num_threads(threads)
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    recipe = RateCodingRecipe([(images, torch.zeros(16))], mode="Max")
    network = Converter(recipe).convert(ann.eval()).eval()

    @torch.inference_mode()
    def run(batch: np.ndarray) -> np.ndarray:
        functional.reset_net(network)
        x = torch.from_numpy(batch)
        total = network(x)
        for _ in range(timesteps - 1):
            total = total + network(x)
        return (total / timesteps).numpy()

    return run
