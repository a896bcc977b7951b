"""What servers compress in their logs: MariaDB statements and rows by zlib, MySQL transactions by zstd."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from backups.binlog.unreadable import Unreadable, Why
from backups.binlog.wire import Wire

# No server takes a row or a statement of more, and an update holds two rows.
MOST_INFLATED = 2 << 30
# What a compressed transaction is inflated by at once, in bytes.
_STEP = 1 << 20
# The fields before a compressed transaction, and its two kinds of compression.
_END, _SIZE, _COMPRESSION, _INFLATED = range(4)
_ZSTD, _NONE = 0, 255
# A window of more than the servers use would have the memory of whoever inflates.
_MOST_WINDOW = 1 << 27


def inflated(packed: bytes, position: int) -> bytes:
    """What MariaDB's log_bin_compress made smaller: a byte, the length in one to four more, zlib's bytes.

    Raises Unreadable.
    """
    wire = Wire(packed, position)
    head = wire.number(1)
    # The first bits say that it is zlib, the last three how many bytes the length has, its highest first.
    if head & 0xF0 != 0x80 or not 1 <= head & 7 <= 4:
        raise Unreadable(Why.COMPRESSED, position)
    length = int.from_bytes(wire.take(head & 7), "big")
    if length > MOST_INFLATED:
        raise Unreadable(Why.COMPRESSED, position)
    machine = zlib.decompressobj()
    try:
        # One byte more than it says would come out if it said too little.
        plain = machine.decompress(wire.rest(), length + 1)
    except zlib.error as error:
        raise Unreadable(Why.COMPRESSED, position) from error
    if len(plain) != length or not machine.eof or machine.unused_data:
        raise Unreadable(Why.COMPRESSED, position)
    return plain


def inflated_transaction(body: bytes, position: int) -> Iterator[bytes]:
    """The bytes of a compressed transaction's events, in parts of a bounded size. Raises Unreadable."""
    wire = Wire(body, position)
    fields = {_COMPRESSION: _NONE, _INFLATED: -1, _SIZE: -1}
    while (field := wire.packed()) != _END:
        value = Wire(wire.take(wire.packed()), position)
        fields[field] = value.packed()
    packed = wire.rest()
    if fields[_SIZE] not in (-1, len(packed)) or fields[_COMPRESSION] not in (_ZSTD, _NONE):
        raise Unreadable(Why.COMPRESSED, position)
    length = 0
    for part in [packed] if fields[_COMPRESSION] == _NONE else _by_zstd(packed, position):
        length += len(part)
        yield part
    if fields[_INFLATED] not in (-1, length):
        raise Unreadable(Why.COMPRESSED, position)


def _by_zstd(packed: bytes, position: int) -> Iterator[bytes]:
    # Few logs hold what only this can read.
    import zstandard

    reader: Any = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).stream_reader(packed)
    try:
        while part := reader.read(_STEP):
            yield part
    except zstandard.ZstdError as error:
        raise Unreadable(Why.COMPRESSED, position) from error
