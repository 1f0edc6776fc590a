"""Mistakes in data, planted on each real net, and all sound pairings: `python -m benchmarks.data_mistakes`.

What is found of each mistake with 500 images or frames, with their labels and without, by the net as it is
and with its BatchNorms folded into its weights (`folded`), as exporters like to do; and how many of the sound
pairings (net, its calibration and test data, 16, 64 and 500 samples, with labels and without) raise a false
alarm. A dash: the mistake makes no difference to that net, or it cannot be planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import click
import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

from benchmarks.nets import DATA, LITERATURE, NETS, Array, Net
from onnx2snn.artifact.records import CalibrationRecord
from onnx2snn.calibration.statistics import Statistics
from onnx2snn.checks.findings import examine, net_of
from onnx2snn.checks.net import Net as Asked
from onnx2snn.checks.outliers import stretched
from onnx2snn.data.readers import Dataset, dataset_from_arrays
from onnx2snn.graph.graph import write_model
from onnx2snn.model.file import load_model
from onnx2snn.passes.pipeline import prepare

ALL = NETS | LITERATURE
SIZES = (16, 64, 500)


def _whole(net: Net, part: str, samples: int) -> Dataset:
    return net.train(samples) if part == "train" else net.test(samples)


def _images(net: Net, part: str, samples: int) -> Array | None:
    """As they are stored, uint8 [N, 3, 32, 32]; None for recordings."""
    if net.shape[0] != 3:
        return None
    with np.load(DATA / f"{net.images}_{part}2000.npz") as file:
        images: Array = file["images"][:samples]
    return images


def _stored(sound: Dataset, net: Net, images: Array, **preprocessing: object) -> Dataset:
    """Other images with the labels of a sound data set, and other preprocessing."""
    wanted = replace(net.preprocessing, **preprocessing)  # type: ignore[arg-type]
    return dataset_from_arrays(images, sound.inputs, wanted, labels=sound.labels)


def _fed(sound: Dataset, samples: Array) -> Dataset:
    return dataset_from_arrays(samples, sound.inputs, labels=sound.labels)


def _samples(sound: Dataset) -> Array:
    (batch,) = sound.batches(len(sound))
    array: Array = batch["input"]
    return array


def _raw(net: Net, sound: Dataset, images: Array | None) -> Dataset | None:
    if images is None or net.preprocessing.scale == 1:
        return None
    return _stored(sound, net, images, scale=1.0)


def _bare(net: Net, sound: Dataset, images: Array | None) -> Dataset | None:
    if images is None or not net.preprocessing.mean:
        return None
    return _stored(sound, net, images, scale=1.0, mean=(), std=())


def _scaled(net: Net, sound: Dataset, images: Array | None) -> Dataset | None:
    return None if images is None else _stored(sound, net, images, scale=net.preprocessing.scale / 255)


def _nhwc(net: Net, sound: Dataset, images: Array | None) -> Dataset:
    del net, images
    samples = _samples(sound)
    return _fed(sound, np.ascontiguousarray(samples.transpose(0, 2, 3, 1)).reshape(samples.shape))


def _bgr(net: Net, sound: Dataset, images: Array | None) -> Dataset | None:
    return None if images is None else _stored(sound, net, np.ascontiguousarray(images[:, ::-1]))


def _labels(net: Net, sound: Dataset, images: Array | None) -> Dataset:
    del net, images
    assert sound.labels is not None
    return replace(sound, labels=np.random.default_rng(1).permutation(sound.labels))


def _alike(net: Net, sound: Dataset, images: Array | None) -> Dataset:
    del net, images
    return _fed(sound, np.repeat(_samples(sound)[:1], len(sound), axis=0))


def _halved(net: Net, sound: Dataset, images: Array | None) -> Dataset:
    del net, images
    return _fed(sound, _samples(sound) / np.float32(2))


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        plant: makes the data of it; None where it makes no difference.
        said: what its warning says, and no other's.
    """

    plant: Callable[[Net, Dataset, Array | None], Dataset | None]
    said: str


#: All but the outlier, which takes a pass of the whole net.
MISTAKES: Mapping[str, Mistake] = {
    "raw": Mistake(_raw, "255 times smaller"),
    "raw, no mean": Mistake(_bare, "255 times smaller"),
    "scaled": Mistake(_scaled, "255 times larger"),
    "NHWC": Mistake(_nhwc, "under its shape"),
    "BGR": Mistake(_bgr, "BGR"),
    "labels": Mistake(_labels, "as by guessing"),
    "alike": Mistake(_alike, "the same one"),
    "range": Mistake(_halved, "as in the calibration"),
}


@cache
def asked(path: str, *, folded: bool) -> Asked | None:
    """A net, to ask; with its BatchNorms folded into its weights where that is wanted."""
    model: onnx.ModelProto = load_model(path)
    return net_of(write_model(prepare(model)[0]) if folded else model)


def found(net: Net, mistake: Mistake, samples: int, *, labelled: bool, folded: bool) -> bool | None:
    """Whether a mistake in the test data is found; None where it makes no difference."""
    sound = net.test(samples)
    planted = mistake.plant(net, sound, _images(net, "test", samples))
    if planted is None or (mistake.plant is _labels and not labelled):
        return None
    planted = planted if labelled else replace(planted, labels=None)
    network = asked(str(net.path), folded=folded)
    calibrated = None
    if mistake.plant is _halved:
        calibrated = CalibrationRecord(samples, "", examine(net.train(samples), None).inputs)
    return any(mistake.said in line for line in examine(planted, network, calibrated).warnings)


def outlier_found(net: Net, samples: int, times: float) -> bool:
    """Whether one image that is so many times too large is found, in the inputs alone."""
    values = _samples(net.train(samples)).copy()
    values[samples // 3] *= np.float32(times)
    peaks = np.abs(values).reshape(samples, -1).max(axis=1).astype(np.float64)
    dataset = net.train(samples)
    return stretched(Statistics(peaks={"input": [peaks]}), dataset) is not None


def alarms(net: Net, *, folded: bool) -> Iterator[str]:
    """False alarms on the sound pairings of a net."""
    network = asked(str(net.path), folded=folded)
    for size in SIZES:
        inputs = examine(net.train(size), None).inputs
        calibrated = CalibrationRecord(size, "", inputs)
        for part in ("train", "test"):
            for labelled in (True, False):
                dataset = _whole(net, part, size)
                dataset = dataset if labelled else replace(dataset, labels=None)
                yield from examine(dataset, network, calibrated).warnings


@click.command()
@click.option("--nets", default=",".join(ALL), show_default=True, help="Which nets.")
@click.option("--samples", default=500, show_default=True, help="Images with a mistake.")
def main(nets: str, samples: int) -> None:
    """Print what is found, and false alarms."""
    ways = [(labelled, folded) for folded in (False, True) for labelled in (True, False)]
    table = Table("net", "given", *MISTAKES, "outlier ×10", "false alarms")
    for name in nets.split(","):
        net = ALL[name]
        for labelled, folded in ways:
            given = ("labels" if labelled else "none") + (", folded" if folded else "")
            cells = [
                {True: "found", False: "MISSED", None: "–"}[
                    found(net, mistake, samples, labelled=labelled, folded=folded)
                ]
                for mistake in MISTAKES.values()
            ]
            outlier = "found" if outlier_found(net, samples, 10.0) else "MISSED"
            false = str(len(list(alarms(net, folded=folded)))) if labelled else ""
            table.add_row(name, given, *cells, outlier, false)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
