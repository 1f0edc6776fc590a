"""Labels that fit the classes of a net."""

from __future__ import annotations

from onnx2snn.data.readers import Dataset
from onnx2snn.errors import DataError


def check_labels(dataset: Dataset, output: str, classes: int) -> None:
    """Make sure that every label is a class.

    Raises:
        DataError: labels past the classes of the output.
    """
    most = 0 if dataset.labels is None else int(dataset.labels.max(initial=0))
    if most >= classes:
        raise DataError(
            f"{dataset.source}: labels: expected classes 0 to {classes - 1}, those of output '{output}', "
            f"found {most}; give the data the model was trained for"
        )
