"""What the page shows of samples and of a network on them: inputs, classes, pictures, the busiest neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper

from onnx2snn.analysis.evaluation import Reference
from onnx2snn.artifact.artifact import Artifact
from onnx2snn.data.labels import check_labels
from onnx2snn.data.preprocessing import infer_layout
from onnx2snn.data.readers import Dataset, InputSpec
from onnx2snn.errors import DataError
from onnx2snn.exits.stopping import check_rows
from onnx2snn.ops import CELLS
from onnx2snn.runtime.session import SpikingSession

Array = npt.NDArray[Any]

#: Channels of inputs that have a picture.
_PICTURED = (1, 3)
#: The largest input, in pixels a side, that a user may draw.
_DRAWN = 64
#: From which share of the brightest pixel on a pixel is ink.
_INK = 0.25
#: The most bytes of all samples.
_LARGEST = 128 * 10**6
#: Rows of the whole raster, and the least and the most of one layer.
_ROWS, _LEAST_ROWS, _MOST_ROWS = 200, 4, 32


@dataclass(frozen=True)
class Observed:
    """What a network does on the page's samples.

    Attributes:
        inputs: input name → samples [N, …].
        neurons: for each layer how many neurons it has.
        rows: for each layer its busiest neurons on these samples, by their place in the flattened layer.
        classes: how many classes the first output has; 0 where it has no class scores.
    """

    inputs: dict[str, Array]
    neurons: list[int]
    rows: list[list[int]]
    classes: int


def observe(
    session: SpikingSession,
    dataset: Dataset,
    reference: Reference | None = None,
    progress: Callable[[int], None] | None = None,
) -> Observed:
    """Run a network on all samples of a data set, one by one.

    `progress` is called with the number of samples done after each.

    Raises:
        DataError: labels past the output's classes, or more samples than a page should hold.
        ModelError: a reference whose output has another shape than the network's.
        OptionError: a fixed batch, and an answer whose rows are no samples.
    """
    names = session.neurons
    inputs: dict[str, list[Array]] = {spec.name: [] for spec in session.inputs}
    sums: dict[str, Array] = {}
    output, classes = session.artifact.outputs[0], 0
    count = batch_size(session)
    for number, sample in enumerate(dataset.batches(1)):
        batch = {name: np.repeat(array, count, axis=0) for name, array in sample.items()}
        run = session.run(batch, record=True)
        scores = run.outputs[output]
        if number == 0:
            _check_size(sample, len(dataset))
            if count > 1:  # the page shows the part of the first copy
                check_rows("page", output, scores, count, session.outputs[output].has_rows)
            classes = scores.shape[1] if session.outputs[output].has_scores(scores, count) else 0
            if reference is not None:
                reference.run(batch, scores)
            if classes and dataset.labels is not None:
                check_labels(dataset, output, classes)
        for name in names:
            counts = np.abs(run.spikes[name])
            counts = np.minimum(counts, 1) if session.artifact.sums else counts
            sent = counts.sum(axis=0, dtype=np.int64).ravel()
            sums[name] = sums.get(name, 0) + sent[: sent.size // count]
        for name, array in sample.items():
            inputs[name].append(array)
        if progress is not None:
            progress(number + 1)
    most = min(_MOST_ROWS, max(_LEAST_ROWS, _ROWS // max(1, len(names))))
    return Observed(
        inputs={name: np.concatenate(arrays) for name, arrays in inputs.items()},
        neurons=[int(sums[name].size) for name in names],
        # The sort keeps neurons that are as busy in their order.
        rows=[np.argsort(-sums[name], kind="stable")[:most].tolist() for name in names],
        classes=classes,
    )


def _check_size(sample: Mapping[str, Array], count: int) -> None:
    size = sum(array.nbytes for array in sample.values())
    if size * count > _LARGEST:
        raise DataError(
            f"--samples: expected at most {_LARGEST // size} samples of this size in a page, found {count}; "
            "give a smaller number"
        )


def batch_size(session: SpikingSession) -> int:
    """How many copies of a sample are run: one, or as many as a fixed batch has."""
    return next((spec.shape[0] for spec in session.inputs if spec.shape and spec.shape[0]), 1)


def describe_layers(artifact: Artifact, observed: Observed, spikes: Sequence[str]) -> list[dict[str, Any]]:
    """The neuron layers as the page reads them."""
    layers = []
    for cell, output, neurons, rows in zip(
        artifact.neurons, spikes, observed.neurons, observed.rows, strict=True
    ):
        attributes = {item.name: helper.get_attribute_value(item) for item in cell.attribute}
        levels = attributes.get("levels", 0)
        code = attributes["code"].decode() if "code" in attributes else None
        burst = -(-levels // artifact.timesteps)
        sizes = attributes["exponents"] if CELLS[cell.op_type].sums else 0
        layers.append(
            {
                "name": cell.name,
                "operator": cell.op_type,
                "spikes": output,
                "neurons": neurons,
                "rows": rows,
                "most": 1 if code == "radix" or sizes else attributes.get("max_spikes", burst),
                "sizes": sizes,
                "code": code,
                "levels": levels,
            }
        )
    return layers


def describe_samples(dataset: Dataset, observed: Observed) -> dict[str, Any]:
    """Labels, classes, and how an input becomes a picture, as the page reads it."""
    names = dataset.label_names or ()
    labels = None if dataset.labels is None else [int(label) for label in dataset.labels]
    return {
        "labels": labels,
        "classes": [*names, *map(str, range(len(names), observed.classes))][: observed.classes] or None,
        "names": list(names),
        "source": dataset.source,
        "samples": len(dataset),
        "image": describe_image(dataset, observed.inputs),
    }


def describe_image(dataset: Dataset, inputs: Mapping[str, Array]) -> dict[str, Any] | None:
    """How the only input becomes a picture; None where it is none.

    A pixel of the picture is value·std + mean, so that colours are what they were before the preprocessing,
    from `low` (dark) to `high` (bright).
    """
    if len(inputs) != 1:
        return None
    (spec,) = dataset.inputs
    array = inputs[spec.name].astype(np.float64)
    layout = dataset.preprocessing.layout or infer_layout(spec.shape)
    if array.ndim != 4 or array.shape[1 if layout == "NCHW" else 3] not in _PICTURED:
        return None
    pixels = array if layout == "NHWC" else array.transpose(0, 2, 3, 1)
    channels = pixels.shape[3]
    mean, std = (
        np.broadcast_to(given or (default,), channels).astype(np.float64)
        for given, default in ((dataset.preprocessing.mean, 0.0), (dataset.preprocessing.std, 1.0))
    )
    pixels = pixels * std + mean
    drawing = channels == 1 and max(pixels.shape[1:3]) <= _DRAWN and _is_float(spec)
    return {
        "layout": layout,
        "channels": channels,
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "mean": mean.tolist(),
        "std": std.tolist(),
        "low": float(pixels.min()),
        "high": float(pixels.max()),
        "drawing": describe_drawing(array.reshape(pixels.shape[:3])) if drawing else None,
    }


def describe_drawing(samples: Array) -> dict[str, float] | None:
    """How what a user draws comes to look like these samples [N, H, W]; None where they have no ink.

    Returns:
        `paper` and `ink`, the values of what is not drawn (the commonest one) and what is; the mean place of
        the box around the ink: `x` and `y` of its middle, and `size`, its larger side, as shares of the
        picture.
    """
    values, counts = np.unique(samples, return_counts=True)
    paper, low, high = (float(value) for value in (values[counts.argmax()], values[0], values[-1]))
    ink = high if high - paper >= paper - low else low
    if ink == paper:
        return None
    inked = (samples - paper) / (ink - paper) > _INK
    boxes = [box for picture in inked if (box := _box(picture)) is not None]
    x, y, size = np.mean(boxes, axis=0)
    return {"paper": paper, "ink": ink, "x": float(x), "y": float(y), "size": float(size)}


def _box(inked: npt.NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """The middle (x, y) and the larger side of the box around a picture's ink, as shares of the picture."""
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    if not rows.size:
        return None
    (height, width), side = inked.shape, max(inked.shape)
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    larger = max(bottom - top, right - left)
    return (left + right) / 2 / width, (top + bottom) / 2 / height, larger / side


def _is_float(spec: InputSpec) -> bool:
    return spec.dtype == np.float32
