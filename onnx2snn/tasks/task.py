"""What a task is: what it is measured by, which outputs and which labels it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from onnx2snn.data.preprocessing import Layout
from onnx2snn.data.targets import Targets, describe_targets
from onnx2snn.errors import DataError, OptionError, shape_text

Array = npt.NDArray[Any]
#: Figures by key; None: not defined, as the peak signal-to-noise ratio of what is equal.
Figures = dict[str, float | None]
Outputs = Mapping[str, Array]


@dataclass(frozen=True)
class Measure:
    """One figure of a task.

    Attributes:
        key: its name in the JSON.
        name: in tables.
        unit: `share`, from 0 to 1 and shown in percent; `dB`; or that of the values themselves.
        more: whether more is better.
    """

    key: str
    name: str
    unit: Literal["share", "dB", "value"] = "share"
    more: bool = True

    def show(self, value: float | None) -> str:
        """A figure of it as text."""
        if value is None:
            return "–"
        if self.unit == "share":
            return f"{100 * value:.1f} %"
        return f"{value:.2f} dB" if self.unit == "dB" else f"{value:.4g}"


@dataclass(frozen=True)
class Output:
    """What a net gives for a batch.

    Attributes:
        name: of its first output.
        shape: of a batch, samples first.
        dtype: its element type.
        like_input: whether it has an input's shape.
        image: whether it has the rows and columns of an input image.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    like_input: bool = False
    image: bool = False

    @property
    def integer(self) -> bool:
        """Whether it gives whole numbers, such as an ArgMax does."""
        return self.dtype.kind in "iub"


@dataclass(frozen=True)
class Setting:
    """What a meter has to know.

    Attributes:
        probabilities: whether outputs are probabilities, and not logits.
        data_range: largest less least value that a true image may have; None: not known.
        layout: where the channels of an output image are.
    """

    probabilities: bool = False
    data_range: float | None = None
    layout: Layout = "NCHW"


class Meter(ABC):
    """Sums over the samples seen so far."""

    @abstractmethod
    def add(self, found: Any, truth: Any) -> None:
        """Add what a net gives for a batch, and what it should."""

    @abstractmethod
    def figures(self) -> Figures:
        """What follows, in the order of the task's measures."""

    def by_output(self) -> dict[str, list[float | None]]:
        """The figures that there is one of for each output, class or label."""
        return {}


def first_output(outputs: Outputs) -> Any:
    """The output that most tasks are about."""
    return next(iter(outputs.values()))


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: what `--task` calls it.
        measures: its figures; the first is the one that bounds are about.
        outputs: what it is a task for, in messages; `takes` says whether an output is that.
        labels: what its labels are, in messages; `fits` says whether some are that.
        likely: whether `auto` means this task by an output that it takes, and labels that fit or none.
        meter: measures it.
        answers: what of a net's output stands for the truth where another is compared with it.
        read: what of the outputs it is about.
        decoded: makes sure that what the user's function gives for so many samples can be read.
        check: what is wrong with labels that fit, given where they are from.
        images: whether labels are images, whose range matters; integers go through the inputs' preprocessing.
        relative: whether its first measure says little without the size of what it measures.
        decides: whether its outputs tell how sure the net is, so that a sample may stop early.
    """

    name: str
    measures: tuple[Measure, ...]
    outputs: str
    takes: Callable[[Output], bool]
    labels: str
    fits: Callable[[Targets, Output], bool]
    likely: Callable[[Output, Targets | None], bool]
    meter: Callable[[Setting], Meter]
    answers: Callable[[Any, Setting], Any]
    read: Callable[[Outputs], Any] = first_output
    decoded: Callable[[Any, int], Any] | None = None
    check: Callable[[str, Targets, Output], None] | None = None
    images: bool = False
    relative: bool = False
    decides: bool = False

    @property
    def measure(self) -> Measure:
        """The one that bounds are about."""
        return self.measures[0]

    def named(self, key: str) -> Measure:
        """One of its measures by its key."""
        return next(measure for measure in self.measures if measure.key == key)

    def check_output(self, output: Output) -> None:
        """Make sure that a net has this task.

        Raises:
            OptionError: it has not.
        """
        if not self.takes(output):
            raise OptionError(
                f"--task {self.name}: expected {self.outputs} in output '{output.name}', found "
                f"{output.dtype} of shape {shape_text(('N', *output.shape[1:]))}; name another task, or "
                "decode the output with --decode"
            )

    def check_labels(self, source: str, truth: Targets, output: Output) -> None:
        """Make sure that labels are of this task.

        Raises:
            DataError: they are of another.
        """
        if not self.fits(truth, output):
            raise DataError(
                f"{source}: labels: expected {self.labels} for the task {self.name} and output "
                f"'{output.name}' of shape {shape_text(('N', *output.shape[1:]))}, found "
                f"{describe_targets(truth)}; give labels of that task, or name another with --task"
            )
        if self.check is not None:
            self.check(source, truth, output)


def choose(tasks: Sequence[Task], source: str, truth: Targets | None, output: Output) -> Task | None:
    """The task that output and labels tell; without labels there may be none.

    Raises:
        DataError: labels that are of no task for that output.
    """
    for task in tasks:
        fits = task.takes(output) and (truth is None or task.fits(truth, output))
        if fits and task.likely(output, truth):
            return task
    if truth is None:
        return None
    raise DataError(
        f"{source}: labels: expected those of a task of output '{output.name}' of shape "
        f"{shape_text(('N', *output.shape[1:]))}, found {describe_targets(truth)}, which are of another; "
        "give labels of its task, or name the task with --task"
    )


def same_numbers(truth: Targets, output: Output) -> bool:
    """Whether labels are numbers in the shape of the output; [N] is as good as [N, 1]."""
    return not isinstance(truth, tuple) and _squeezed(truth.shape) == _squeezed(output.shape)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[1:-1] if len(shape) == 2 and shape[1] == 1 else shape[1:]
