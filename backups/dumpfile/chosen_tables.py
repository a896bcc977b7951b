"""Chosen tables of a dump, as SQL for a file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from backups.dumpfile.rewriting import without_qualifiers
from backups.dumpfile.sections import Kind, Piece

# Statements of dumps by other hands that would reach beyond the database they are loaded into.
_FOREIGN_STATEMENT = re.compile(
    rb"(?:/\*!\d+ )?SET (?:@@GLOBAL\.GTID_PURGED|@@SESSION\.SQL_LOG_BIN|"
    rb"@MYSQLDUMP_TEMP_LOG_BIN)\b"
)
_CHOSEN = (Kind.SEQUENCE, Kind.TABLE, Kind.ROWS, Kind.TRIGGER)
_DRAWS_FROM = re.compile(rb"\b(?:nextval|lastval)\((?:`(?:[^`]|``)*+`\.)?`((?:[^`]|``)*+)`\)")
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
    """The pieces that are wished for, and before a table the sequences from which it draws.

    A table's name may come some lines after its section.
    """
    held: list[Piece] = []
    sequences: dict[str, list[Piece]] = {}
    for piece in pieces:
        if piece.is_comment:
            continue
        if held and piece.section is not held[-1].section:
            yield from _let_go(held, tables, sequences)
        section = piece.section
        if section.kind == Kind.SEQUENCE and not _is_wished(piece, tables):
            # Of one that is there already the number may be higher.
            if bytes(piece.data[:5]) != b"DROP ":
                sequences.setdefault(section.name, []).append(piece)
            continue
        held.append(piece)
        if section.kind not in (Kind.TABLE, Kind.SEQUENCE) and (section.kind != Kind.ROWS or section.table):
            yield from _let_go(held, tables, sequences)
    yield from _let_go(held, tables, sequences)


def _let_go(held: list[Piece], tables: Collection[str], sequences: dict[str, list[Piece]]) -> Iterator[Piece]:
    """What is wished for of some pieces, with the sequences that it needs."""
    wished = [piece for piece in held if _is_wished(piece, tables)]
    held.clear()
    for piece in wished:
        if piece.section.kind == Kind.TABLE:
            for found in _DRAWS_FROM.finditer(piece.data):
                name = found[1].replace(b"``", b"`").decode(errors="surrogateescape")
                yield from map(_unless_there, sequences.pop(name, []))
    yield from wished


def _unless_there(piece: Piece) -> Piece:
    data = re.sub(rb"\ACREATE SEQUENCE (?=`)", b"CREATE SEQUENCE IF NOT EXISTS ", bytes(piece.data))
    return piece._replace(data=data)


def _is_wished(piece: Piece, tables: Collection[str]) -> bool:
    section = piece.section
    if section.kind == Kind.DATABASE or _FOREIGN_STATEMENT.match(piece.data):
        return False
    if section.kind in (Kind.HEADER, Kind.FOOTER):
        return True
    name = section.name if section.kind == Kind.SEQUENCE else section.table
    return section.kind in _CHOSEN and name in tables
