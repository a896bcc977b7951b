"""The script that gives rows back, for a person to read and for any client to run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from backups.rows_back.tables import Table


class RowChange(Protocol):
    """A row that differs, its values as the dumps write them, by the names of its columns."""

    @property
    def table(self) -> str:
        """The table's name."""

    @property
    def number(self) -> int:
        """Which it is."""

    @property
    def then(self) -> Mapping[bytes, bytes] | None:
        """As it was; None for a new row."""

    @property
    def now(self) -> Mapping[bytes, bytes] | None:
        """As it is; None for a row that is gone."""


@dataclass(frozen=True)
class Counts:
    """How many rows of a table a script inserts, updates and deletes."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Head:
    """What the script says of itself in comments: no value of any row. All are told as they are.

    `proved` is the sentence of the proof, empty before it. `digests` are what else names the proof.
    """

    database: str
    server: str = ""
    snapshot: str = ""
    then: str = ""
    now: str = ""
    proved: str = ""
    digests: Mapping[str, str] = ...  # type: ignore[assignment]
    triggers: Collection[str] = ()
    is_undo: bool = False


@dataclass(frozen=True)
class Script:
    """A script. `statements` are what one connection is sent, in this order, to run it."""

    head: Head
    rows: Sequence[tuple[bytes, bytes]]
    counts: Mapping[str, Counts]

    def with_head(self, head: Head) -> Script:
        """The same under another head: what it does is the same."""
        raise NotImplementedError

    def statements(self) -> Iterator[bytes]:
        """What is sent, one by one and without a delimiter. All or nothing is committed by its end."""
        raise NotImplementedError

    @property
    def text(self) -> bytes:
        """The whole as a file, for a client and for a person."""
        raise NotImplementedError

    @property
    def sha256(self) -> str:
        """Of its text."""
        raise NotImplementedError

    @property
    def longest(self) -> int:
        """Bytes of its longest statement, which must be below the server's max_allowed_packet."""
        raise NotImplementedError


def write(changes: Iterable[RowChange], tables: Mapping[str, Table], head: Head) -> Script:
    """The script that makes these rows as they were. `tables` are all that foreign keys connect with theirs.

    Raises Problem where no order of statements does it.
    """
    raise NotImplementedError


def inverse(changes: Iterable[RowChange], tables: Mapping[str, Table], head: Head) -> Script:
    """The script that makes them as they are now again, once `write`'s has run. Raises Problem."""
    raise NotImplementedError
