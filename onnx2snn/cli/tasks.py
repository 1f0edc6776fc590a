"""Options of commands that judge a network by its task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from onnx2snn.cli.files import ANY_FILE
from onnx2snn.cli.options import Command
from onnx2snn.data.dataset import Dataset, InputSpec
from onnx2snn.data.label_files import add_labels
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import open_dataset
from onnx2snn.tasks import AUTO, TASK_NAMES
from onnx2snn.tasks.asked import Asked

#: The section of these options in a command's help.
TASK = {"Task": ["task", "decode", "data_range"]}

labels_option = click.option(
    "--labels",
    type=ANY_FILE,
    metavar="FILE",
    help="Labels of DATA in a file of their own: an .npy, or boxes as COCO .json.",
)


def task_options(command: Command) -> Command:
    """What the outputs are, and how they are read."""
    for option in (
        click.option(
            "--data-range",
            type=float,
            help="For PSNR and SSIM: largest less least value of a true image.  [default: the labels']",
        ),
        click.option(
            "--decode",
            metavar="MODULE:FUNCTION",
            help="A Python function of the outputs by name that gives boxes, scores and classes of each "
            "sample, or an array.",
        ),
        click.option(
            "--task",
            type=click.Choice(TASK_NAMES),
            default=AUTO,
            show_default=True,
            help="What the outputs are, and so what they are measured by.",
        ),
    ):
        command = option(command)
    return command


def read_asked(values: dict[str, Any]) -> Asked:
    """Take these options out of `values`; a function that is not there is said at once."""
    asked = Asked(*(values.pop(name) for name in TASK["Task"]))
    asked.function()
    return asked


def open_labelled(
    data: str,
    labels: str | None,
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing,
    max_samples: int | None,
) -> Dataset:
    """Data, with the labels of `--labels` where that is given."""
    dataset = open_dataset(data, inputs, preprocessing, max_samples)
    return dataset if labels is None else add_labels(dataset, labels, cut=max_samples is not None)
