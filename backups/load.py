"""From a dump's bytes into a database: digested on the way, and made safe for where it goes."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from backups import mysql, process
from backups.choices import DefinerPolicy
from backups.crew import Crew, Ended
from backups.errors import Problem
from backups.spread import Spread
from backups.stream import (
    Digester,
    Kind,
    Piece,
    with_database,
    with_sequences,
    without_own_name,
    without_qualifiers,
)
from backups.tables import comparable

_CHUNK = 1 << 20
_GZIP = 31  # zlib: expect a gzip header

# Statements of dumps by other hands that would reach beyond the database they are loaded into.
_FOREIGN_STATEMENT = re.compile(
    rb"(?:/\*!\d+ )?SET (?:@@GLOBAL\.GTID_PURGED|@@SESSION\.SQL_LOG_BIN|"
    rb"@MYSQLDUMP_TEMP_LOG_BIN)\b"
)
_DEFINER = re.compile(rb"DEFINER=`(?:[^`]|``)*`@`(?:[^`]|``)*`")
_DEFINED = frozenset(
    {Kind.TRIGGER, Kind.VIEW, Kind.EVENT, Kind.PROCEDURE, Kind.FUNCTION, Kind.PACKAGE,
     Kind.PACKAGE_BODY, Kind.ROUTINE}
)  # fmt: skip


class LoadProblem(Problem):
    """The server did not take the dump."""


class BrokenDump(LoadProblem):
    """The dump's bytes are not what a dump program wrote."""


class CutOff(BrokenDump):
    """The dump stops before its closing line."""


class _EndedEarly(Exception):
    """The client ended while there was more for it to run."""


@dataclass(frozen=True)
class Wish:
    """How a dump of `source` should be loaded. An empty `tables` is all of it."""

    database: str
    source: str = ""
    tables: frozenset[str] = frozenset()
    definers: str = DefinerPolicy.KEEP


@dataclass
class Loading:
    """A load that is under way, or was: what it read, what it found."""

    digester: Digester = field(default_factory=Digester)
    bytes_read: int = 0
    is_read: bool = False
    # The reading was ended by us, so that how it ended tells nothing.
    is_broken_off: bool = False
    # Tables whose definition is not what the dump says, though they were made from it.
    altered: list[str] = field(default_factory=list)
    afterwards: Callable[[], str] = field(default=lambda: "", repr=False)

    @property
    def tables_begun(self) -> int:
        """How many tables came by."""
        return self.digester.tables_begun

    @property
    def doing(self) -> str:
        """What is being loaded, for a person: a section, or what goes on when all is read."""
        if self.is_read and (late := self.afterwards()):
            return late
        section = self.digester.section
        return f"{section.kind} {section.name}".strip()


def unpacked(source: IO[bytes], *, gzip: bool) -> Iterator[bytes]:
    """The bytes of a dump, unpacked in bounded pieces. Raises BrokenDump for broken gzip data."""
    if not gzip:
        while data := os.read(source.fileno(), _CHUNK):
            yield data
        return
    unzip = zlib.decompressobj(_GZIP)
    while data := os.read(source.fileno(), _CHUNK):
        while data:
            try:
                yield unzip.decompress(data, _CHUNK)
            except zlib.error as error:
                raise BrokenDump(f"The dump is not whole gzip data ({error}).") from error
            data = unzip.unconsumed_tail
            if unzip.eof:
                data = unzip.unused_data.lstrip(b"\0")
                unzip = zlib.decompressobj(_GZIP)
    yield unzip.flush()


def pieces_for(wish: Wish, pieces: Iterator[Piece]) -> Iterator[bytes | memoryview]:
    """What of a dump is sent to the server, and in which form."""
    return (piece.data for piece in adapted(wish, pieces))


def adapted(wish: Wish, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces that are wished, as they should reach the server; each trigger is one piece.

    Comments between statements go (the first line of MariaDB's dumps stops MySQL's client), and
    so does what would reach another database: USE, qualified triggers, ALTER DATABASE.
    """
    trigger = bytearray()
    section = None
    for piece in (_in_database(wish.database, piece) for piece in _wished(wish, pieces)):
        is_trigger = piece.section.kind == Kind.TRIGGER
        # A trigger is adapted as a whole, since its first statement may go over several lines.
        if trigger and not (is_trigger and piece.data[: len(_TRIGGER_BEGINS)] != _TRIGGER_BEGINS):
            yield Piece(section or piece.section, _adapted_trigger(trigger, wish), is_comment=False)
            trigger.clear()
        # The delimiter that a comment swallowed, once more.
        again = b";;\n" if piece.ends_swallowed else b""
        if is_trigger:
            trigger += again + bytes(piece.data)
            section = piece.section
        elif piece.section.kind == Kind.ROWS:
            yield piece
        else:
            yield piece._replace(data=again + _adapted(bytes(piece.data), piece.section.kind, wish))
    if trigger and section:
        yield Piece(section, _adapted_trigger(trigger, wish), is_comment=False)


def _wished(wish: Wish, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces that should be loaded. A table's name may come some lines after its section."""
    held: list[Piece] = []
    for piece in pieces:
        if piece.is_comment:
            continue
        held.append(piece)
        if wish.tables and piece.section.kind in (Kind.TABLE, Kind.ROWS) and not piece.section.table:
            continue
        yield from (one for one in held if _is_wished(one, wish))
        held.clear()
    yield from (one for one in held if _is_wished(one, wish))


def _in_database(name: str, piece: Piece) -> Piece:
    if not piece.alters_database:
        return piece
    return piece._replace(data=with_database(bytes(piece.data), name))


_TRIGGER_BEGINS = b"/*!50003 SET @saved_cs_client "


def _is_wished(piece: Piece, wish: Wish) -> bool:
    section = piece.section
    if section.kind == Kind.DATABASE or _FOREIGN_STATEMENT.match(piece.data):
        return False
    if not wish.tables or section.kind in (Kind.HEADER, Kind.FOOTER):
        return True
    if section.kind in (Kind.TABLE, Kind.ROWS, Kind.TRIGGER):
        return section.table in wish.tables
    return False


def _adapted(line: bytes, kind: str, wish: Wish) -> bytes:
    if kind == Kind.TABLE and wish.source and b"val(`" in line:
        return with_sequences(line, wish.source, wish.database)
    if kind == Kind.VIEW:
        line = without_own_name(line)
    if kind in _DEFINED and wish.definers == DefinerPolicy.CURRENT_USER:
        line = _DEFINER.sub(b"DEFINER=CURRENT_USER", line)
    return line


def _adapted_trigger(trigger: bytearray, wish: Wish) -> bytes:
    lines = without_qualifiers(bytes(trigger)).splitlines(keepends=True)
    return b"".join(_adapted(line, Kind.TRIGGER, wish) for line in lines)


def load(
    source: process.Child,
    *,
    gzip: bool,
    server: mysql.Server,
    programs: mysql.Clients,
    wish: Wish,
    loading: Loading,
    tick: process.Tick,
    connections: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Load what `source` writes into the wished database; `loading` tells how far it is.

    Rows go over as many `connections` as the server has to give, beside the client that does the
    rest; with one, all goes through the client just as it is written. `say` is told what a person
    should know.

    Raises LoadProblem with the server's own words, BrokenDump, what `tick` raises.
    """

    def break_off() -> None:
        loading.is_broken_off = source.poll() is None
        source.stop()

    pieces = adapted(wish, digested(unpacked(source.stdout, gzip=gzip), loading))
    wanted = connections if connections > 1 else 0
    with mysql.loading_connections(server, wish.database, wanted) as opened:
        if len(opened) < wanted:
            say(f"The server has connections for {len(opened)} of {wanted} that load rows at once.")
        if not opened:
            told = (piece.data for piece in pieces)
            client_fed(server, programs, wish.database, told, tick, abort=break_off)
            return
        crew = Crew(server, wish.database, opened)
        loading.afterwards = lambda: crew.doing
        spread = Spread(
            crew,
            is_fresh=not mysql.tables(opened[0].driver, wish.database),
            referenced=mysql.referenced_tables(opened[0].driver, wish.database),
            make_sure=lambda: _refuse_cut_off(loading),
        )

        def abort() -> None:
            break_off()
            crew.stop()

        try:
            rest = spread.statements(pieces)
            client_fed(server, programs, wish.database, rest, tick, abort=abort)
        except Ended:
            raise _crew_problem(crew, server) from crew.failure
        finally:
            crew.stop()
    loading.altered = _altered(spread.definitions, server, wish.database)


def _altered(definitions: Mapping[str, bytes], server: mysql.Server, database: str) -> list[str]:
    """The tables that the server now describes otherwise."""
    with mysql.connect(server) as connection:
        collations = mysql.default_collations(connection, mysql.probe(connection))
        mysql.describe_as_dumps_do(connection)
        return [
            table
            for table, definition in definitions.items()
            if comparable(definition, collations)
            != comparable(mysql.definition(connection, database, table), collations)
        ]


def _refuse_cut_off(loading: Loading) -> None:
    if not loading.digester.is_complete:
        raise CutOff("The dump stops before its closing line.")


def _crew_problem(crew: Crew, server: mysql.Server) -> BaseException:
    """What ended the crew, for a person. What is no Problem is a fault of our own."""
    failure = crew.failure or LoadProblem("The load was ended.")
    if not isinstance(failure, Problem):
        return failure
    if crew.failed is not None and crew.failed.doing:
        failure.do = f"{failure.do} {_AS_WRITTEN}".strip()
    return _of_the_dump(failure, server)


_AS_WRITTEN = (
    "RESTORE_CONNECTIONS=1 loads the dump just as it is written, which needs no room for sorting (tmpdir)."
)


def client_fed(
    server: mysql.Server,
    programs: mysql.Clients,
    database: str,
    statements: Iterator[bytes | memoryview],
    tick: process.Tick,
    abort: Callable[[], None] = lambda: None,
) -> None:
    """Have the client run `statements`; when `tick` raises, it is ended and `abort` called.

    Raises LoadProblem with the server's own words, and what `tick` or the statements raise.
    """
    first = mysql.before_load(server)
    option_fd = process.secret_fd(mysql.option_file(server))
    args = mysql.load_args(server, database, programs=programs, option_file_path=f"/dev/fd/{option_fd}")
    try:
        with process.child(
            args, env=mysql.client_environment(), stdin=process.PIPE, pass_fds=[option_fd]
        ) as client:
            is_fed = False

            def pump() -> None:
                nonlocal is_fed
                # The client says itself why it has ended.
                with suppress(BrokenPipeError):
                    client.stdin.write(first)
                    client.stdin.flush()
                    for data in statements:
                        client.stdin.write(data)
                        # What follows may wait for other connections, and these for an UNLOCK TABLES here.
                        client.stdin.flush()
                    client.stdin.close()
                    is_fed = True

            def stop() -> None:
                client.stop()
                abort()

            def look() -> None:
                tick()
                # What feeds it may be waiting for the server, and not see for long that it is gone.
                if client.poll() is not None and not client.stdin.closed:
                    raise _EndedEarly

            # In a thread, so that this one can watch the clock and the cancel button.
            with suppress(_EndedEarly):
                process.watched(pump, look, stop)
            code = client.wait(tick)
            if code != 0:
                raise _load_problem(client.stderr_tail(), code, server, database)
            # A pipe that could not take the last bytes is closed as well.
            if not is_fed:
                raise LoadProblem("The loading client ended before the dump did.")
    finally:
        os.close(option_fd)


def digested(chunks: Iterator[bytes], loading: Loading) -> Iterator[Piece]:
    """The pieces of a dump, digested as they pass."""
    for chunk in chunks:
        loading.bytes_read += len(chunk)
        yield from loading.digester.feed(chunk)
    yield from loading.digester.close()
    loading.is_read = True


def _load_problem(stderr: tuple[str, ...], code: int, server: mysql.Server, database: str) -> Problem:
    return _of_the_dump(mysql.client_problem(stderr, code, server, database), server)


def _of_the_dump(problem: Problem, server: mysql.Server) -> Problem:
    """The problem as one of the dump, unless it is surely none of it."""
    not_the_dump = (
        mysql.ServerGone, mysql.ServerUnreachable, mysql.AccessDenied, mysql.MissingPrivilege, mysql.DiskFull,
    )  # fmt: skip
    if isinstance(problem, mysql.MissingPrivilege):
        with suppress(Problem), mysql.connect(server) as connection:
            problem.do = f"Run as an administrator: {mysql.definer_grant(connection)}; {problem.do}"
    if isinstance(problem, not_the_dump):
        return problem
    return LoadProblem(problem.what, do=problem.do)
