"""Events of a binary log, taken one by one from its bytes, each checked as far as it can be by itself."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from backups.binlog.kinds import KNOWN, ROWS, SECOND_VERSION, Kind
from backups.binlog.names import Piece
from backups.binlog.unreadable import Unreadable, Why

MAGIC = b"\xfebin"
# Of a file that MySQL encrypts.
_MAGIC_OF_ENCRYPTED = b"\xfdbin"
HEADER = struct.Struct("<IBIIIH")
# Bytes after each event in a log with checksums, and after each description of the format.
CHECKSUM = 4
# max_allowed_packet is never more, and no server sends an event of more to a replica; some for its frame.
MOST_EVENT = (1 << 30) + (1 << 16)
# Flags of an event: its file is being written to; it means another thing in another session, as of a
# temporary table; it is in no file; who does not know it may pass over it.
IN_USE, OF_SESSION, ARTIFICIAL, IGNORABLE = 0x01, 0x04, 0x20, 0x80
# What a format's description holds before the lengths, and how many of them MariaDB's has at least.
_BEFORE_LENGTHS = HEADER.size + 57
_OF_MARIADB = 160
# How long servers say that the heads of these are, 0 where they have none of a kind. With other lengths
# MariaDB would find a table's database at another place than we do, and with it another database.
_HEADS = {Kind.TABLE_MAP: (8,)} | {kind: (0, 10 if kind in SECOND_VERSION else 8) for kind in ROWS}
# Positions have 32 bits, and a file may have more.
_TURN = 1 << 32


class Event(NamedTuple):
    """One event. A compressed transaction's are all at the position where that is."""

    # Bytes before it in the server's file.
    position: int
    # As `Kind` has it, or a number that is not known.
    kind: int
    # When the statement began, in seconds; whoever may set `timestamp` says what he likes.
    when: int
    server_id: int
    # Bytes that it takes in the file, with header and checksum.
    size: int
    # Bytes before its end as it says itself, the low 32 bits; 0 where it does not.
    ends_at: int
    flags: int
    # Without header and checksum.
    body: bytes

    @property
    def end(self) -> int:
        """Bytes before its end in the server's file."""
        return self.position + self.size

    @property
    def is_known(self) -> bool:
        """Whether we know what it means, or it says that it may be passed over."""
        return self.kind in KNOWN or bool(self.flags & IGNORABLE)

    @property
    def raw(self) -> bytes:
        """Header and body without a checksum, as a log with none has it: what BINLOG takes."""
        size = HEADER.size + len(self.body)
        return HEADER.pack(self.when, self.kind, self.server_id, size, self.ends_at, self.flags) + self.body

    def with_body(self, body: bytes, kind: int | None = None) -> Event:
        """The same with another body, and of another kind where one is told."""
        return self._replace(body=body, kind=self.kind if kind is None else kind)

    def written(self, log_format: Format) -> bytes:
        """The event for a piece of a log: it says where in the server's file it ends; its checksum fits."""
        tail = CHECKSUM if log_format.has_checksum else 0
        size, end = HEADER.size + len(self.body) + tail, self.end % _TURN
        head = HEADER.pack(self.when, self.kind, self.server_id, size, end, self.flags)
        return head + self.body + (_crc(head, self.body) if tail else b"")


@dataclass(frozen=True)
class Format:
    """What the first event of a file says: who wrote it and how."""

    version: str
    is_mariadb: bool
    has_checksum: bool
    # When the file was begun, in seconds by the server's clock.
    made: int
    server_id: int
    # The event as it came, without the flag of a file in use: the same whenever it is asked for.
    raw: bytes

    @classmethod
    def parse(cls, raw: bytes, position: int = len(MAGIC)) -> Format:
        """Read a whole format event, with header and checksum. Raises Unreadable."""
        if len(raw) < _BEFORE_LENGTHS + 1 + CHECKSUM:
            raise Unreadable(Why.FORMAT, position)
        when, kind, server_id, size, _, _ = HEADER.unpack_from(raw)
        version, header = int.from_bytes(raw[19:21], "little"), raw[_BEFORE_LENGTHS - 1]
        if kind != Kind.FORMAT or size != len(raw) or version != 4 or header != HEADER.size:
            raise Unreadable(Why.FORMAT, position)
        lengths = raw[_BEFORE_LENGTHS : -CHECKSUM - 1]
        if any(lengths[of - 1] not in known for of, known in _HEADS.items() if of <= len(lengths)):
            raise Unreadable(Why.FORMAT, position)
        # The server sets the flag in the file without another checksum, and takes it away in the end.
        raw = raw[:17] + bytes([raw[17] & ~IN_USE]) + raw[18:]
        if _crc(raw[:-CHECKSUM]) != raw[-CHECKSUM:]:
            raise Unreadable(Why.CHECKSUM, position)
        algorithm = raw[-CHECKSUM - 1]
        if algorithm > 1:
            raise Unreadable(Why.FORMAT, position)
        return cls(
            version=raw[21:71].rstrip(b"\0").decode("latin-1"),
            is_mariadb=len(raw) - _BEFORE_LENGTHS - 1 - CHECKSUM >= _OF_MARIADB,
            has_checksum=bool(algorithm),
            made=when,
            server_id=server_id,
            raw=raw,
        )

    @classmethod
    def parse_event(cls, event: Event) -> Format:
        """Read it from an event that was taken apart. Raises Unreadable."""
        head = HEADER.pack(
            event.when, event.kind, event.server_id, event.size, event.ends_at, event.flags & ~IN_USE
        )
        return cls.parse(head + event.body + _crc(head, event.body), event.position)

    def without_checksums(self) -> Format:
        """The same, of events that have none: what a server is told before events without any."""
        raw = self.raw[: -CHECKSUM - 1] + b"\0"
        return replace(self, has_checksum=False, raw=raw + _crc(raw))

    def head(self) -> bytes:
        """What a file or a piece in this format begins with."""
        return MAGIC + self.raw


def _crc(*parts: bytes) -> bytes:
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value.to_bytes(CHECKSUM, "little")


@dataclass
class Reading:
    """How far a log was read; given to `read_events` or `read`, which keep it up to date.

    At the beginning of a file there is nothing to say. In the midst of one `format` is the file's own and
    `position` where the first byte stands in it. Of a `piece` a part was left out: where its events stand
    in the server's file they say themselves.
    """

    format: Format | None = None
    position: int = 0
    piece: Piece | None = None
    # Before here all was given out: transactions that are whole, and what stands beside them.
    whole: int = 0

    @property
    def is_open(self) -> bool:
        """Whether something of a transaction was read that has not ended."""
        return self.position > self.whole


def read_events(chunks: Iterable[bytes], reading: Reading) -> Iterator[Event]:
    """The events of a log, whose bytes come in any parts; of memory it takes as much as the largest.

    Raises Unreadable.
    """
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        at = 0
        if reading.position == 0:
            if len(pending) < len(MAGIC):
                continue
            _read_magic(pending, reading)
            at = len(MAGIC)
        while (size := _size_at(pending, at, reading)) and len(pending) - at >= size:
            yield _event(bytes(pending[at : at + size]), reading)
            at += size
        del pending[:at]
    if pending or reading.position == 0:
        raise Unreadable(Why.CUT, reading.position)


def _read_magic(pending: bytearray, reading: Reading) -> None:
    if pending.startswith(_MAGIC_OF_ENCRYPTED):
        raise Unreadable(Why.ENCRYPTED, 0)
    if not pending.startswith(MAGIC):
        raise Unreadable(Why.MAGIC, 0)
    reading.position = reading.whole = len(MAGIC)


def _size_at(pending: bytearray, at: int, reading: Reading) -> int:
    """How long the next event says that it is; 0 where its header is not there yet."""
    if len(pending) - at < HEADER.size:
        return 0
    size = int.from_bytes(pending[at + 9 : at + 13], "little")
    if not HEADER.size <= size <= MOST_EVENT:
        raise Unreadable(Why.SIZE, reading.position)
    return size


def _event(raw: bytes, reading: Reading) -> Event:
    when, kind, server_id, size, ends_at, flags = HEADER.unpack_from(raw)
    if kind == Kind.FORMAT:
        reading.format = Format.parse(raw, reading.position)
        tail = CHECKSUM
    elif reading.format is None:
        raise Unreadable(Why.FORMAT, reading.position)
    else:
        tail = CHECKSUM if reading.format.has_checksum else 0
        if size < HEADER.size + tail:
            raise Unreadable(Why.SIZE, reading.position)
        if tail and zlib.crc32(raw[:-CHECKSUM]) != int.from_bytes(raw[-CHECKSUM:], "little"):
            raise Unreadable(Why.CHECKSUM, reading.position)
    position = _placed(size, ends_at, reading)
    return Event(position, kind, when, server_id, size, ends_at, flags, raw[HEADER.size : size - tail])


def _placed(size: int, ends_at: int, reading: Reading) -> int:
    """Where the event stands in the server's file; moves `reading` past it.

    MariaDB writes 0 for the end within transactions (from 11.4 on), and a server that sends a description
    of the format before events from further on writes 0 as well.
    """
    position, piece = reading.position, reading.piece
    # The head stands before all pieces of a file.
    if piece is not None and position > len(MAGIC):
        position = max(position, piece.start)
        # An end before the last one's is one of a file of 4 GB more, or none at all.
        reading.position = position + (ends_at - position) % _TURN
        if reading.position > piece.end:
            raise Unreadable(Why.POSITION, position)
        return max(position, reading.position - size)
    if ends_at and ends_at != (position + size) % _TURN:
        raise Unreadable(Why.POSITION, position)
    reading.position = position + size
    return position
