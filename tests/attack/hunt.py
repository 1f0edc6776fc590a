"""The hunt: candidates in processes of their own, what became of each, the smallest of each new kind."""

from __future__ import annotations

import json
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
FINE = ("ok", "refused")
#: Candidates of one process: its start is paid once, and what it has gathered goes with it.
BATCH = 200


@dataclass(frozen=True)
class Limits:
    """Of a candidate: seconds of its own, and GiB of address space."""

    seconds: float = 30.0
    memory: float = 6.0


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate.

    Attributes:
        seed: that gives it.
        what: "ok", "refused", "traceback", "hang", "abort", "file left", "untidy", "differs".
        where: the place, or the words, by which two of a kind are told to be the same.
        words: all that is known.
    """

    seed: int
    what: str
    where: str = ""
    words: str = ""

    @property
    def kind(self) -> tuple[str, str]:
        """What is counted as one fault."""
        return self.what, self.where


@dataclass
class Found:
    """What a part of the attack has seen.

    Attributes:
        counts: candidates by what happened.
        faults: the smallest candidate of every kind of fault, with what was left out of it.
        times: how often every kind was seen.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[tuple[str, str], tuple[Outcome, frozenset[int]]] = field(default_factory=dict)
    times: Counter[tuple[str, str]] = field(default_factory=Counter)


def run(
    part: str,
    first: int,
    count: int,
    folder: Path,
    limits: Limits,
    *,
    until: float,
    without: frozenset[int] = frozenset(),
) -> Iterator[Outcome]:
    """What becomes of candidates `first`, `first + 1`, …; a process that dies names its candidate.

    Args:
        part: a module of tests.attack with `steps` and `attempt`.
        first: seed of the first.
        count: how many, at most.
        folder: where candidates are written.
        limits: of each.
        until: `time.monotonic()` after which no other one begins.
        without: steps that are left out.
    """
    end = first + count
    while first < end and time.monotonic() < until:
        command = [sys.executable, "-m", "tests.attack.child", part, str(first), str(min(BATCH, end - first))]
        command += ["--folder", str(folder), "--limit", str(limits.seconds), "--memory", str(limits.memory)]
        command += ["--without", ",".join(map(str, sorted(without)))]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        try:
            for outcome in _outcomes(process, folder, limits, first):
                first = outcome.seed + 1
                yield outcome
                if time.monotonic() >= until:
                    return
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _outcomes(
    process: subprocess.Popen[bytes], folder: Path, limits: Limits, first: int
) -> Iterator[Outcome]:
    """What a process says of its candidates, and in the end what ended it."""
    begun, line = None, b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while True:
            # Starting takes a while; the process ends a candidate that hangs itself, unless it is stopped.
            waited = waiting.select(5 * limits.seconds + 60)
            line = process.stdout.readline() if waited else None
            if not line:
                break
            said = json.loads(line)
            begun = said["seed"] if "what" not in said else None
            if "what" in said:
                yield Outcome(**said)
    if line is None:
        process.kill()
    code = process.wait()
    stack = (folder / "stack").read_text(errors="replace") if (folder / "stack").exists() else ""
    if begun is not None or code != 0 or line is None:
        yield _death(first if begun is None else begun, code, stack, stopped=line is None)


def _death(seed: int, code: int, stack: str, *, stopped: bool) -> Outcome:
    own = re.findall(r'File "[^"]*/onnx2snn/([^"]*\.py)", line \d+ in (\w+)', stack)
    place = ":".join(own[0]) if own else "before the package"
    if stopped or "Timeout (" in stack:
        return Outcome(seed, "hang", place, stack[-4000:])
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Outcome(seed, "abort", f"{name} {place}", stack[-4000:])


def smallest(
    part: str, outcome: Outcome, folder: Path, limits: Limits, until: float
) -> tuple[Outcome, frozenset[int]]:
    """The same fault with every step left out that it does not need."""
    without: frozenset[int] = frozenset()
    for step in range(import_module(f"tests.attack.{part}").steps(outcome.seed)):
        for again in run(part, outcome.seed, 1, folder, limits, until=until, without=without | {step}):
            if again.kind == outcome.kind:
                outcome, without = again, without | {step}
    return outcome, without


def hunt(part: str, seed: int, seconds: float, limits: Limits, found_at: Path, most: int = 10**9) -> Found:
    """Run candidates of one part for so long, and write the smallest of each new kind of fault.

    Args:
        part: a module of tests.attack with `steps` and `attempt`.
        seed: of the first candidate.
        seconds: after which no other one begins.
        limits: of each.
        found_at: where faults are written, a folder each: the files, and `what.txt`.
        most: candidates.
    """
    found, until = Found(), time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="attack") as scratch:
        for outcome in run(part, seed, most, Path(scratch), limits, until=until):
            found.counts[outcome.what] += 1
            if outcome.what in FINE:
                continue
            found.times[outcome.kind] += 1
            if outcome.kind in found.faults:
                continue
            beside = Path(scratch) / "smaller"
            beside.mkdir(exist_ok=True)
            found.faults[outcome.kind] = smallest(part, outcome, beside, limits, until + 60)
            _write(part, *found.faults[outcome.kind], beside, limits, found_at)
    return found


def _write(
    part: str, outcome: Outcome, without: frozenset[int], folder: Path, limits: Limits, found_at: Path
) -> None:
    """The files of a candidate, and how to see it again."""
    for _ in run(part, outcome.seed, 1, folder, limits, until=time.monotonic() + 1, without=without):
        pass
    name = re.sub(r"\W+", "_", f"{part} {outcome.what} {outcome.where}")[:80].strip("_")
    target = found_at / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder / "candidate", target)
    left = f" --without {','.join(map(str, sorted(without)))}" if without else ""
    again = f"python -m tests.attack --only {part} --seed {outcome.seed} --count 1{left}"
    (target / "what.txt").write_text(f"{outcome.what}: {outcome.where}\n{again}\n\n{outcome.words}\n")
