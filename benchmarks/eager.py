"""The same spiking network in eager PyTorch, as papers simulate it: a Python loop over time.

It reads the parts of our own artifact, so that weights, thresholds and results are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as functional
from onnx import helper, numpy_helper
from torch import Tensor

from onnx2snn.artifact.artifact import Artifact, final_name
from onnx2snn.ops.names import TIMESTEPS

#: Inputs (None where omitted) and attributes of a node → its outputs.
Operator = Callable[[list[Any], dict[str, Any]], tuple[Tensor, ...]]


class EagerNetwork:
    """An artifact of the schedule `stream` in eager PyTorch.

    Raises:
        KeyError: an operator that no net of the benchmarks has.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        parts = [part for part in (artifact.prefix, artifact.step, artifact.head) if part is not None]
        self._constants = {
            item.name: torch.from_numpy(numpy_helper.to_array(item).copy())
            for part in parts
            for item in part.graph.initializer
        }
        # Looked up once: what the loop costs shall be PyTorch, not this dictionary.
        self._plans = {part.graph.name: _plan(part) for part in parts}

    @torch.inference_mode()
    def run(self, feeds: Mapping[str, np.ndarray], timesteps: int) -> dict[str, np.ndarray]:
        """Run samples for so many timesteps; the outputs' mean."""
        artifact, constants = self._artifact, self._constants
        values = constants | {name: torch.from_numpy(array) for name, array in feeds.items()}
        if artifact.prefix is not None:
            _execute(self._plans[artifact.prefix.graph.name], values)
        state = {value.before: torch.from_numpy(np.array(value.initial)) for value in artifact.carried}
        for _ in range(timesteps):
            step = values | state
            _execute(self._plans[artifact.step.graph.name], step)
            state = {value.before: step[value.after] for value in artifact.carried}
        values |= {final_name(value): state[value.before] for value in artifact.carried}
        values[TIMESTEPS] = torch.tensor(timesteps)
        _execute(self._plans[artifact.head.graph.name], values)
        return {name: values[name].numpy() for name in artifact.outputs}


_Plan = list[tuple[Operator, list[str], dict[str, Any], list[str]]]


def _plan(part: onnx.ModelProto) -> _Plan:
    return [
        (
            OPERATORS[node.op_type],
            list(node.input),
            {item.name: helper.get_attribute_value(item) for item in node.attribute},
            list(node.output),
        )
        for node in part.graph.node
    ]


def _execute(plan: _Plan, values: dict[str, Any]) -> None:
    for operator, inputs, attributes, outputs in plan:
        results = operator([values[name] if name else None for name in inputs], attributes)
        values.update(zip(outputs, results, strict=False))


def _convolve(inputs: list[Any], attributes: dict[str, Any]) -> tuple[Tensor, ...]:
    x, weight, *bias = inputs
    pads = attributes.get("pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:]:
        x, pads = functional.pad(x, (pads[1], pads[3], pads[0], pads[2])), [0, 0]
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    given = bias[0] if bias else None
    return (functional.conv2d(x, weight, given, strides, pads[:2], dilations, attributes.get("group", 1)),)


def _fire(inputs: list[Any], attributes: dict[str, Any]) -> tuple[Tensor, ...]:
    """Potential, floor, clamp: the burst neuron of Li & Zeng 2022."""
    current, potential, threshold = inputs
    potential = potential + current
    if threshold.numel() == 1 and threshold.item() == 1:  # in the weights: as cheap as it gets
        output = potential.floor().clamp_(0, attributes["max_spikes"])
    else:
        output = (potential / threshold).floor_().clamp_(0, attributes["max_spikes"]) * threshold
    potential -= output
    return output, potential


def _pool(inputs: list[Any], attributes: dict[str, Any]) -> tuple[Tensor, ...]:
    x, total, pooled = inputs
    total = x + total
    kernel, strides, pads = (attributes[name] for name in ("kernel_shape", "strides", "pads"))
    now = functional.max_pool2d(total, kernel, strides, pads[:2], ceil_mode=bool(attributes["ceil_mode"]))
    return now - pooled, total, now


def _slice(inputs: list[Any], attributes: dict[str, Any]) -> tuple[Tensor, ...]:
    del attributes
    x, starts, ends, axes, steps = inputs
    places = [slice(None)] * x.ndim
    for start, end, axis, step in zip(*(t.tolist() for t in (starts, ends, axes, steps)), strict=True):
        places[axis] = slice(start, min(end, x.shape[axis]), step)
    return (x[tuple(places)],)


def _pad(inputs: list[Any], attributes: dict[str, Any]) -> tuple[Tensor, ...]:
    del attributes
    pads = inputs[1].tolist()
    ends = zip(reversed(pads[: len(pads) // 2]), reversed(pads[len(pads) // 2 :]), strict=True)
    return (functional.pad(inputs[0], [size for pair in ends for size in pair]),)


def _average(inputs: list[Any], attributes: dict[str, Any]) -> tuple[Tensor, ...]:
    return (functional.avg_pool2d(inputs[0], attributes["kernel_shape"], attributes.get("strides", [1, 1])),)


def _multiply(inputs: list[Any], attributes: dict[str, Any]) -> tuple[Tensor, ...]:
    x, weight, *bias = inputs
    product = x @ (weight.T if attributes.get("transB", 0) else weight)
    return (product + bias[0] if bias else product,)


OPERATORS: dict[str, Operator] = {
    "Add": lambda inputs, _: (inputs[0] + inputs[1],),
    "AveragePool": _average,
    "BurstIF": _fire,
    "Cast": lambda inputs, _: (inputs[0].float(),),
    "Conv": _convolve,
    "Div": lambda inputs, _: (inputs[0] / inputs[1],),
    "Flatten": lambda inputs, _: (inputs[0].flatten(1),),
    "Gemm": _multiply,
    "GlobalAveragePool": lambda inputs, _: (inputs[0].mean((2, 3), keepdim=True),),
    "LIPool": _pool,
    "MatMul": _multiply,
    "Mul": lambda inputs, _: (inputs[0] * inputs[1],),
    "Pad": _pad,
    "Slice": _slice,
}
