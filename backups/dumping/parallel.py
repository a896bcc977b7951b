"""One dump, made by several dump programs at once: the same bytes as one alone would write.

All begin while the tables are locked against writing, so that they see the same moment; the lock is
let go as soon as each has begun. Each dumps a run of tables, the first one all else as well. What
the others write ahead of their turn waits in a spool.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

from backups import mysql
from backups.dumpfile.sections import Kind, Piece, Section
from backups.dumpfile.splitter import Splitter
from backups.dumping import mysqldump
from backups.dumping.mysqldump import Listener
from backups.dumping.shares import shares
from backups.dumping.spool import BREATHS, Room, Spool
from backups.errors import Problem
from backups.text.sentences import phrase

# What may wait in memory, of all that is dumped ahead, and of what is not.
_AHEAD_BYTES = 32 << 20
_BEHIND_BYTES = 4 << 20
_BEGIN_SECONDS = 1.5
_LOOK_SECONDS = 0.05


class ParallelOptions(NamedTuple):
    """How many dump programs, and where on disk how many bytes may wait.

    With no number, `connections.choose` finds one for so many `cores`. `because` ends a sentence about the
    number that is given.
    """

    connections: int = 1
    spool_dir: str = ""
    spool_bytes: int = 0
    cores: int = 1
    because: str = ""


class ParallelDumpUnavailable(Exception):
    """One dump program has to do it alone, for a reason that ends a sentence."""


@contextmanager
def begun(
    source: mysql.DumpSource,
    options: ParallelOptions,
    listener: Listener | None = None,
    ask: Callable[[mysql.ReadLock], None] = lambda _: None,
) -> Iterator[ParallelDump]:
    """Dump programs that see the same moment.

    Raises ParallelDumpUnavailable, before anything is dumped; Problem.

    `listener` as `mysqldump.started` takes it. `ask` is called at that moment, with the lock that is held.
    """
    tables = _tables(source)
    room = _room(options)
    shares = shares_for(tables, options.connections, _AHEAD_BYTES + room.bytes)
    with ExitStack() as ended_last_first, _once_begun(listener) as (heard_later, go):
        dumps: list[_Dump] = []
        with _locked(source, tables) as lock:
            for share in shares:
                spool = _spool(bool(dumps), len(shares) - 1, room, ended_last_first)
                part = replace(source, tables_only=bool(dumps), leave_out=_left_out(tables, shares, share))
                dump = _Dump(part, share, spool, heard_later)
                dumps.append(ended_last_first.enter_context(dump.running()))
            _wait_until_all_have_begun(dumps)
            ask(lock)
            lock.release()
        go()
        yield ParallelDump(tables, dumps, lock.seconds)


@contextmanager
def _once_begun(listener: Listener | None) -> Iterator[tuple[Listener | None, Callable[[], None]]]:
    """A listener that hears nothing until it is let go: programs that did not all begin count for nothing."""
    decided, has_begun = threading.Event(), threading.Event()

    def is_read(table: str) -> None:
        decided.wait()
        if listener and has_begun.is_set():
            listener.is_read(table)

    def go() -> None:
        has_begun.set()
        decided.set()

    try:
        yield Listener(listener.names, is_read) if listener else None, go
    finally:
        decided.set()


def room_ahead(options: ParallelOptions) -> int:
    """How many bytes may wait in memory and on disk. Raises ParallelDumpUnavailable."""
    return _AHEAD_BYTES + _room(options).bytes


def obstacle(connection: Any, database: str, tables: Sequence[mysql.TableSize]) -> str:
    """Why several dump programs cannot dump these tables, as the end of a sentence, or nothing."""
    if bare := mysql.tables_without_snapshot(connection, database):
        return phrase("a consistent snapshot does not cover {bare}", bare=bare[0])
    if sum(table.is_table for table in tables) > mysql.MOST_LOCKED:
        return phrase("there are more than {most_tables} tables", most_tables=mysql.MOST_LOCKED)
    if len({mysql.loosely(table.name) for table in tables}) < len(tables):
        return phrase("names of tables differ only in case or accents, which the dump programs mix up")
    return ""


def _tables(source: mysql.DumpSource) -> list[mysql.TableSize]:
    with mysql.connect(source.server) as connection:
        tables = mysql.listed_tables(connection, source.database)
        if because := obstacle(connection, source.database, tables):
            raise ParallelDumpUnavailable(because)
    return tables


def _room(options: ParallelOptions) -> Room:
    try:
        return Room(options.spool_dir, options.spool_bytes)
    except Problem as problem:
        raise ParallelDumpUnavailable(problem.what.rstrip(".")) from problem


def shares_for(tables: Sequence[mysql.TableSize], connections: int, room: int) -> list[list[str]]:
    """As `shares`, of all that a database lists. Raises ParallelDumpUnavailable."""
    found = shares([table for table in tables if table.is_table], connections, room)
    if len(found) < 2:
        raise ParallelDumpUnavailable(
            phrase(
                "there is no table to dump ahead, or {room} MB of memory and disk (DUMP_SPOOL_DIR, "
                "DUMP_SPOOL_MB) are too small for it",
                room=room >> 20,
            )
        )
    return found


def _left_out(
    tables: Sequence[mysql.TableSize], shares: Sequence[Sequence[str]], share: Sequence[str]
) -> list[str]:
    """What a dump program must not dump: the first one what others do, these all else."""
    if share is shares[0]:
        return [name for other in shares[1:] for name in other]
    own = set(share)
    return [table.name for table in tables if table.name not in own]


def _spool(ahead: bool, others: int, room: Room, closing: ExitStack) -> Spool:
    """The first dump's turn is at once; the others share what room there is."""
    if not ahead:
        return Spool(_BEHIND_BYTES)
    file = closing.enter_context(room.file()) if room.bytes else None
    return Spool(_AHEAD_BYTES // others, file, room.bytes // others, breaths=BREATHS // others)


@contextmanager
def _locked(source: mysql.DumpSource, tables: Sequence[mysql.TableSize]) -> Iterator[mysql.ReadLock]:
    names = [table.name for table in tables if table.is_table]
    try:
        with mysql.locked_for_reading(source.server, source.database, names) as lock:
            yield lock
    except (mysql.NotLocked, mysql.NoMoreConnections) as problem:
        raise ParallelDumpUnavailable(problem.what.rstrip(".")) from problem


class _Dump:
    """One of the dump programs, and what it has written."""

    def __init__(
        self, source: mysql.DumpSource, tables: Sequence[str], spool: Spool, listener: Listener | None
    ) -> None:
        self.tables, self.spool = tables, spool
        self._source = source
        self._listener = Listener(listener.names, self._reads) if listener else None
        self._wants_to_know = listener
        self._begun, self._head = threading.Event(), Splitter()
        self.splitter = Splitter()

    @contextmanager
    def running(self) -> Iterator[_Dump]:
        """Run the program, and read it beside."""
        with (
            mysqldump.started(self._source, listener=self._listener) as child,
            mysqldump.read_into(self.spool, self._source, child, self._look_for_begin),
        ):
            yield self

    def _reads(self, table: str) -> None:
        self._begun.set()
        if self._wants_to_know:
            self._wants_to_know.is_read(table)

    def has_begun(self, until: float) -> bool:
        """Wait for what it writes in its transaction only. Raises what ended it."""
        while not (begun := self._begun.wait(_LOOK_SECONDS)) and time.monotonic() < until:
            self.spool.refuse_failure()
        return begun

    def _look_for_begin(self, data: bytes) -> None:
        """It writes its header, begins its transaction, and only then asks for the first table."""
        if self._begun.is_set():
            return
        for _ in self._head.feed(data):
            pass
        if any(section.kind != Kind.HEADER for section in self._head.sections):
            self._begun.set()


def _wait_until_all_have_begun(dumps: Iterable[_Dump]) -> None:
    until = time.monotonic() + _BEGIN_SECONDS
    try:
        begun = all(dump.has_begun(until) for dump in dumps)
    except Problem as problem:
        raise ParallelDumpUnavailable(
            phrase("one of several did not begin ({problem})", problem=problem.what.rstrip("."))
        ) from problem
    if not begun:
        raise ParallelDumpUnavailable(
            phrase(
                "the dump programs did not all begin within {begin_seconds} seconds",
                begin_seconds=f"{_BEGIN_SECONDS:g}",
            )
        )


class ParallelDump:
    """Dump programs that all have begun."""

    def __init__(
        self, listed: Sequence[mysql.TableSize], dumps: Sequence[_Dump], locked_seconds: float
    ) -> None:
        # Sequences stand before all tables.
        self._names = [table.name for table in listed if table.kind != "SEQUENCE"]
        self._dumps = dumps
        self.locked_seconds = locked_seconds

    @property
    def connections(self) -> int:
        """How many dump programs there are."""
        return len(self._dumps)

    def pieces(self, splitter: Splitter) -> Iterator[Piece]:
        """The dump's pieces in its order, `splitter` being the first program's.

        Raises Problem where what one program wrote does not fit the others.
        """
        self._dumps[0].splitter = splitter
        first, *others = parts = [_Parts(self._pieces_of(dump)) for dump in self._dumps]
        of_table = {name: part for dump, part in zip(self._dumps, parts, strict=True) for name in dump.tables}
        yield from first.before_tables()
        for part in others:
            _exhaust(part.before_tables())
        for name in self._names:
            yield from of_table.get(name, first).table(name)
        for part in others:
            _exhaust(part.after_tables())
        yield from first.after_tables()
        if not all(dump.splitter.is_complete for dump in self._dumps):
            raise _unexpected(phrase("its closing line"))

    def _pieces_of(self, dump: _Dump) -> Iterator[Piece]:
        for data in dump.spool.taken():
            for other in self._dumps:
                other.spool.refuse_failure()
            yield from dump.splitter.feed(data)
        yield from dump.splitter.close()


def _exhaust(pieces: Iterator[Piece]) -> None:
    for _ in pieces:
        pass


_TABLES = frozenset({Kind.TABLE, Kind.PLACEHOLDER})
_OF_TABLES = frozenset({Kind.ROWS, Kind.TRIGGER})
_BEFORE_TABLES = frozenset({Kind.HEADER, Kind.SEQUENCE})
# What stands above the line that says what follows.
_ABOVE = (b"\n", b"--\n")


class _Parts:
    """A dump cut where its tables begin and where they end."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._parts = groupby(self._told_apart(pieces), key=lambda told: told[0])
        self._after = Section(Kind.FOOTER)

    def before_tables(self) -> Iterator[Piece]:
        """The header, and MariaDB's sequences."""
        opener, pieces = self._next()
        if opener.kind != Kind.HEADER:
            raise _unexpected(phrase("its header"))
        yield from pieces

    def table(self, name: str) -> Iterator[Piece]:
        """A table with its rows and triggers, or a view's placeholder."""
        opener, pieces = self._next()
        yield from pieces
        # A table's name comes some lines after its first.
        if opener.kind not in _TABLES or opener.name != name:
            raise _unexpected(phrase("the table {name}", name=name))

    def after_tables(self) -> Iterator[Piece]:
        """All else, to the end."""
        opener, pieces = self._next()
        if opener is not self._after:
            raise _unexpected(phrase("the end of its tables"))
        yield from pieces

    def _next(self) -> tuple[Section, Iterator[Piece]]:
        found = next(self._parts, None)
        if found is None:
            raise _unexpected("more")
        return found[0], (piece for _, piece in found[1])

    def _told_apart(self, pieces: Iterator[Piece]) -> Iterator[tuple[Section, Piece]]:
        """Each piece with the section that opens its part."""
        part: Section | None = None
        above: list[Piece] = []
        for piece in pieces:
            opener = self._opener(part, piece.section)
            if part is None:
                part = opener
            is_new = opener is not part
            if not is_new and _may_stand_above(piece, above):
                above.append(piece)
                continue
            owner = opener if piece.is_comment else part
            yield from ((owner, held) for held in above)
            above = []
            part = opener
            if not is_new and _may_stand_above(piece, above):
                above.append(piece)
            else:
                yield part, piece
        yield from ((part or self._after, held) for held in above)

    def _opener(self, part: Section | None, section: Section) -> Section:
        """What opens the part in which a section stands that follows `part` or is in it."""
        if part is None or part is self._after:
            return part or section
        if section.kind in _TABLES:
            return section
        within = _OF_TABLES if part.kind in _TABLES else _BEFORE_TABLES
        return part if section.kind in within else self._after


def _may_stand_above(piece: Piece, above: Sequence[Piece]) -> bool:
    """Whether a line, after those `above`, may belong to what the next line announces."""
    return piece.is_comment and len(above) < len(_ABOVE) and piece.data == _ABOVE[len(above)]


def _unexpected(what: str) -> Problem:
    return Problem(
        phrase("One of several dump programs did not write {what} where it belongs.", what=what),
        code="dump.not_in_its_place",
        do=phrase(
            "If tables were just created, dropped or renamed, back up again; if not, set DUMP_CONNECTIONS=1."
        ),
    )
