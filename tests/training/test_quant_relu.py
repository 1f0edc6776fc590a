"""The quantiser: its values, its gradients, and that the compiler recognises it from both exporters."""

from __future__ import annotations

import io

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn import OptionError

torch = pytest.importorskip("torch", reason="PyTorch is in the extra 'train'")

from torch import nn  # noqa: E402 - only with PyTorch

from onnx2snn.training import QuantReLU, SpikePenalty  # noqa: E402


def quantized(x, levels=4, limit=2.0):
    """Outputs of a quantiser, and the gradients of their sum in the inputs and in the step."""
    module = QuantReLU(levels, limit)
    x = torch.tensor(x, requires_grad=True)
    y = module(x)
    y.sum().backward()
    # d range / d log_range = range, d range / d step = N
    return y.tolist(), x.grad.tolist(), module.log_range.grad.item() / limit * levels


def test_rounds_to_the_nearest_level_and_ties_up():
    values, _, _ = quantized([-1.0, -0.26, -0.25, 0.24, 0.25, 0.74, 0.75, 2.0, 2.24, 2.25, 9.0])
    assert values == [0, 0, 0, 0, 0.5, 0.5, 1, 2, 2, 2, 2]


def test_gradient_passes_wherever_the_level_is_one_of_its_own():
    _, gradients, _ = quantized([-0.26, -0.24, 0.1, 1.3, 2.0, 2.24, 2.25, 9.0])
    assert gradients == [0, 1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(("x", "gradient"), [(-3.0, 0), (0.6, 1 - 1.2), (0.8, 2 - 1.6), (2.0, 0), (9.0, 4)])
def test_step_has_the_gradient_of_lsq(x, gradient):
    assert quantized([x])[2] == pytest.approx(gradient, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_keeps_the_dtype_of_its_input(dtype):
    assert QuantReLU(3)(torch.zeros(2, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("levels", [0, 65536, 3.0, True])
def test_refuses_levels(levels):
    with pytest.raises(OptionError, match="levels: expected an integer from 1 to 65535"):
        QuantReLU(levels)


@pytest.mark.parametrize("limit", [0.0, -1.0, np.inf, np.nan])
def test_refuses_a_range(limit):
    with pytest.raises(OptionError, match="range: expected a finite number above zero"):
        QuantReLU(3, limit)


def network() -> nn.Module:
    """Conv, BatchNorm that changes something, one quantiser in two places, MaxPool, Linear; in eval mode."""
    torch.manual_seed(0)
    shared = QuantReLU(15, 2.7)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), shared, nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), shared, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 5), QuantReLU(7, 0.9), nn.Linear(5, 3),
    )  # fmt: skip
    for module in net:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.1, 0.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return net.eval()


def export(net: nn.Module, images: torch.Tensor, *, dynamo: bool) -> onnx.ModelProto:
    names = {"input_names": ["images"], "output_names": ["logits"]}
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript is in the extra 'train'")
        batch = ({0: torch.export.Dim("batch", min=1)},)
        program = torch.onnx.export(net, (images,), dynamo=True, dynamic_shapes=batch, verbose=False, **names)
        return program.model_proto
    axes = {"images": {0: "batch"}, "logits": {0: "batch"}}
    buffer = io.BytesIO()
    torch.onnx.export(net, (images,), buffer, dynamo=False, dynamic_axes=axes, **names)
    return onnx.load_model_from_string(buffer.getvalue())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
def test_compiles_to_a_network_that_computes_the_same(dynamo):
    net, images = network(), torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), SpikePenalty(net) as penalty:
        expected = net(images).numpy()
        bits = penalty.per_neuron().item()
    model = export(net, images, dynamo=dynamo)

    layer = onnx2snn.compile(model, images.numpy(), schedule="layer", code="radix", timesteps=4)
    neurons = layer.report.to_dict()["neurons"].values()
    assert [(neuron["op"], neuron["levels"]) for neuron in neurons] == [
        ("AccumulateFire", 15),
        ("AccumulateFire", 15),
        ("AccumulateFire", 7),
    ]
    assert [neuron["threshold"]["median"] * neuron["levels"] for neuron in neurons] == pytest.approx(
        [2.7, 2.7, 0.9], rel=1e-6
    )
    (run,) = onnx2snn.SpikingSession(layer.model).run_counted(images.numpy(), [4])
    np.testing.assert_allclose(run.outputs["logits"], expected, rtol=0, atol=1e-5)
    # A radix neuron sends one spike a one-bit: what the penalty counts is what the network sends.
    spikes = sum(int(count.sum()) for count in run.spikes.values())
    assert spikes > 1000
    assert spikes == round(bits * len(images) * (4 * 64 + 6 * 16 + 5))

    stream = onnx2snn.compile(model, images.numpy(), timesteps=3, code="burst")
    assert {neuron["op"] for neuron in stream.report.to_dict()["neurons"].values()} == {"QuantizedIF"}
    found = onnx2snn.SpikingSession(stream.model).run(images.numpy()).outputs["logits"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
