"""`python -m bench [TABLE …]`: measure and print the tables, by default all but fleet, which takes hours."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench import (
    comparing,
    fleet,
    gate,
    logs,
    many,
    memory,
    overhead,
    pages,
    rest,
    restoring,
    slow,
    starting,
    tools,
)
from bench.common import Options, isolate

TABLES: dict[str, Callable[[Options], None]] = {
    "overhead": overhead.measure,
    "tools": tools.measure,
    "restore": restoring.measure,
    "diff": comparing.measure,
    "memory": memory.measure,
    "gate": gate.measure,
    "slow": slow.measure,
    "pages": pages.measure,
    "many": many.measure,
    "log": logs.measure,
    "fleet": fleet.measure,
    "rest": rest.measure,
    "start": starting.measure,
}


def _sizes(text: str) -> tuple[float, ...]:
    return tuple(float(size) for size in text.split(","))


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(count) for count in text.split(","))


def main() -> int:
    """Measure what the arguments name; the exit status is 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}")
    parser.add_argument(
        "--megabytes",
        type=_sizes,
        default=(2000.0,),
        help="size of the sample database's dump, or several, as in 100,700,3000, to see how cost grows",
    )
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind")
    parser.add_argument(
        "--databases",
        type=_counts,
        default=Options.databases,
        help="of fleet: how many small databases are backed up (1,50,200); of many: rows of how many there "
        "are (50,2000)",
    )
    parser.add_argument(
        "--forged",
        type=int,
        default=Options.forged,
        help="of fleet: how many snapshots of others lie in one more repository; 0 leaves that out",
    )
    parser.add_argument(
        "--rows",
        type=_counts,
        default=Options.rows,
        help="of diff: with how many small rows memory is measured (1000000,10000000); 0 leaves that out",
    )
    asked = parser.parse_args()
    if unknown := set(asked.tables) - set(TABLES):
        parser.error(f"there is no table {', '.join(sorted(unknown))}")
    isolate()
    for name in asked.tables or [name for name in TABLES if name != "fleet"]:
        TABLES[name](Options(asked.megabytes, asked.rounds, asked.databases, asked.forged, rows=asked.rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
