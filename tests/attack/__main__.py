"""The attack on everything that reads files, bounded in time: what happened, in a table.

    python -m tests.attack --minutes 10 --seed 0 [--only models]

Candidates run in processes of their own, with limits of time and memory. Of each new kind of fault the
smallest input is written into a folder, with the command that shows it again. Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.attack.fuzz import fuzz
from tests.attack.hunt import FINE, Found, Limits, hunt

PARTS = {
    "models": "broken models, structure and bytes",
    "data": "samples, recordings and labels, damaged",
    "artifacts": "compiled networks, changed",
    "differences": "random nets, the same on every backend",
    "kills": "commands killed while they write",
    "fuzz": "readers of metadata and data, led by what they run",
}
COLUMNS = ("ok", "refused", "untidy", "traceback", "hang", "abort", "file left", "differs")


def table(found: dict[str, Found]) -> str:
    """What happened to how many, a line for each part, then the kinds of faults."""
    lines = [f"{'part':11} {'tried':>7} " + " ".join(f"{name:>9}" for name in COLUMNS)]
    for part, seen in found.items():
        figures = " ".join(f"{seen.counts[name]:9}" for name in COLUMNS)
        lines.append(f"{part:11} {seen.counts.total():7} {figures}")
    for part, seen in found.items():
        for kind, count in seen.times.most_common():
            lines.append(f"{part}: {count} × {kind[0]}: {kind[1]} (seed {seen.faults[kind][0].seed})")
    return "\n".join(lines)


def main() -> None:
    """Run the parts one after another, each for its share of the time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="for all parts together")
    parser.add_argument("--seed", type=int, default=0, help="of the first candidate")
    parser.add_argument("--count", type=int, default=10**9, help="candidates of each part, at most")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="one part; may be given again")
    parser.add_argument("--limit", type=float, default=30.0, help="seconds that a candidate may take")
    parser.add_argument("--memory", type=float, default=6.0, help="GiB of address space that it may have")
    parser.add_argument("--out", type=Path, default=Path("build/attack"), help="where faults are written")
    given = parser.parse_args()
    parts = given.only or list(PARTS)
    seconds, found = 60 * given.minutes / len(parts), {}
    for part in parts:
        print(f"{part}: {PARTS[part]}", flush=True)
        if part == "fuzz":
            found[part] = fuzz(given.seed, seconds, given.out)
        else:
            found[part] = hunt(
                part, given.seed, seconds, Limits(given.limit, given.memory), given.out, given.count
            )
    print(table(found))
    sys.exit(any(count for seen in found.values() for what, count in seen.counts.items() if what not in FINE))


if __name__ == "__main__":
    main()
