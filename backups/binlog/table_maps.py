"""Which table the rows after it are of, and those rows as events: names changed, flags set, inflated."""

from __future__ import annotations

from dataclasses import dataclass

from backups.binlog.compressed import inflated
from backups.binlog.events import Event
from backups.binlog.kinds import PLAIN_ROWS, SECOND_VERSION, Kind
from backups.binlog.wire import Wire

# Of a rows event's flags: the last one of its statement; checks of foreign keys and of uniqueness are off;
# MariaDB: CHECK constraints are not held.
STATEMENT_END, NO_FOREIGN_KEYS, RELAXED_UNIQUE = 0x01, 0x02, 0x04
NO_CHECKS = 0x80
# The number in a rows event of no table, with which a statement ends whose last rows were left out.
NO_TABLE = 0xFFFFFF
# A table's number, which has six bytes, and flags before all else.
_NUMBER, _BEFORE_NAMES = 6, 8


@dataclass(frozen=True)
class TableMap:
    """A table as its rows come: what its columns are in the log, not how they were declared."""

    number: int
    database: bytes
    table: bytes
    # A kind for each column, by `rows.py`.
    types: bytes
    # What each kind of column says of itself, one after the other.
    metadata: bytes

    @property
    def columns(self) -> int:
        """How many columns it has."""
        return len(self.types)


def parse_table_map(event: Event) -> TableMap:
    """Read a table map. Raises Unreadable."""
    wire = Wire(event.body, event.position)
    number = wire.number(_NUMBER)
    wire.skip(_BEFORE_NAMES - _NUMBER)
    database = wire.text()
    wire.skip(1)
    table = wire.text()
    wire.skip(1)
    columns = wire.packed()
    types = wire.take(columns)
    return TableMap(number, database, table, types, wire.take(wire.packed()))


def table_of(event: Event) -> tuple[bytes, bytes]:
    """The database and the table that a table map names. Raises Unreadable."""
    wire = Wire(event.body, event.position, _BEFORE_NAMES)
    database = wire.text()
    wire.skip(1)
    return database, wire.text()


def renamed(event: Event, database: bytes) -> Event:
    """A table map that names another database, of at most 255 bytes. Raises Unreadable."""
    old, _ = table_of(event)
    head, rest = event.body[:_BEFORE_NAMES], event.body[_BEFORE_NAMES + 1 + len(old) :]
    return event.with_body(head + bytes([len(database)]) + database + rest)


def number_of(event: Event) -> int:
    """The number by which a table map or rows event calls its table. Raises Unreadable."""
    return Wire(event.body, event.position).number(_NUMBER)


def flags_of(event: Event) -> int:
    """The flags of a rows event. Raises Unreadable."""
    wire = Wire(event.body, event.position)
    wire.skip(_NUMBER)
    return wire.number(2)


def with_flags(event: Event, flags: int) -> Event:
    """A rows event with other flags. Raises Unreadable."""
    flags_of(event)
    body = event.body[:_NUMBER] + flags.to_bytes(2, "little") + event.body[_BEFORE_NAMES:]
    return event.with_body(body)


def plain(event: Event) -> Event:
    """A rows event as it was before MariaDB compressed it; another one as it is. Raises Unreadable."""
    kind = PLAIN_ROWS.get(Kind(event.kind)) if event.kind in PLAIN_ROWS else None
    if kind is None:
        return event
    wire = Wire(event.body, event.position)
    skip_head(wire, event.kind)
    columns = wire.packed()
    images = 2 if kind in {Kind.UPDATE_ROWS, Kind.UPDATE_ROWS_V1} else 1
    wire.skip(images * ((columns + 7) // 8))
    return event.with_body(event.body[: wire.at] + inflated(wire.rest(), event.position), kind)


def skip_head(wire: Wire, kind: int) -> None:
    """Go past what stands before the number of columns in a rows event. Raises Unreadable."""
    wire.skip(_BEFORE_NAMES)
    if kind in SECOND_VERSION:
        # Its length counts itself.
        wire.skip(wire.number(2) - 2)
