"""Chosen tables of a dump, as SQL for a file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from backups.stream import Kind, Piece, without_qualifiers

# Statements of dumps by other hands that would reach beyond the database they are loaded into.
_FOREIGN_STATEMENT = re.compile(
    rb"(?:/\*!\d+ )?SET (?:@@GLOBAL\.GTID_PURGED|@@SESSION\.SQL_LOG_BIN|"
    rb"@MYSQLDUMP_TEMP_LOG_BIN)\b"
)
_TRIGGER_BEGINS = b"/*!50003 SET @saved_cs_client "


def chosen_tables(pieces: Iterator[Piece], tables: Collection[str]) -> Iterator[bytes | memoryview]:
    """The tables of these names with their rows and triggers, and what a dump begins and ends with.

    Without comments between statements: the first line of MariaDB's dumps stops MySQL's client.
    """
    trigger = bytearray()
    for piece in _of_tables(pieces, tables):
        is_trigger = piece.section.kind == Kind.TRIGGER
        # A trigger is adapted as a whole, since its first statement may go over several lines.
        if trigger and not (is_trigger and piece.data[: len(_TRIGGER_BEGINS)] != _TRIGGER_BEGINS):
            yield without_qualifiers(bytes(trigger))
            trigger.clear()
        # The delimiter that a comment swallowed, once more.
        again = b";;\n" if piece.ends_swallowed else b""
        if is_trigger:
            trigger += again + bytes(piece.data)
        else:
            yield again + bytes(piece.data) if again else piece.data
    if trigger:
        yield without_qualifiers(bytes(trigger))


def _of_tables(pieces: Iterator[Piece], tables: Collection[str]) -> Iterator[Piece]:
    """The pieces that are wished for. A table's name may come some lines after its section."""
    held: list[Piece] = []
    for piece in pieces:
        if piece.is_comment:
            continue
        held.append(piece)
        if piece.section.kind in (Kind.TABLE, Kind.ROWS) and not piece.section.table:
            continue
        yield from (one for one in held if _is_wished(one, tables))
        held.clear()
    yield from (one for one in held if _is_wished(one, tables))


def _is_wished(piece: Piece, tables: Collection[str]) -> bool:
    section = piece.section
    if section.kind == Kind.DATABASE or _FOREIGN_STATEMENT.match(piece.data):
        return False
    if section.kind in (Kind.HEADER, Kind.FOOTER):
        return True
    return section.kind in (Kind.TABLE, Kind.ROWS, Kind.TRIGGER) and section.table in tables
