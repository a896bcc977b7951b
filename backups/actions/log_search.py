"""A search of the stored log: pieces are read out of their repository again, each transaction is looked at.

It changes nothing. What it finds may hold what rows hold: it goes to whoever asked and nowhere else.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any, NamedTuple

from backups import binlog, mysql, process, restic
from backups.actions.steps.log_replayed import Played, StoredLog, piece_bytes
from backups.actions.steps.moment_found import Nothing
from backups.binlog import Event, KeyValue, Look, Looked, Transaction
from backups.endpoints import database_server, repository_access
from backups.errors import Problem
from backups.models import Database, LogPiece, LogTransaction, Repository
from backups.moments import listed, searching
from backups.moments.rows import log_of
from backups.moments.searching import Search
from backups.moments.timeline import Piece
from backups.shipping.contents import moment_of
from backups.text.sentences import phrase

# A storage that gives nothing, or one transaction without end, is given so much longer than a search.
_LONGEST_SECONDS = searching.SECONDS + 20
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,20}")
_UNREADABLE = ("log.piece_damaged", binlog.Unreadable.code)
_TOO_SLOW = "moment.search_too_slow"
# Of a storage that gave so little it is not a transaction's size that takes so long.
_LARGE_BYTES = 256_000_000


def answer(database_id: int, asked: Mapping[str, Any], tick: process.Tick) -> bytes:
    """What is found, as JSON. Raises Problem, what `tick` raises."""
    database = Database.objects.select_related("server", "repository").filter(pk=database_id).first()
    try:
        search = Search.of(asked)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise _unknown() from error
    if database is None:
        raise _unknown()
    return json.dumps(found(database, search, tick)).encode()


def found(database: Database, search: Search, tick: process.Tick = lambda: None) -> dict[str, Any]:
    """What is found, as `searching.Found` reads it. Raises Problem, what `tick` raises."""
    search.refuse_unfit()
    reading = _Reading(database, search, tick)
    try:
        pieces = _from_there_on(search, search.pieces(log_of(database)))
        for piece, following in zip_longest(pieces, pieces[1:]):
            reading.look_through(piece, following)
    except _Enough as enough:
        reading.why = enough.why
    return reading.told()


def _from_there_on(search: Search, pieces: Iterator[Piece]) -> list[Piece]:
    """Those that are kept, from the one on where an earlier search came to; from the first, if that went."""
    kept = [piece for piece in pieces if piece.is_kept]
    keys = [piece.key for piece in kept]
    first = keys.index(search.after[0]) if search.after and search.after[0] in keys else 0
    return kept[first:]


class _Enough(Exception):
    """It goes no further at once."""

    def __init__(self, why: str) -> None:
        self.why = why


class _What(NamedTuple):
    """What is told of a transaction, by the log or as it was noted when it was stored."""

    file: str
    position: int
    moment: datetime
    gtid: str
    connection: int | None
    rows: int
    tables: Mapping[str, Mapping[str, int]]
    is_statement: bool
    is_definition: bool


@dataclass
class _Passing(Looked):
    """One transaction as it goes by, which may be of gigabytes: the clock is looked at meanwhile."""

    of: _Reading | None = None
    start: int = -1
    # How much was read before it.
    bytes_before: int = 0

    def append(self, event: Event) -> None:
        """The next event. Raises Unreadable, _Enough."""
        if self.start < 0:
            self.start = event.position
        if self.of is not None:
            self.of.passes(self)
        super().append(event)


@dataclass
class _Reading:
    """One search on its way through the log."""

    database: Database
    search: Search
    tick: process.Tick
    why: str = ""
    found: list[dict[str, Any]] = field(default_factory=list)
    reached: datetime | None = None
    go_on: tuple[int, int] | None = None
    unread: list[str] = field(default_factory=list)
    unlike: Counter[str] = field(default_factory=Counter)
    # Transactions that a search does not come to the end of, and that may be among those looked for.
    too_large: list[str] = field(default_factory=list)
    # Whether it ended at such a one, or one that may be.
    is_at_large: bool = False
    # The one that is being read.
    _open: _Passing | None = None
    _played: Played = field(default_factory=Played)
    _began: float = field(default_factory=lambda: time.monotonic())
    # Up to where transactions were looked at: of two pieces the later may hold the same once more.
    _seen: tuple[str, int, int] = ("", 0, 0)
    _taken: int = 0
    _accesses: dict[int, restic.Access] = field(default_factory=dict)
    _look: Look = field(default_factory=Look)

    def __post_init__(self) -> None:
        if self.search.key:
            keys = _keys_in(self.database, self.search.key)
            self._look = Look(keys, is_for_key=True, with_text=self.search.with_text)
        else:
            self._look = Look(with_text=self.search.with_text)

    def look_through(self, piece: Piece, following: Piece | None) -> None:
        """All of a piece that is of that time. Raises Problem, _Enough."""
        row = LogPiece.objects.select_related("repository").get(pk=piece.key)
        begin = self.search.after[1] if self.search.after and self.search.after[0] == piece.key else 0
        self._stop_in_time(piece.key, begin)
        try:
            with closing(self._transactions(row, begin)) as transactions:
                for one in transactions:
                    self._open = None
                    self._stop_in_time(piece.key, one.start)
                    self._taken += 1
                    if isinstance(one.events, Looked):
                        self._take(row, one, one.events)
        except Problem as problem:
            if problem.code == _TOO_SLOW and self._played.bytes > _LARGE_BYTES:
                self._pass_over(row, self._open, following)
            elif problem.code not in _UNREADABLE and not isinstance(problem, restic.SnapshotGone):
                raise
            else:
                self.unread.append(f"{piece.file}:{piece.start}")

    def passes(self, one: _Passing) -> None:
        """An event of it goes by. Raises _Enough: another search begins with it, and has time for it."""
        self._open = one
        if self._taken and self._is_late and self.go_on is not None:
            self.go_on = self.go_on[0], one.start
            self.is_at_large = self._played.bytes - one.bytes_before > _LARGE_BYTES // 8
            raise _Enough(searching.TIME)

    def _pass_over(self, row: LogPiece, one: _Passing | None, following: Piece | None) -> None:
        """A transaction that nobody comes to the end of: told as it was noted. Raises _Enough.

        A piece ends with what makes it so long, and the next one is gone on with. Where others were looked at
        before it, it has another search for itself first.
        """
        if one is not None and self._taken:
            self.go_on, self.is_at_large = (row.pk, one.start), True
            raise _Enough(searching.TIME)
        if one is not None:
            self._tell_as_noted(row, one)
        if following is not None:
            self.go_on, self.is_at_large = (following.key, 0), True
            raise _Enough(searching.TIME)

    def _tell_as_noted(self, row: LogPiece, one: _Passing) -> None:
        noted = LogTransaction.objects.filter(piece=row, position=one.start).first()
        place = f"{row.file}:{one.start}"
        if noted is None:
            self.too_large.append(place)
        elif self.search.begins <= noted.moment < self.search.before:
            self.reached = max(self.reached or noted.moment, noted.moment)
            what = _What(
                row.file, one.start, noted.moment, noted.gtid, noted.connection, noted.rows,
                listed.counts(noted), one.is_statement or noted.is_definition, noted.is_definition,
            )  # fmt: skip
            if self._is_meant(what, one):
                if self.search.key and not one.has_key:
                    self.too_large.append(place)
                else:
                    self._tell(what, one)

    def _transactions(self, row: LogPiece, begin: int) -> Generator[Transaction]:
        """Those of a piece from a position on. Raises Problem."""
        log = StoredLog(self._access_to(row.repository), self.database.database, [row])
        named = binlog.Piece(log.database, row.file, row.file_made, row.start, row.end)
        reading = binlog.Reading(piece=named)

        def hold() -> Looked | Nothing:
            # What it begins with was read already: the end of that is behind the position where it begins.
            if reading.position <= begin:
                return Nothing()
            return _Passing(self._look, of=self, bytes_before=self._played.bytes)

        with closing(piece_bytes(log, row, self._played, self._tick)) as chunks:  # type: ignore[type-var]
            for each in binlog.read(chunks, reading, hold):
                if isinstance(each, Transaction) and each.start >= begin and not self._was_seen(row, each):
                    yield each

    def _was_seen(self, row: LogPiece, one: Transaction) -> bool:
        file, made, end = self._seen
        if (file, made) == (row.file, row.file_made) and one.start < end:
            return True
        self._seen = row.file, row.file_made, one.end
        return False

    def _take(self, row: LogPiece, one: Transaction, looked: Looked) -> None:
        moment = moment_of(one)
        if not self.search.begins <= moment < self.search.before:
            return
        self.reached = max(self.reached or moment, moment)
        known = _listed(row, one) if looked.is_statement else None
        tables: dict[str, Mapping[str, int]] = {name: dict(kinds) for name, kinds in looked.tables.items()}
        is_definition = looked.is_statement
        if known is not None:
            tables, is_definition = {**listed.counts(known), **tables}, known.is_definition
        what = _What(
            row.file, one.start, moment, one.gtid, one.connection, looked.rows, tables,
            looked.is_statement, is_definition,
        )  # fmt: skip
        if not self._is_meant(what, looked):
            return
        self.unlike.update(looked.unlike)
        if looked.has_key or not self.search.key:
            if len(self.found) >= searching.MOST_FOUND:
                self.go_on = row.pk, one.start
                raise _Enough(searching.RESULTS)
            self._tell(what, looked)

    def _tell(self, what: _What, looked: Looked) -> None:
        self.found.append(
            {
                "file": what.file,
                "position": what.position,
                "moment": what.moment.isoformat(),
                "gtid": what.gtid,
                "connection": what.connection,
                "rows": what.rows,
                "tables": what.tables,
                "tables_beyond": len(looked.tables_beyond),
                "is_definition": what.is_definition,
                "statements": looked.statements,
                "statements_beyond": looked.statements_beyond,
            }
        )

    def _is_meant(self, what: _What, looked: Looked) -> bool:
        """Whether it is one of those that are looked for, but for the key."""
        wanted = self.search.wanted
        if what.rows < wanted.rows or wanted.gtid.strip().casefold() not in what.gtid.casefold():
            return False
        if wanted.connection is not None and what.connection != wanted.connection:
            return False
        if wanted.kind == listed.DEFINITION and not what.is_statement:
            return False
        return listed.fits_tables(what.tables, wanted) or (
            # Which tables it changes nobody noted, as after a recovery.
            what.is_statement and wanted.kind not in listed.KINDS
            and wanted.table.casefold() in looked.spoken
        )  # fmt: skip

    def _stop_in_time(self, piece: int, position: int) -> None:
        """Raise _Enough where it has taken long, or read much, and is further than it began."""
        self.go_on = piece, position
        if not self._taken:
            return
        if self._is_late:
            raise _Enough(searching.TIME)
        if self._played.bytes > searching.MOST_BYTES:
            raise _Enough(searching.SIZE)

    @property
    def _is_late(self) -> bool:
        return time.monotonic() - self._began > searching.SECONDS

    def _tick(self) -> None:
        self.tick()
        if time.monotonic() - self._began > _LONGEST_SECONDS:
            raise Problem(
                phrase("The stored log could not be looked through: its storage is too slow."),
                code="moment.search_too_slow",
                do=phrase("Try again with a shorter time, or check the repository."),
            )

    def _access_to(self, repository: Repository) -> restic.Access:
        if repository.pk not in self._accesses:
            self._accesses[repository.pk] = repository_access(repository)
        return self._accesses[repository.pk]

    def told(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {
            "transactions": self.found,
            "why": self.why,
            "reached": self.reached.isoformat() if self.reached else None,
            "go_on": list(self.go_on) if self.why and self.go_on else None,
            "bytes": self._played.bytes,
            "unread": self.unread,
            "unlike": sorted(self.unlike),
            "too_large": self.too_large,
            "is_at_large": self.is_at_large,
        }


def _listed(row: LogPiece, one: Transaction) -> LogTransaction | None:
    """What was noted of it as it was stored: of a statement, which tables it changes."""
    return LogTransaction.objects.filter(piece=row, position=one.start).first()


def _keys_in(database: Database, key: str) -> dict[str, KeyValue | None]:
    """How rows in the log have this value in the key of each table, by the tables that there are now.

    None where a key of its kind cannot be it; tables whose key is of another kind are left out. Raises
    Problem.
    """
    with mysql.connect(database_server(database)) as connection:
        columns = mysql.key_columns(connection, database.database)
    return {table: _logged(column, key) for table, column in columns.items() if _can_be_looked_at(column)}


def _can_be_looked_at(column: mysql.KeyColumn) -> bool:
    if column.kind in binlog.SHORT_TEXTS:
        return column.charset in binlog.ENCODINGS
    return column.kind in binlog.WHOLE_NUMBERS


def _logged(column: mysql.KeyColumn, key: str) -> KeyValue | None:
    place = column.place, column.columns
    try:
        if column.kind in binlog.SHORT_TEXTS:
            return KeyValue.of_text(place, column.kind, key, column.charset)
        if _WHOLE_NUMBER.fullmatch(key):
            return KeyValue.of_number(place, column.kind, int(key), is_unsigned=column.is_unsigned)
    except (OverflowError, ValueError):
        pass
    return None


def _unknown() -> Problem:
    return Problem(
        phrase("This version of the worker does not know what is asked of the log."),
        code="moment.unknown_search",
        do=phrase("See that portal and worker are of the same version."),
    )
