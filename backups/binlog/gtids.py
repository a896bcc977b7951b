"""What transactions are called: uuid:number or uuid:tag:number by MySQL, domain-server-number by MariaDB."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from backups.binlog.events import Event
from backups.binlog.kinds import Kind
from backups.binlog.unreadable import Unreadable, Why
from backups.binlog.wire import Wire

# MariaDB's flags of a GTID, sql/log_event.h: a statement that no COMMIT follows; a commit id follows; an XA
# transaction is prepared, or is committed or rolled back that was.
STANDALONE, GROUP_COMMIT, DDL, PREPARED_XA, COMPLETED_XA = 0x01, 0x02, 0x20, 0x40, 0x80
# And of those further ones that may follow: more engines than one; an ALTER's beginning, end and undoing;
# the connection's number.
_ENGINES, _ALTER_BEGINS, _ALTER_ENDS, _ALTER_UNDONE, _CONNECTION = 0x01, 0x02, 0x04, 0x08, 0x10
# What MySQL counts a transaction's bytes and times by: a time has 55 bits, the highest one of 56 says that
# another follows.
_TIME_BYTES, _MORE = 7, 1 << 55
# The fields of a tagged GTID (`Gtid_event::define_fields` in MySQL's control_events.h).
_FLAGS, _UUID, _NUMBER, _TAG, _LAST, _SEQUENCE, _COMMITTED, _ORIGINAL = range(8)
_UUID_BYTES, _MOST_TAG = 16, 32


class Gtid(NamedTuple):
    """What a transaction begins with."""

    # Empty where MySQL gives none.
    name: str
    # When it was committed, in microseconds; MySQL tells.
    committed: int | None = None
    # MariaDB: no COMMIT follows.
    is_standalone: bool = False
    # MariaDB: the part of an ALTER that was logged in two, as `queries.ALTER_BEGINS` and so on.
    alter: int = 0
    # MariaDB, where it tells: the connection's number.
    connection: int | None = None


def parse_gtid(event: Event) -> Gtid:
    """Read what a transaction begins with. Raises Unreadable."""
    wire = Wire(event.body, event.position)
    if event.kind == Kind.MARIADB_GTID:
        return _mariadb(wire, event.server_id)
    if event.kind == Kind.GTID_TAGGED:
        return _tagged(wire, event.position)
    wire.skip(1)
    uuid, number = wire.take(_UUID_BYTES), wire.number(8)
    name = f"{UUID(bytes=uuid)}:{number}" if event.kind == Kind.GTID else ""
    # A kind of logical clock and its two times; before MySQL 8.0 nothing follows.
    wire.skip(min(wire.left, 17))
    return Gtid(name, wire.number(_TIME_BYTES) & (_MORE - 1) if wire.left >= _TIME_BYTES else None)


def _mariadb(wire: Wire, server_id: int) -> Gtid:
    number, domain, flags = wire.number(8), wire.number(4), wire.number(1)
    if flags & GROUP_COMMIT:
        wire.skip(8)
    if flags & (PREPARED_XA | COMPLETED_XA):
        wire.skip(4)
        wire.skip(wire.number(1) + wire.number(1))
    more = wire.number(1) if wire.left else 0
    connection = None
    if more & _ENGINES:
        wire.skip(1)
    if more & (_ALTER_ENDS | _ALTER_UNDONE):
        wire.skip(8)
    if more & _CONNECTION:
        connection = wire.number(4)
    alter = more & (_ALTER_BEGINS | _ALTER_ENDS | _ALTER_UNDONE)
    return Gtid(f"{domain}-{server_id}-{number}", None, bool(flags & STANDALONE), alter, connection)


def _tagged(wire: Wire, position: int) -> Gtid:
    """Version, length and last field that must be known; then fields, each after its number."""
    if wire.varied() != 1:
        raise Unreadable(Why.EVENT, position)
    wire.varied()
    wire.varied()
    numbers: dict[int, int] = {}
    uuid, tag = b"", ""
    while wire.left and (field := wire.varied()) <= _ORIGINAL:
        if field == _UUID:
            uuid = bytes(_byte(wire, position) for _ in range(_UUID_BYTES))
        elif field == _TAG:
            tag = _tag(wire, position)
        else:
            numbers[field] = wire.varied()
    if not uuid or _NUMBER not in numbers:
        raise Unreadable(Why.EVENT, position)
    # The number has a sign, which is its lowest bit.
    name = (
        f"{UUID(bytes=uuid)}:{tag}:{numbers[_NUMBER] >> 1}"
        if tag
        else f"{UUID(bytes=uuid)}:{numbers[_NUMBER] >> 1}"
    )
    return Gtid(name, numbers.get(_COMMITTED))


def _byte(wire: Wire, position: int) -> int:
    if (value := wire.varied()) > 255:
        raise Unreadable(Why.EVENT, position)
    return value


def _tag(wire: Wire, position: int) -> str:
    length = wire.varied()
    if length > _MOST_TAG:
        raise Unreadable(Why.EVENT, position)
    return wire.take(length).decode("latin-1")
