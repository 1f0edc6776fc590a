"""From a trained net with ReLUs to one with quantisers that is trained again, for few spikes if asked."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset

from onnx2snn.errors import DataError, OptionError
from onnx2snn.thresholds.histogram import ChannelHistogram
from onnx2snn.thresholds.rules import choose_ranges
from onnx2snn.thresholds.transfer import Transfer
from onnx2snn.training.quant_relu import QuantReLU, check_levels
from onnx2snn.training.spike_penalty import SpikePenalty

Samples: TypeAlias = "Dataset[tuple[Tensor, Tensor]]"
Loss = Callable[[Tensor, Tensor], Tensor]


def quantize_relus(network: nn.Module, levels: int, batches: Iterable[Tensor]) -> nn.Module:
    """A copy of the network with a `QuantReLU` in the place of every `nn.ReLU` and `nn.ReLU6`.

    Its range is the one of the least squared error on the batches, as the compiler would choose it. A module
    that the network uses in several places stays one, with one range for all of them.

    Args:
        network: left as it is; the copy is in eval mode.
        levels: N of every quantiser.
        batches: inputs of the network, on its device; a few hundred samples will do.

    Raises:
        OptionError: a network without such modules, or that calls `relu` as a function, which cannot be
            replaced; levels out of range.
        DataError: no batches, or activations that are not finite.
    """
    check_levels(levels)
    quantized = copy.deepcopy(network)
    relus = {
        path: module
        for path, module in quantized.named_modules(remove_duplicate=False)
        if path and type(module) in (nn.ReLU, nn.ReLU6)
    }
    if not relus:
        raise OptionError(
            "network: expected nn.ReLU or nn.ReLU6 modules in it, found none; "
            "write calls of relu() as modules, or use QuantReLU in the network itself"
        )
    statistics = _observe(quantized, relus.values(), batches)
    ceilings = {nn.ReLU: math.inf, nn.ReLU6: 6.0}
    replacements = {
        module: QuantReLU(levels, _range(histogram, levels, ceilings[type(module)]))
        for module, histogram in statistics.items()
    }
    for path, module in relus.items():
        quantized.set_submodule(path, replacements[module])
    device = next((tensor.device for tensor in network.parameters()), None)
    return quantized.to(device)


def _observe(
    network: nn.Module, relus: Iterable[nn.Module], batches: Iterable[Tensor]
) -> dict[nn.Module, ChannelHistogram]:
    """Histograms of what the modules put out; leaves the network in eval mode."""
    statistics = {module: ChannelHistogram(1) for module in relus}
    functions = _ReluFunctions()

    def enter(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        del module, inputs
        functions.in_module = True

    def leave(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        del inputs
        functions.in_module = False
        values = output.detach().cpu().double().numpy().reshape(1, -1)
        if not np.isfinite(values).all():
            raise DataError("batches: expected finite activations, found some that are not; check the inputs")
        statistics[module].add(values)

    hooks = [module.register_forward_pre_hook(enter) for module in statistics]
    hooks += [module.register_forward_hook(leave) for module in statistics]
    network.eval()
    number = 0
    with torch.no_grad(), functions:
        for batch in batches:
            network(batch)
            number += 1
    for hook in hooks:
        hook.remove()
    if not number:
        raise DataError("batches: expected at least one, found none; give some inputs of the network")
    if functions.calls:
        raise OptionError(
            f"network: expected ReLU in modules alone, found {functions.calls} calls of relu() as a "
            "function; write them as nn.ReLU modules"
        )
    return statistics


class _ReluFunctions(TorchFunctionMode):
    """Counts the calls of relu that no module makes."""

    _FUNCTIONS = frozenset(
        {functional.relu, functional.relu_, functional.relu6, torch.relu}
        | {torch.relu_, Tensor.relu, Tensor.relu_}
    )

    def __init__(self) -> None:
        super().__init__()
        self.in_module = False
        self.calls = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        self.calls += func in self._FUNCTIONS and not self.in_module
        return func(*args, **(kwargs or {}))


def _range(histogram: ChannelHistogram, levels: int, ceiling: float) -> float:
    return float(choose_ranges(histogram, "mse", Transfer(levels, levels), ceiling)[0])


@dataclass(frozen=True)
class Epoch:
    """Means over one epoch of `finetune`.

    Attributes:
        loss: without the penalty.
        spikes_per_neuron: a sample, in the radix code.
    """

    loss: float
    spikes_per_neuron: float


def finetune(
    network: nn.Module,
    dataset: Samples,
    *,
    epochs: int,
    seed: int,
    spike_weight: float = 0.0,
    learning_rate: float = 1e-3,
    batch_size: int = 64,
    loss: Loss = functional.cross_entropy,
) -> list[Epoch]:
    """Train a quantised network in place with Adam, on loss + spike_weight · spikes per neuron.

    The learning rate falls to 0 on half a cosine. Order, dropout and augmentation follow from the seed
    alone, and PyTorch's global generator is left as it was: a machine trains the same net every time.

    Args:
        network: with `QuantReLU`s; left in eval mode, to be exported.
        dataset: with a length; pairs of an input and a target, which go to the network's device in batches.
        epochs: at least 1.
        seed: of everything random.
        spike_weight: λ, at least 0: the loss that one spike more of every neuron is worth.
        learning_rate: the first one, above 0.
        batch_size: at least 1.
        loss: of the network's outputs and the targets, a mean over the batch.

    Returns:
        What each epoch came to.

    Raises:
        OptionError: numbers outside these, or a network without a `QuantReLU`.
        DataError: an empty dataset, or a loss that is not finite.
    """
    _check_whole("epochs", epochs)
    _check_whole("batch_size", batch_size)
    _check_number("spike_weight", spike_weight, spike_weight >= 0, "0 or more")
    _check_number("learning_rate", learning_rate, learning_rate > 0, "above 0")
    if not len(cast(Sized, dataset)):
        raise DataError("dataset: expected at least one sample, found none; give pairs of input and target")
    with torch.random.fork_rng(), SpikePenalty(network) as penalty:
        torch.manual_seed(seed)
        batches = DataLoader(dataset, batch_size, shuffle=True)
        optimizer = torch.optim.Adam(network.parameters(), learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(batches))
        network.train()
        history = []
        for _ in range(epochs):
            steps = []
            for inputs, targets in batches:
                steps.append(_step(network, inputs, targets, optimizer, penalty, spike_weight, loss))
                schedule.step()
            history.append(Epoch(*torch.tensor(steps).mean(dim=0).tolist()))
    network.eval()
    return history


def _step(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    optimizer: torch.optim.Optimizer,
    penalty: SpikePenalty,
    spike_weight: float,
    loss: Loss,
) -> tuple[float, float]:
    """One step of the optimiser; loss without the penalty, and spikes per neuron."""
    device = next(network.parameters()).device
    task = loss(network(inputs.to(device)), targets.to(device))
    spikes = penalty.per_neuron()
    if not torch.isfinite(task):
        raise DataError(
            f"dataset: expected a finite loss, found {task.item()}; "
            "check the inputs and targets, or give a smaller learning_rate"
        )
    optimizer.zero_grad()
    torch.autograd.backward(task + spike_weight * spikes)
    optimizer.step()
    return task.item(), spikes.item()


def _check_whole(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"{name}: expected an integer of at least 1, found {value!r}; give one")


def _check_number(name: str, value: float, fits: bool, wanted: str) -> None:
    if not (fits and math.isfinite(value)):
        raise OptionError(f"{name}: expected a finite number, {wanted}, found {value!r}; give one")
