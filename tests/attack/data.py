"""Data files of every kind, damaged: arrays, images, recordings of events, labels."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import h5py
import numpy as np
import onnx
from PIL import Image

import onnx2snn
from tests.attack.damage import damage_bytes, damage_json
from tests.attack.faults import command
from tests.data.event_cases import fields, rows
from tests.data.test_event_files import aedat4, n_mnist
from tests.helpers import normal, parse
from tests.tasks.fitted import coco_form, example

_IMAGES = """(float[N,2,6,8] x) => (float[N,3] y) {
    c = Conv(x, k) r = Relu(c) g = GlobalAveragePool(r) f = Flatten(g) y = Gemm(f, w) }"""
_GREY = _IMAGES.replace("N,2,6,8", "N,1,6,8")


@dataclass(frozen=True)
class Case:
    """A kind of file.

    Attributes:
        name: of the file.
        net: that reads it.
        words: of the command, behind `--calib` or, for labels, `--labels`.
        write: its whole content.
    """

    name: str
    net: str
    words: str
    write: Callable[[], bytes]


def npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def npz(compress: bool = False, **arrays: np.ndarray) -> bytes:
    held = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(held, **arrays)
    return held.getvalue()


def _image(kind: str) -> bytes:
    held = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(held, kind)
    return held.getvalue()


def _h5() -> bytes:
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        for place, name in enumerate("xypt"):
            file[f"events/{name}"] = rows(60)[:, place]
    return held.getvalue()


def _dat() -> bytes:
    x, y, polarity, time = rows(60).astype(np.uint64).T
    words = time | x << np.uint64(32) | y << np.uint64(46) | polarity << np.uint64(60)
    return (
        b"% Data file containing CD events.\n% Version 2\n% Width 8\n% Height 6\n\x0c\x08" + words.tobytes()
    )


def _raw() -> bytes:
    x, y, polarity, time = rows(60).astype(np.uint32).T
    words = polarity << np.uint32(28) | (time & np.uint32(63)) << np.uint32(22) | x << np.uint32(11) | y
    return b"% evt 2.0\n% geometry 8x6\n" + np.insert(words, 0, 0x80000000).astype("<u4").tobytes()


_SAMPLES = np.random.default_rng(0).standard_normal((8, 2, 6, 8)).astype(np.float32)
_FRAMES = "--frames count:2"
CASES = (
    Case("x.npy", "image", "", lambda: npy(_SAMPLES)),
    Case("x.npz", "image", "", lambda: npz(images=_SAMPLES, labels=np.arange(8) % 3)),
    Case(
        "z.npz", "image", "", lambda: npz(True, x=(_SAMPLES * 50).astype(np.int16), labels=np.arange(8) % 3)
    ),
    Case("x.png", "grey", "--scale 1/255", lambda: _image("png")),
    Case("x.jpg", "grey", "--scale 1/255 --resize 6x8", lambda: _image("jpeg")),
    Case("x.tif", "grey", "--scale 1/255", lambda: _image("tiff")),
    Case("x.gif", "grey", "--scale 1/255", lambda: _image("gif")),
    Case("e.npy", "image", _FRAMES, lambda: npy(rows(60))),
    Case("f.npy", "image", _FRAMES, lambda: npy(fields(rows(60)))),
    Case(
        "e.npz",
        "image",
        _FRAMES,
        lambda: npz(events=rows(60), offsets=np.arange(4) * 20, labels=np.arange(3)),
    ),
    Case("e.bin", "image", f"{_FRAMES} --sensor 8x6", lambda: n_mnist(rows(60))),
    Case("e.aedat4", "image", _FRAMES, lambda: aedat4(rows(40)[:20], rows(40)[20:])),
    Case("e.h5", "image", f"{_FRAMES} --sensor 8x6", _h5),
    Case("e.dat", "image", _FRAMES, _dat),
    Case("e.raw", "image", _FRAMES, _raw),
    Case("labels.npy", "labels", "", lambda: npy(np.arange(8) % 3)),
    Case(
        "boxes.json",
        "boxes",
        "--task detect",
        lambda: json.dumps(coco_form(example("detect").labels)).encode(),
    ),
)


@cache
def nets() -> dict[str, bytes]:
    """What commands read, whole: networks, and samples for labels."""
    weights = normal(np.random.default_rng(0), w=(4, 3))
    files = {}
    for name, text, channels in (("image", _IMAGES, 2), ("grey", _GREY, 1)):
        net = parse(text, **normal(np.random.default_rng(1), k=(4, channels, 3, 3)), **weights)
        files[name] = net.SerializeToString()
    snn = onnx2snn.compile(onnx.load_from_string(files["image"]), _SAMPLES, timesteps=2)
    files["labels"], files["labels samples"] = snn.model.SerializeToString(), npy(_SAMPLES)
    boxes = example("detect")
    found = onnx2snn.compile(boxes.model, boxes.calibration, timesteps=2).model
    files["boxes"], files["boxes samples"] = found.SerializeToString(), npy(boxes.samples)
    return files


def _plan(seed: int) -> tuple[Case, int]:
    rng = Random(seed)
    return rng.choice(CASES), rng.choice([1, 1, 1, 2, 3])


def steps(seed: int) -> int:
    """How many things are wrong, each of which may be left out."""
    return _plan(seed)[1]


def attempt(seed: int, folder: Path, without: Collection[int] = ()) -> str:
    """Write the file and a net, then compile with it, or evaluate against it."""
    case, changes = _plan(seed)
    content = case.write()
    for place in range(changes):
        rng = Random(f"{seed} {place}")
        if place in without:
            continue
        if case.name.endswith(".json") and rng.randrange(3):
            content = (
                damage_json(content.decode("utf-8", "replace"), rng).encode()
                if _is_json(content)
                else content
            )
        else:
            content = damage_bytes(content, rng)
    held = folder / "data" if case.net == "grey" else folder  # images come in folders
    held.mkdir(exist_ok=True)
    path = held / case.name
    path.write_bytes(content)
    held_nets, net = nets(), folder / "net.onnx"
    net.write_bytes(held_nets[case.net])
    if case.net in ("image", "grey"):
        given = held if case.net == "grey" else path
        line = ["compile", net, "--calib", given, "-T", "2", *case.words.split()]
        return command(folder, [*line, "-o", folder / "net.snn.onnx"], ["net.snn.onnx"])
    (folder / "x.npy").write_bytes(held_nets[f"{case.net} samples"])
    line = ["evaluate", net, "--data", folder / "x.npy", "--labels", path, *case.words.split()]
    return command(folder, [*line, "--json", folder / "out"], ["out"])


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
