"""A transaction of the log as the steps that make it again in another database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from backups.binlog.events import Event
from backups.binlog.gtids import parse_gtid
from backups.binlog.kinds import GTIDS, QUERIES, ROWS, Change, Kind
from backups.binlog.queries import Query, parse_query
from backups.binlog.table_maps import STATEMENT_END, flags_of, number_of, plain, renamed, table_of
from backups.binlog.wire import Wire
from backups.replaying.rows import MOST_BYTES, Group

# What tells of rows only, and of which nothing is to be made again.
_SAYS_NOTHING = frozenset(
    {*GTIDS, Kind.ANNOTATE_ROWS, Kind.ROWS_QUERY, Kind.IGNORABLE, Kind.TRANSACTION_CONTEXT}
)
_OWN = re.compile(
    rb"\s*(?:(BEGIN|COMMIT|ROLLBACK|XA (?:START|BEGIN|END)\b.*)|(SAVEPOINT|ROLLBACK TO(?: SAVEPOINT)?"
    rb"|RELEASE SAVEPOINT)\s+(.+?))\s*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_LAST_INSERT_ID = 1


class End(StrEnum):
    """How a transaction ends."""

    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"


@dataclass(frozen=True)
class Begin:
    """A transaction begins, at a time in seconds; MySQL tells the settings of its session."""

    when: int
    query: Query | None = None


@dataclass(frozen=True)
class Savepoint:
    """Set, gone back to or released; by a number in the place of its name."""

    verb: str
    number: int


@dataclass(frozen=True)
class Definition:
    """A statement of the log, and what sessions are told beside its own settings."""

    query: Query
    values: dict[str, str]
    # It depends on a variable of the client's.
    has_variables: bool = False


Step = Begin | Group | Definition | Savepoint | End


class Standing(Exception):
    """An event that no replay of rows can have, at a position."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


@dataclass
class Steps:
    """The steps of one transaction. Rows are left out unless `is_source` says so of their database's name.

    They come out as rows of the `target`. Statements are given for somebody to judge.
    """

    is_source: Callable[[bytes], bool]
    target: bytes
    _group: Group = field(default_factory=Group)
    _size: int = 0
    _ours: set[int] = field(default_factory=set)
    # Of them those whose rows have not come, and whether others' rows went or changed.
    _untouched: dict[int, int] = field(default_factory=dict)
    _others_went: bool = False
    _savepoints: dict[bytes, int] = field(default_factory=dict)
    _values: dict[str, str] = field(default_factory=dict)
    _has_variables: bool = False

    def of(self, events: Iterable[Event]) -> Iterator[Step]:
        """Raises Standing, Unreadable."""
        for event in events:
            if event.kind == Kind.MARIADB_GTID:
                # There it stands for BEGIN as well, unless the statement stands for itself.
                if not parse_gtid(event).is_standalone:
                    yield Begin(event.when)
            elif event.kind == Kind.TABLE_MAP:
                self._map(event)
            elif event.kind in ROWS:
                yield from self._rows(event)
            elif event.kind in QUERIES:
                yield from self._statement(parse_query(event))
            elif event.kind in (Kind.XID, Kind.XA_PREPARE):
                yield from self._left()
                yield End.COMMIT
            elif event.kind not in _SAYS_NOTHING:
                self._beside(event)

    def _map(self, event: Event) -> None:
        database, _ = table_of(event)
        number = number_of(event)
        self._ours.discard(number)
        if self.is_source(database):
            self._ours.add(number)
            self._untouched[number] = event.position
            self._group.maps.append(renamed(event, self.target))

    def _rows(self, event: Event) -> Iterator[Step]:
        event = plain(event)
        self._untouched.pop(number_of(event), None)
        if number_of(event) not in self._ours:
            self._others_went |= ROWS[event.kind] != Change.INSERT
        else:
            self._group.rows.append(event)
            self._size += len(event.body)
            if self._size > MOST_BYTES:
                yield self._so_far()
        if flags_of(event) & STATEMENT_END:
            yield from self._left()

    def _so_far(self) -> Group:
        """What a long statement has changed up to here, as one of its own; its tables remain."""
        group, self._group = self._group, Group(list(self._group.maps))
        self._size = 0
        return group

    def _left(self) -> Iterator[Group]:
        """What the statement has changed that is over."""
        group, self._group = self._group, Group()
        self._size = 0
        self._ours.clear()
        untouched, self._untouched = self._untouched, {}
        others_went, self._others_went = self._others_went, False
        if untouched and others_went:
            # It was opened for a change. That may have been ON DELETE CASCADE, of which only MySQL since 9.6
            # logs the rows.
            raise Standing(min(untouched.values()))
        if group.rows:
            yield group

    def _statement(self, query: Query) -> Iterator[Step]:
        yield from self._left()
        own = _OWN.match(query.text)
        if own is None:
            yield Definition(query, self._values, self._has_variables)
        elif own[2]:
            name = own[3].strip(b"`").lower()
            verb = " ".join(own[2].decode().upper().split())
            yield Savepoint(verb, self._savepoints.setdefault(name, len(self._savepoints)))
        elif (word := own[1].upper()) in (b"COMMIT", b"ROLLBACK"):
            yield End(word.decode())
        elif not word.startswith(b"XA END"):
            yield Begin(query.when, query)
        self._values, self._has_variables = {}, False

    def _beside(self, event: Event) -> None:
        """What a client's session was told for the next statement."""
        wire = Wire(event.body, event.position)
        if event.kind == Kind.INTVAR:
            name = "last_insert_id" if wire.number(1) == _LAST_INSERT_ID else "insert_id"
            self._values[name] = str(wire.number(8))
        elif event.kind == Kind.RAND:
            self._values |= {"rand_seed1": str(wire.number(8)), "rand_seed2": str(wire.number(8))}
        elif event.kind == Kind.USER_VAR:
            self._has_variables = True
        else:
            raise Standing(event.position)
