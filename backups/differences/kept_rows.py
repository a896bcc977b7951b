"""The rows that differ, kept in one file on the worker's host: as they were and as they are, in SQL.

The file is SQLite's, so that a page of rows is read without the others. It holds what people store, so only
its owner may read it, and it is removed a day after it was written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backups.errors import Problem
from backups.text.sentences import phrase

# A row's values as the dump writes them in SQL, by the name of their column: UTF-8, without backticks.
Values = Mapping[bytes, bytes]
Kind = Literal["gone", "new", "changed"]
GONE, NEW, CHANGED = "gone", "new", "changed"


@dataclass(frozen=True)
class Change:
    """A row that differs: gone has no `now`, new has no `then`, changed has both.

    `number` is its place within the file, from 1. `equal_now` counts, in a table without a key, the rows on
    the later side that are just like this one.
    """

    table: str
    number: int
    then: Values | None
    now: Values | None
    equal_now: int = 0

    @property
    def kind(self) -> Kind:
        """What became of it."""
        return "new" if self.then is None else "gone" if self.now is None else "changed"


@dataclass(frozen=True)
class KeptTable:
    """A table of which rows are kept: how many of each kind, and how many more differ (`beyond`).

    `key` are the columns that tell its rows apart, none where whole rows are counted. The definitions are
    the CREATE TABLE of either side, as the dump has it.
    """

    name: str
    key: Sequence[str]
    gone: int
    new: int
    changed: int
    beyond: int
    definition_then: bytes
    definition_now: bytes


class KeptRows:
    """The rows of one file, to be read. See `kept_rows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def tables(self) -> list[KeptTable]:
        """The tables of which rows are kept, by name."""
        raise NotImplementedError

    def page(
        self, table: str, offset: int = 0, limit: int = 50, kinds: Iterable[str] = (), search: str = ""
    ) -> tuple[int, list[Change]]:
        """How many rows there are of these kinds (all without any) whose key holds `search`, and some."""
        raise NotImplementedError

    def changes(self, table: str, kinds: Iterable[str] = ()) -> Iterator[Change]:
        """All rows of a table of these kinds, in the order of their numbers."""
        raise NotImplementedError

    def numbered(self, numbers: Iterable[int]) -> Iterator[Change]:
        """The rows of these numbers, in their order; unknown ones are passed over."""
        raise NotImplementedError


@contextmanager
def kept_rows(path: Path) -> Iterator[KeptRows]:
    """The rows of a file for the length of a block. Raises Problem where it is not there any more."""
    if not path.is_file():
        raise Problem(
            phrase("The rows of this comparison are not kept any more."),
            code="rows.not_kept",
            do=phrase("Compare again: rows are kept for a day."),
        )
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        yield KeptRows(connection)


def _made(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
