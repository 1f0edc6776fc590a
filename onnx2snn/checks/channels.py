"""Red and blue swapped: BGR for a net that was trained on RGB, or the other way round."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.checks.evidence import AS_IT_IS, Evidence, Remedy, trials
from onnx2snn.checks.scores import entropies, information, standard_errors
from onnx2snn.data.preprocessing import infer_layout

Array = npt.NDArray[Any]

#: Standard errors by which the swapped channels have to be better: with labels, and without.
_CLEAR, _VERY_CLEAR = 3.5, 5.0
#: Without labels: share of what answers could tell that they have to, and nats that they have to tell more.
_TELLING, _MORE = 0.5, 0.05


def check(evidence: Evidence) -> str | None:
    """Whether the net is right more often, and surer, with the first channel and the third exchanged.

    The means of the first layers hardly differ: only the answers tell. More samples are looked at as long as
    the swapped ones seem better.
    """
    if not evidence.one_float or evidence.net is None or evidence.sample.ndim != 4:
        return None
    layout = evidence.dataset.preprocessing.layout or infer_layout(evidence.dataset.inputs[0].shape)
    axis = 1 if layout == "NCHW" else 3
    if evidence.sample.shape[axis] != 3:
        return None
    remedy = Remedy("swapped", lambda samples: np.ascontiguousarray(np.flip(samples, axis)))
    labelled = evidence.labels(1) is not None
    why = _by_labels(evidence, remedy) if labelled else _by_answers(evidence, remedy)
    if why is None:
        return None
    return (
        f"{evidence.source}: expected the channels of input '{evidence.name}' as the net was trained, found "
        f"the first and the third swapped (BGR for RGB, or RGB for BGR): {why}; reverse the array's channels"
        f"{' and the --mean and --std' if evidence.dataset.preprocessing.mean else ''}"
    )


def _by_labels(evidence: Evidence, remedy: Remedy) -> str | None:
    for trial in trials(evidence, remedy):
        together = (trial.likelihood + trial.certainty) / 2  # as if one told all that the other does
        if together <= 0 or trial.better < trial.worse:
            return None
        if together > _CLEAR and trial.above_chance:
            return (
                f"the ANN answers {trial.right} of {trial.samples} samples right, with them swapped "
                f"{trial.right_with}"
            )
    return None


def _by_answers(evidence: Evidence, remedy: Remedy) -> str | None:
    done = 0
    for count in evidence.looks:
        plain, treated = evidence.answers(AS_IT_IS, count), evidence.answers(remedy, count)
        if plain is None or treated is None or len(plain) == done:
            return None
        done = len(plain)
        before, after = information(plain), information(treated)
        clear = standard_errors(entropies(plain) - entropies(treated))
        if clear <= 0 or after < before + _MORE or after < _TELLING * np.log(min(plain.shape[1], done)):
            return None
        if clear > _VERY_CLEAR:
            return f"the ANN's answers tell {before:.2f} nats of a sample, with them swapped {after:.2f}"
    return None
