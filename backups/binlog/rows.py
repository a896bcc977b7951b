"""How many rows the log changes, by table and kind: what rows events hold is walked over, not decoded.

Of one column the bytes can be had, as the log has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from backups.binlog.events import Event
from backups.binlog.kinds import ROWS, Change, Kind
from backups.binlog.table_maps import NO_TABLE, TableMap, number_of, parse_table_map, plain, skip_head
from backups.binlog.unreadable import Unreadable, Why
from backups.binlog.wire import Wire

# Of a column's bytes: so many, or after a length of so many bytes where the number is negative.
_Size = int
_FIXED: dict[int, _Size] = {
    1: 1,  # TINYINT
    2: 2,  # SMALLINT
    3: 4,  # INT
    4: 4,  # FLOAT
    5: 8,  # DOUBLE
    6: 0,  # NULL
    7: 4,  # TIMESTAMP of long ago
    8: 8,  # BIGINT
    9: 3,  # MEDIUMINT
    10: 3,  # DATE
    11: 3,  # TIME of long ago
    12: 8,  # DATETIME of long ago
    13: 1,  # YEAR
    14: 3,  # DATE
    244: 1,  # BOOLEAN
}
# TIMESTAMP, DATETIME and TIME: bytes without parts of a second; their digits, in pairs, are the metadata.
_TIMES: dict[int, int] = {17: 4, 18: 5, 19: 3}
_VARCHAR, _BIT, _VARCHAR_COMPRESSED, _DECIMAL, _ENUM, _SET = 15, 16, 141, 246, 247, 248
_VAR_STRING, _STRING, _JSON = 253, 254, 245
# The metadata says how many bytes the length has: MariaDB's compressed blobs, vectors, JSON, blobs, geometry.
_LENGTH_FIRST = frozenset({140, 242, _JSON, 249, 250, 251, 252, 255})
_BYTES_OF_METADATA: dict[int, int] = {
    **dict.fromkeys((4, 5, 17, 18, 19, *_LENGTH_FIRST), 1),
    **dict.fromkeys((_VARCHAR, _BIT, _VARCHAR_COMPRESSED, _DECIMAL, _ENUM, _SET, _VAR_STRING, _STRING), 2),
}
# What a DECIMAL's digits take that fill no four bytes, which hold nine.
_BYTES_OF_DIGITS = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
# So many shapes of rows are remembered; a log has few.
_KEPT_PLANS = 256


def changes(events: Iterable[Event]) -> dict[tuple[bytes, bytes], Counter[Change]]:
    """By database and table, how many rows of each kind a transaction's events change. Raises Unreadable."""
    tables: dict[int, TableMap] = {}
    found: dict[tuple[bytes, bytes], Counter[Change]] = {}
    for event in events:
        if event.kind == Kind.TABLE_MAP:
            table = parse_table_map(event)
            tables[table.number] = table
        elif event.kind in ROWS and (number := number_of(event)) != NO_TABLE:
            if number not in tables:
                raise Unreadable(Why.ORDER, event.position)
            table = tables[number]
            count = rows_in(event, table)
            found.setdefault((table.database, table.table), Counter())[ROWS[event.kind]] += count
    return found


def rows_in(event: Event, table: TableMap) -> int:
    """How many rows an event of a table holds; an update's two images are one. Raises Unreadable."""
    walk, images = _walk(event, table)
    return walk.count(images)


def values_of(event: Event, table: TableMap, column: int) -> Iterator[bytes]:
    """What a column, counted from 0, holds in each image of each row: its bytes without their length.

    Left out are NULL, and images without that column. Raises Unreadable.
    """
    walk, images = _walk(event, table)
    yield from walk.values(images, column)


def _walk(event: Event, table: TableMap) -> tuple[_Walk, list[_Plan]]:
    """How the rows of an event are walked over: from where, and which images each has. Raises Unreadable."""
    event = plain(event)
    wire = Wire(event.body, event.position)
    skip_head(wire, event.kind)
    if wire.packed() != table.columns:
        raise Unreadable(Why.EVENT, event.position)
    is_update = ROWS[event.kind] is Change.UPDATE
    width = (table.columns + 7) // 8
    shown = [wire.take(width) for _ in range(2 if is_update else 1)]
    images = [_plan(table.types, table.metadata, columns) for columns in shown]
    if None in images:
        raise Unreadable(Why.EVENT, event.position)
    walk = _Walk(event, wire.at)
    if event.kind == Kind.PARTIAL_UPDATE_ROWS:
        walk.json_bytes = (table.types.count(_JSON) + 7) // 8
    return walk, [plan for plan in images if plan is not None]


@dataclass(frozen=True)
class _Plan:
    """The columns of an image in their order."""

    sizes: tuple[_Size, ...]
    # The same where none is NULL: fixed ones beside each other are one.
    joined: tuple[_Size, ...]
    null_bytes: int
    # Which of the table's columns they are.
    columns: tuple[int, ...]


@dataclass
class _Walk:
    event: Event
    at: int
    # In an update by parts of documents, which stand in place of whole ones: bits for each such column.
    json_bytes: int | None = None

    def count(self, images: Sequence[_Plan]) -> int:
        end, count = len(self.event.body), 0
        if self.at == end or not any(plan.sizes for plan in images):
            # Rows without a value take no room; the servers write one of them at a time.
            return 1
        while self.at < end:
            for number, plan in enumerate(images):
                if number and self.json_bytes is not None:
                    self._past_options(self.json_bytes)
                self._past(plan)
            count += 1
            if self.at > end:
                raise Unreadable(Why.EVENT, self.event.position)
        return count

    def values(self, images: Sequence[_Plan], column: int) -> Iterator[bytes]:
        """A column's bytes in each image that shows it and where it is not NULL."""
        end = len(self.event.body)
        while self.at < end and any(plan.sizes for plan in images):
            for number, plan in enumerate(images):
                if number and self.json_bytes is not None:
                    self._past_options(self.json_bytes)
                value = self._value(plan, column)
                self._past(plan)
                if self.at > end:
                    raise Unreadable(Why.EVENT, self.event.position)
                if value is not None:
                    yield value

    def _value(self, plan: _Plan, column: int) -> bytes | None:
        if column not in plan.columns:
            return None
        wanted, body = plan.columns.index(column), self.event.body
        nulls = int.from_bytes(body[self.at : self.at + plan.null_bytes], "little")
        if nulls >> wanted & 1:
            return None
        at = self.at + plan.null_bytes
        for number, size in enumerate(plan.sizes[: wanted + 1]):
            if nulls >> number & 1:
                continue
            length = size if size >= 0 else int.from_bytes(body[at : at - size], "little")
            at += 0 if size >= 0 else -size
            if number == wanted:
                return body[at : at + length]
            at += length
        return None

    def _past(self, plan: _Plan) -> None:
        body, at = self.event.body, self.at
        nulls = int.from_bytes(body[at : at + plan.null_bytes], "little")
        at += plan.null_bytes
        for size in plan.joined if not nulls & ((1 << len(plan.sizes)) - 1) else _present(plan, nulls):
            if size >= 0:
                at += size
            else:
                at += int.from_bytes(body[at : at - size], "little") - size
        self.at = at

    def _past_options(self, json_bytes: int) -> None:
        wire = Wire(self.event.body, self.event.position, self.at)
        if wire.packed() & 1:
            wire.skip(json_bytes)
        self.at = wire.at


def _present(plan: _Plan, nulls: int) -> Iterator[_Size]:
    return (size for number, size in enumerate(plan.sizes) if not nulls >> number & 1)


@lru_cache(_KEPT_PLANS)
def _plan(types: bytes, metadata: bytes, shown: bytes) -> _Plan | None:
    """How a row is walked over that shows these columns; None where the table map makes no sense."""
    sizes = _sizes(types, metadata)
    if sizes is None:
        return None
    columns = tuple(number for number in range(len(sizes)) if shown[number // 8] >> number % 8 & 1)
    present = tuple(sizes[number] for number in columns)
    joined: list[_Size] = []
    for size in present:
        if joined and joined[-1] >= 0 and size >= 0:
            joined[-1] += size
        else:
            joined.append(size)
    return _Plan(present, tuple(joined), (len(present) + 7) // 8, columns)


def _sizes(types: bytes, metadata: bytes) -> list[_Size] | None:
    at, sizes = 0, []
    for kind in types:
        length = _BYTES_OF_METADATA.get(kind, 0)
        own = metadata[at : at + length]
        at += length
        size = _size(kind, own) if len(own) == length else None
        if size is None:
            return None
        sizes.append(size)
    return sizes if at == len(metadata) else None


def _size(kind: int, own: bytes) -> _Size | None:
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _TIMES:
        return _TIMES[kind] + (own[0] + 1) // 2
    if kind in _LENGTH_FIRST:
        return -own[0] if 1 <= own[0] <= 8 else None
    if kind in (_VARCHAR, _VARCHAR_COMPRESSED, _VAR_STRING):
        return -1 if int.from_bytes(own, "little") < 256 else -2
    if kind == _BIT:
        return own[1] + bool(own[0])
    if kind == _DECIMAL:
        return _size_of_decimal(*own)
    return _size_of_string(*own) if kind in (_STRING, _ENUM, _SET) else None


def _size_of_decimal(digits: int, behind: int) -> _Size | None:
    before = digits - behind
    if before < 0:
        return None
    return sum(part // 9 * 4 + _BYTES_OF_DIGITS[part % 9] for part in (before, behind))


def _size_of_string(kind: int, length: int) -> _Size:
    """CHAR, ENUM or SET, which all come as strings: two bits of a length above 255 are in the kind."""
    if kind & 0x30 != 0x30:
        length |= ((kind & 0x30) ^ 0x30) << 4
        kind |= 0x30
    if kind in (_ENUM, _SET):
        return length
    return -1 if length < 256 else -2
