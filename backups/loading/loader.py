"""From a dump's bytes into a database: digested on the way, and only what is allowed is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Protocol

from backups import mysql, process
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.lexer import Unexpected, resolved
from backups.dumpfile.ready import Found, LoadOptions, Ready, Unmade, WithoutRole
from backups.dumpfile.tables import tablespace_of
from backups.dumpfile.tally import Tally
from backups.loading.connection_pool import Ended, Hand, LoadPool
from backups.loading.definers import dialect_of
from backups.loading.dispatcher import HeldBefore, StatementDispatcher
from backups.loading.problems import CutOff, NotADump, of_the_dump, pool_problem
from backups.loading.progress import End, Loading
from backups.loading.reading import judged, unpacked
from backups.loading.table_plan import comparable, names_in_lower_case
from backups.text.sentences import phrase

# Why an event is not made, or does not run.
ITS_TIME_HAS_PASSED = phrase("its time has passed, so no server makes it any more")


def live_tablespaces(server: mysql.Server, database: str, dialect: Dialect) -> Callable[[str], str]:
    """In which shared tablespace a database's table lies, asked for when a dump names one."""

    def tablespace_of_table(table: str) -> str:
        with mysql.connect(server) as connection:
            mysql.set_dump_session_format(connection)
            return tablespace_of(mysql.definition(connection, database, table), dialect)

    # MariaDB takes the word for MySQL's sake and does nothing.
    return (lambda _: "") if dialect.is_mariadb else tablespace_of_table


class Source(Protocol):
    """What a dump is read from: a program, or a file that looks like one."""

    @property
    def stdout(self) -> IO[bytes]:
        """Where its bytes come from."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def stop(self) -> None:
        """End it."""


@dataclass(frozen=True)
class DumpStream:
    """A dump that a program writes to its standard output; packed where `gzip` says so."""

    program: Source
    gzip: bool


@dataclass(frozen=True)
class Destination:
    """The database that a dump is loaded into, on which server, and what of the dump.

    Rows go over as many `connections` as the server has to give, beside the one that does the rest; with
    one, all goes over that.
    """

    server: mysql.Server
    info: mysql.ServerInfo
    options: LoadOptions
    connections: int = 1

    @property
    def database(self) -> str:
        """Its name."""
        return self.options.database


def load(
    source: DumpStream,
    destination: Destination,
    loading: Loading,
    *,
    tick: process.Tick,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Load a dump; `loading` tells how far it is, and `say` is told what a person should know.

    Raises LoadProblem with the server's own words, BrokenDump, what `tick` raises.
    """
    server, database, options = destination.server, destination.database, destination.options
    program, connections = source.program, destination.connections
    dialect = dialect_of(server, destination.info)
    chunks = unpacked(program.stdout, gzip=source.gzip)
    allowed = Allowed(dialect, options, tablespace_of=live_tablespaces(server, options.source, dialect))
    ready = _tallied(judged(chunks, loading, allowed, dialect), loading.tally)
    wanted = connections if connections > 1 else 0
    with mysql.loading_connections(server, database, 1 + wanted) as opened:
        if len(opened) <= wanted:
            say(
                phrase(
                    "The server has connections for {count} of {wanted} that load rows at once.",
                    count=len(opened) - 1,
                    wanted=wanted,
                )
            )
        loading.connections = max(1, len(opened) - 1)
        modes: dict[str, str] = {}
        hands = [Hand(connection, dialect.sql_mode, modes) for connection in opened]
        # A server that is full has none for looking at tables either.
        pool = LoadPool(server, hands[1:], loading.look if len(hands) > wanted else None)
        loading.afterwards = lambda: pool.current_task
        loading.has_changed = lambda: any(hand.has_run for hand in hands)
        with mysql.translated(server, database):
            before = HeldBefore(
                is_fresh=not mysql.tables(opened[0].driver, database),
                referenced=mysql.referenced_tables(opened[0].driver, database),
            )
            dispatcher = StatementDispatcher(
                hands[0],
                pool,
                before,
                assert_complete=lambda: _refuse_cut_off(loading),
                options=options,
            )

        def work() -> None:
            dispatcher.send(ready)

        def break_off() -> None:
            loading.is_broken_off = program.poll() is None
            program.stop()
            mysql.break_off(server, opened[:1])
            pool.stop()

        try:
            process.run_in_thread(work, tick, break_off)
        except Ended:
            raise pool_problem(pool, server) from pool.failure
        except NotADump:
            loading.is_broken_off = program.poll() is None
            raise
        except mysql.MySQLProblem as problem:
            loading.is_broken_off = program.poll() is None
            raise of_the_dump(problem, server) from problem
        finally:
            pool.stop()
        loading.looked_seconds = pool.looked_seconds
    if checks := {check for hand in hands for check in hand.unenforced}:
        ended_by_number(
            server,
            tick,
            lambda connected: mysql.enforce_checks(server, database, checks, connected=connected),
        )
    # With the connections closed again: who has few needs one of them here.
    if dispatcher.unmade:
        fallen = _fallen_views(dispatcher, server, database)
        loading.found.leave_unmade([*dispatcher.unmade, *fallen])
    loading.found.leave_out_events(hands[0].past_events, ITS_TIME_HAS_PASSED)
    loading.found.without_role = _without_role(loading.found, server, database)
    made = {**loading.found.definitions, **dispatcher.bare}
    loading.altered = _altered(made, server, database, dialect)
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

    process.run_in_thread(lambda: work(connections.append), tick, break_off)


def _fallen_views(dispatcher: StatementDispatcher, server: mysql.Server, database: str) -> Iterator[Unmade]:
    """Views that were made while what they read was a placeholder, and that cannot be read now: dropped."""
    with mysql.connect(server, database) as connection:
        for view in mysql.broken_views(connection, database):
            if view.name in dispatcher.views:
                mysql.drop_views(connection, database, [view.name])
                yield Unmade(dispatcher.views[view.name], READS_WHAT_IS_UNMADE)


def _tallied(statements: Iterator[Ready], tally: Tally | None) -> Iterator[Ready]:
    for ready in statements:
        if tally is not None:
            tally.add(ready)
        yield ready


READS_WHAT_IS_UNMADE = phrase("It reads a view that could not be made.")


def refuse_forbidden(server: mysql.Server, database: str, definitions: Mapping[str, bytes]) -> None:
    """Raise OfTheServer for tables that the server would not make as they are, as far as that shows."""
    keyless = [name for name, text in definitions.items() if b"PRIMARY KEY" not in text]
    if not keyless:
        return
    with mysql.loading_connections(server, database, 1) as (connection,):
        for setting, way_out in connection.key_rules().items():
            raise mysql.OfTheServer(
                phrase(
                    "The database server at {address} has its {setting} on, and these tables have no "
                    "primary key: {keyless}. The user {user} may not change that for a load.",
                    address=server.address,
                    setting=setting,
                    user=server.user,
                    keyless=mysql.named(keyless),
                ),
                code="mysql.setting_not_ours",
                do=way_out,
            )


def refuse_too_long(server: mysql.Server, database: str, loading: Loading) -> None:
    """Raise OfTheServer for a dump with a statement that is longer than the server takes."""
    length, table = loading.longest
    with mysql.loading_connections(server, database, 1) as (connection,):
        what = phrase("A statement of table {table}", table=table) if table else phrase("A statement")
        mysql.refuse_too_long(length, connection.longest_statement, server, what)


def _altered(
    definitions: Mapping[str, bytes], server: mysql.Server, database: str, dialect: Dialect
) -> list[str]:
    """The tables that the server now describes otherwise: by engine, columns, keys or options."""
    with mysql.connect(server) as connection:
        collations = mysql.default_collations(connection, mysql.probe(connection))
        mysql.set_dump_session_format(connection)
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
        raise CutOff(phrase("The dump stops before its closing line."))
