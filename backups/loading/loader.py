"""From a dump's bytes into a database: digested on the way, and only what is allowed is sent."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import IO

from backups import mysql, process
from backups.dumpfile.allowed import Allowed, NotAllowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.digesting import Digester
from backups.dumpfile.judge import Judge
from backups.dumpfile.lexer import Unexpected, resolved
from backups.dumpfile.ready import Found, Ready, Unmade, Wish, WithoutRole
from backups.dumpfile.sections import Piece, TooLarge
from backups.dumpfile.statements import LONGEST_DEFINITION, NoStatement
from backups.dumpfile.tables import tablespace_of
from backups.dumpfile.tally import Tally
from backups.errors import Problem
from backups.loading.connection_pool import Crew, Ended, Hand
from backups.loading.dispatcher import NOT_ITS_FAULT, Spread
from backups.loading.table_plan import comparable, names_in_lower_case
from backups.mysql import MARIADB
from backups.text.terminal import bounded

__all__ = ["Loading", "Wish"]

# Why an event is not made, or does not run.
ITS_TIME_HAS_PASSED = "its time has passed, so no server makes it any more"
_CHUNK = 1 << 20
_GZIP = 31  # zlib: expect a gzip header
_GZIP_BEGINS = b"\x1f\x8b"
_TAIL_BYTES = 256
# Out of range, truncated, no character, no date or number, ignored because of its key.
_VALUE_CHANGED = (1062, 1264, 1265, 1292, 1366, 1406)
# Unknown, disabled or not allowed, and the default one taken instead.
_NO_ENGINE = (1266, 1286)
_OF_COLUMN = re.compile(r"for column (?:`[^`]*`\.`[^`]*`\.)?['`](.+?)['`] at row")
_DUMPED_BY = re.compile(rb"(?:/\*M?!999999[^\n]*\n)?-- (?:MariaDB|MySQL) dump [^\n]*")
# Adminer ends a dump with the time in a comment.
_ADMINER = re.compile(rb"\n-- \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: UTC)?\s*\Z")


class LoadProblem(Problem):
    """The server did not take the dump."""


class BrokenDump(LoadProblem):
    """The dump's bytes are not what a dump program wrote."""


class CutOff(BrokenDump):
    """The dump stops before its end."""


class NotADump(BrokenDump):
    """It holds what no dump program writes, or is no dump at all."""


class End(Enum):
    """How the dump ends: as its program ends one, in the middle, or so that nobody can tell."""

    WHOLE = "whole"
    CUT = "cut"
    UNKNOWN = "unknown"


@dataclass
class Loading:
    """A load that is under way, or was: what it read, what it found."""

    digester: Digester = field(default_factory=Digester)
    found: Found = field(default_factory=Found)
    bytes_read: int = 0
    is_read: bool = False
    # The longest statement that was read through, with the table that it is of.
    longest: tuple[int, str] = (0, "")
    end: End = End.UNKNOWN
    # The reading was ended by us, so that how it ended tells nothing.
    is_broken_off: bool = False
    # Tables whose definition is not what the dump says, though they were made from it.
    altered: list[str] = field(default_factory=list)
    # What the server said of statements that it took and did otherwise, by table and number.
    warned: dict[tuple[str, int], str] = field(default_factory=dict)
    # Generated columns of which the load did not prove that they hold what they did.
    computed_anew: list[mysql.ComputedAnew] = field(default_factory=list)
    # Kept where there will be no manifest to compare with.
    tally: Tally | None = None
    # Whether the server took any statement, so that the target is not as it was.
    has_changed: Callable[[], bool] = field(default=lambda: False, repr=False)
    afterwards: Callable[[], str] = field(default=lambda: "", repr=False)

    @property
    def tables_begun(self) -> int:
        """How many tables came by."""
        return self.digester.tables_begun or len(self.found.definitions)

    def values_changed(self) -> dict[str, str]:
        """The tables in which the server did not keep values as they are in the dump, and its words.

        But for an ENUM or SET that holds what its definition does not list: it warns, and keeps it.
        """
        return {
            table: text
            for (table, code), text in sorted(self.warned.items())
            if code in _VALUE_CHANGED and not self._is_of_list(table, text)
        }

    def of_other_engine(self) -> str:
        """What the server says of tables that it made with another storage engine, none where it did not."""
        said = (
            f"{table}: {text}" for (table, code), text in sorted(self.warned.items()) if code in _NO_ENGINE
        )
        return "; ".join(said)

    def _is_of_list(self, table: str, text: str) -> bool:
        column = _OF_COLUMN.search(bounded(text))
        listed = rf"`{re.escape(column[1].replace('`', '``'))}` (?:enum|set)\(" if column else "$^"
        definition = self.found.definitions.get(table, b"").decode(errors="replace")
        return bool(re.search(listed, definition, re.I))

    @property
    def doing(self) -> str:
        """What is being loaded, for a person: a section, or what goes on when all is read."""
        if self.is_read and (late := self.afterwards()):
            return late
        section = self.digester.section
        return f"{section.kind} {section.name}".strip()


def unpacked(source: IO[bytes], *, gzip: bool) -> Iterator[bytes]:
    """The bytes of a dump, unpacked in bounded pieces, by what they are and not by the file's name.

    Raises BrokenDump for broken gzip data, and for bytes that should be gzip data and are neither
    that nor text.
    """
    first = os.read(source.fileno(), _CHUNK)
    if not first.startswith(_GZIP_BEGINS):
        if gzip and first and b"\0" in first[:_TAIL_BYTES]:
            raise BrokenDump("The dump is not whole gzip data (it does not begin as such).")
        if first:
            yield first
        while data := os.read(source.fileno(), _CHUNK):
            yield data
        return
    unzip = zlib.decompressobj(_GZIP)
    data = first
    is_within = True
    while data:
        while data:
            is_within = True
            try:
                yield unzip.decompress(data, _CHUNK)
            except zlib.error as error:
                raise BrokenDump(f"The dump is not whole gzip data ({error}).") from error
            data = unzip.unconsumed_tail
            if unzip.eof:
                data = unzip.unused_data.lstrip(b"\0")
                unzip = zlib.decompressobj(_GZIP)
                is_within = False
        data = os.read(source.fileno(), _CHUNK)
    yield unzip.flush()
    if is_within:
        raise BrokenDump("The dump is not whole gzip data (it stops before its end).")


def digested(chunks: Iterator[bytes], loading: Loading) -> Iterator[Piece]:
    """The pieces of a dump, digested as they pass."""
    for chunk in chunks:
        loading.bytes_read += len(chunk)
        yield from loading.digester.feed(chunk)
    yield from loading.digester.close()
    loading.is_read = True


def dialect_of(server: mysql.Server, info: mysql.ServerInfo) -> Dialect:
    """How a server reads what is sent to it. Raises MySQLProblem."""
    with mysql.connect(server) as connection:
        return Dialect.of(
            is_mariadb=info.flavour == MARIADB,
            number=info.number,
            sql_mode=mysql.session_mode(connection),
            folds_names=mysql.folds_names(connection),
        )


def live_tablespaces(server: mysql.Server, database: str, dialect: Dialect) -> Callable[[str], str]:
    """In which shared tablespace a database's table lies, asked for when a dump names one."""

    def tablespace_of_table(table: str) -> str:
        with mysql.connect(server) as connection:
            mysql.describe_as_dumps_do(connection)
            return tablespace_of(mysql.definition(connection, database, table), dialect)

    # MariaDB takes the word for MySQL's sake and does nothing.
    return (lambda _: "") if dialect.is_mariadb else tablespace_of_table


def judged(
    chunks: Iterator[bytes], loading: Loading, allowed: Allowed, dialect: Dialect, *, is_ours: bool = False
) -> Iterator[Ready]:
    """What of a dump is to be sent, in its order, digested as it passes; last what had to wait for all rows.

    Where the dump turns out to be cut, the latter is not given out, unless it `is_ours`: put
    together here of parts. Raises NotADump, CutOff.
    """
    loading.found = allowed.found
    judge = Judge(dialect, allowed)
    begins, tail = b"", b""
    try:
        for chunk in chunks:
            if not begins:
                begins = chunk[:_TAIL_BYTES]
                allowed.definitions.by_mariadb = _is_mariadbs(begins, dialect)
            tail = (tail + chunk)[-_TAIL_BYTES:] if len(chunk) < _TAIL_BYTES else chunk[-_TAIL_BYTES:]
            loading.bytes_read += len(chunk)
            for _ in loading.digester.feed(chunk):
                pass
            yield from judge.feed(chunk)
        for _ in loading.digester.close():
            pass
        loading.is_read = True
        yield from judge.close()
    except NotAllowed as error:
        raise _not_a_dump(error, begins) from None
    except TooLarge as error:
        raise NotADump(error.what, do=error.do) from None
    except NoStatement as error:
        if error.is_endless:
            raise _endless(error) from None
        loading.end = End.CUT
        if not judge.statements:
            raise _not_a_dump(NotAllowed(1, error.text, error.why), begins) from None
        raise CutOff("The dump is cut: it stops in the middle of a statement.") from None
    loading.end = _end_of(loading, allowed, begins, tail)
    if loading.end != End.CUT or is_ours:
        yield from allowed.rest()


def _is_mariadbs(begins: bytes, dialect: Dialect) -> bool:
    """Whether a dump is of a MariaDB; where it does not say so, of the kind that it is loaded into."""
    said = _DUMPED_BY.match(begins)
    return dialect.is_mariadb if said is None else b"mariadb" in said[0].lower()


def _end_of(loading: Loading, allowed: Allowed, begins: bytes, tail: bytes) -> End:
    """By the closing line, by the settings that a dump puts back at its end, or by a last COMMIT."""
    session = allowed.session
    if loading.digester.is_complete or (session.has_saved and not session.outstanding):
        return End.WHOLE
    if session.has_saved:
        return End.CUT
    if allowed.is_committed or (b"-- Adminer " in begins and _ADMINER.search(tail)):
        return End.WHOLE
    return End.UNKNOWN


_OTHER_FORMATS = (
    (b"<?xml", "It is XML, as --xml writes it, and no SQL."),
    (b"<", "It is a page of markup, and no SQL."),
    (b"\xff\xfe", "It is UTF-16 text: save it as UTF-8."),
    (b"\xfe\xff", "It is UTF-16 text: save it as UTF-8."),
    (b"\x28\xb5\x2f\xfd", "It is zstd data, which is not unpacked here."),
    (b"BZh", "It is bzip2 data, which is not unpacked here."),
    (b"\xfd7zXZ", "It is xz data, which is not unpacked here."),
    (b"PK\x03\x04", "It is a zip archive, which is not unpacked here."),
    (b"PGDMP", "It is a dump of PostgreSQL."),
)


def _not_a_dump(error: NotAllowed, begins: bytes) -> NotADump:
    for mark, what in _OTHER_FORMATS:
        if begins.startswith(mark):
            return NotADump(what, do="Store a dump as plain SQL or with gzip.")
    why = f" ({error.why})" if error.why else ""
    return NotADump(
        f"This snapshot was not made by a dump program that Vedetta knows: line {error.line} begins with "
        f"{error.beginning!r}{why}.",
        do="What stands there was not run. If you trust the file, read it and load it by hand.",
    )


def _endless(error: NoStatement) -> NotADump:
    beginning = " ".join(error.text.decode(errors="replace").split())[:80]
    return NotADump(
        f"A statement of this dump brings no rows and is longer than {LONGEST_DEFINITION >> 20} MB, or "
        f"brings more of them than any server takes at once; it begins with {beginning!r}.",
        do="What stands there was not run. If you trust the file, read it and load it by hand.",
    )


def load(
    source: process.Child,
    *,
    gzip: bool,
    server: mysql.Server,
    info: mysql.ServerInfo,
    wish: Wish,
    loading: Loading,
    tick: process.Tick,
    connections: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Load what `source` writes into the wished database; `loading` tells how far it is.

    Rows go over as many `connections` as the server has to give, beside the one that does the
    rest; with one, all goes over that. `say` is told what a person should know.

    Raises LoadProblem with the server's own words, BrokenDump, what `tick` raises.
    """
    dialect = dialect_of(server, info)
    chunks = unpacked(source.stdout, gzip=gzip)
    allowed = Allowed(dialect, wish, tablespace_of=live_tablespaces(server, wish.source, dialect))
    ready = _tallied(judged(chunks, loading, allowed, dialect), loading.tally)
    wanted = connections if connections > 1 else 0
    with mysql.loading_connections(server, wish.database, 1 + wanted) as opened:
        if len(opened) <= wanted:
            say(f"The server has connections for {len(opened) - 1} of {wanted} that load rows at once.")
        modes: dict[str, str] = {}
        hands = [Hand(connection, dialect.sql_mode, modes) for connection in opened]
        crew = Crew(server, hands[1:])
        loading.afterwards = lambda: crew.doing
        loading.has_changed = lambda: any(hand.has_run for hand in hands)
        with mysql.translated(server, wish.database):
            spread = Spread(
                hands[0],
                crew,
                is_fresh=not mysql.tables(opened[0].driver, wish.database),
                referenced=mysql.referenced_tables(opened[0].driver, wish.database),
                make_sure=lambda: _refuse_cut_off(loading),
                leaves_denied=wish.without_what_is_denied,
            )

        def work() -> None:
            spread.send(ready)

        def break_off() -> None:
            loading.is_broken_off = source.poll() is None
            source.stop()
            mysql.break_off(server, opened[:1])
            crew.stop()

        try:
            process.watched(work, tick, break_off)
        except Ended:
            raise _crew_problem(crew, server) from crew.failure
        except NotADump:
            loading.is_broken_off = source.poll() is None
            raise
        except mysql.MySQLProblem as problem:
            loading.is_broken_off = source.poll() is None
            raise _of_the_dump(problem, server) from problem
        finally:
            crew.stop()
    if checks := {check for hand in hands for check in hand.unenforced}:
        ended_by_number(
            server,
            tick,
            lambda connected: mysql.enforce_checks(server, wish.database, checks, connected=connected),
        )
    # With the connections closed again: who has few needs one of them here.
    if spread.unmade:
        fallen = _fallen_views(spread, server, wish.database)
        loading.found.leave_unmade([*spread.unmade, *fallen])
    loading.found.leave_out_events(hands[0].past_events, ITS_TIME_HAS_PASSED)
    loading.found.without_role = _without_role(loading.found, server, wish.database)
    loading.altered = _altered(loading.found.definitions, server, wish.database, dialect)
    for hand in hands:
        loading.warned.update(hand.warned)
    if loading.altered:
        mysql.refuse_made_otherwise(server, opened[0].withheld, loading.altered)


def _without_role(found: Found, server: mysql.Server, database: str) -> list[WithoutRole]:
    """What a role defined that the server has not got."""
    if not found.of_roles:
        return []
    with mysql.connect(server) as connection:
        now = mysql.definers_of(connection, database)
    return [
        WithoutRole(kind, name, role)
        for (kind, name), role in sorted(found.of_roles.items())
        if now.get((kind, name)) == f"{role}@%"
    ]


def ended_by_number(
    server: mysql.Server, tick: process.Tick, work: Callable[[Callable[[int], None]], None]
) -> None:
    """Do work over a connection whose number it tells, watched. Raises what it and `tick` raise."""
    connections: list[int] = []

    def break_off() -> None:
        for connection in connections:
            mysql.kill(server, connection)

    process.watched(lambda: work(connections.append), tick, break_off)


def _fallen_views(spread: Spread, server: mysql.Server, database: str) -> Iterator[Unmade]:
    """Views that were made while what they read was a placeholder, and that cannot be read now: dropped."""
    with mysql.connect(server, database) as connection:
        for view in mysql.broken_views(connection, database):
            if view.name in spread.views:
                mysql.drop_views(connection, database, [view.name])
                yield Unmade(spread.views[view.name], READS_WHAT_IS_UNMADE)


def _tallied(statements: Iterator[Ready], tally: Tally | None) -> Iterator[Ready]:
    for ready in statements:
        if tally is not None:
            tally.add(ready)
        yield ready


def read_definitions(
    statements: bytes, dialect: Dialect, wish: Wish, tables: Iterable[str]
) -> tuple[list[Ready], Found]:
    """What of a few statements of a dump is to be sent to a database that has `tables`, and what they make.

    Events are made disabled. Raises NotADump, CutOff.
    """
    allowed = Allowed(dialect, wish, standing=tables)
    ready = [*judged(iter([statements]), Loading(), allowed, dialect, is_ours=True)]
    return ready, allowed.found


READS_WHAT_IS_UNMADE = "It reads a view that could not be made."


class Definers:
    """A connection over which definitions are made, watched."""

    def __init__(
        self,
        server: mysql.Server,
        connection: mysql.LoadingConnection,
        sql_mode: str,
        tick: process.Tick,
    ) -> None:
        self._server, self._tick = server, tick
        self._connection = connection
        self._hand = Hand(connection, sql_mode)

    @property
    def past_events(self) -> set[str]:
        """Events that were to be made and are not, because their time has passed."""
        return self._hand.past_events

    def run(self, ready: Iterable[Ready]) -> None:
        """Run statements one after the other. Raises LoadProblem, what `tick` raises."""

        def work() -> None:
            for each in ready:
                self._hand.run(each)

        try:
            process.watched(work, self._tick, lambda: mysql.break_off(self._server, [self._connection]))
        except mysql.MySQLProblem as problem:
            raise _of_the_dump(problem, self._server) from problem


@contextmanager
def definers_at(
    server: mysql.Server, info: mysql.ServerInfo, database: str, tick: process.Tick
) -> Iterator[Definers]:
    """A connection for definitions, for the length of a block. Raises MySQLProblem."""
    sql_mode = dialect_of(server, info).sql_mode
    with mysql.loading_connections(server, database, 1) as (connection,):
        yield Definers(server, connection, sql_mode, tick)


def refuse_forbidden(server: mysql.Server, database: str, definitions: Mapping[str, bytes]) -> None:
    """Raise OfTheServer for tables that the server would not make as they are, as far as that shows."""
    keyless = [name for name, text in definitions.items() if b"PRIMARY KEY" not in text]
    if not keyless:
        return
    with mysql.loading_connections(server, database, 1) as (connection,):
        for setting, way_out in connection.key_rules().items():
            raise mysql.OfTheServer(
                f"The database server at {server.address} has its {setting} on, which the user {server.user} "
                f"may not change for a load, and these tables have no primary key: {mysql.named(keyless)}.",
                do=way_out,
            )


def refuse_too_long(server: mysql.Server, database: str, loading: Loading) -> None:
    """Raise OfTheServer for a dump with a statement that is longer than the server takes."""
    length, table = loading.longest
    with mysql.loading_connections(server, database, 1) as (connection,):
        what = f"A statement of table {table}" if table else "A statement"
        mysql.refuse_too_long(length, connection.longest_statement, server, what)


def _altered(
    definitions: Mapping[str, bytes], server: mysql.Server, database: str, dialect: Dialect
) -> list[str]:
    """The tables that the server now describes otherwise: by engine, columns, keys or options."""
    with mysql.connect(server) as connection:
        collations = mysql.default_collations(connection, mysql.probe(connection))
        mysql.describe_as_dumps_do(connection)
        spelled = names_in_lower_case if dialect.folds_names else bytes
        return [
            table
            for table, definition in definitions.items()
            if comparable(spelled(definition), collations)
            != comparable(
                spelled(_as_read(mysql.definition(connection, database, table), dialect)), collations
            )
        ]


def _as_read(definition: bytes, dialect: Dialect) -> bytes:
    try:
        return resolved(definition, dialect)
    except Unexpected:
        return definition


def _refuse_cut_off(loading: Loading) -> None:
    if loading.end == End.CUT:
        raise CutOff("The dump stops before its closing line.")


def _crew_problem(crew: Crew, server: mysql.Server) -> BaseException:
    """What ended the crew, for a person. What is no Problem is a fault of our own."""
    failure = crew.failure or LoadProblem("The load was ended.")
    if not isinstance(failure, Problem):
        return failure
    if crew.failed is not None and crew.failed.doing and not isinstance(failure, mysql.OfTheServer):
        failure.do = f"{failure.do} {_AS_WRITTEN}".strip()
    return _of_the_dump(failure, server)


_AS_WRITTEN = (
    "RESTORE_CONNECTIONS=1 loads the dump just as it is written, which needs no room for sorting (tmpdir)."
)


def _of_the_dump(problem: Problem, server: mysql.Server) -> Problem:
    """The problem as one of the dump, unless it is surely none of it."""
    if isinstance(problem, mysql.MissingPrivilege) and not problem.do:
        with suppress(Problem), mysql.connect(server) as connection:
            problem.do = f"Run as an administrator: {mysql.definer_grant(connection)};"
    if isinstance(problem, NOT_ITS_FAULT):
        return problem
    return LoadProblem(problem.what, do=problem.do)
