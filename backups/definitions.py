"""What a database holds besides tables, as statements: views, triggers, routines, events.

RENAME TABLE moves none of it, so a swap takes it down before and sets it up again after.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Iterator

from backups import mysql, process
from backups.dump import stream_dump
from backups.load import Wish, client_fed, pieces_for
from backups.stream import Digester, Kind, Piece, Section, with_database

_KINDS = frozenset(
    {
        Kind.HEADER, Kind.FOOTER, Kind.PLACEHOLDER, Kind.VIEW, Kind.TRIGGER, Kind.EVENTS, Kind.EVENT,
        Kind.ROUTINES, Kind.ROUTINE, Kind.PROCEDURE, Kind.FUNCTION, Kind.PACKAGE, Kind.PACKAGE_BODY,
    }
)  # fmt: skip
_DEFINER = re.compile(r"DEFINER=(`(?:[^`]|``)*`@`(?:[^`]|``)*`)")
_NAMELESS = (b"ALTER DATABASE `` ", b"/*!50003 ALTER DATABASE `` ")
_FRAME = frozenset({Kind.HEADER, Kind.FOOTER})


def read(
    server: mysql.Server,
    database: str,
    *,
    info: mysql.ServerInfo,
    programs: mysql.Clients,
    tick: process.Tick,
) -> bytes:
    """The statements that make the database's views, triggers, routines and events, compressed."""
    found: dict[int, tuple[Section, bytearray]] = {}
    digester = Digester()
    stream_dump(
        server,
        database,
        info=info,
        programs=programs,
        digester=digester,
        take=lambda piece: _keep(piece, found),
        tick=tick,
        structure_only=True,
    )
    told = [[s.kind, s.name, s.table, text.decode("latin-1")] for s, text in found.values()]
    return zlib.compress(json.dumps(told).encode())


def apply(
    definitions: bytes,
    server: mysql.Server,
    database: str,
    *,
    source: str,
    programs: mysql.Clients,
    tick: process.Tick,
    only_of: Collection[str] | None = None,
) -> None:
    """Make what `read` told of the database `source` in another one.

    With `only_of` no more than these tables' triggers, and the views of these names.

    Raises Problem in the server's words.
    """
    pieces = _pieces(definitions)
    if only_of is not None:
        pieces = (piece for piece in pieces if _is_of(piece.section, only_of))
    wish = Wish(database, source=source)
    client_fed(server, programs, database, pieces_for(wish, pieces), tick)


def _is_of(section: Section, tables: Collection[str]) -> bool:
    if section.kind in _FRAME:
        return True
    name = section.name if section.kind in (Kind.VIEW, Kind.PLACEHOLDER) else section.table
    return name in tables


def definers(definitions: bytes) -> list[str]:
    """The users in whose name what `read` told runs, quoted as in the server's statements."""
    found: set[str] = set()
    for _kind, _name, _table, text in json.loads(zlib.decompress(definitions)):
        found.update(_DEFINER.findall(text.encode("latin-1").decode(errors="replace")))
    return sorted(found)


def has_functions(definitions: bytes) -> bool:
    """Whether there are functions or triggers, which a server with a binary log takes from few."""
    return any(kind in (Kind.FUNCTION, Kind.TRIGGER) for kind, *_ in json.loads(zlib.decompress(definitions)))


def _keep(piece: Piece, found: dict[int, tuple[Section, bytearray]]) -> None:
    if piece.is_comment or piece.section.kind not in _KINDS:
        return
    _, text = found.setdefault(id(piece.section), (piece.section, bytearray()))
    if piece.ends_swallowed:
        text += b";;\n"
    # Nameless, by which it is known again: no other statement has an empty name.
    text += with_database(bytes(piece.data), "") if piece.alters_database else piece.data


def _pieces(definitions: bytes) -> Iterator[Piece]:
    for kind, name, table, text in json.loads(zlib.decompress(definitions)):
        section = Section(kind, name, table)
        for line in text.encode("latin-1").splitlines(keepends=True):
            yield Piece(section, line, is_comment=False, alters_database=line.startswith(_NAMELESS))
