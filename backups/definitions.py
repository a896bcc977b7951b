"""What a database holds besides tables, as statements: views, triggers, routines, events.

RENAME TABLE moves none of it, so a swap takes it down before and sets it up again after, one by
one: what cannot be made does not stop what comes behind it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backups import mysql, process
from backups.dump import stream_dump
from backups.errors import Problem
from backups.load import Wish, client_fed, pieces_for
from backups.stream import Digester, Kind, Piece, Section, with_database

_FRAME = frozenset({Kind.HEADER, Kind.EVENTS, Kind.ROUTINES})
_DEFINED = frozenset(
    {
        Kind.VIEW, Kind.TRIGGER, Kind.EVENT, Kind.ROUTINE, Kind.PROCEDURE, Kind.FUNCTION, Kind.PACKAGE,
        Kind.PACKAGE_BODY,
    }
)  # fmt: skip
_DEFINER = re.compile(r"DEFINER=(`(?:[^`]|``)*`@`(?:[^`]|``)*`)")
_NAMELESS = (b"ALTER DATABASE `` ", b"/*!50003 ALTER DATABASE `` ")
# What says nothing about the definition: another try may well succeed.
_NOT_ITS_FAULT = (mysql.ServerGone, mysql.ServerUnreachable, mysql.AccessDenied)
_WAITED_IN_VAIN = re.compile(r"\(error (?:1205|1213)\)")

Left = dict[str, Any]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Definition:
    """One view, trigger, routine or event. `text` has all statements that make it, as bytes of a dump.

    `more` is what a newer version wrote down besides.
    """

    kind: str
    name: str
    table: str
    text: bytes
    more: tuple[Any, ...] = ()

    @property
    def key(self) -> Key:
        """What it is known by within its database."""
        return (str(self.kind), self.name, self.table)


def read(
    server: mysql.Server,
    database: str,
    *,
    info: mysql.ServerInfo,
    programs: mysql.Clients,
    tick: process.Tick,
    say: Callable[[str], None] = lambda _: None,
) -> bytes:
    """The statements that make the database's views, triggers, routines and events, compressed.

    Views that the server cannot read any more, because what they read is gone, are kept in the
    server's own words, and `say` is told: the dump programs end at the first of them.
    """
    with mysql.connect(server, database) as connection:
        broken = mysql.broken_views(connection, database)
    if broken:
        names = ", ".join(view.name for view in broken)
        say(f"These views of {database} read what is not there, and are kept as text: {names}.")
    found: dict[int, tuple[Section, bytearray]] = {}
    stream_dump(
        server,
        database,
        info=info,
        programs=programs,
        digester=Digester(),
        take=lambda piece: _keep(piece, found),
        tick=tick,
        structure_only=True,
        leave_out=[view.name for view in broken],
    )
    told = [[s.kind, s.name, s.table, text.decode("latin-1")] for s, text in found.values()]
    told += [[Kind.VIEW, view.name, "", _statements_of(view).decode("latin-1")] for view in broken]
    return zlib.compress(json.dumps(told).encode())


def apply(
    definitions: bytes,
    server: mysql.Server,
    database: str,
    *,
    source: str,
    programs: mysql.Clients,
    tick: process.Tick,
    only: Callable[[Definition], bool] = lambda _: True,
    defaults: Sequence[str] = (),
) -> list[Left]:
    """Make what `read` told of the database `source` in another one; answers what could not be made.

    Of it only what `only` wants. `defaults` are the character set and collation that the database
    has afterwards; empty is those it has now. Raises Problem where the server is not to be had.
    """
    frame, wanted = unpacked(definitions)
    with mysql.connect(server) as connection:
        defaults = defaults or mysql.database_defaults(connection, database)
    pending = sorted(filter(only, wanted), key=lambda one: one.kind == Kind.EVENT)
    failed: list[tuple[Definition, Problem]] = []
    try:
        while pending:
            tried = [
                (one, _make(one, frame, server, database, source=source, programs=programs, tick=tick))
                for one in pending
            ]
            failed = [(one, problem) for one, problem in tried if problem is not None]
            # Views stand on others, which may have been made meanwhile.
            pending = [one for one, _ in failed] if len(failed) < len(pending) else []
    finally:
        # Each sets the database's defaults for its own body, and one that fails leaves them so.
        with mysql.connect(server) as connection:
            mysql.set_database_defaults(connection, database, *defaults)
    return [_left(one, problem) for one, problem in failed]


def of_tables(tables: Collection[str]) -> Callable[[Definition], bool]:
    """No more than these tables' triggers, and the views of these names."""
    return lambda one: (one.name if one.kind == Kind.VIEW else one.table) in tables


def among(left: Collection[Mapping[str, Any]]) -> Callable[[Definition], bool]:
    """Those that an `apply` before left out."""
    keys = {(one["kind"], one["name"], one["table"]) for one in left}
    return lambda one: one.key in keys


def missing(definitions: bytes, held: mysql.Inventory, triggers: Collection[Key]) -> list[Definition]:
    """Of what `read` told, what a database does not hold. `triggers` are the keys of those it holds."""
    _, wanted = unpacked(definitions)
    return [
        one
        for one in wanted
        if (one.key not in triggers if one.kind == Kind.TRIGGER else one.name not in held.get(one.kind, []))
    ]


def definers(definitions: bytes) -> list[str]:
    """The users in whose name what `read` told runs, quoted as in the server's statements."""
    found: set[str] = set()
    for one in unpacked(definitions)[1]:
        found.update(_DEFINER.findall(one.text.decode(errors="replace")))
    return sorted(found)


def has_functions(definitions: bytes) -> bool:
    """Whether there are functions or triggers, which a server with a binary log takes from few."""
    return any(one.kind in (Kind.FUNCTION, Kind.TRIGGER) for one in unpacked(definitions)[1])


def unpacked(definitions: bytes) -> tuple[bytes, list[Definition]]:
    """What `read` told: what goes before each definition, and the definitions in their order.

    Views' placeholders, which older versions kept, are not among them: one that stays would pass
    for the view, and it drops a table of its name.
    """
    if not definitions:
        return b"", []
    told = [
        Definition(kind, name, table, text.encode("latin-1"), tuple(more))
        for kind, name, table, text, *more in json.loads(zlib.decompress(definitions))
    ]
    frame = b"".join(one.text for one in told if one.kind in _FRAME)
    return frame, [one for one in told if one.kind in _DEFINED]


def _make(
    definition: Definition,
    frame: bytes,
    server: mysql.Server,
    database: str,
    *,
    source: str,
    programs: mysql.Clients,
    tick: process.Tick,
) -> Problem | None:
    """Make one definition; answers why it cannot be made, None where it was.

    Raises Problem where that is no fault of its own: another try may succeed.
    """
    wish = Wish(database, source=source)
    try:
        client_fed(server, programs, database, pieces_for(wish, _pieces(definition, frame)), tick)
    except _NOT_ITS_FAULT:
        raise
    except Problem as problem:
        if _WAITED_IN_VAIN.search(problem.what):
            raise
        return problem
    return None


def _left(one: Definition, problem: Problem) -> Left:
    return {
        "kind": str(one.kind),
        "name": one.name,
        "table": one.table,
        "why": problem.what,
        # For people to read: NUL is no text in every database that the portal may have.
        "text": one.text.decode(errors="replace").replace("\0", "\ufffd"),
    }


def _keep(piece: Piece, found: dict[int, tuple[Section, bytearray]]) -> None:
    if piece.is_comment or piece.section.kind not in _FRAME | _DEFINED:
        return
    _, text = found.setdefault(id(piece.section), (piece.section, bytearray()))
    if piece.ends_swallowed:
        text += b";;\n"
    # Nameless, by which it is known again: no other statement has an empty name.
    text += with_database(bytes(piece.data), "") if piece.alters_database else piece.data


def _pieces(definition: Definition, frame: bytes) -> Iterator[Piece]:
    header = Section(Kind.HEADER)
    section = Section(definition.kind, definition.name, definition.table)
    for of, text in ((header, frame), (section, definition.text)):
        for line in text.splitlines(keepends=True):
            yield Piece(of, line, is_comment=False, alters_database=line.startswith(_NAMELESS))


def _statements_of(view: mysql.BrokenView) -> bytes:
    """A view as the dump programs would write it, had they not ended at it."""
    charset = view.charset if view.charset.startswith("utf8") else "utf8mb4"
    collation = view.collation if view.collation.startswith(f"{charset}_") else ""
    lines = [f"/*!50001 DROP VIEW IF EXISTS {mysql.quote(view.name)}*/;"]
    lines.append(f"/*!50001 SET character_set_client      = {charset} */;")
    if collation:
        lines.append(f"/*!50001 SET collation_connection      = {collation} */;")
    return "\n".join([*lines, f"{view.statement};", ""]).encode()
