"""What `make soak` runs, in named parts: `python -m tests.soak [PART] [arguments of pytest]`.

It is what `make test` leaves out (the marks `soak` and `one_flavour`), and what counts more there (`larger`):
all inputs, both servers, all kills and sizes. Each part is a run of pytest of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# A file belongs to the part that names it, or else the nearest folder above it. What plays all inputs takes
# longer than a test of `make test` may, more so on a machine that does other things.
PYTEST = ("-m", "pytest", "-m", "soak or larger", "--timeout", "1800", "-o", "faulthandler_timeout=1700")
SEVERAL = ("--numprocesses", "auto", "--dist", "worksteal")
# In one process alone, the kills are counted for all of them.
ONE = ()
# So many kills, in an order of its own each time, which the seed repeats.
SIZES = {
    "VEDETTA_KILLS": "200",
    "VEDETTA_LOG_KILLS": "50",
    "VEDETTA_UNDO_KILLS": "40",
    "VEDETTA_HISTORIES": "1000",
}


@dataclass(frozen=True)
class Part:
    """Some of the soak tests, and how long they take on two cores that do nothing else.

    `took` is what was measured, or else reckoned from the seconds of its tests.
    """

    holds: str
    took: str
    places: tuple[str, ...]
    how: tuple[str, ...] = SEVERAL


PARTS = {
    "kills": Part(
        "whoever takes part in a run is killed, 200 times at random moments",
        "reckoned 22 minutes",
        ("tests/actions/test_kills.py", "tests/faults/test_kills.py", "tests/portal_copy/test_kills.py"),
        ONE,
    ),
    "logs": Part(
        "whoever stores, replays or proves a binary log is killed, 100 times at random moments",
        "reckoned 25 minutes",
        ("tests/faults/test_kills_of_logs.py",),
    ),
    "workers": Part(
        "one of two workers is killed, 200 times at random moments",
        "reckoned 20 minutes",
        ("tests/faults/test_two_workers.py",),
    ),
    "swaps": Part(
        "killed before and after every step of a swap, and in undos",
        "reckoned 11 minutes",
        ("tests/restoring/test_kills.py",),
    ),
    "storage": Part(
        "every fault of a storage with every operation, and lost repositories",
        "reckoned 18 minutes",
        (
            "tests/actions/test_check.py",
            "tests/actions/test_locks.py",
            "tests/catalog",
            "tests/faults/test_disks.py",
            "tests/faults/test_refusals.py",
            "tests/faults/test_storage.py",
            "tests/hostile/test_storage.py",
            "tests/repositories",
            "tests/snapshots",
        ),
    ),
    "servers": Part(
        "damaged tables, 5,000 tables, rows and limits of each server",
        "reckoned 14 minutes",
        ("tests/compat", "tests/faults", "tests/servers"),
    ),
    "changes": Part(
        "tables and definitions are changed while they are dumped",
        "reckoned 12 minutes",
        ("tests/dumping/test_changes.py",),
    ),
    "backups": Part(
        "dumps by all programs and under all settings, and their verification",
        "reckoned 11 minutes",
        (
            "tests/actions",
            "tests/backups",
            "tests/binlog",
            "tests/configuration",
            "tests/dumpfile",
            "tests/dumping",
            "tests/fuzz",
            "tests/gate",
            "tests/keeping",
            "tests/loading",
            "tests/mysql",
            "tests/restic",
            "tests/runs",
            "tests/scheduling",
            "tests/shipping",
            "tests/worker",
        ),
    ),
    "restores": Part(
        "every mode with every kind of object and fault, on both servers",
        "reckoned 21 minutes",
        (
            "tests/loading/test_spread.py",
            "tests/management",
            "tests/moments",
            "tests/replaying",
            "tests/restoring",
            "tests/rows_back",
        ),
    ),
    "databases": Part(
        "the portal's own rows on PostgreSQL, MariaDB and MySQL, and a database that is away",
        "reckoned 20 minutes",
        ("tests/portal_database",),
    ),
    "security": Part(
        "hostile dumps, logins, sessions and visitors",
        "reckoned 7 minutes",
        ("tests/security",),
    ),
    "hostile": Part(
        "servers and storages that answer anything, and texts of any length",
        "reckoned 18 minutes",
        ("tests/hostile",),
    ),
    "walk": Part(
        "a browser walks through all pages, and axe-core looks at each by day, by night and on a phone",
        "reckoned 26 minutes",
        ("tests/browser",),
    ),
    "portal": Part(
        "settings, slow clients, channels, the portal's own copy, upgrades, packages, `make run`",
        "reckoned 14 minutes",
        (
            "tests/admin",
            "tests/alerting",
            "tests/deploy",
            "tests/downloads",
            "tests/keys",
            "tests/portal",
            "tests/portal_copy",
            "tests/run",
            "tests/sentinel",
            "tests/tools",
            "tests/upgrade",
            "tests/reports",
            "tests/verdict",
        ),
    ),
}


def parts_of(file: Path) -> list[str]:
    """The parts that name a file of tests, or the nearest folder above it that is named at all."""
    for place in (file, *file.parents):
        named = place.relative_to(PROJECT).as_posix() if place.is_relative_to(PROJECT) else ""
        if found := [name for name, part in PARTS.items() if named in part.places]:
            return found
    return []


def files_of(name: str) -> list[Path]:
    """The files of tests of a part, by the alphabet."""
    return [path for path in sorted(PROJECT.glob("tests/**/test_*.py")) if name in parts_of(path)]


def main(arguments: Sequence[str]) -> int:
    """Run the part that is named first, or all of them; gives 1 where a test of any failed."""
    named = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    if named and named not in PARTS:
        print(f"soak: there is no part {named}. There are:", *listed(), sep="\n", file=sys.stderr)
        return 2
    environment = {"VEDETTA_SEED": str(int(time.time())), **SIZES, **os.environ, "VEDETTA_SOAK": "yes"}
    seed = environment["VEDETTA_SEED"]
    failed = []
    for name in [named] if named else PARTS:
        print(f"soak: part {name}: VEDETTA_SEED={seed} make soak PART={name}", flush=True)
        began = time.monotonic()
        command = [
            sys.executable,
            *PYTEST,
            *PARTS[name].how,
            *map(str, files_of(name)),
            *arguments[bool(named) :],
        ]
        status = subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode
        print(f"soak: part {name} took {(time.monotonic() - began) / 60:.0f} minutes", flush=True)
        failed += [name] if status else []
    for name in failed:
        print(f"soak: failed: VEDETTA_SEED={seed} make soak PART={name}", flush=True)
    return int(bool(failed))


def listed() -> list[str]:
    """A line for each part, for people."""
    return [f"  {name:9} {part.holds} ({part.took})" for name, part in PARTS.items()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
