"""Definitions of a database, written down by a dump program before anything is touched."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any

from backups import mysql, process
from backups.dumpfile.digesting import Digester
from backups.dumpfile.ready import LoadOptions
from backups.dumpfile.rewriting import with_database
from backups.dumpfile.sections import ROUTINES, Kind, Piece, Section
from backups.dumpfile.written import delimited
from backups.dumping.streaming import Outlet, stream_dump
from backups.errors import Problem
from backups.loading.definers import dialect_of
from backups.loading.reading import DefinitionReader
from backups.restoring.definitions import BROKEN, DEFINED, FRAME, NAMELESS, Definition, unpacked
from backups.text.kinds import kind_word
from backups.text.sentences import capitalized, phrase


def read(
    place: mysql.ProbedServer,
    database: str,
    *,
    tick: process.Tick,
    say: Callable[[str], None] = lambda _: None,
    leave_out: Sequence[str] = (),
) -> bytes:
    """The statements that make the database's views, triggers, routines and events, compressed.

    But for the triggers of tables to `leave_out`.

    Views that the server cannot read any more, because what they read is gone, are kept in the
    server's own words, and `say` is told: the dump programs end at the first of them. It is told as
    well of what cannot be made again just as it is.
    """
    with mysql.connect(place.server, database) as connection:
        broken = mysql.broken_views(connection, database)
        unlinked = mysql.unlinked_routines(connection, database)
        routines = _routines_in_the_servers_words(connection, database, unlinked) if unlinked else []
    _tell_kept_as_text(database, broken, unlinked, say)
    found: dict[int, tuple[Section, bytearray]] = {}
    source = mysql.DumpSource(
        place.server,
        place.info,
        place.programs,
        database,
        structure_only=True,
        without_routines=bool(unlinked),
        leave_out=[*(view.name for view in broken), *leave_out],
    )
    stream_dump(source, Outlet(Digester(), take=lambda piece: _keep(piece, found)), tick=tick)
    known = _Reading(place.server, database, place.info, say)
    entries = [
        [s.kind, known.name_of(s, bytes(text)), s.table, text.decode("latin-1")] for s, text in found.values()
    ]
    entries += [[Kind.VIEW, view.name, "", _statements_of(view).decode("latin-1"), BROKEN] for view in broken]
    return zlib.compress(json.dumps([*entries, *routines]).encode())


def _tell_kept_as_text(
    database: str,
    broken: Sequence[mysql.BrokenView],
    unlinked: Sequence[tuple[str, str]],
    say: Callable[[str], None],
) -> None:
    if broken:
        names = ", ".join(view.name for view in broken)
        say(
            phrase(
                "These views of {database} read what is not there, and are kept as text: {names}.",
                database=database,
                names=names,
            )
        )
    if unlinked:
        names = ", ".join(name for _, name in unlinked)
        say(
            phrase(
                "These routines of {database} use libraries that are not there, and are kept as text: "
                "{names}.",
                database=database,
                names=names,
            )
        )


def _routines_in_the_servers_words(
    connection: Any, database: str, unlinked: Collection[tuple[str, str]]
) -> list[list[str]]:
    """All routines and libraries, as a dump program would write them that does not end at the unlinked."""
    _, collation = mysql.database_defaults(connection, database)
    entries = []
    for one in mysql.described(connection, database):
        if one.kind in (*ROUTINES, Kind.LIBRARY) and one.text:
            broken = [BROKEN] if (one.kind, one.name) in unlinked else []
            entries.append([one.kind, one.name, "", _written(one, collation).decode("latin-1"), *broken])
    return entries


def _written(one: mysql.Described, collation: str) -> bytes:
    """A routine or library with the settings under which it was made, in a database of this collation."""
    _, mode, *characters, _ = one.besides
    parts = [b"SET sql_mode = '%s';\n" % mode, delimited(one.text)]
    if characters:
        client, connections, databases = characters
        parts.insert(0, b"SET character_set_client = %s;\n" % client)
        parts.insert(1, b"SET collation_connection = %s;\n" % connections)
        if databases != collation.encode():
            change = NAMELESS[0] + b"COLLATE %s ;\n"
            parts = [change % databases, *parts, change % collation.encode()]
    return b"".join(parts)


class _Reading:
    """Knows what definitions are called whose clients spoke in other character sets than UTF-8."""

    def __init__(
        self, server: mysql.Server, database: str, info: mysql.ServerInfo, say: Callable[[str], None]
    ) -> None:
        self._server, self._database, self._info, self._say = server, database, info, say

    @cached_property
    def _reader(self) -> DefinitionReader:
        options = LoadOptions(self._database, source=self._database)
        with mysql.connect(self._server) as connection:
            tables = mysql.tables(connection, self._database)
        return DefinitionReader(dialect_of(self._server, self._info), options, tables)

    def name_of(self, section: Section, text: bytes) -> str:
        """What a definition is called. `say` is told where it cannot be made again just as it is."""
        if section.kind not in DEFINED or text.isascii():
            return section.name
        text = Definition(section.kind, section.name, section.table, text).statements(self._database)
        try:
            ready, found = self._reader.read(text)
        except Problem:
            return section.name
        for each in found.reworded:
            self._say(
                phrase(
                    "{what} {name} of {database}: {why}.",
                    what=capitalized(kind_word(each.kind)),
                    name=each.name,
                    database=self._database,
                    why=each.why,
                )
            )
        made = [one.name for one in ready if one.kind == section.kind]
        return made[-1] if section.kind == Kind.TRIGGER and made else section.name


def _keep(piece: Piece, found: dict[int, tuple[Section, bytearray]]) -> None:
    if piece.is_comment or piece.section.kind not in FRAME | DEFINED:
        return
    _, text = found.setdefault(id(piece.section), (piece.section, bytearray()))
    # Nameless, by which it is known again: no other statement has an empty name.
    text += with_database(bytes(piece.data), "") if piece.alters_database else piece.data


def _statements_of(view: mysql.BrokenView) -> bytes:
    """A view as the dump programs would write it, had they not ended at it."""
    charset = view.charset if view.charset.startswith("utf8") else "utf8mb4"
    collation = view.collation if view.collation.startswith(f"{charset}_") else ""
    lines = [f"/*!50001 DROP VIEW IF EXISTS {mysql.quote(view.name)}*/;"]
    lines.append(f"/*!50001 SET character_set_client      = {charset} */;")
    if collation:
        lines.append(f"/*!50001 SET collation_connection      = {collation} */;")
    return "\n".join([*lines, f"{view.statement};", ""]).encode()


def still_broken(definitions: bytes, server: mysql.Server, database: str) -> set[str]:
    """The views that `read` could only keep as text, and that stand in a database just so.

    Whoever drops one of these cannot make it again.
    """
    wanted = {
        one.name: one.text for one in unpacked(definitions)[1] if one.was_broken and one.kind == Kind.VIEW
    }
    if not wanted:
        return set()
    with mysql.connect(server, database) as connection:
        there = mysql.broken_views(connection, database)
    return {view.name for view in there if wanted.get(view.name) == _statements_of(view)}
