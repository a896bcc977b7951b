"""Transactions of a binary log, and what stands between them, in the order of the log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from backups.binlog.compressed import inflated_transaction
from backups.binlog.events import HEADER, Event, Reading, read_events
from backups.binlog.gtids import Gtid, parse_gtid
from backups.binlog.kinds import BESIDE, GTIDS, OF_TRANSACTIONS, QUERIES, ROWS, Kind
from backups.binlog.queries import ALTER_BEGINS, ALTER_IS_UNDONE, Query, parse_query
from backups.binlog.unreadable import Unreadable, Why
from backups.binlog.wire import Wire

# So many bytes of events a transaction may have, unless whoever reads has another place for them.
MOST_HELD = 2 << 30
# How the servers write the statements of an XA transaction: its two names and its format.
_XA = re.compile(
    rb"XA (START|END|COMMIT|ROLLBACK) X'([0-9a-fA-F]*)',X'([0-9a-fA-F]*)',(\d{1,10})", re.IGNORECASE
)
_MOST_OF_A_NAME = 64


class Ending(StrEnum):
    """What a transaction is, as its end shows."""

    # Rows, and statements where the server logs some so, from BEGIN to COMMIT.
    ROWS = "rows"
    # One statement that stands for itself: a definition, most often.
    STATEMENT = "statement"
    # As rows, with ROLLBACK at the end: what no rollback undoes was changed in it.
    ROLLED_BACK = "rolled_back"
    # Rows that are not committed yet, and may never be; `xid` says which.
    XA_PREPARED = "xa_prepared"
    # The end of a transaction that was prepared before.
    XA_COMMITTED = "xa_committed"
    XA_ROLLED_BACK = "xa_rolled_back"
    # MariaDB: an ALTER begins, of which the end follows as a statement, or this one.
    ALTER_BEGUN = "alter_begun"
    ALTER_UNDONE = "alter_undone"


class Xid(NamedTuple):
    """What an XA transaction is called."""

    format: int
    name: bytes
    branch: bytes


@dataclass(frozen=True)
class Transaction:
    """A transaction that has ended. Positions are bytes in the server's file."""

    start: int
    end: int
    # Seconds in the header of its last event, by the server's clock: where a client set `timestamp`, his.
    moment: int
    # Microseconds, where MySQL tells when it was committed.
    committed_us: int | None
    # Empty where it has none.
    gtid: str
    # The number of its connection, where the log tells.
    connection: int | None
    kind: Ending
    events: Sequence[Event]
    xid: Xid | None = None

    @property
    def is_known(self) -> bool:
        """Whether we know what each of its events means."""
        return all(event.is_known for event in self.events)


class Marker(NamedTuple):
    """What stands between transactions: `facts_of` and `chain` read it. Unknown events come so as well."""

    event: Event

    @property
    def start(self) -> int:
        """Where it begins in the server's file."""
        return self.event.position

    @property
    def end(self) -> int:
        """Where it ends in the server's file."""
        return self.event.end

    @property
    def is_known(self) -> bool:
        """Whether we know what it means: behind one that we do not nothing is certain."""
        return self.event.is_known


@dataclass
class _Open:
    """A transaction that has not ended."""

    start: int
    events: Any
    gtid: Gtid = field(default_factory=lambda: Gtid(""))
    connection: int | None = None
    # A BEGIN or XA START was seen, or is implied by MariaDB's GTID.
    has_begun: bool = False
    xid: Xid | None = None
    size: int = 0


def read(
    chunks: Iterable[bytes], reading: Reading, hold: Callable[[], Any] = list
) -> Iterator[Transaction | Marker]:
    """The whole transactions of a log in its order, and what stands between them.

    What is left in the end of one that has not ended is not given out: `reading.whole` is before it. `hold`
    makes what a transaction's events are appended to: by default a list, of up to 2 GiB.
    Raises Unreadable, at once or at the place where the log cannot be read.
    """
    opened: _Open | None = None
    for event in read_events(chunks, reading):
        if event.kind == Kind.INCIDENT:
            # MySQL begins a transaction for it.
            opened = None
        if event.kind in BESIDE or (opened is None and event.kind not in OF_TRANSACTIONS):
            if opened is not None:
                raise Unreadable(Why.ORDER, event.position)
            reading.whole = max(reading.whole, reading.position)
            yield Marker(event)
            continue
        opened = _begun(opened, event, hold)
        ending = None
        for part in _parts(event):
            if ending is not None:
                raise Unreadable(Why.ORDER, event.position)
            ending = _taken(opened, part, hold)
        if ending is not None:
            reading.whole = max(reading.whole, reading.position)
            yield _ended(opened, event, reading.position, ending)
            opened = None


def _begun(opened: _Open | None, event: Event, hold: Callable[[], Any]) -> _Open:
    """The transaction that an event belongs to."""
    if event.kind not in GTIDS:
        return opened or _Open(event.position, hold())
    if opened is not None:
        raise Unreadable(Why.ORDER, event.position)
    gtid = parse_gtid(event)
    # MariaDB's says BEGIN as well, unless the statement stands for itself.
    begins = event.kind == Kind.MARIADB_GTID and not gtid.is_standalone
    return _Open(event.position, hold(), gtid, gtid.connection, has_begun=begins)


def _parts(event: Event) -> Iterator[Event]:
    """An event, or the events that one of MySQL holds in compressed form."""
    if event.kind != Kind.TRANSACTION_PAYLOAD:
        yield event
        return
    pending = bytearray()
    for part in inflated_transaction(event.body, event.position):
        pending += part
        at = 0
        while len(pending) - at >= HEADER.size:
            when, kind, server_id, size, ends_at, flags = HEADER.unpack_from(pending, at)
            if size < HEADER.size or kind in BESIDE or kind == Kind.TRANSACTION_PAYLOAD:
                raise Unreadable(Why.COMPRESSED, event.position)
            if len(pending) - at < size:
                break
            body = bytes(pending[at + HEADER.size : at + size])
            yield Event(event.position, kind, when, server_id, event.size, ends_at, flags, body)
            at += size
        del pending[:at]
    if pending:
        raise Unreadable(Why.COMPRESSED, event.position)


def _taken(opened: _Open, event: Event, hold: Callable[[], Any]) -> Ending | None:
    """Put an event to its transaction; says what that is if it ends with it."""
    opened.size += len(event.body) + HEADER.size
    if hold is list and opened.size > MOST_HELD:
        raise Unreadable(Why.LARGE, opened.start)
    opened.events.append(event)
    if event.kind == Kind.XID:
        return Ending.ROWS
    if event.kind == Kind.XA_PREPARE:
        return _prepared(opened, event)
    if event.kind in QUERIES:
        return _after_statement(opened, parse_query(event))
    if event.kind == Kind.EXECUTE_LOAD and not opened.has_begun:
        return Ending.STATEMENT
    if event.kind in ROWS and not opened.has_begun:
        raise Unreadable(Why.ORDER, event.position)
    return None


def _prepared(opened: _Open, event: Event) -> Ending:
    wire = Wire(event.body, event.position)
    is_whole = wire.number(1)
    number, length, branch = wire.number(4), wire.number(4), wire.number(4)
    if max(length, branch) > _MOST_OF_A_NAME:
        raise Unreadable(Why.EVENT, event.position)
    opened.xid = Xid(number, wire.take(length), wire.take(branch))
    # XA COMMIT … ONE PHASE is logged so, and nothing follows it.
    return Ending.ROWS if is_whole else Ending.XA_PREPARED


def _after_statement(opened: _Open, query: Query) -> Ending | None:
    if opened.connection is None:
        opened.connection = query.connection
    word = query.text[:8].upper()
    if word == b"COMMIT":
        return Ending.ROWS
    if word == b"ROLLBACK" and len(query.text) == 8:
        return Ending.ROLLED_BACK
    if word == b"BEGIN":
        opened.has_begun = True
        return None
    if word.startswith(b"XA ") and (found := _XA.match(query.text)):
        return _after_xa(opened, found)
    if opened.has_begun:
        return None
    if opened.gtid.alter & ALTER_BEGINS:
        return Ending.ALTER_BEGUN
    return Ending.ALTER_UNDONE if opened.gtid.alter & ALTER_IS_UNDONE else Ending.STATEMENT


def _after_xa(opened: _Open, found: re.Match[bytes]) -> Ending | None:
    verb = found[1].upper()
    names = (bytes.fromhex(found[number].decode()) for number in (2, 3)) if _are_even(found) else (b"", b"")
    opened.xid = Xid(int(found[4]), *names)
    if verb in (b"START", b"END"):
        opened.has_begun = True
        return None
    return Ending.XA_COMMITTED if verb == b"COMMIT" else Ending.XA_ROLLED_BACK


def _are_even(found: re.Match[bytes]) -> bool:
    return not (len(found[2]) % 2 or len(found[3]) % 2)


def _ended(opened: _Open, last: Event, end: int, kind: Ending) -> Transaction:
    return Transaction(
        start=opened.start,
        end=end,
        moment=last.when,
        committed_us=opened.gtid.committed,
        gtid=opened.gtid.name,
        connection=opened.connection,
        kind=kind,
        events=opened.events,
        xid=opened.xid,
    )
