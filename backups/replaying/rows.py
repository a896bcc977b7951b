"""Row events as `BINLOG` statements that change the same tables of another database.

https://dev.mysql.com/doc/refman/8.4/en/binlog.html and https://mariadb.com/kb/en/binlog/: the server applies
the events as a replica would. It takes only what a Table_map event before them tells of their tables.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from backups.binlog.events import HEADER, Event
from backups.binlog.rows import rows_in
from backups.binlog.table_maps import STATEMENT_END, flags_of, number_of, parse_table_map, with_flags

# Of the events in one statement, in bytes: more makes it no faster, and each server takes as much by default.
MOST_BYTES = 4 << 20
# What a statement has beside the events' base64.
_AROUND = 64
_MEGABYTE = 1 << 20


@dataclass
class Group:
    """What one statement changed: the tables, renamed already, and the rows, inflated."""

    maps: list[Event] = field(default_factory=list)
    rows: list[Event] = field(default_factory=list)

    @property
    def size(self) -> int:
        """In bytes, of all its events."""
        return _size(self.maps) + _size(self.rows)


def count(group: Group) -> int:
    """How many rows a group changes: an event has one or many of them. Raises Unreadable."""
    tables = {table.number: table for table in map(parse_table_map, group.maps)}
    return sum(rows_in(event, tables[number_of(event)]) for event in group.rows)


def statements(groups: Iterable[Group], most: int) -> Iterator[bytes]:
    """The events of groups, in pieces for a statement each of up to `most` bytes.

    A group that is longer is divided between its events, each part with all its tables: the server then
    takes them for statements of their own. One event that is longer is given as it is.
    """
    gathered: list[Event] = []
    size = 0
    for group in groups:
        if gathered and size + group.size > most:
            yield _raw(gathered)
            gathered, size = [], 0
        if group.size > most:
            yield from _parts(group, most)
        else:
            gathered += _closed(group.maps, group.rows)
            size += group.size
    if gathered:
        yield _raw(gathered)


def _parts(group: Group, most: int) -> Iterator[bytes]:
    around = _size(group.maps)
    part: list[Event] = []
    size = around
    for event in group.rows:
        length = _size([event])
        if part and size + length > most:
            yield _raw(_closed(group.maps, part))
            part, size = [], around
        part.append(event)
        size += length
    yield _raw(_closed(group.maps, part))


def _closed(maps: Sequence[Event], rows: Sequence[Event]) -> list[Event]:
    """The events of one statement, the last of which says that it is that."""
    *before, last = rows
    return [*maps, *before, with_flags(last, flags_of(last) | STATEMENT_END)]


def _raw(events: Iterable[Event]) -> bytes:
    return b"".join(event.raw for event in events)


def _size(events: Iterable[Event]) -> int:
    return sum(HEADER.size + len(event.body) for event in events)


def binlog(raw: bytes) -> bytes:
    """The statement that has the server apply events."""
    return b"BINLOG '" + base64.b64encode(raw) + b"'"


def in_fragments(raw: bytes) -> list[bytes]:
    """The same in statements of half the length, as MariaDB takes it since 10.4 (MDEV-10362)."""
    encoded = base64.b64encode(raw)
    middle = (len(encoded) + 1) // 2
    return [
        b"SET @vedetta_one = '" + encoded[:middle] + b"'",
        b"SET @vedetta_two = '" + encoded[middle:] + b"'",
        b"BINLOG @vedetta_one, @vedetta_two",
        b"SET @vedetta_one = NULL, @vedetta_two = NULL",
    ]


def fits(packet: int, *, fragments: int = 1) -> int:
    """How many bytes of events go into statements of a server's max_allowed_packet, in bytes."""
    return max(packet - _AROUND, 0) // 4 * 3 * fragments


def packet_for(size: int, *, fragments: int = 1) -> int:
    """The max_allowed_packet that so many bytes of events need, in bytes: whole MB."""
    needed = -(-size // 3) * 4 // fragments + 2 * _AROUND
    return -(-needed // _MEGABYTE) * _MEGABYTE
