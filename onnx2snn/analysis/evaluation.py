"""Run a spiking network over a data set: accuracy, agreement with the ANN, spikes, energy, speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.analysis.energy import estimate_energy
from onnx2snn.calibration.readers import Dataset
from onnx2snn.errors import DataError
from onnx2snn.runtime.engines import Engine
from onnx2snn.runtime.session import Checkpoint, SpikingSession

Array = npt.NDArray[Any]


class _Tally:
    """Sums over the samples seen so far, one entry for each number of timesteps."""

    def __init__(self, count: int) -> None:
        self.samples = 0
        self.correct = np.zeros(count)
        self.agreeing = np.zeros(count)
        self.reference_correct = 0
        self.error = np.zeros(count)
        self.reference_norm = 0.0
        self.spikes = np.zeros(count)
        self.operations = np.zeros(count)
        self.seconds = np.zeros(count)
        self.spikes_by_neuron: dict[str, float] = {}

    def add(
        self,
        checkpoints: Sequence[Checkpoint],
        output: str,
        labels: Array | None,
        reference: Array | None,
        count: int,
    ) -> None:
        self.samples += count
        expected = None if reference is None else top1(reference)
        if reference is not None:
            self.reference_norm += float((reference.astype(np.float64) ** 2).sum())
        if labels is not None and expected is not None:
            self.reference_correct += int((expected == labels).sum())
        for index, point in enumerate(checkpoints):
            scores = point.outputs[output][:count]
            found = top1(scores)
            if labels is not None and found is not None:
                self.correct[index] += (found == labels).sum()
            if reference is not None:
                self.error[index] += float(((scores - reference).astype(np.float64) ** 2).sum())
                if found is not None and expected is not None:
                    self.agreeing[index] += (found == expected).sum()
            self.spikes[index] += sum(int(sent[:count].sum()) for sent in point.spikes.values())
            self.operations[index] += sum(int(n[:count].sum()) for n in point.synaptic_operations.values())
            self.seconds[index] += point.seconds
        for name, sent in checkpoints[-1].spikes.items():
            self.spikes_by_neuron[name] = self.spikes_by_neuron.get(name, 0.0) + float(sent[:count].sum())


def evaluate(
    session: SpikingSession,
    dataset: Dataset,
    timesteps: Sequence[int],
    reference: Engine | None = None,
    *,
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Evaluate one output (the first) over a data set, after each of several numbers of timesteps.

    Args:
        session: the spiking network.
        dataset: samples, with labels where accuracy is wanted.
        timesteps: numbers of timesteps to report; each sample is run once, to the largest.
        reference: the ANN, for its accuracy and for the agreement.
        batch_size: samples a batch, unless the model's batch is fixed.
        progress: called with the number of samples done after each batch.

    Returns:
        JSON-able figures: `samples`, `timesteps`, `accuracy`, `agreement`, `output_error` (relative L2),
        `reference_accuracy`, `spikes_per_sample`, `synaptic_operations_per_sample`, `spikes_by_neuron` (at
        the last), `energy`, `samples_per_second`. Lists have one entry for each of `timesteps`; accuracy is
        None without labels, agreement without a reference, both where the output is not [N, classes].
    """
    wanted = sorted(set(timesteps))
    output = session.artifact.outputs[0]
    fixed = session.inputs[0].shape[0] if session.inputs[0].shape else None
    tally = _Tally(len(wanted))
    macs: tuple[int, int] | None = None
    classes = 0
    for batch in dataset.batches(fixed or batch_size):
        count = len(next(iter(batch.values())))
        padded = batch if fixed is None else {name: _fill(array, fixed) for name, array in batch.items()}
        checkpoints = session.run_counted(padded, wanted)
        scores = checkpoints[-1].outputs[output]
        classes = scores.shape[1] if scores.ndim == 2 else 0
        labels = None if dataset.labels is None else dataset.labels[tally.samples : tally.samples + count]
        if labels is not None and classes and labels.max(initial=0) >= classes:
            raise DataError(
                f"{dataset.source}: labels: expected classes 0 to {classes - 1}, those of output '{output}', "
                f"found {labels.max()}; give the data the model was trained for"
            )
        expected = None if reference is None else reference.run(padded)[output][:count]
        tally.add(checkpoints, output, labels, expected, count)
        macs = macs or session.macs_per_sample(padded)
        if progress is not None:
            progress(tally.samples)
    if macs is None:
        raise DataError(
            f"{dataset.source}: expected at least one sample, found none; give data to evaluate on"
        )
    return _figures(
        tally,
        wanted,
        macs,
        labelled=dataset.labels is not None and classes > 0,
        compared=reference is not None,
        classes=classes,
    )


def top1(scores: Array) -> Array | None:
    """The class of each sample, None where the output is not [N, classes]."""
    return scores.argmax(axis=1) if scores.ndim == 2 and scores.shape[1] > 1 else None


def _figures(
    tally: _Tally,
    timesteps: list[int],
    macs: tuple[int, int],
    *,
    labelled: bool,
    compared: bool,
    classes: int,
) -> dict[str, Any]:
    samples = tally.samples
    operations = (tally.operations / samples).tolist()
    nothing = [None] * len(timesteps)
    norm = np.sqrt(tally.reference_norm)
    return {
        "samples": samples,
        "timesteps": timesteps,
        "accuracy": (tally.correct / samples).tolist() if labelled else nothing,
        "agreement": (tally.agreeing / samples).tolist() if compared and classes else nothing,
        "output_error": (np.sqrt(tally.error) / norm).tolist() if compared and norm else nothing,
        "reference_accuracy": tally.reference_correct / samples if labelled and compared else None,
        "spikes_per_sample": (tally.spikes / samples).tolist(),
        "spikes_by_neuron": {name: count / samples for name, count in tally.spikes_by_neuron.items()},
        "synaptic_operations_per_sample": operations,
        "energy": estimate_energy(*macs, operations),
        "samples_per_second": (samples / tally.seconds).tolist(),
    }


def _fill(array: Array, size: int) -> Array:
    """Repeat the last sample until the batch is as large as the model's fixed one."""
    missing = size - len(array)
    return array if missing == 0 else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
