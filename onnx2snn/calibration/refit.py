"""Refit of weights: W of a layer → W + Δ, so that it makes of spikes what it made of activations.

A least-squares problem for each output channel, in closed form from second moments (ridge regression):

    Δ = argmin E|z - (u + Δ·x)|² + λ·|Δ|²

with x the SNN's activations that the layer reads, u the current that W makes of them, and z the ANN's. What
rounding and clipping have made less reliable gets less weight. Where the rectifier silences z, any current
that it silences as well is as good, and z stands for the nearest such. Forward passes only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper

from onnx2snn.calibration.stages import Stage
from onnx2snn.graph.channels import channels_first
from onnx2snn.graph.rectifiers import Rectifier

Array = npt.NDArray[Any]

#: λ in units of the mean square of what the layer reads.
RIDGE = 0.05
#: Places in the calibration data that a problem takes in for each of its unknowns, and at least.
_PLACES_EACH, _PLACES = 32, 1 << 16
#: Weights of one output channel, beyond which a problem is too large to be solved.
_MOST_UNKNOWNS = 1 << 13


def refit_weights(
    stage: Stage, feeds: Sequence[Mapping[str, Array]], exact: Sequence[Array], kind: Rectifier
) -> dict[str, Array]:
    """Refit the layers whose sum a stage's target is; the stage goes on with the new weights.

    Args:
        stage: where the layers are.
        feeds: batch by batch, the mean over time of what the stage reads of the SNN.
        exact: batch by batch, the ANN's pre-activations.
        kind: the rectifier behind them.

    Returns:
        The new weights by name; none where no layer can be refitted.
    """
    layers = _solvable(stage, feeds[0])
    if not layers or stage.axis is None:
        return {}
    reads = list(dict.fromkeys(layer.input[0] for layer in layers))
    unknowns = sum(_fan_in(layer, stage) for layer in layers)
    squares = products = np.zeros(())
    for values, target in zip(feeds, exact, strict=True):
        given = stage.values([stage.target.name, *reads], values)
        current = given[stage.target.name]
        gaps = channels_first(kind.nearest(current, target) - current, stage.axis).T
        places = _evenly(len(gaps), max(_PLACES, _PLACES_EACH * unknowns) // len(feeds))
        rows = [_rows(given[layer.input[0]], layer, stage, places) for layer in layers]
        x = np.concatenate([*rows, np.ones_like(rows[0][:, :, :1])], axis=2).swapaxes(0, 1)
        z = gaps[places].reshape(len(places), len(x), -1).swapaxes(0, 1)
        squares = squares + (x.swapaxes(1, 2) @ x).astype(np.float64)
        products = products + (x.swapaxes(1, 2) @ z).astype(np.float64)
    changes = np.split(
        _solve(squares, products), np.cumsum([_fan_in(layer, stage) for layer in layers]), axis=1
    )
    refitted = {}
    for layer, change in zip(layers, changes, strict=False):  # the last change is the constant's: see below
        weight = stage.weights[layer.input[1]]
        # [groups, fan-in, outputs of a group]: a Conv stores outputs first, MatMul and most Gemms last.
        new = change if _outputs_last(layer) else change.swapaxes(1, 2)
        refitted[layer.input[1]] = (weight + new.reshape(weight.shape)).astype(weight.dtype)
    stage.replace_weights(refitted)
    return refitted


def _solve(squares: Array, products: Array) -> Array:
    """Δ [groups, unknowns, outputs of a group] from the moments.

    The last unknown, a constant, keeps the weights from making up for a difference of the means, which is
    the bias correction's; so λ is not for it, and nobody needs its value.
    """
    size = squares.shape[-1] - 1
    scale = np.trace(squares[:, :size, :size], axis1=1, axis2=2) / size
    ridge = np.zeros_like(squares)
    ridge[:, range(size), range(size)] = (RIDGE * scale)[:, None]
    least = np.finfo(np.float64).tiny
    ridge[:, range(size + 1), range(size + 1)] += least + 1e-12 * scale[:, None]
    return np.asarray(np.linalg.solve(squares + ridge, products))


def _solvable(stage: Stage, feeds: Mapping[str, Array]) -> list[onnx.NodeProto]:
    """The layers to refit: all together, unless one has groups; then one of them. None that is broadcast."""
    layers = [layer for layer in stage.layers() if _is_plain(layer, stage)]
    given = stage.values([stage.target.name, *(layer.output[0] for layer in layers)], feeds)
    shape = given[stage.target.name].shape
    layers = [layer for layer in layers if given[layer.output[0]].shape == shape]
    grouped = [layer for layer in layers if _attributes(layer).get("group", 1) > 1]
    chosen = grouped[:1] or layers
    return chosen if sum(_fan_in(layer, stage) for layer in chosen) <= _MOST_UNKNOWNS else []


def _is_plain(layer: onnx.NodeProto, stage: Stage) -> bool:
    attributes = _attributes(layer)
    if layer.op_type == "Conv":
        return attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    if layer.op_type == "Gemm":
        return not attributes.get("transA", 0) and attributes.get("alpha", 1.0) == 1.0
    return layer.op_type == "MatMul" and stage.weights[layer.input[1]].ndim == 2


def _attributes(layer: onnx.NodeProto) -> dict[str, Any]:
    return {item.name: helper.get_attribute_value(item) for item in layer.attribute}


def _outputs_last(layer: onnx.NodeProto) -> bool:
    return layer.op_type != "Conv" and not _attributes(layer).get("transB", 0)


def _fan_in(layer: onnx.NodeProto, stage: Stage) -> int:
    """Weights of one output channel."""
    shape = stage.weights[layer.input[1]].shape
    return shape[0] if _outputs_last(layer) else math.prod(shape[1:])


def _evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    return np.arange(0, count, max(1, count // max(1, most)))


def _rows(x: Array, layer: onnx.NodeProto, stage: Stage, places: npt.NDArray[np.int64]) -> Array:
    """What the layer's weights meet at some of its output places: [places, groups, fan-in]."""
    if layer.op_type != "Conv":
        return x.reshape(-1, x.shape[-1])[places][:, None]
    attributes = _attributes(layer)
    kernel = stage.weights[layer.input[1]].shape[2:]
    dims = len(kernel)
    dilations = attributes.get("dilations", [1] * dims)
    pads = attributes.get("pads", [0] * 2 * dims)
    padded = np.pad(x, [(0, 0), (0, 0), *zip(pads[:dims], pads[dims:], strict=True)])
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    windows = sliding_window_view(padded, spans, axis=tuple(range(2, 2 + dims)))
    steps = [1, 1, *attributes.get("strides", [1] * dims), *dilations]
    windows = windows[tuple(slice(None, None, step) for step in steps)]
    # [N, C, places…, taps…] → [N, places…, C, taps…]
    windows = np.moveaxis(windows, 1, 1 + dims)
    picked = windows[np.unravel_index(places, windows.shape[: 1 + dims])]
    return picked.reshape(len(places), attributes.get("group", 1), -1)
