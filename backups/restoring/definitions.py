"""What a database holds besides tables, as statements: views, triggers, libraries, routines, events.

RENAME TABLE moves none of it, so a swap takes it down before and sets it up again after, one by
one: what cannot be made does not stop what comes behind it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from backups import mysql
from backups.dumpfile.ready import Found
from backups.dumpfile.rewriting import with_database
from backups.dumpfile.sections import Kind
from backups.dumpfile.written import as_dumped
from backups.errors import Problem

FRAME = frozenset({Kind.HEADER, Kind.EVENTS, Kind.ROUTINES})
DEFINED = frozenset(
    {
        Kind.VIEW, Kind.TRIGGER, Kind.EVENT, Kind.ROUTINE, Kind.PROCEDURE, Kind.FUNCTION, Kind.PACKAGE,
        Kind.PACKAGE_BODY, Kind.LIBRARY, "foreign key",
    }
)  # fmt: skip
# To another database, for tables that stand in their place.
OUTWARD = "foreign key"
KEY_NAME = re.compile(rb"ALTER TABLE `(?:[^`]|``)*+` ADD CONSTRAINT `((?:[^`]|``)*+)` FOREIGN KEY ")
_DEFINER = re.compile(r"DEFINER=(`(?:[^`]|``)*+`@`(?:[^`]|``)*+`)")
BROKEN = "broken"
NAMELESS = (b"ALTER DATABASE `` ", b"/*!50003 ALTER DATABASE `` ")
Left = dict[str, Any]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Definition:
    """One view, trigger, routine or event. `text` has all statements that make it, as bytes of a dump.

    `more` begins with the state that an event is to get, where that is not the one in its text; for a
    view it is there where the server could not read the view any more, for a routine where it lacked a
    library.
    """

    kind: str
    name: str
    table: str
    text: bytes
    more: tuple[Any, ...] = ()

    def statements(self, database: str) -> bytes:
        """Its statements, with the name of the database that was left out of them."""
        return b"".join(
            with_database(line, database) if line.startswith(NAMELESS) else line
            for line in self.text.splitlines(keepends=True)
        )

    @property
    def was_broken(self) -> bool:
        """Whether it could not be read, or lacked a library, so that it need not be possible to make it."""
        return self.kind != Kind.EVENT and BROKEN in self.more

    @property
    def key(self) -> Key:
        """What it is known by within its database."""
        return (str(self.kind), self.name, self.table)


def with_unmade(definitions: bytes, found: Found) -> bytes:
    """What `read` told, with what a load has left, so that it is tried again behind all else."""
    entries = json.loads(zlib.decompress(definitions)) if definitions else []
    for each in found.unmade:
        state = found.states_of_unmade.get(each.ready.name) if each.ready.kind == Kind.EVENT else None
        more = [state.state.decode()] if state else []
        table = each.ready.table if each.ready.kind == Kind.TRIGGER else ""
        text = as_dumped(each).decode("latin-1")
        entries.append([each.ready.kind, each.ready.name, table, text, *more])
    return zlib.compress(json.dumps(entries).encode())


def left_by_load(found: Found) -> list[Left]:
    """The same for people to read, as `apply` answers it."""
    why = {
        (each.ready.kind, each.ready.name): Problem(each.why, code="definition.not_made", do=each.do)
        for each in found.unmade
    }
    return [left_as(one, why[str(one.kind), one.name]) for one in unpacked(with_unmade(b"", found))[1]]


def tables_completed(definitions: bytes, server: mysql.Server, database: str) -> set[str]:
    """The tables that have their foreign keys to other databases already, of those that are to get some."""
    wanted = [
        (one.table, found[1].decode().replace("``", "`"))
        for one in unpacked(definitions)[1]
        if one.kind == OUTWARD and (found := KEY_NAME.match(one.text))
    ]
    if not wanted:
        return set()
    with mysql.connect(server) as connection:
        there = set(mysql.foreign_key_names(connection, database))
    return {table for table, name in wanted if (table, name) in there}


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
    entries = [
        Definition(kind, name, table, text.encode("latin-1"), tuple(more))
        for kind, name, table, text, *more in json.loads(zlib.decompress(definitions))
    ]
    frame = b"".join(one.text for one in entries if one.kind in FRAME)
    return frame, [one for one in entries if one.kind in DEFINED]


def left_as(one: Definition, problem: Problem) -> Left:
    """A definition that could not be made, and why, as it is noted."""
    return {
        "kind": str(one.kind),
        "name": one.name,
        "table": one.table,
        "why": problem.what,
        "do": problem.do,
        "was_broken": one.was_broken,
        # For people to read: NUL is no text in every database that the portal may have.
        "text": one.text.decode(errors="replace").replace("\0", "\ufffd"),
    }
