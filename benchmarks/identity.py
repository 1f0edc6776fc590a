"""Whether a change of the code changes anything that users get: artifacts, figures and pages, byte for byte.

    python -m benchmarks.identity record FILE.json [--small] [--only PATTERN] [--keep DIR]
    python -m benchmarks.identity check FILE.json [--small] [--only PATTERN] [--keep DIR]

`record` runs the commands of `identity_cases` and writes a hash of each file that they write, and of what
they print; `check` does so again and prints every difference. `--small` takes the quick cases only, `--only`
those with PATTERN in their name. `--keep` puts what was hashed into a new folder, for `diff -r` with that of
another run.

Everything goes by way of the command line and `onnx2snn.SpikingSession`, so this is the same before and after
modules of the package move.
Hashes hold on one machine with one set of versions: another processor adds in another order.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
from click.testing import CliRunner

import onnx2snn
from benchmarks.identity_cases import LARGE, SESSION, SMALL, Case, calibration, prepare, preprocessing
from benchmarks.nets import DATA
from onnx2snn.cli import main as command_line

#: Case → what was written or printed → its hash, or the text itself where that is short.
Hashes = dict[str, dict[str, str]]

ROOT = Path(__file__).resolve().parents[1]
#: Keys of the JSON whose values are left out, at any depth. The keys inside of them stay.
VARYING = (
    "seconds",  # compile: wall time by pass
    "peak_megabytes",  # compile: memory by pass
    "samples_per_second",  # evaluate, also of an early exit: wall time
    "speedup",  # evaluate, of an early exit: a ratio of wall times
    "milliseconds_per_sample",  # sweep, also in its cache: wall time
    "version",  # compile, inspect; doctor, of tools: a release
    "versions",  # doctor: what is installed
    "platform",  # doctor
    "native",  # doctor: a path, or a reason
    "providers",  # doctor: of the onnxruntime that is installed
    "extras",  # doctor: what is not installed
)
#: Commands with `--json`.
_WITH_JSON = ("compile", "evaluate", "diagnose", "inspect", "sweep", "doctor")
#: Commands that print wall times or versions, in columns as wide as these; -vv logs times.
_PRINTS_TIMES = ("evaluate", "sweep", "demo", "doctor", "-vv")
_NUMBER = re.compile(r"\d[\d.,]*")
_SPACES = re.compile(" +")
_ARTIFACT = "snn.onnx"
#: Characters of what a command says that are kept as they are: the message of one that is refused.
_SHORT = 600


def observe(case: Case) -> Iterator[tuple[str, str, bytes]]:
    """Run a case in the current folder, which has its net and its data.

    Yields:
        A command, what it wrote or printed, and the content of that without what varies.
    """
    commands = list(case.commands)
    if case.options is not None:
        data = f"--calib {calibration(case.net)} {preprocessing(case.net)}"
        commands.insert(0, f"compile ann.onnx -o {_ARTIFACT} {data} {case.options}")
    for command in commands:
        before = set(Path().iterdir())
        words = shlex.split(command)
        results = _session(words[1]) if words[0] == SESSION else _call(words)
        yield from ((command, *found) for found in results)
        for written in sorted(set(Path().iterdir()) - before):
            for path in sorted(written.rglob("*")) if written.is_dir() else [written]:
                if path.is_file():
                    yield command, path.as_posix(), _content(path)
            if written.is_dir():
                shutil.rmtree(written)
            elif written.name != _ARTIFACT:
                written.unlink()


def _call(words: list[str]) -> Iterator[tuple[str, bytes]]:
    """What a command prints, and how it ends."""
    json_option = ["--json", "out.json"] if words[0] in _WITH_JSON and "--help" not in words else []
    result = CliRunner().invoke(command_line, [*words, *json_option], prog_name="onnx2snn")
    ending = str(result.exit_code)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        ending = f"{type(result.exception).__name__}: {result.exception}"
    yield "exit", ending.encode()
    for name, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        if ending == "0" and any(word in _PRINTS_TIMES for word in words):
            text = _SPACES.sub(" ", _NUMBER.sub("#", text))
        yield name, text.encode()


def _session(backend: str) -> Iterator[tuple[str, bytes]]:
    """What `SpikingSession` gives beyond the commands: spikes, counts of each sample, frames."""
    if not Path(_ARTIFACT).exists():  # refused
        return
    with np.load("test.npz", allow_pickle=False) as file:
        given = [file[name][:3].astype(np.float32) / 16 for name in file.files if name != "labels"]
    session = onnx2snn.SpikingSession(_ARTIFACT, backend=cast(Any, backend))
    feeds = {spec.name: array for spec, array in zip(session.inputs, given, strict=True)}
    run = session.run(feeds, record=True)
    yield "run", _described({**run.outputs, **run.steps, **run.spikes})
    (counted,) = session.run_counted(feeds, [session.timesteps])
    for part in ("outputs", "spikes", "events", "synaptic_operations", "synaptic_events"):
        yield f"counted {part}", _described(getattr(counted, part))
    yield "work", f"{session.work_per_sample(feeds)}\n{session.fan_out(feeds)}\n".encode()
    if "stream" in session.artifact.schedule:
        for number, frame in enumerate(session.stream([feeds, feeds])):
            yield f"frame {number}", _described(frame.outputs)
        for number, outputs in enumerate(session.outputs_by_step(feeds)):
            yield f"timestep {number}", _described(outputs)


def _described(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A line for each array."""
    lines = (
        f"{name} {array.dtype} {array.shape} {_digest(array.tobytes())}\n" for name, array in arrays.items()
    )
    return "".join(lines).encode()


def _content(path: Path) -> bytes:
    """The bytes of a file; JSON without what varies, arrays without the archive around them."""
    content = path.read_bytes()
    if path.suffix == ".json":
        return (json.dumps(_without_varying(json.loads(content)), indent=1) + "\n").encode()
    if path.suffix == ".npz":
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return _described(arrays)
    return content


def _without_varying(value: Any) -> Any:
    """JSON with null for what varies from run to run, in the same order."""
    if isinstance(value, dict):
        return {
            key: _empty(part) if key in VARYING else _without_varying(part) for key, part in value.items()
        }
    return [_without_varying(part) for part in value] if isinstance(value, list) else value


def _empty(value: Any) -> Any:
    return {key: _empty(part) for key, part in value.items()} if isinstance(value, dict) else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def measure(cases: Sequence[Case], keep: Path | None) -> Hashes:
    """Run the cases, each in a folder of its own."""
    hashes: Hashes = {}
    for number, case in enumerate(cases, 1):
        started = time.perf_counter()
        found = hashes.setdefault(case.name, {})
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            prepare(case.net, Path())
            for command, name, content in observe(case):
                said = name in ("exit", "stderr") and len(content) <= _SHORT
                found[f"{command}: {name}"] = content.decode() if said else _digest(content)
                if keep is not None:
                    _keep(keep / _as_name(case.name) / _as_name(command) / name, content)
        spent = time.perf_counter() - started
        print(f"{number:>3}/{len(cases)} {spent:6.1f} s  {case.name}", file=sys.stderr, flush=True)
    return hashes


def _keep(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def _as_name(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def differences(old: Hashes, new: Hashes) -> list[str]:
    """A line for each thing that is not as it was."""
    lines = []
    for case in {**old, **new}:
        before, after = old.get(case, {}), new.get(case, {})
        lines += [
            f"{case}\n    {name}\n    {before.get(name, 'absent')} → {after.get(name, 'absent')}"
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        ]
    return lines


def _installation() -> dict[str, Any]:
    """What decides how numbers are rounded."""
    said = json.loads(CliRunner().invoke(command_line, ["doctor", "--json", "-"]).stdout)
    return {
        "versions": said["versions"],
        "native": said["native"]["library"] is not None,
        "cores": os.cpu_count(),
    }


def _chosen(small: bool, only: str) -> list[Case]:
    cases = SMALL if small else SMALL + LARGE
    return [case for case in cases if only in case.name]


@click.command()
@click.argument("action", type=click.Choice(["record", "check"]))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--small", is_flag=True, help="The quick cases only.")
@click.option("--only", default="", metavar="PATTERN", help="Cases with this in their name.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for what is hashed.")
def main(action: str, file: Path, small: bool, only: str, keep: Path | None) -> None:
    """Record all hashes, or check them against what is recorded."""
    package = Path(onnx2snn.__file__).resolve()
    if ROOT not in package.parents:
        raise click.ClickException(f"this would measure {package}, which is not in {ROOT}")
    if not DATA.is_dir():
        raise click.ClickException(f"{DATA}: no folder with the nets and data; name one in ONNX2SNN_DATA")
    cases = _chosen(small, only)
    if keep is not None and keep.exists():
        raise click.ClickException(f"{keep}: is there already; name a new folder")
    keep = keep and keep.resolve()  # every case changes the folder
    file = file.resolve()
    installed = _installation()
    hashes = measure(cases, keep)
    count = sum(map(len, hashes.values()))
    if action == "record":
        file.write_text(json.dumps({"installed": installed, "hashes": hashes}, indent=1) + "\n")
        print(f"{len(hashes)} cases, {count} hashes → {file}")
        return
    recorded = json.loads(file.read_text())
    if recorded["installed"] != installed:
        print(f"recorded with {recorded['installed']}, this is {installed}: expect differences")
    known = recorded["hashes"]
    wanted = known if not (small or only) else {name: known.get(name, {}) for name in hashes}
    found = differences(wanted, hashes)
    print("\n".join([*found, f"{len(hashes)} cases, {count} hashes, {len(found)} differences"]))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
