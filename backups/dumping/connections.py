"""How many connections a dump takes where nobody said how many, and why.

The numbers come from what was measured (docs/performance.md, "Dumping over several connections"). A dump of
718 MB takes 9 seconds over one connection, as its program writes 82 MB/s, and 20 seconds of the processors:
7 of the server's, 7 to 8 of the dump program's, 2 of ours, 4 of restic's.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

from backups import mysql
from backups.dumping.parallel import (
    ParallelDumpUnavailable,
    ParallelOptions,
    obstacle,
    room_ahead,
    shares_for,
)
from backups.dumping.shares import shares
from backups.errors import Problem
from backups.text.sentences import phrase, plural

# restic cuts 230 MB/s into pieces, in one thread, and three dump programs write as much.
_MOST = 3
# 20 seconds of the processors in 9: what one connection sets to work keeps two cores busy.
_CORES_EACH = 2
# One connection dumps them in little more than half a second, which is about what the lock may take.
_SMALL_BYTES = 50_000_000
# Of the dump, what the busiest connection may have: else there is hardly anything to gain.
_MOST_FOR_ONE = 0.8
# As good as the best, since sizes are the server's guesses.
_HARDLY_BETTER = 1.1
# Beside the dump programs: for the lock, for the watch over the tables, for generated columns.
_BESIDE = 3


class Conditions(NamedTuple):
    """What decides. `missing` is what keeps several connections from being, as the end of a sentence."""

    cores: int
    tables: Sequence[mysql.TableSize] = ()
    # How many bytes may wait, in memory and on disk.
    room: int = 0
    # How many may be taken.
    connections: float = inf
    missing: str = ""


def choose(wished: int, on: Conditions) -> mysql.ChosenConnections:
    """How many connections dump these tables: as many as are `wished`; without a wish, what helps."""
    if wished:
        return mysql.ChosenConnections(wished, phrase("DUMP_CONNECTIONS is {wished}", wished=wished))
    if on.cores < 2 * _CORES_EACH:
        return _one(phrase("one connection keeps two cores busy, and there are {cores}", cores=on.cores))
    tables = [table for table in on.tables if table.is_table]
    total = sum(table.bytes for table in tables)
    if total < _SMALL_BYTES:
        return _one(phrase("the database has only {megabytes} MB of rows", megabytes=total // 1_000_000))
    most = int(min(_MOST, on.cores // _CORES_EACH, on.connections - _BESIDE))
    if most < 2:
        return _one(_few(int(on.connections)))
    at_best = _as_good_as(most, tables, sum(table.most for table in tables))
    if not at_best:
        largest = max(tables, key=lambda table: table.bytes)
        return _one(
            phrase(
                "{table} is {percent} % of the database, and one connection dumps all of a table",
                table=largest.name,
                percent=largest.bytes * 100 // total,
            )
        )
    if on.missing:
        return _one(
            phrase("{missing}; {count} connections would be faster", missing=on.missing, count=at_best)
        )
    number = _as_good_as(most, tables, on.room)
    if not number:
        return _one(
            phrase(
                "what would be dumped ahead does not fit into {room} MB of memory and disk (DUMP_SPOOL_DIR, "
                "DUMP_SPOOL_MB); {count} connections would be faster",
                room=on.room // 1_000_000,
                count=at_best,
            )
        )
    return mysql.ChosenConnections(
        number,
        phrase(
            "there are {cores} cores, and {megabytes} MB of rows in {tables} tables",
            cores=on.cores,
            megabytes=total // 1_000_000,
            tables=len(tables),
        ),
    )


def _few(connections: int) -> str:
    return plural(
        "the server has only {n} connection for it",
        "the server has only {n} connections for it",
        n=connections,
    )


def _as_good_as(most: int, tables: Sequence[mysql.TableSize], room: int) -> int:
    """How many connections are about as fast as `most` of them; 0 where these are hardly faster than one."""
    sizes = {table.name: table.bytes for table in tables}
    longest = {
        number: max(sum(sizes[name] for name in share) for share in shares(tables, number, room))
        for number in range(2, most + 1)
    }
    best = min(longest.values())
    if best > sum(sizes.values()) * _MOST_FOR_ONE:
        return 0
    return next(number for number, bytes_ in longest.items() if bytes_ <= best * _HARDLY_BETTER)


def _one(because: str) -> mysql.ChosenConnections:
    return mysql.ChosenConnections(1, because)


def looked_at(server: mysql.Server, database: str, options: ParallelOptions) -> mysql.ChosenConnections:
    """The same for a database as it is now. Where it cannot be looked at, one connection has to do.

    The server is asked nothing where that would decide nothing.
    """
    if options.connections or options.cores < 2 * _CORES_EACH:
        chosen = choose(options.connections, Conditions(options.cores))
        return chosen._replace(because=options.because or chosen.because)
    try:
        with mysql.connect(server) as connection:
            return choose(0, _conditions(connection, server, database, options))
    except Problem as problem:
        return _one(problem.what.rstrip("."))


def missing(server: mysql.Server, database: str, options: ParallelOptions) -> str:
    """What keeps a database from being dumped over as many connections as are wished for, or nothing.

    It ends a sentence. Raises Problem.
    """
    with mysql.connect(server) as connection:
        tables = mysql.listed_tables(connection, database)
        if found := _missing(connection, server, database, tables):
            return found
    try:
        shares_for(tables, options.connections, room_ahead(options))
    except ParallelDumpUnavailable as unavailable:
        return str(unavailable)
    return ""


def _missing(connection: Any, server: mysql.Server, database: str, tables: Sequence[mysql.TableSize]) -> str:
    if found := obstacle(connection, database, tables):
        return found
    from backups.mysql import grants

    held = grants.of_user(connection)
    if not grants.allows(held, "LOCK TABLES", mysql.spelling(connection)(database)):
        return mysql.lacks_lock(server, database)
    return ""


def _conditions(connection: Any, server: mysql.Server, database: str, options: ParallelOptions) -> Conditions:
    tables = mysql.listed_tables(connection, database)
    found, room = _missing(connection, server, database, tables), 0
    # Whoever names a folder agrees to the lock as well.
    if not options.spool_dir:
        found = found or phrase("DUMP_SPOOL_DIR names no folder for tables that are dumped ahead")
    try:
        room = room_ahead(options)
    except ParallelDumpUnavailable as unavailable:
        found = found or str(unavailable)
    return Conditions(options.cores, tables, room, mysql.connections_to_take(connection), found)
