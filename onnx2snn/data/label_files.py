"""Labels in a file of their own, beside the data: `--labels FILE`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx2snn.data.array_files import open_npy
from onnx2snn.data.coco import read_coco
from onnx2snn.data.dataset import Dataset
from onnx2snn.data.image_folder import IMAGE_SUFFIXES
from onnx2snn.data.labels import with_labels
from onnx2snn.errors import DataError


def add_labels(dataset: Dataset, path: str | Path, *, cut: bool = False) -> Dataset:
    """The data set with the labels of a file, in the place of its own.

    Args:
        dataset: samples.
        path: an `.npy` of labels [N, …] in the order of the samples, or a COCO `.json`, whose images go by
            `file_name` where samples are image files, and by their order else.
        cut: whether the samples are the first of more, as by `--max-samples`.

    Raises:
        DataError: another file, or labels of other samples.
    """
    file = Path(path)
    images = _image_files(dataset)
    if file.suffix.lower() == ".json":
        objects = read_coco(file, images or len(dataset), cut=cut)
        return replace(dataset, labels=None, targets=objects)
    if file.suffix.lower() != ".npy":
        raise DataError(
            f"{file}: expected labels in an .npy or a COCO .json, found {file.suffix or 'no suffix'}; give "
            "one of these, or store 'labels' in the .npz of the data"
        )
    if cut and dataset.label_names is not None:
        raise DataError(
            f"{file}: expected no --max-samples where labels go by the order of samples, of which it leaves "
            "some out of each class sub-folder; leave out one of the two"
        )
    array = open_npy(file)
    if cut and array.shape[:1] > (len(dataset),):
        array = array[: len(dataset)]
    return with_labels(dataset, str(file), array)


def _image_files(dataset: Dataset) -> list[str]:
    """The path of each sample where they are image files."""
    files = [file for part in dataset.parts if part.samples == 1 for file in part.where.values()]
    images = all(Path(file).suffix.lower() in IMAGE_SUFFIXES for file in files)
    return files if images and len(files) == len(dataset) else []
