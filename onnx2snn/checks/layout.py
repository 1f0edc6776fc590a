"""NHWC that was given as NCHW, or the other way round: the right numbers in the wrong order."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.checks.evidence import AS_IT_IS, Evidence, Remedy, information_gain, labels_prefer
from onnx2snn.checks.scores import roughness, sign_test
from onnx2snn.data.preprocessing import Layout, infer_layout

Array = npt.NDArray[Any]

#: How much smoother most pictures have to be with the remedy.
_SMOOTHER = 1.5
#: Probability of so many smoother pictures by accident.
_CLEAR = 1e-3
#: How much less surprised the net has to be, and nats that answers have to tell more.
_LESS, _TELLING = 2.0, 0.25


def check(evidence: Evidence) -> str | None:
    """Whether pictures become smooth once their axes are told apart otherwise, and the net likes them better.

    Told by the pictures first; then by the labels, or by the statistics of the first BatchNormalization, or
    by what the answers tell.
    """
    if not evidence.one_float or evidence.net is None or evidence.sample.ndim != 4:
        return None
    layout = evidence.dataset.preprocessing.layout or infer_layout(evidence.dataset.inputs[0].shape)
    channels = evidence.sample.shape[1 if layout == "NCHW" else 3]
    if channels < 2 or min(evidence.sample.shape[1:]) != channels:
        return None
    remedy = Remedy("transposed", partial(_reordered, layout=layout))
    plain = _roughness(evidence.sample, layout)
    treated = _roughness(remedy.apply(evidence.sample), layout)
    smoother = int((plain > _SMOOTHER * treated).sum())
    if sign_test(smoother, len(plain) - smoother) > _CLEAR or not _is_preferred(evidence, remedy):
        return None
    other = "NHWC" if layout == "NCHW" else "NCHW"
    axes = "(0, 3, 1, 2)" if layout == "NCHW" else "(0, 2, 3, 1)"
    return (
        f"{evidence.source}: expected {layout} for input '{evidence.name}', found {other} under its shape: "
        f"read as that, {smoother} of {len(plain)} pictures are smoother, and the net prefers them; "
        f"transpose the array by {axes} instead of reshaping it, or name the model's --layout"
    )


def _is_preferred(evidence: Evidence, remedy: Remedy) -> bool:
    if labels_prefer(evidence, remedy) is not None:
        return True
    gained = information_gain(evidence, remedy)
    if gained is not None and gained[1] - gained[0] > _TELLING:
        return True
    plain, treated = evidence.surprise(AS_IT_IS), evidence.surprise(remedy)
    return plain is not None and treated is not None and plain > _LESS * treated


def _reordered(samples: Array, layout: Layout) -> Array:
    """What was stored in the other layout and only given this one's shape, in this one."""
    n, a, b, c = samples.shape
    if layout == "NCHW":
        return np.ascontiguousarray(samples.reshape(n, b, c, a).transpose(0, 3, 1, 2))
    return np.ascontiguousarray(samples.reshape(n, c, a, b).transpose(0, 2, 3, 1))


def _roughness(samples: Array, layout: Layout) -> Array:
    images = samples if layout == "NCHW" else samples.transpose(0, 3, 1, 2)
    return roughness(images.astype(np.float64))
