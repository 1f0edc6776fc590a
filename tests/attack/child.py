"""One process of the attack: candidates one after another, each within limits; a line of JSON for each.

`python -m tests.attack.child PART FIRST COUNT --folder F --limit S --memory GIB [--without 0,2]` starts
nothing else. A candidate that takes longer than the limit ends the process with the place where it hung, one
that kills it leaves its stack, both in `F/stack`; what it read is in `F/candidate`.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import importlib
import json
import os
import resource
import shutil
import sys
import traceback
import warnings
from pathlib import Path
from types import ModuleType

PACKAGE = f"{os.sep}onnx2snn{os.sep}"


def place_of(error: BaseException) -> str:
    """The innermost frame in the package, which it is one's own fault to have left."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if PACKAGE in frame.filename and "site-packages" not in frame.filename]
    frame = (own or frames)[-1]
    return f"{frame.filename.rpartition(PACKAGE)[2]}:{frame.name}"


def judge(part: ModuleType, seed: int, folder: Path, without: frozenset[int]) -> dict[str, object]:
    """What became of one candidate: what happened, where, and the words for it."""
    try:
        return {"what": part.attempt(seed, folder, without), "where": "", "words": ""}
    except BaseException as error:  # noqa: BLE001  (any is what is looked for; Rust's panics are no Exception)
        name = type(error).__name__
        what = {"LeftError": "file left", "UntidyError": "untidy", "DifferenceError": "differs"}.get(
            name, "traceback"
        )
        where = f"{name} {place_of(error)}" if what == "traceback" else str(error)
        return {
            "what": what,
            "where": where[:200],
            "words": "".join(traceback.format_exception(error))[-4000:],
        }


def main() -> None:
    """Run the candidates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--limit", type=float, required=True)
    parser.add_argument("--memory", type=float, required=True)
    parser.add_argument("--without", default="")
    given = parser.parse_args()
    told = os.fdopen(os.dup(1), "w", buffering=1)
    for descriptor in (1, 2):  # what libraries print themselves is nobody's
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    most = int(given.memory * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    part = importlib.import_module(f"tests.attack.{given.part}")
    seconds = given.limit * getattr(part, "COMMANDS", 1)
    folder = given.folder / "candidate"
    without = frozenset(int(number) for number in given.without.split(",") if number)
    with (given.folder / "stack").open("w") as stack:
        faulthandler.enable(stack)
        for seed in range(given.first, given.first + given.count):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            told.write(json.dumps({"seed": seed}) + "\n")
            faulthandler.dump_traceback_later(seconds, exit=True, file=stack)
            outcome = judge(part, seed, folder, without)
            faulthandler.cancel_dump_traceback_later()
            told.write(json.dumps({"seed": seed, **outcome}) + "\n")
            gc.collect()
    told.close()
    sys.stdout.flush()
    os._exit(0)  # whatever threads or finalizers are left


if __name__ == "__main__":
    main()
