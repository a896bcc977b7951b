"""What the benchmarks have in common."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Options:
    """How large, in MB of the dump, and how often. A table that has room for one size takes the first."""

    sizes: tuple[float, ...]
    rounds: int
    # How many databases there are, as each table has them where nothing is said.
    databases: tuple[int, ...] = ()
    # How many snapshots of others are put beside those of a fleet.
    forged: int = 34_000
    # How many small rows there are where memory is to be flat.
    rows: tuple[int, ...] = (1_000_000, 10_000_000)

    @property
    def megabytes(self) -> float:
        """The size, where one is measured."""
        return self.sizes[0]


def of_rounds(options: Options) -> str:
    """For a table's title: what its figures are."""
    return f"medians of n={options.rounds}, least to most"


def isolate() -> None:
    """Keep the operator's own repository and database out of reach, as the tests do."""
    names = re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    os.environ.update({name + suffix: "" for name in names for suffix in ("", "_FILE")})
    os.environ.update(
        DJANGO_SETTINGS_MODULE="portal.settings",
        SECRET_KEY="of the benchmarks, and of nothing else but the benchmarks",
    )


@contextmanager
def work_folder() -> Iterator[Path]:
    """A folder for repositories, on a real disk, gone after."""
    parent = PROJECT / "var"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        yield Path(folder)


def find_restic() -> Path:
    """The restic that set-up has put beside this Python, or else the one on PATH."""
    found = shutil.which("restic", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found
    return Path(found)


def say(text: str) -> None:
    """How far it is; the tables alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *notes: str) -> None:
    """A table in Markdown, with what is to be known about it below."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    print(f"\n## {title}\n")
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
    for note in notes:
        print(f"\n{note}")
    sys.stdout.flush()
