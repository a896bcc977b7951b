"""What a database holds besides tables, as statements: views, triggers, routines, events.

RENAME TABLE moves none of it, so a swap takes it down before and sets it up again after.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from backups import mysql, process
from backups.dump import stream_dump
from backups.dumpfile.allowed import Does, EventState, Ready, Wish
from backups.dumpfile.settings import Settings
from backups.load import dialect_of, run_all, run_definitions
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
_OUTWARD_KEY = "foreign key"


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
    entries = [entry for entry in _entries(definitions) if only_of is None or _is_of(entry, only_of)]
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        tables = mysql.tables(connection, database)
    text = b"".join(entry.statements(source) for entry in entries if entry.kind != _OUTWARD_KEY)
    wish = Wish(database, source=source)
    found = run_definitions(text, server=server, info=info, wish=wish, tables=tables, tick=tick)
    states = {entry.name: entry.state for entry in entries if entry.state}
    make_what_waits(
        found.events,
        [
            Ready(Does.LATER, entry.text, Settings(), entry.table)
            for entry in entries
            if entry.kind == _OUTWARD_KEY
        ],
        server=server,
        info=info,
        database=database,
        states=states,
        tick=tick,
    )


def with_what_waits(definitions: bytes, events: Iterable[EventState], outward: Iterable[Ready]) -> bytes:
    """What `read` told of tables beside the live ones, with what they get in the place of those.

    That is the states of events, which are all disabled so far, and foreign keys to other databases.
    """
    states = {event.name: event.state.decode() for event in events}
    told = [
        [*entry[:4], states.get(entry[1], "")] if entry[0] == Kind.EVENT else entry
        for entry in json.loads(zlib.decompress(definitions))
    ]
    told += [[_OUTWARD_KEY, "", key.table, key.text.decode("latin-1")] for key in outward]
    return zlib.compress(json.dumps(told).encode())


def make_what_waits(
    events: Iterable[EventState],
    outward: Iterable[Ready],
    *,
    server: mysql.Server,
    info: mysql.ServerInfo,
    database: str,
    tick: process.Tick,
    states: Mapping[str, bytes] | None = None,
) -> None:
    """Add foreign keys to other databases, and put events into their states, or those of `states`.

    Only in the place of the live database: an event that runs anywhere else does twice what it
    does, and a row elsewhere that is referred to from a copy cannot be deleted. Raises LoadProblem.
    """
    wanted = [(event, (states or {}).get(event.name, event.state)) for event in events]
    due = [*outward, *(event.settled(state) for event, state in wanted if state != b"DISABLE")]
    if due:
        mode = dialect_of(server, info).sql_mode
        run_all(due, server=server, database=database, sql_mode=mode, tick=tick)


@dataclass(frozen=True)
class _Entry:
    """A definition as it is kept. `state` is an event's, where it is not the one in its text."""

    kind: str
    name: str
    table: str
    text: bytes
    state: bytes

    def statements(self, database: str) -> bytes:
        """Its statements, with the name of the database that was left out of them."""
        return b"".join(
            with_database(line, database) if line.startswith(_NAMELESS) else line
            for line in self.text.splitlines(keepends=True)
        )


def _entries(definitions: bytes) -> Iterator[_Entry]:
    for kind, name, table, text, *more in json.loads(zlib.decompress(definitions)):
        yield _Entry(kind, name, table, text.encode("latin-1"), (more[0] if more else "").encode())


def _is_of(entry: _Entry, tables: Collection[str]) -> bool:
    if entry.kind in _FRAME:
        return True
    name = entry.name if entry.kind in (Kind.VIEW, Kind.PLACEHOLDER) else entry.table
    return name in tables


def definers(definitions: bytes) -> list[str]:
    """The users in whose name what `read` told runs, quoted as in the server's statements."""
    found: set[str] = set()
    for entry in _entries(definitions):
        found.update(_DEFINER.findall(entry.text.decode(errors="replace")))
    return sorted(found)


def has_functions(definitions: bytes) -> bool:
    """Whether there are functions or triggers, which a server with a binary log takes from few."""
    return any(entry.kind in (Kind.FUNCTION, Kind.TRIGGER) for entry in _entries(definitions))


def _keep(piece: Piece, found: dict[int, tuple[Section, bytearray]]) -> None:
    if piece.is_comment or piece.section.kind not in _KINDS:
        return
    _, text = found.setdefault(id(piece.section), (piece.section, bytearray()))
    # Nameless, by which it is known again: no other statement has an empty name.
    text += with_database(bytes(piece.data), "") if piece.alters_database else piece.data
