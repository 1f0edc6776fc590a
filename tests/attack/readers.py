"""What atheris leads: readers of metadata and of data files, each with a whole file to begin with."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import onnx

from onnx2snn.artifact.artifact import input_specs
from onnx2snn.data.coco import read_coco
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import open_dataset
from tests.attack.data import CASES, nets
from tests.attack.faults import command

Read = Callable[[Path, bytes], object]


@cache
def _network() -> onnx.ModelProto:
    return onnx.load_from_string(nets()["labels"])


def _metadata(place: Path, content: bytes) -> None:
    """The first byte chooses an entry, the rest is its text."""
    model = onnx.ModelProto()
    model.CopyFrom(_network())
    entries = [entry for entry in model.metadata_props if entry.key.startswith("onnx2snn.")]
    entries[(content or b"\0")[0] % len(entries)].value = content[1:].decode("utf-8", "replace")
    path = place / "net.snn.onnx"
    path.write_bytes(model.SerializeToString())
    command(place, ["inspect", path])


def _dataset(name: str, preprocessing: Preprocessing, place: Path, content: bytes) -> None:
    path = place / name
    path.write_bytes(content)
    for batch in open_dataset(path, input_specs(_network()), preprocessing).batches(4):
        assert batch


def _boxes(place: Path, content: bytes) -> None:
    path = place / "boxes.json"
    path.write_bytes(content)
    read_coco(path, 8, cut=True)


def _of(name: str, **options: object) -> tuple[Read, Callable[[], bytes]]:
    (case,) = (case for case in CASES if case.name == name)
    return partial(_dataset, name, Preprocessing(**options)), case.write


_EVENTS = {"frames": "count:2", "sensor": (6, 8)}
READERS = {
    "metadata": (_metadata, lambda: b"\0{}"),
    "npy": _of("x.npy"),
    "npz": _of("z.npz"),
    "events": _of("e.npz", **_EVENTS),
    "bin": _of("e.bin", **_EVENTS),
    "aedat4": _of("e.aedat4", **_EVENTS),
    "dat": _of("e.dat", **_EVENTS),
    "raw": _of("e.raw", **_EVENTS),
    "boxes": (_boxes, next(case.write for case in CASES if case.name == "boxes.json")),
}
