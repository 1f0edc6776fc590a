"""Refit of weights: W of a layer → W + Δ, so that it makes of spikes what it made of activations.

A least-squares problem for each output channel, in closed form from second moments (ridge regression):

    Δ = argmin E|z - (u + Δ·x)|² + λ·|Δ|²

with x the SNN's activations that the layer reads, u the current that W makes of them, and z the ANN's. What
rounding and clipping have made less reliable gets less weight. Where the rectifier silences z, any current
that it silences as well is as good, and z stands for the nearest such. Forward passes only.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import helper

from onnx2snn.calibration.places import Places, at_places
from onnx2snn.calibration.stages import Stage
from onnx2snn.graph.channels import channels_first
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.model.spill import stored_like

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: λ in units of the mean square of what the layer reads.
RIDGE = 0.05
#: Places in the calibration data that a problem takes in: so many for each of its unknowns, and for a few so
#: many in all; up to a number four times as many, so that weights do not learn the samples.
_PLACES_EACH, _PLACES, _MORE, _WITH_MORE = 32, 1 << 13, 4, 1 << 16
#: Fewer than so many for each, and weights would learn the samples.
_LEAST_EACH = 2
#: Up to so many, moments add up in float64; more take long, and λ makes float32 enough.
_FEW_UNKNOWNS = 1 << 10
#: Weights of one output channel, beyond which a problem is too large to be solved.
_MOST_UNKNOWNS = 1 << 13
#: Bytes for each pair of unknowns: its moment, in all, of a batch and where it is solved.
_BYTES = 12
#: A mean square of the current's error, beside its variance, below which weights stay as they are.
_NEGLIGIBLE = 1e-5


class Refitting:
    """The layers whose sum a stage's target is, on their way to new weights.

    Args:
        stage: where the layers are.
        feeds: what the stage reads of the SNN, means over time, of a first batch.
        kind: the rectifier behind the layers.
        samples: how many will come in all batches.
        memory: bytes that the moments may take; a problem that takes more is not solved.
    """

    def __init__(
        self, stage: Stage, feeds: Mapping[str, Array], kind: Rectifier, samples: int, memory: int
    ) -> None:
        self._stage, self._kind, self._samples = stage, kind, samples
        most = min(_MOST_UNKNOWNS, math.isqrt(memory // _BYTES))
        self._layers = [] if stage.axis is None else _solvable(stage, feeds, most)
        self._sizes = [_fan_in(layer, stage) for layer in self._layers]
        self._places = Places(samples, _wanted_places(sum(self._sizes)))
        self._squares: Array | None = None
        self._products: Array | None = None

    def add(self, feeds: Mapping[str, Array], exact: Array) -> None:
        """Take in a batch: what the stage reads of the SNN, and the ANN's pre-activations."""
        stage, axis = self._stage, self._stage.axis
        if not self._layers or axis is None:
            return
        reads = list(dict.fromkeys(layer.input[0] for layer in self._layers))
        given = stage.values([stage.target.name, *reads], feeds)
        current = given[stage.target.name]
        if self._squares is None and _is_negligible(self._kind, current[:1], exact[:1], axis):
            self._layers = []
            return
        each = current.size // (len(current) * current.shape[axis])
        if self._squares is None and each * self._samples < _LEAST_EACH * sum(self._sizes):
            self._layers = []
            return
        places = self._places.choose(current.shape, axis)
        current, exact = at_places(current, axis, places), at_places(exact, axis, places)
        gaps = (self._kind.nearest(current, exact) - current).reshape(len(places), -1)
        rows = [_rows(given[layer.input[0]], layer, stage, places) for layer in self._layers]
        x = np.concatenate([*rows, np.ones_like(rows[0][:, :, :1])], axis=2).swapaxes(0, 1)
        z = gaps.reshape(len(places), len(x), -1).swapaxes(0, 1)
        squares, products = x.swapaxes(1, 2) @ x, x.swapaxes(1, 2) @ z
        if self._squares is None or self._products is None:
            wide = np.float64 if squares.shape[1] <= _FEW_UNKNOWNS else np.float32
            self._squares, self._products = squares.astype(wide), products.astype(wide)
        else:
            self._squares += squares
            self._products += products

    def solve(self) -> dict[str, Array]:
        """The new weights by name, which the stage goes on with; none where no layer can be refitted."""
        if self._squares is None or self._products is None:
            return {}
        changes = np.split(_solve(self._squares, self._products), np.cumsum(self._sizes), axis=1)
        refitted = {}
        # The last change is the constant's: see below.
        for layer, change in zip(self._layers, changes, strict=False):
            weight = self._stage.weights[layer.input[1]]
            # [groups, fan-in, outputs of a group]: a Conv stores outputs first, MatMul and most Gemms last.
            new = change if _outputs_last(layer) else change.swapaxes(1, 2)
            changed = (weight + new.reshape(weight.shape)).astype(weight.dtype)
            refitted[layer.input[1]] = stored_like(changed, weight)
        self._stage.replace_weights(refitted)
        return refitted


def _wanted_places(unknowns: int) -> int:
    needed = _PLACES_EACH * unknowns
    return max(_PLACES, needed, min(_MORE * needed, _WITH_MORE))


def _solve(squares: Array, products: Array) -> Array:
    """Δ [groups, unknowns, outputs of a group] from the moments; `squares` is written to.

    The last unknown, a constant, keeps the weights from making up for a difference of the means, which is
    the bias correction's; so λ is not for it, and nobody needs its value.
    """
    size = squares.shape[-1] - 1
    scale = np.trace(squares[:, :size, :size], axis1=1, axis2=2)[:, None] / size
    squares[:, range(size), range(size)] += RIDGE * scale
    least = np.finfo(squares.dtype).tiny
    squares[:, range(size + 1), range(size + 1)] += least + 1e-12 * scale
    return np.asarray(np.linalg.solve(squares, products))


def _is_negligible(kind: Rectifier, current: Array, exact: Array, axis: int) -> bool:
    """Whether what a refit could remove at most is nothing beside the current of a sample."""
    gaps = kind.nearest(current, exact) - current
    spread = channels_first(current, axis).var(axis=1)
    return float(np.square(gaps).mean()) < _NEGLIGIBLE * float(spread.mean())


def _solvable(stage: Stage, feeds: Mapping[str, Array], most: int) -> list[onnx.NodeProto]:
    """The layers to refit: all together, unless one has groups; then one of them. None that is broadcast."""
    layers = [layer for layer in stage.layers() if _is_plain(layer, stage)]
    given = stage.values([stage.target.name, *(layer.output[0] for layer in layers)], feeds)
    shape = given[stage.target.name].shape
    layers = [layer for layer in layers if given[layer.output[0]].shape == shape]
    grouped = [layer for layer in layers if _attributes(layer).get("group", 1) > 1]
    chosen = grouped[:1] or layers
    unknowns = sum(_fan_in(layer, stage) for layer in chosen)
    if most < unknowns <= _MOST_UNKNOWNS:
        logger.warning("'%s': its weights are not refitted, which takes more --memory", stage.key)
    return chosen if unknowns <= most else []


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
