"""Swapping ReLUs for quantisers, and training them."""

from __future__ import annotations

import pytest

from onnx2snn import DataError, OptionError

torch = pytest.importorskip("torch", reason="PyTorch is in the extra 'train'")

from torch import nn  # noqa: E402 - only with PyTorch
from torch.nn import functional  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

from onnx2snn.training import QuantReLU, SpikePenalty, finetune, quantize_relus  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Block(nn.Module):
    """One ReLU module in two places, by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.relu = nn.ReLU(inplace=True)
        self.same = self.relu

    def forward(self, x):
        return self.same(x + self.second(self.relu(self.first(x))))


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU6(), Block(), nn.Linear(4, 3))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def test_every_relu_becomes_a_quantiser_and_a_shared_one_stays_shared():
    net = network()
    found = quantize_relus(net, 15, [noise(64, 4)])
    assert [type(m) for m in found.modules() if isinstance(m, (nn.ReLU, nn.ReLU6))] == []
    assert sum(isinstance(m, QuantReLU) for m in found.modules()) == 2
    assert found[3].relu is found[3].same
    assert type(net[2]) is nn.ReLU6  # a copy was changed
    assert net.training


def test_ranges_come_from_the_data():
    net = nn.Sequential(nn.ReLU(), nn.ReLU6())
    found = quantize_relus(net, 255, [torch.full((8, 4), value) for value in (-1.0, 50.0, 20.0)])
    assert found[0].range.item() == pytest.approx(50, rel=0.1)
    assert found[1].range.item() == pytest.approx(6, rel=1e-6)
    x = noise(256, 4)
    assert quantize_relus(net, 255, [x])[0](x).sub(x.relu()).abs().max() < 0.02


def test_many_levels_change_next_to_nothing():
    net, x = network().eval(), noise(64, 4)
    with torch.no_grad():
        error = (quantize_relus(net, 4095, [x])(x) - net(x)).abs().max()
    assert 0 < error < 0.01


class Functional(nn.Module):
    """A ReLU module and a call of relu."""

    def __init__(self, relu) -> None:
        super().__init__()
        self.module, self.function = nn.ReLU(), relu

    def forward(self, x):
        return self.function(self.module(x) - 1)


@pytest.mark.parametrize("relu", [functional.relu, functional.relu6, torch.relu, torch.Tensor.relu])
def test_refuses_calls_of_relu_as_a_function(relu):
    with pytest.raises(OptionError, match=r"found 1 calls of relu\(\) as a function; write them as nn.ReLU"):
        quantize_relus(Functional(relu), 15, [noise(4, 4)])


def test_refuses_a_network_without_relus():
    with pytest.raises(OptionError, match=r"expected nn\.ReLU or nn\.ReLU6 modules in it, found none"):
        quantize_relus(nn.Sequential(nn.Linear(2, 2)), 15, [noise(4, 2)])


def test_refuses_levels():
    with pytest.raises(OptionError, match="levels: expected an integer from 1 to 65535, found 0"):
        quantize_relus(network(), 0, [noise(4, 4)])


def test_refuses_no_batches_and_activations_that_are_not_finite():
    with pytest.raises(DataError, match="batches: expected at least one, found none"):
        quantize_relus(network(), 15, [])
    with pytest.raises(DataError, match="batches: expected finite activations"):
        quantize_relus(network(), 15, [torch.full((2, 4), torch.inf)])


def separable() -> TensorDataset:
    x = noise(512, 4)
    return TensorDataset(x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long())


def trained(weight: float, seed: int = 0):
    dataset = separable()
    net = quantize_relus(network(), 15, [dataset.tensors[0]])
    history = finetune(
        net, dataset, epochs=6, seed=seed, spike_weight=weight, learning_rate=0.03, batch_size=32
    )
    return net, history


def test_learns_and_the_penalty_saves_spikes():
    net, history = trained(0.0)
    assert history[-1].loss < 0.6 * history[0].loss
    assert not net.training
    _, sparse = trained(0.3)
    assert sparse[-1].spikes_per_neuron < 0.7 * history[-1].spikes_per_neuron


def test_trains_the_ranges_too():
    net, _ = trained(0.0)
    before = quantize_relus(network(), 15, [separable().tensors[0]])
    assert net[2].range.item() != pytest.approx(before[2].range.item(), rel=1e-3)


def test_the_seed_alone_decides():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, history = trained(0.1)
    torch.manual_seed(5)
    torch.rand(3)
    second, again = trained(0.1)
    assert history == again
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert trained(0.1, seed=1)[1] != history
    torch.set_rng_state(state)
    net = quantize_relus(network(), 15, [noise(4, 4)])
    state = torch.get_rng_state()
    finetune(net, separable(), epochs=1, seed=0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: expected an integer of at least 1, found 0"),
        ({"batch_size": 2.5}, "batch_size: expected an integer of at least 1, found 2.5"),
        ({"spike_weight": -1.0}, "spike_weight: expected a finite number, 0 or more, found -1.0"),
        ({"spike_weight": float("nan")}, "spike_weight: expected a finite number"),
        ({"learning_rate": 0.0}, "learning_rate: expected a finite number, above 0, found 0.0"),
    ],
)
def test_refuses_options(options, message):
    net = quantize_relus(network(), 15, [noise(4, 4)])
    with pytest.raises(OptionError, match=message):
        finetune(net, separable(), **({"epochs": 1, "seed": 0} | options))


def test_refuses_data_that_it_cannot_learn_from():
    net = quantize_relus(network(), 15, [noise(4, 4)])
    with pytest.raises(DataError, match="dataset: expected at least one sample, found none"):
        finetune(net, TensorDataset(noise(0, 4), torch.zeros(0).long()), epochs=1, seed=0)
    broken = TensorDataset(torch.full((4, 4), torch.nan), torch.zeros(4).long())
    with pytest.raises(DataError, match="dataset: expected a finite loss, found nan"):
        finetune(net, broken, epochs=1, seed=0)
    with SpikePenalty(net) as penalty:  # the hooks of the failed runs are gone
        net.eval()(noise(4, 4))
        assert penalty.per_neuron().item() >= 0
