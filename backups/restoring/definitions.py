"""What a database holds besides tables, as statements: views, triggers, libraries, routines, events.

RENAME TABLE moves none of it, so a swap takes it down before and sets it up again after, one by
one: what cannot be made does not stop what comes behind it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backups import mysql, process
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.digesting import Digester
from backups.dumpfile.ready import Does, EventState, Found, Ready, Wish
from backups.dumpfile.rewriting import with_database
from backups.dumpfile.sections import ROUTINES, Kind, Piece, Section
from backups.dumpfile.settings import Settings
from backups.dumpfile.written import as_dumped, delimited
from backups.dumping.program import stream_dump
from backups.errors import Problem
from backups.loading.definers import Definers, definers_at, dialect_of
from backups.loading.loader import ITS_TIME_HAS_PASSED
from backups.loading.reading import read_definitions

_FRAME = frozenset({Kind.HEADER, Kind.EVENTS, Kind.ROUTINES})
_DEFINED = frozenset(
    {
        Kind.VIEW, Kind.TRIGGER, Kind.EVENT, Kind.ROUTINE, Kind.PROCEDURE, Kind.FUNCTION, Kind.PACKAGE,
        Kind.PACKAGE_BODY, Kind.LIBRARY, "foreign key",
    }
)  # fmt: skip
# To another database, for tables that stand in their place.
_OUTWARD = "foreign key"
_KEY_NAME = re.compile(rb"ALTER TABLE `(?:[^`]|``)*+` ADD CONSTRAINT `((?:[^`]|``)*+)` FOREIGN KEY ")
_DEFINER = re.compile(r"DEFINER=(`(?:[^`]|``)*+`@`(?:[^`]|``)*+`)")
_BROKEN = "broken"
_NAMELESS = (b"ALTER DATABASE `` ", b"/*!50003 ALTER DATABASE `` ")
# What says nothing about the definition: another try may well succeed.
_NOT_ITS_FAULT = (mysql.ServerGone, mysql.ServerUnreachable, mysql.AccessDenied)

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
            with_database(line, database) if line.startswith(_NAMELESS) else line
            for line in self.text.splitlines(keepends=True)
        )

    @property
    def was_broken(self) -> bool:
        """Whether it could not be read, or lacked a library, so that it need not be possible to make it."""
        return self.kind != Kind.EVENT and _BROKEN in self.more

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
    leave_out: Sequence[str] = (),
) -> bytes:
    """The statements that make the database's views, triggers, routines and events, compressed.

    But for the triggers of tables to `leave_out`.

    Views that the server cannot read any more, because what they read is gone, are kept in the
    server's own words, and `say` is told: the dump programs end at the first of them. It is told as
    well of what cannot be made again just as it is.
    """
    with mysql.connect(server, database) as connection:
        broken = mysql.broken_views(connection, database)
        unlinked = mysql.unlinked_routines(connection, database)
        routines = _routines_in_the_servers_words(connection, database, unlinked) if unlinked else []
    if broken:
        names = ", ".join(view.name for view in broken)
        say(f"These views of {database} read what is not there, and are kept as text: {names}.")
    if unlinked:
        names = ", ".join(name for _, name in unlinked)
        say(f"These routines of {database} use libraries that are not there, and are kept as text: {names}.")
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
        without_routines=bool(unlinked),
        leave_out=[*(view.name for view in broken), *leave_out],
    )
    known = _Reading(server, database, info, say)
    told = [
        [s.kind, known.name_of(s, bytes(text)), s.table, text.decode("latin-1")] for s, text in found.values()
    ]
    told += [[Kind.VIEW, view.name, "", _statements_of(view).decode("latin-1"), _BROKEN] for view in broken]
    return zlib.compress(json.dumps([*told, *routines]).encode())


def _routines_in_the_servers_words(
    connection: Any, database: str, unlinked: Collection[tuple[str, str]]
) -> list[list[str]]:
    """All routines and libraries, as a dump program would write them that does not end at the unlinked."""
    _, collation = mysql.database_defaults(connection, database)
    told = []
    for one in mysql.described(connection, database):
        if one.kind in (*ROUTINES, Kind.LIBRARY) and one.text:
            broken = [_BROKEN] if (one.kind, one.name) in unlinked else []
            told.append([one.kind, one.name, "", _written(one, collation).decode("latin-1"), *broken])
    return told


def _written(one: mysql.Described, collation: str) -> bytes:
    """A routine or library with the settings under which it was made, in a database of this collation."""
    _, mode, *characters, _ = one.besides
    parts = [b"SET sql_mode = '%s';\n" % mode, delimited(one.text)]
    if characters:
        client, connections, databases = characters
        parts.insert(0, b"SET character_set_client = %s;\n" % client)
        parts.insert(1, b"SET collation_connection = %s;\n" % connections)
        if databases != collation.encode():
            change = _NAMELESS[0] + b"COLLATE %s ;\n"
            parts = [change % databases, *parts, change % collation.encode()]
    return b"".join(parts)


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
    say: Callable[[str], None] = lambda _: None,
) -> list[Left]:
    """Make what `read` told of the database `source` in another one; answers what could not be made.

    Of it only what `only` wants. `defaults` are the character set and collation that the database
    has afterwards; empty is those it has now. `say` is told of events whose time has passed. Raises
    Problem where the server is not to be had.
    """
    frame, wanted = unpacked(definitions)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        defaults = defaults or mysql.database_defaults(connection, database)
        tables = mysql.tables(connection, database)
    pending = sorted(filter(only, wanted), key=_place_in_order)
    failed: list[tuple[Definition, Problem]] = []
    wish = Wish(database, source=source)
    with definers_at(server, info, database, tick) as hands:
        completed = tables_completed(definitions, server, database)
        maker = _Maker(hands, dialect_of(server, info), wish, tables, frame, completed)
        try:
            while pending:
                tried = [(one, maker.make(one)) for one in pending]
                failed = [(one, problem) for one, problem in tried if problem is not None]
                # Views stand on others, which may have been made meanwhile.
                pending = [one for one, _ in failed] if len(failed) < len(pending) else []
        finally:
            # Each sets the database's defaults for its own body, and one that fails leaves them so.
            with mysql.connect(server) as connection:
                mysql.set_database_defaults(connection, database, *defaults)
        with mysql.connect(server) as connection:
            over = mysql.events_of_the_past(connection, database)
        failed += maker.settle(over)
    for sentence in maker.told:
        say(sentence)
    return [_left(one, problem) for one, problem in failed]


def _place_in_order(one: Definition) -> int:
    """No routine is made before a library that it uses; events come last."""
    return {Kind.LIBRARY: 0, Kind.EVENT: 2}.get(one.kind, 1)


class _Maker:
    """Makes definitions one by one over one connection. Events are put into their states at the end."""

    def __init__(
        self,
        hands: Definers,
        dialect: Dialect,
        wish: Wish,
        tables: Collection[str],
        frame: bytes,
        completed: Collection[str],
    ) -> None:
        self._hands, self._dialect, self._wish = hands, dialect, wish
        self._tables, self._frame = tables, frame
        self._completed = completed
        self._events: list[tuple[Definition, EventState]] = []
        # For a person: what became of events whose time has passed.
        self.told: list[str] = []

    def make(self, one: Definition) -> Problem | None:
        """Make it; answers why it cannot be made, None where it was.

        Raises Problem where that is no fault of its own: another try may succeed.
        """
        if one.kind == _OUTWARD:
            # A swap that was broken off may have come so far already.
            if one.table in self._completed and _KEY_NAME.match(one.text):
                return None
            return self._tried([Ready(Does.LATER, one.text, Settings(), one.table)])
        text = self._frame + one.statements(self._wish.source)
        try:
            ready, found = read_definitions(text, self._dialect, self._wish, self._tables)
        except Problem as unread:
            return unread
        refused = self._tried(ready)
        if refused is None:
            self._events += [(one, event) for event in found.events]
        return refused

    def settle(self, over: Collection[str]) -> list[tuple[Definition, Problem]]:
        """Let events run that are to run; answers those that cannot be put into their states.

        Events that are `over` stay disabled, since otherwise they would run once more, at once.
        """
        failed = []
        for one, event in self._events:
            state = str(one.more[0]).encode() if one.more and one.more[0] else event.state
            if event.name in self._hands.past_events:
                self.told.append(f"Event {event.name} is not made: {ITS_TIME_HAS_PASSED}.")
            elif event.name in over and state == b"ENABLE":
                self.told.append(_stays_disabled(event.name))
            elif state != b"DISABLE" and (problem := self._tried([event.settled(state)])) is not None:
                failed.append((one, problem))
        return failed

    def _tried(self, ready: Sequence[Ready]) -> Problem | None:
        try:
            self._hands.run(ready)
        except _NOT_ITS_FAULT:
            raise
        except Problem as problem:
            if mysql.waited_in_vain(problem):
                raise
            return problem
        return None


def with_what_waits(definitions: bytes, events: Iterable[EventState], outward: Iterable[Ready]) -> bytes:
    """What `read` told of tables beside the live ones, with what they get in the place of those.

    That is the states of events, which are all disabled so far, and foreign keys to other databases.
    """
    states = {event.name: event.state.decode() for event in events}
    told = [
        [*entry[:4], states.get(entry[1], "")] if entry[0] == Kind.EVENT else entry
        for entry in json.loads(zlib.decompress(definitions))
    ]
    told += [
        [_OUTWARD, f"{key.table} {number}", key.table, key.text.decode("latin-1")]
        for number, key in enumerate(outward, start=1)
    ]
    return zlib.compress(json.dumps(told).encode())


def with_unmade(definitions: bytes, found: Found) -> bytes:
    """What `read` told, with what a load has left, so that it is tried again behind all else."""
    told = json.loads(zlib.decompress(definitions)) if definitions else []
    for each in found.unmade:
        state = found.states_of_unmade.get(each.ready.name) if each.ready.kind == Kind.EVENT else None
        more = [state.state.decode()] if state else []
        table = each.ready.table if each.ready.kind == Kind.TRIGGER else ""
        text = as_dumped(each).decode("latin-1")
        told.append([each.ready.kind, each.ready.name, table, text, *more])
    return zlib.compress(json.dumps(told).encode())


def left_by_load(found: Found) -> list[Left]:
    """The same for people to read, as `apply` answers it."""
    why = {(each.ready.kind, each.ready.name): Problem(each.why, do=each.do) for each in found.unmade}
    return [_left(one, why[str(one.kind), one.name]) for one in unpacked(with_unmade(b"", found))[1]]


def make_what_waits(
    events: Sequence[EventState],
    outward: Iterable[Ready],
    *,
    server: mysql.Server,
    info: mysql.ServerInfo,
    database: str,
    tick: process.Tick,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Add foreign keys to other databases, and put events into their states.

    Only in the place of the live database: an event that runs anywhere else does twice what it
    does, and a row elsewhere that is referred to from a copy cannot be deleted. `say` is told of
    events whose time has passed, which stay disabled. Raises LoadProblem.
    """
    with mysql.connect(server) as connection:
        over = mysql.events_of_the_past(connection, database)
    stay = [event for event in events if event.state == b"ENABLE" and event.name in over]
    for event in stay:
        say(_stays_disabled(event.name))
    states = (event.settled() for event in events if event.state != b"DISABLE" and event not in stay)
    due = [*outward, *states]
    if due:
        with definers_at(server, info, database, tick) as hands:
            hands.run(due)


def _stays_disabled(event: str) -> str:
    return f"Event {event} stays disabled: its time has passed, and it would run at once."


def tables_completed(definitions: bytes, server: mysql.Server, database: str) -> set[str]:
    """The tables that have their foreign keys to other databases already, of those that are to get some."""
    wanted = [
        (one.table, found[1].decode().replace("``", "`"))
        for one in unpacked(definitions)[1]
        if one.kind == _OUTWARD and (found := _KEY_NAME.match(one.text))
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


def _left(one: Definition, problem: Problem) -> Left:
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


class _Reading:
    """Knows what definitions are called whose clients spoke in other character sets than UTF-8."""

    def __init__(
        self, server: mysql.Server, database: str, info: mysql.ServerInfo, say: Callable[[str], None]
    ) -> None:
        self._server, self._database, self._info, self._say = server, database, info, say

    @cached_property
    def _place(self) -> tuple[Dialect, list[str]]:
        with mysql.connect(self._server) as connection:
            return dialect_of(self._server, self._info), mysql.tables(connection, self._database)

    def name_of(self, section: Section, text: bytes) -> str:
        """What a definition is called. `say` is told where it cannot be made again just as it is."""
        if section.kind not in _DEFINED or text.isascii():
            return section.name
        dialect, tables = self._place
        wish = Wish(self._database, source=self._database)
        text = Definition(section.kind, section.name, section.table, text).statements(self._database)
        try:
            ready, found = read_definitions(text, dialect, wish, tables)
        except Problem:
            return section.name
        for each in found.reworded:
            self._say(f"{each.kind.capitalize()} {each.name} of {self._database}: {each.why}.")
        made = [one.name for one in ready if one.kind == section.kind]
        return made[-1] if section.kind == Kind.TRIGGER and made else section.name


def _keep(piece: Piece, found: dict[int, tuple[Section, bytearray]]) -> None:
    if piece.is_comment or piece.section.kind not in _FRAME | _DEFINED:
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
