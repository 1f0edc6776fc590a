"""The penalty: what it counts, and which way its gradient pushes."""

from __future__ import annotations

import pytest

from onnx2snn import OptionError

torch = pytest.importorskip("torch", reason="PyTorch is in the extra 'train'")

from torch import nn  # noqa: E402 - only with PyTorch

from onnx2snn.training import QuantReLU, SpikePenalty  # noqa: E402
from onnx2snn.training.spike_penalty import count_bits  # noqa: E402


def bits(x, levels, step=1.0):
    """One-bits of pre-activations, and the gradients of their sum in these and in the step."""
    x, step = torch.tensor(x, requires_grad=True), torch.tensor(step, requires_grad=True)
    count = count_bits(x, step, levels)
    count.sum().backward()
    return count.tolist(), x.grad.tolist(), step.grad.item()


@pytest.mark.parametrize("levels", [1, 2, 5, 15, 255])
def test_counts_the_one_bits_of_every_level(levels):
    found, _, _ = bits([float(level) for level in range(-2, levels + 3)], levels)
    clipped = [min(max(level, 0), levels) for level in range(-2, levels + 3)]
    assert found == [level.bit_count() for level in clipped]


def test_rounds_as_the_quantiser_does():
    step, x = 0.37, torch.linspace(-1, 7, 400)
    level = QuantReLU(15, 15 * step)(x) / step
    expected = [round(value).bit_count() for value in level.tolist()]
    assert count_bits(x, torch.tensor(step), 15).tolist() == expected


def test_gradient_is_that_of_the_lines_between_the_bits_means():
    # u = x + 1/2; bit i adds 2^-(i+1) while u < 2^i
    _, gradients, _ = bits([-0.6, -0.1, 0.1, 0.6, 1.4, 2.5, 3.4, 3.6, 7.4, 7.6, 20.0], 15)
    full, two, three = 15 / 16, 7 / 16, 3 / 16
    assert gradients == [0, 0, full, two, two, three, three, 1 / 16, 1 / 16, 0, 0]


def test_a_larger_step_means_fewer_spikes():
    assert bits([1.4], 15, step=2.0)[2] == pytest.approx(-7 / 16 * 1.4 / 4)


def test_counts_every_run_of_a_module_and_starts_anew():
    shared = QuantReLU(7, 7.0)
    net = nn.Sequential(shared, nn.Identity(), shared)
    with SpikePenalty(net) as penalty:
        net(torch.tensor([[3.0, 0.0], [7.0, 1.0]]))
        assert penalty.per_neuron().item() == pytest.approx(2 * (2 + 0 + 3 + 1) / 8)
        with pytest.raises(OptionError, match="penalty: expected a run of the network"):
            penalty.per_neuron()
        net(torch.tensor([[4.0, 0.0]]))
        assert penalty.per_neuron().item() == pytest.approx(2 * 1 / 4)
    net(torch.ones(1, 2))
    with pytest.raises(OptionError, match="penalty: expected a run of the network"):
        penalty.per_neuron()


def test_refuses_a_network_without_quantisers():
    with pytest.raises(OptionError, match=r"network: expected a QuantReLU in it, found none; call quantize"):
        SpikePenalty(nn.ReLU())
