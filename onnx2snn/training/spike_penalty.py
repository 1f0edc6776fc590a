"""The spikes of a quantised net as something to minimise: the fine-grained L1 of Datta et al. (2023).

With the radix code a neuron sends one spike for every one-bit of its level k, so the L1 norm of the bits of
all activations is the number of spikes (When Bio-Inspired Computing meets Deep Learning, arXiv 2312.06900).
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from onnx2snn.errors import OptionError
from onnx2snn.training.quant_relu import QuantReLU


class SpikePenalty:
    """Counts the spikes of a net's `QuantReLU`s while it runs, differentiably.

        with SpikePenalty(network) as penalty:
            loss = cross_entropy(network(images), labels) + weight * penalty.per_neuron()

    A module that runs several times counts each time. See `count_bits` for the gradient.

    Args:
        network: with at least one `QuantReLU`; watched from now until `close`, or until `with` ends.

    Raises:
        OptionError: a network without one.
    """

    def __init__(self, network: nn.Module) -> None:
        activations = [module for module in network.modules() if isinstance(module, QuantReLU)]
        if not activations:
            raise OptionError(
                "network: expected a QuantReLU in it, found none; call quantize_relus(network, …) first"
            )
        self._hooks = [module.register_forward_hook(self._count) for module in activations]
        self._spikes: list[Tensor] = []
        self._neurons = 0

    def per_neuron(self) -> Tensor:
        """Mean spikes a neuron and sample since the last call, a scalar from 0 to T; and count anew.

        Raises:
            OptionError: the network has not run since.
        """
        if not self._spikes:
            raise OptionError("penalty: expected a run of the network before it, found none; run it first")
        mean = torch.stack(self._spikes).sum() / self._neurons
        self._spikes, self._neurons = [], 0
        return mean

    def close(self) -> None:
        """Watch the network no longer."""
        for hook in self._hooks:
            hook.remove()

    def __enter__(self) -> SpikePenalty:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _count(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        del output
        assert isinstance(module, QuantReLU)
        self._spikes.append(count_bits(inputs[0], module.step, module.levels).sum())
        self._neurons += inputs[0].numel()


def count_bits(x: Tensor, step: Tensor, levels: int) -> Tensor:
    """One-bits of k = clip(floor(x/q + 1/2), 0, N): the spikes that a radix neuron sends.

    Bit i is on in no level below 2^i and in half of those above it. Its surrogate is the line between these
    two, in u = x/q + 1/2, and the gradient is that of their sum where x is not negative:

        b_i(u) = min(u/2^i, 1)/2        d/du Σ b_i = 2^-e - 2^-T,  e the least with u < 2^e, T the bits of N

    So small activations, which are silenced for little, are pushed down hard, and the largest not at all.
    (A surrogate that follows every flip of a bit, up and down, saved fewer spikes at the same accuracy.)

    Args:
        x: pre-activations, any shape, floating point.
        step: q, a scalar above zero; takes its share of the gradient.
        levels: N.

    Returns:
        Of the shape and dtype of `x`.
    """
    return _count(x / step + 0.5, levels)


class _CountBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(u)
        ctx.bits = levels.bit_length()
        rest = u.floor().clamp(0, levels).int()
        count = torch.zeros_like(rest)
        for _ in range(ctx.bits):
            count += rest & 1
            rest >>= 1
        return count.to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors
        exponent = torch.frexp(u).exponent.clamp(0, ctx.bits)
        slope = torch.exp2(-exponent.to(u.dtype)) - 2.0**-ctx.bits
        return gradients[0] * slope.where(u >= 0.5, 0), None


_count: Callable[[Tensor, int], Tensor] = _CountBits.apply
