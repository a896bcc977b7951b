"""What of a transaction is one database's: its rows, its statements, and the frame around them.

Rows of another database are in no piece. Nor is the text of a statement that changed another database as
well, or may have: it may hold that one's values.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from backups import binlog
from backups.binlog import Ending, Event, Format, Kind, Transaction
from backups.binlog.barriers import Code
from backups.binlog.held_events import HeldEvents
from backups.shipping.statements import Judge

_TEXTS = frozenset({Kind.ANNOTATE_ROWS, Kind.ROWS_QUERY})
_FRAME = frozenset(
    {
        Kind.GTID,
        Kind.ANONYMOUS_GTID,
        Kind.GTID_TAGGED,
        Kind.MARIADB_GTID,
        Kind.XID,
        Kind.XA_PREPARE,
    }
)
# What a statement in the log depends on, and the lines of a file that it loads.
_BEFORE_STATEMENT = frozenset(
    {Kind.INTVAR, Kind.RAND, Kind.USER_VAR, Kind.BEGIN_LOAD, Kind.APPEND_BLOCK, Kind.DELETE_FILE}
)
_OF_XA = frozenset({Ending.XA_PREPARED, Ending.XA_COMMITTED, Ending.XA_ROLLED_BACK})
_PASSED_OVER = frozenset({Kind.TRANSACTION_CONTEXT, Kind.IGNORABLE})
# Of EXECUTE_LOAD, what stands between a statement's fields and its settings.
_FIELDS, _OF_FILE = 13, 13
_LEFT_OUT = b"/* a statement of another database */"
# The one incident that there is: that events were lost. https://dev.mysql.com/doc/dev/mysql-server/latest/
_LOST_EVENTS = 1


@dataclass(frozen=True)
class Barrier:
    """What no replay goes past: why, and what it is about; never a text of a statement's."""

    code: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass
class Cut:
    """What one transaction is to a database."""

    events: HeldEvents = field(default_factory=HeldEvents)
    # An event of ours before them, which no replay goes past.
    incident: Event | None = None
    barriers: list[Barrier] = field(default_factory=list)
    # Of each table how many rows, by kind of change.
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    is_definition: bool = False
    # Bytes of the largest event that changes rows.
    largest: int = 0

    @property
    def rows(self) -> int:
        """How many rows it changes."""
        return sum(count for kinds in self.tables.values() for count in kinds.values())

    def written(self, log_format: Format) -> Iterator[bytes]:
        """The bytes for a piece."""
        if self.incident is not None:
            yield self.incident.written(log_format)
        for event in self.events:
            yield event.written(log_format)


class Cutter:
    """Cuts transactions to one database, whose name is compared as the server does.

    `judge` says of a statement what it is to the database. What is long lies in `folder`.
    """

    def __init__(self, database: str, same: Callable[[str], str], judge: Judge, folder: str = "") -> None:
        self._spelled = same
        self.database = same(database)
        self._judge = judge
        self.folder = folder

    def is_ours(self, name: bytes) -> bool:
        """Whether a name in the log is the database's."""
        return self._spelled(name.decode("utf-8", "replace")) == self.database

    def cut(self, transaction: Transaction) -> Cut | None:
        """What is the database's of it; None where it is none of its business. Raises Unreadable."""
        taking = _Taking(self, self._judge)
        for event in transaction.events:
            taking.take(event)
        found = taking.ended()
        # Whose the rows are that an end ends, only who reads all before it knows. So both are stored, of
        # others' without a row: an end without a beginning would be one that was prepared before the base.
        if found.barriers or taking.has_ours or transaction.kind in _OF_XA:
            return found
        return None


def databases_in(transaction: Transaction, spelled: Callable[[str], str]) -> frozenset[str] | None:
    """Whose rows are in a transaction that holds nothing but rows; None where it holds more than that."""
    found = set()
    for event in transaction.events:
        if event.kind == Kind.TABLE_MAP:
            found.add(spelled(binlog.table_of(event)[0].decode("utf-8", "replace")))
        elif event.kind in binlog.QUERIES:
            if not binlog.is_frame(binlog.parse_query(event).text):
                return None
        elif event.kind not in _ROWS_ALONE:
            return None
    return frozenset(found) if transaction.kind not in _OF_XA else None


_ROWS_ALONE = frozenset({*binlog.ROWS, *_TEXTS, *_FRAME})


class _Taking:
    """The events of one transaction, statement by statement."""

    def __init__(self, cutter: Cutter, judge: Judge) -> None:
        self._cutter = cutter
        self._judge = judge
        self._cut = Cut(HeldEvents(cutter.folder))
        # Events before a statement that is not known yet to be ours.
        self._texts: list[Event] = []
        self._before: list[Event] = []
        self._maps: dict[int, binlog.TableMap] = {}
        self._ours: list[Event] = []
        self._has_others = False
        self._is_begun = False
        self._last: Event | None = None
        # The first event that no replay goes past and that does not tell so itself, and why.
        self._wall: tuple[Event, Barrier] | None = None
        self.has_ours = False

    def take(self, event: Event) -> None:
        """The next one."""
        if event.kind in binlog.ROWS:
            self._rows(event)
        elif event.kind == Kind.TABLE_MAP:
            self._map(event)
        elif event.kind in _TEXTS:
            self._end_statement()
            self._texts = [event]
        elif event.kind in binlog.QUERIES or event.kind == Kind.EXECUTE_LOAD:
            self._statement(event)
        elif event.kind in _FRAME:
            self._end_statement()
            self._cut.events.append(event)
        elif event.kind in _BEFORE_STATEMENT:
            self._before.append(event)
        elif event.kind not in _PASSED_OVER and not event.is_known:
            self._block(Barrier("log.unknown_event", {"kind": event.kind}), event)

    def ended(self) -> Cut:
        """What was found in it."""
        self._end_statement()
        if self._wall is not None:
            event, why = self._wall
            self._cut.incident = incident(next(iter(self._cut.events), event), why)
        return self._cut

    def _block(self, why: Barrier, wall: Event | None) -> None:
        """No replay goes past it, which the log does not tell by itself where an event is given."""
        self._cut.barriers.append(why)
        if wall is not None:
            self._wall = self._wall or (wall, why)

    def _map(self, event: Event) -> None:
        # A statement names all its tables first: rows before are of another one.
        if self._is_begun or self._last is not None:
            self._end_statement(keep_texts=True)
        table = binlog.parse_table_map(event)
        if self._cutter.is_ours(table.database):
            self._maps[table.number] = table
            self._ours.append(event)
        else:
            self._has_others = True

    def _rows(self, event: Event) -> None:
        number, flags = binlog.number_of(event), binlog.flags_of(event)
        if (table := self._maps.get(number)) is not None:
            self._begin_rows()
            self._put_last()
            self._last = event
            self._count(table, event)
        self._is_begun = True
        if flags & binlog.STATEMENT_END:
            self._end_statement()

    def _begin_rows(self) -> None:
        if self._ours:
            self._cut.events.extend([] if self._has_others else self._texts)
            self._cut.events.extend(self._ours)
        self._ours, self._texts = [], []
        self.has_ours = True

    def _count(self, table: binlog.TableMap, event: Event) -> None:
        kinds = self._cut.tables.setdefault(table.table.decode("utf-8", "replace"), {})
        change = str(binlog.ROWS[event.kind])
        inflated = binlog.plain(event)
        kinds[change] = kinds.get(change, 0) + binlog.rows_in(inflated, table)
        self._cut.largest = max(self._cut.largest, len(inflated.body))

    def _put_last(self) -> None:
        if self._last is not None:
            self._cut.events.append(self._last)
            self._last = None

    def _end_statement(self, *, keep_texts: bool = False) -> None:
        """Rows that are ours are the last of their statement, also where others' followed."""
        if self._last is not None:
            flags = binlog.flags_of(self._last) | binlog.STATEMENT_END
            self._cut.events.append(binlog.with_flags(self._last, flags))
            self._last = None
        self._maps, self._ours, self._has_others, self._is_begun = {}, [], False, False
        if not keep_texts:
            self._texts = []

    def _statement(self, event: Event) -> None:
        self._end_statement()
        before, self._before = self._before, []
        query = binlog.parse_query(_as_query(event))
        if binlog.is_frame(query.text):
            self._cut.events.append(event)
            return
        touch = self._judge(query)
        if not touch.is_ours:
            return
        self.has_ours = True
        if touch.barrier is not None:
            self._block(Barrier(touch.barrier, touch.params), None if touch.is_in_log else event)
        else:
            # What a barrier depends on is never replayed.
            self._cut.events.extend(before)
            self._cut.is_definition = True
            for name in touch.changed:
                self._cut.tables.setdefault(name, {})
        self._cut.events.append(_without_text(event) if touch.is_neighbours else event)


def _without_text(event: Event) -> Event:
    """A statement of another database's as one that says nothing: its text may hold that one's values."""
    event = _as_query(event)
    length, settings = event.body[8], int.from_bytes(event.body[11:13], "little")
    return event.with_body(event.body[: _FIELDS + settings + length + 1] + _LEFT_OUT, Kind.QUERY)


def _as_query(event: Event) -> Event:
    """A statement that loads a file, without what it says of the file."""
    if event.kind != Kind.EXECUTE_LOAD:
        return event
    return event.with_body(event.body[:_FIELDS] + event.body[_FIELDS + _OF_FILE :], Kind.QUERY)


def told_by(event: Event) -> Barrier:
    """Why an incident in a piece is one, as far as `incident` wrote it; other events are not known."""
    kind = {"kind": event.kind}
    if event.kind != Kind.INCIDENT:
        return Barrier("log.unknown_event", kind)
    told = event.body[3 : 3 + event.body[2]] if len(event.body) > 3 else b""
    code, _, params = told.decode("utf-8", "replace").partition(" ")
    if code not in _BARRIERS:
        # The server's own: https://dev.mysql.com/doc/dev/mysql-server/latest/ (Incident_event)
        return Barrier("log.unknown_event" if code == "log.unknown_event" else "log.incident", kind)
    with suppress(ValueError):
        known = json.loads(params)
        if isinstance(known, dict):
            return Barrier(code, {name: str(known[name]) for name in _TOLD if name in known})
    return Barrier(code)


_BARRIERS = frozenset(each.value for each in Code)
# Of a barrier, what may stand in a piece: no name of another database.
_TOLD = ("verb", "kind", "name", "charset", "setting")
_MOST_OF_A_MESSAGE = 255


def incident(before: Event, why: Barrier) -> Event:
    """An event of ours that no replay goes past: for what is a barrier, and not the database's to keep."""
    params = json.dumps({name: why.params[name] for name in _TOLD if name in why.params})
    text = why.code.encode()
    if why.code in _BARRIERS and len(text) + 1 + len(params) <= _MOST_OF_A_MESSAGE:
        text += b" " + params.encode()
    body = struct.pack("<HB", _LOST_EVENTS, len(text)) + text
    return before._replace(kind=Kind.INCIDENT, flags=0, body=body, size=0)
