"""A data set in batches of the size that a model takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.data.dataset import Dataset
from onnx2snn.errors import DataError


def model_batches(
    dataset: Dataset, batch_size: int, fixed: int | None, *, fill: bool
) -> Iterator[tuple[dict[str, npt.NDArray[Any]], int]]:
    """Batches by input name, each with how many samples of the data set it has.

    Args:
        dataset: the samples.
        batch_size: samples a batch, where the model takes any number.
        fixed: the only number that it takes; None for any.
        fill: what becomes of a last batch of fewer than `fixed`: copies of its last sample fill it up, or it
            is left out.

    Raises:
        DataError: without `fill`, not even one whole batch.
    """
    whole = False
    for batch in dataset.batches(fixed or batch_size):
        count = len(next(iter(batch.values())))
        if fixed is not None and count < fixed:
            if not fill:
                continue
            rows = np.minimum(np.arange(fixed), count - 1)
            batch = {name: array[rows] for name, array in batch.items()}
        whole = True
        yield batch, count
    if not whole and not fill:
        raise DataError(
            f"{dataset.source}: expected at least {fixed or 1} samples, one batch of the model, "
            f"found {len(dataset)}; give more, or export the model with a dynamic batch"
        )
