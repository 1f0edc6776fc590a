"""Commands killed at random moments: old or new file, whole, and nothing else behind the next run.

A process that has everything imported forks one for each command, which is killed by itself before one of its
changes to the disk, or from outside at some moment.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx

from onnx2snn.cli import main
from onnx2snn.model import parking, weights
from tests.attack.data import npy, npz
from tests.attack.faults import LeftError
from tests.helpers import normal, parse

_NET = """(float[N,8] x) => (float[N,3] y) {
    h = Gemm(x, w1) r = Relu(h) g = Gemm(r, w2) s = Relu(g) y = Gemm(s, w3) }"""
#: Of a candidate, each of which may take as long as another part's candidates.
COMMANDS = 4
#: What opens, renames, removes and links, as Python's audit events have it.
_CHANGES = (
    "os.rename",
    "os.remove",
    "os.link",
    "os.mkdir",
    "os.truncate",
    "os.chmod",
    "os.rmdir",
    "os.utime",
)


@dataclass(frozen=True)
class Target:
    """A command, and what it writes.

    Attributes:
        line: behind `onnx2snn`.
        writes: names of files.
        small: whether weights go into a file beside the model, as with large ones.
    """

    line: str
    writes: tuple[str, ...]
    small: bool = False


TARGETS = (
    Target("compile net.onnx --calib x.npy -T 2 -o new.snn.onnx", ("new.snn.onnx",)),
    Target(
        "compile net.onnx --calib x.npy -T 2 -o new.snn.onnx --json new.json", ("new.snn.onnx", "new.json")
    ),
    Target("compile net.onnx --calib x.npy -T 2 -o new.snn.onnx", ("new.snn.onnx",), small=True),
    Target(
        "compile net.onnx --calib x.npy -T 2 -o new.snn.onnx --report new.html", ("new.snn.onnx", "new.html")
    ),
    Target("inspect net.onnx --json new.json", ("new.json",)),
    Target(
        "sweep net.onnx --calib x.npy --data d.npz --kinds radix --timesteps 2,3 --max-loss none "
        "--cache kept --json new.json",
        ("new.json",),
    ),
)


def _forked(target: Target, folder: Path, *, die_at: int | None = None, after: float | None = None) -> int:
    """Run a command in a process of its own; the exit code, or minus the signal."""
    process = os.fork()
    if process == 0:  # from here on nothing of this process may go on
        try:
            os.chdir(folder)
            if target.small:
                weights.MOST_BYTES, parking.LARGE = 200, 100
            if die_at is not None:
                _die_before_change(die_at, folder)
            main(target.line.split(), standalone_mode=True)
        except SystemExit as done:
            os._exit(int(done.code or 0))
        finally:
            os._exit(99)
    if after is not None:
        time.sleep(after)
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _die_before_change(number: int, folder: Path) -> None:
    left = [number]

    def watch(event: str, given: tuple[object, ...]) -> None:
        writing = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
        here = str(given[0]).startswith((".", "new", "kept", str(folder))) if given else False
        if (event in _CHANGES or writing) and here:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(watch)


@cache
def _inputs() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    net = parse(_NET, **normal(rng, w1=(8, 16), w2=(16, 16), w3=(16, 3)))
    x = rng.standard_normal((16, 8)).astype(np.float32)
    return {
        "net.onnx": net.SerializeToString(),
        "x.npy": npy(x),
        "d.npz": npz(images=x, labels=np.arange(16) % 3),
    }


def _plan(seed: int) -> tuple[Target, random.Random]:
    rng = random.Random(seed)
    return rng.choice(TARGETS), rng


def steps(seed: int) -> int:
    """A kill has nothing to leave out."""
    del seed
    return 0


def attempt(seed: int, folder: Path, without: Collection[int] = ()) -> str:
    """Kill a command twice and look at what stands; run it to its end, and nothing else may be there."""
    del without
    target, rng = _plan(seed)
    for name, content in _inputs().items():
        (folder / name).write_bytes(content)
    begun = time.monotonic()
    reference = _finished(target, folder)
    duration = time.monotonic() - begun
    if rng.randrange(2):  # where nothing stood before
        for name in reference:
            _remove(folder / name)
    else:
        for name in target.writes:
            (folder / name).write_bytes(b"old")
    old = {name: (folder / name).read_bytes() for name in target.writes if (folder / name).exists()}
    for _ in range(2):
        if rng.randrange(3):
            _forked(target, folder, die_at=rng.randrange(12))
        else:
            _forked(target, folder, after=rng.uniform(0, duration))
        for name in target.writes:
            _look(folder / name, old.get(name))
    again = _finished(target, folder)
    if again - reference:
        raise LeftError(f"{target.line.split()[0]}: {', '.join(sorted(map(_kind, again - reference)))}")
    return "ok"


def _finished(target: Target, folder: Path) -> set[str]:
    """Everything that is there once the command has run to its end."""
    code = _forked(target, folder)
    if code:
        raise RuntimeError(f"{target.line}: exit code {code}")
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _kind(name: str) -> str:
    """A name without what is drawn anew every time."""
    return "".join("h" if letter in "0123456789abcdef" else letter for letter in name)[:60]


def _remove(path: Path) -> None:
    if path.name in _inputs() or not path.exists():
        return
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _look(path: Path, old: bytes | None) -> None:
    """The file is what it was, or whole."""
    if not path.exists():
        if old is not None:
            raise LeftError(f"{path.name} is gone")
        return
    content = path.read_bytes()
    if content == old:
        return
    whole = content.rstrip().endswith((b"}", b"</html>"))
    if path.suffix == ".json":
        json.loads(content)
    elif path.suffix == ".onnx":
        onnx.checker.check_model(onnx.load(path))
        whole = True
    if not whole:
        raise LeftError(f"{path.name} is half")
