"""How a network is judged: its task, and what that measures against labels and against the ANN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.data.dataset import Dataset
from onnx2snn.data.preprocessing import Layout, Preprocessing, infer_layout
from onnx2snn.data.targets import Targets
from onnx2snn.errors import OptionError, shape_text
from onnx2snn.tasks import AUTO, TASKS
from onnx2snn.tasks.asked import Asked
from onnx2snn.tasks.decode import Decode, read_outputs
from onnx2snn.tasks.task import Meter, Output, Outputs, Setting, Task, choose

Array = npt.NDArray[Any]
#: Figures by key, one for each number of timesteps.
Series = dict[str, list[float | None]]

#: Operators whose outputs are probabilities.
_PROBABLE = frozenset({"Softmax", "Sigmoid", "HardSigmoid"})
#: Labels that are looked at together for their range.
_CHUNK = 64


@dataclass(frozen=True)
class Judge:
    """Knows the task, the labels, and how outputs are read.

    Attributes:
        task: which.
        setting: what its meters have to know.
        truth: the labels of all samples; None: there are none.
        preprocessing: what integer images among labels go through, as inputs do.
        decode: makes of the outputs what the task is about; None: they are.
    """

    task: Task
    setting: Setting
    truth: Targets | None
    preprocessing: Preprocessing
    decode: Decode | None

    def meter(self) -> Meter:
        """A new one."""
        return self.task.meter(self.setting)

    def read(self, outputs: Outputs, count: int) -> Any:
        """What the task is about, of the first samples of a batch."""
        return read_outputs(self.task, outputs, count, self.decode)

    def labels(self, start: int, count: int) -> Any:
        """Those of consecutive samples; None where there are none."""
        if self.truth is None:
            return None
        labels = self.truth[start : start + count]
        if self.task.images and not isinstance(labels, tuple) and labels.dtype.kind in "iub":
            return self.preprocessing.apply(labels, self.setting.layout)
        return labels

    def with_range(self, images: Iterable[Array]) -> Judge:
        """The same, with the range of true images where the user has given none."""
        if self.setting.data_range is not None or not self.task.images:
            return self
        bounds = [(float(part.min()), float(part.max())) for part in images if part.size]
        width = max(high for _, high in bounds) - min(low for low, _ in bounds) if bounds else 0.0
        return replace(self, setting=replace(self.setting, data_range=width or None))

    def with_own_range(self) -> Judge:
        """The same, with the range of the labels."""
        total = 0 if self.truth is None else len(self.truth)
        return self.with_range(self.labels(start, _CHUNK) for start in range(0, total, _CHUNK))


def open_judge(
    asked: Asked, artifact: Artifact, dataset: Dataset, batch: Outputs, outputs: Outputs
) -> Judge | None:
    """The judge of a network.

    Args:
        asked: what the user says of the task.
        artifact: the network.
        dataset: its samples, with labels or without.
        batch: the inputs of some samples.
        outputs: what the network gives for them.

    Returns:
        None where nobody asks for a task, and outputs are of none or have not a row for each sample.

    Raises:
        OptionError: outputs that have not that task.
        DataError: labels of another task.
    """
    decode, truth = asked.function(), dataset.truth
    samples = len(next(iter(batch.values())))
    output = _describe(batch, outputs)
    if decode is None and output.shape[:1] != (samples,):
        if asked.task == AUTO and truth is None:
            return None
        raise OptionError(
            f"--task {asked.task}: expected one row a sample in output '{output.name}', found shape "
            f"{shape_text(output.shape)} for {samples} samples; give --decode module:function that makes it "
            "so"
        )
    if asked.task == AUTO and decode is not None and not isinstance(truth, tuple):
        raise OptionError(
            "--decode: expected --task beside it, found none; name the task of what the function gives"
        )
    named = {task.name: task for task in TASKS}
    task = named.get(asked.task) or choose(TASKS, dataset.source, truth, output)
    if task is None:
        return None
    if decode is not None:
        decoded = read_outputs(task, outputs, samples, decode)
        if isinstance(decoded, np.ndarray):
            output = replace(output, shape=decoded.shape, dtype=decoded.dtype)
    task.check_output(output)
    if truth is not None:
        task.check_labels(dataset.source, truth, output)
    setting = Setting(_gives_probabilities(artifact), asked.data_range, _layout(output))
    judge = Judge(task, setting, truth, dataset.preprocessing, decode)
    return judge if truth is None else judge.with_own_range()


def _describe(batch: Outputs, outputs: Outputs) -> Output:
    name, values = next(iter(outputs.items()))
    given = [array.shape[1:] for array in batch.values()]
    mine = values.shape[1:]
    spatial = mine[1:] if infer_layout(values.shape) == "NCHW" else mine[:-1]
    image = len(mine) == 3 and any(len(shape) == 3 and spatial in (shape[1:], shape[:-1]) for shape in given)
    return Output(name, values.shape, values.dtype, like_input=mine in given, image=image)


def _layout(output: Output) -> Layout:
    return infer_layout(output.shape)


def _gives_probabilities(artifact: Artifact) -> bool:
    makers = {name: node.op_type for node in artifact.model.graph.node for name in node.output}
    return makers.get(artifact.outputs[0]) in _PROBABLE


class Measured:
    """What a task measures after each of some numbers of timesteps.

    Args:
        judge: knows the task; None: nothing is measured.
        count: of these numbers.
    """

    def __init__(self, judge: Judge | None, count: int) -> None:
        self._judge, self._samples, self._compared = judge, 0, False
        if judge is not None:
            self._right = [judge.meter() for _ in range(count)]
            self._agreeing = [judge.meter() for _ in range(count)]
            self._reference = judge.meter()

    def add(self, found: Sequence[Outputs], expected: Outputs | None, count: int) -> None:
        """Add a batch of `count` samples: the outputs after each number of timesteps, and the ANN's.

        What the outputs hold beyond these samples fills the batch up and is left out.
        """
        judge, start = self._judge, self._samples
        self._samples += count
        if judge is None:
            return
        self._compared = expected is not None
        labels = judge.labels(start, count)
        if labels is None and expected is None:
            return
        read = [judge.read(outputs, count) for outputs in found]
        if labels is not None:
            for meter, one in zip(self._right, read, strict=True):
                meter.add(one, labels)
        if expected is not None:
            theirs = judge.read(expected, count)
            answers = judge.task.answers(theirs, judge.setting)
            for meter, one in zip(self._agreeing, read, strict=True):
                meter.add(one, answers)
            if labels is not None:
                self._reference.add(theirs, labels)

    @property
    def task(self) -> str:
        """Its name; empty where nothing is measured."""
        return "" if self._judge is None else self._judge.task.name

    @property
    def right(self) -> Series:
        """Against the labels; empty without."""
        return _series(self._right) if self._labelled else {}

    @property
    def agreeing(self) -> Series:
        """Against the ANN's outputs; empty without."""
        return _series(self._agreeing) if self._judge is not None and self._compared else {}

    @property
    def reference(self) -> dict[str, float | None]:
        """The ANN's own, against the labels; empty without either."""
        return self._reference.figures() if self._labelled and self._compared else {}

    @property
    def by_output(self) -> dict[str, list[float | None]]:
        """For each output, class or label, after the last number: against the labels, or else the ANN."""
        if self._labelled:
            return self._right[-1].by_output()
        return self._agreeing[-1].by_output() if self._judge is not None and self._compared else {}

    @property
    def _labelled(self) -> bool:
        return self._judge is not None and self._judge.truth is not None


def _series(meters: Sequence[Meter]) -> Series:
    figures: list[Mapping[str, float | None]] = [meter.figures() for meter in meters]
    return {key: [each[key] for each in figures] for key in figures[0]}
