"""Definitions made again, in an order in which the server takes them, and what could not be."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from backups import mysql, process
from backups.dumpfile.ready import Does, EventState, Found, LoadOptions, Ready
from backups.dumpfile.sections import Kind
from backups.dumpfile.settings import Settings
from backups.errors import Problem
from backups.loading.definers import Definers, definers_at, dialect_of
from backups.loading.loader import ITS_TIME_HAS_PASSED
from backups.loading.reading import DefinitionReader
from backups.restoring.definitions import (
    KEY_NAME,
    OUTWARD,
    Definition,
    Left,
    left_as,
    tables_completed,
    unpacked,
)
from backups.text.sentences import phrase

# What says nothing about the definition: another try may well succeed.
_NOT_ITS_FAULT = (mysql.ServerGone, mysql.ServerUnreachable, mysql.AccessDenied)


@dataclass(frozen=True)
class WrittenDown:
    """What `reading.read` told of the database `source`; of it only what `only` wants."""

    packed: bytes
    source: str
    only: Callable[[Definition], bool] = lambda _: True


@dataclass(frozen=True)
class Target:
    """The database in which definitions are made.

    `defaults` are the character set and collation that it has afterwards; empty is those it has now.
    """

    server: mysql.Server
    database: str
    defaults: Sequence[str] = ()


def apply(
    written: WrittenDown,
    target: Target,
    *,
    tick: process.Tick,
    say: Callable[[str], None] = lambda _: None,
) -> list[Left]:
    """Make in a database what was written down of another one; answers what could not be made.

    `say` is told of events whose time has passed. Raises Problem where the server is not to be had.
    """
    server, database = target.server, target.database
    frame, wanted = unpacked(written.packed)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        defaults = target.defaults or mysql.database_defaults(connection, database)
        tables = mysql.tables(connection, database)
    pending = sorted(filter(written.only, wanted), key=_place_in_order)
    failed: list[tuple[Definition, Problem]] = []
    options = LoadOptions(database, source=written.source)
    with definers_at(server, info, database, tick) as hands:
        reader = DefinitionReader(dialect_of(server, info), options, tables)
        completed = tables_completed(written.packed, server, database)
        maker = _Maker(hands, reader, frame, completed)
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
    for sentence in maker.sentences:
        say(sentence)
    return [left_as(one, problem) for one, problem in failed]


def _place_in_order(one: Definition) -> int:
    """No routine is made before a library that it uses; events come last."""
    return {Kind.LIBRARY: 0, Kind.EVENT: 2}.get(one.kind, 1)


class _Maker:
    """Makes definitions one by one over one connection. Events are put into their states at the end."""

    def __init__(
        self,
        hands: Definers,
        reader: DefinitionReader,
        frame: bytes,
        completed: Collection[str],
    ) -> None:
        self._hands, self._reader, self._frame = hands, reader, frame
        self._completed = completed
        self._events: list[tuple[Definition, EventState]] = []
        # For a person: what became of events whose time has passed.
        self.sentences: list[str] = []

    def make(self, one: Definition) -> Problem | None:
        """Make it; answers why it cannot be made, None where it was.

        Raises Problem where that is no fault of its own: another try may succeed.
        """
        if one.kind == OUTWARD:
            # A swap that was broken off may have come so far already.
            if one.table in self._completed and KEY_NAME.match(one.text):
                return None
            return self._tried([Ready(Does.LATER, one.text, Settings(), one.table)])
        text = self._frame + one.statements(self._reader.options.source)
        try:
            ready, found = self._reader.read(text)
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
                self.sentences.append(
                    phrase(
                        "Event {event} is not made: {its_time_has_passed}.",
                        event=event.name,
                        its_time_has_passed=ITS_TIME_HAS_PASSED,
                    )
                )
            elif event.name in over and state == b"ENABLE":
                self.sentences.append(_stays_disabled(event.name))
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
    entries = [
        [*entry[:4], states.get(entry[1], "")] if entry[0] == Kind.EVENT else entry
        for entry in json.loads(zlib.decompress(definitions))
    ]
    entries += [
        [OUTWARD, f"{key.table} {number}", key.table, key.text.decode("latin-1")]
        for number, key in enumerate(outward, start=1)
    ]
    return zlib.compress(json.dumps(entries).encode())


def make_what_waits(
    found: Found,
    place: mysql.ProbedServer,
    database: str,
    *,
    tick: process.Tick,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Add the foreign keys to other databases that a load found, and put events into their states.

    Only in the place of the live database: an event that runs anywhere else does twice what it
    does, and a row elsewhere that is referred to from a copy cannot be deleted. `say` is told of
    events whose time has passed, which stay disabled. Raises LoadProblem.
    """
    with mysql.connect(place.server) as connection:
        over = mysql.events_of_the_past(connection, database)
    stay = [event for event in found.events if event.state == b"ENABLE" and event.name in over]
    for event in stay:
        say(_stays_disabled(event.name))
    states = (event.settled() for event in found.events if event.state != b"DISABLE" and event not in stay)
    due = [*found.outward, *states]
    if due:
        with definers_at(place.server, place.info, database, tick) as hands:
            hands.run(due)


def _stays_disabled(event: str) -> str:
    return phrase("Event {event} stays disabled: its time has passed, and it would run at once.", event=event)
