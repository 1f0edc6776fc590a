"""Training nets that become spiking networks without loss, and with few spikes. Needs PyTorch.

    trained = quantize_relus(network, levels=15, batches=calibration_batches)
    finetune(trained, dataset, epochs=5, seed=0, spike_weight=0.3)
    torch.onnx.export(trained.eval(), example, "model.onnx")

The compiler takes every quantiser's levels and range from the file: with at most 2^T - 1 levels the net that
`onnx2snn.compile("model.onnx", …, schedule="layer", code="radix", timesteps=T)` writes computes what the
trained net does, and a spike is a one-bit of an activation.
"""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("onnx2snn.training: expected PyTorch, found none; pip install 'onnx2snn[train]'")

from onnx2snn.training.finetune import Epoch, finetune, quantize_relus
from onnx2snn.training.quant_relu import QuantReLU
from onnx2snn.training.spike_penalty import SpikePenalty

__all__ = ["Epoch", "QuantReLU", "SpikePenalty", "finetune", "quantize_relus"]
