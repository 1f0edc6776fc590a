"""Readers of metadata and data under atheris, which looks for bytes that run what others did not.

`python -m tests.attack.fuzz TARGET -max_total_time=60 -seed=1` is libFuzzer with one reader; `fuzz` runs each
for its share of the time. Without atheris (`pip install -e '.[fuzz]'`) nothing is run, and it says so.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from onnx2snn.errors import Onnx2SnnError
from tests.attack.hunt import ROOT, Found, Outcome

#: Readers of `tests.attack.readers`.
TARGETS = ("metadata", "npy", "npz", "events", "bin", "aedat4", "dat", "raw", "boxes")


def fuzz(seed: int, seconds: float, found_at: Path) -> Found:
    """Run every reader for its share of the time; a reader's first fault ends its turn."""
    found = Found()
    if find_spec("atheris") is None:
        print("fuzz: not run, atheris is not installed: pip install -e '.[fuzz]'")
        return found
    for name in TARGETS:
        until = time.monotonic() + seconds / len(TARGETS)
        kept = found_at / f"fuzz_{name}"
        kept.mkdir(parents=True, exist_ok=True)
        options = [f"-max_total_time={max(1, int(until - time.monotonic()))}", f"-seed={seed + 1}"]
        options += [f"-artifact_prefix={kept}/", "-timeout=30", "-rss_limit_mb=4096", "-print_final_stats=1"]
        command = [sys.executable, "-m", "tests.attack.fuzz", name, *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        ran = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        found.counts["ok"] += int(ran[1]) if ran else 0
        if done.returncode:
            said = re.sub(r"(?m)^(INFO|WARNING): .*\n", "", f"{done.stderr}\n{done.stdout}")
            outcome = _fault(name, seed, said)
            (kept / "what.txt").write_text(f"{outcome.what}: {outcome.where}\n\n{outcome.words}\n")
            found.counts[outcome.what] += 1
            found.times[outcome.kind] += 1
            found.faults[outcome.kind] = outcome, frozenset()
        elif not any(kept.iterdir()):
            kept.rmdir()
    return found


def _fault(name: str, seed: int, said: str) -> Outcome:
    own = re.findall(r'File "[^"]*/onnx2snn/([^"]*\.py)", line \d+, in (\w+)', said)
    error = re.findall(r"(?m)^(\w+(?:\.\w+)*(?:Error|Exception|Interrupt)\b[^\n]{0,80})", said)
    what = "hang" if "libFuzzer: timeout" in said else "traceback" if error else "abort"
    where = f"{name}: {error[-1] if error else 'no exception'} {':'.join(own[-1]) if own else ''}"
    return Outcome(seed, what, where, said[-4000:])


def main() -> None:
    """Run one reader under libFuzzer."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["onnx2snn"]):
        readers = import_module("tests.attack.readers")
    read, whole = readers.READERS[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        (corpus / "whole").write_bytes(whole())
        place = Path(folder) / "place"
        place.mkdir()

        def one(content: bytes) -> None:
            with suppress(Onnx2SnnError):
                read(place, content)

        atheris.Setup([sys.argv[0], *sys.argv[2:], str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
