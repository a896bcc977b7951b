"""Which tables are altered, replaced or exchanged before a dump reads them, for users without PROCESS.

A table is told by when it was made, which the server forgets or never knew of some, and which says
nothing of EXCHANGE PARTITION, nor of a RENAME between tables that were made in the same second (on
MySQL, and of MariaDB's engines but InnoDB). Those have a tripwire besides. What becomes of a table once
its rows are being read is no matter: the dump holds of it what the snapshot does.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import MySQLdb

from backups.mysql.answers import as_number, as_time, execute, fetch_all, fetch_one, fetch_rows
from backups.mysql.connection import connect
from backups.mysql.connection_limits import connections_left
from backups.mysql.error_numbers import translated
from backups.mysql.names import quote
from backups.mysql.problems import MySQLProblem
from backups.mysql.schemas import Question, rows_of, spelling
from backups.mysql.server import MARIADB, Server, ServerInfo
from backups.mysql.table_status import Made, definitions_changed_at, made_at
from backups.mysql.tripwires import Tripwires

# CREATE_TIME has whole seconds, and MariaDB's are a file's, whose clock is some milliseconds late.
_SECOND = timedelta(seconds=1.05)
# MariaDB has several objects of a table, of which some may not know when it was made.
_CURES = 6
# A connection that was not used for so long may have been ended by whoever is in between.
_IDLE_SECONDS = 10.0
# Engines of which MariaDB may not tell when a table was made, and of which a dump has the rows.
_MAY_BE_UNKNOWN = frozenset({"innodb", "archive", "csv"})
_OF_THE_SERVER = "'information_schema', 'mysql', 'performance_schema', 'sys'"

_Table = tuple[str, str]
_Columns = tuple[int, int]


class Altered(NamedTuple):
    """A table that is not what it was when the dump began, and what shows it."""

    table: str
    how: str


class _Identity(NamedTuple):
    """What tells a table from another one of its name; None is unknown."""

    made_at: datetime | None
    columns: _Columns | None = None

    def differs(self, other: _Identity) -> bool:
        """Whether they are known not to be of one table."""
        return any(
            mine is not None and theirs is not None and mine != theirs
            for mine, theirs in zip(self, other, strict=True)
        )


@dataclass(frozen=True)
class _Noted:
    """The tables as a dump finds them.

    Those in `mates` are not told by their identity. The mates are the tables, if it takes one of them,
    with which a table could be exchanged.
    """

    identities: Mapping[str, _Identity]
    mates: Mapping[str, frozenset[str]]

    @property
    def wired(self) -> dict[str, datetime | None]:
        """The tables that need a tripwire, and when they were made."""
        tables = frozenset(self.mates).union(*set(self.mates.values()))
        return {table: self.identities[table].made_at for table in tables}


class TableWatch:
    """The tables of a database, while dump programs go from one to the next."""

    CONNECTIONS = 1

    def __init__(
        self, server: Server, database: str, info: ServerInfo, noted: _Noted, wires: Tripwires
    ) -> None:
        self._server, self._database, self._info = server, database, info
        self._noted, self._wires = noted, wires
        self._unread = set(noted.identities)
        self._lock = threading.Lock()
        self._closing = ExitStack()
        self._connection: Any = None
        self._used_at = 0.0
        self._waits_for_the_end = False
        self.altered: Altered | None = None

    @property
    def tables(self) -> list[str]:
        """The tables with rows of their own that there were when the watch began."""
        return sorted(self._noted.identities)

    def wait_for_the_end(self) -> None:
        """Look at no table before `look_at_the_rest`: the dump needs all connections that the user has."""
        self._waits_for_the_end = True

    def is_read(self, table: str) -> None:
        """A dump program begins to read the rows of a table, and nobody can alter it now."""
        if self._waits_for_the_end:
            return
        with self._lock:
            try:
                self._look_at(table)
            except (MySQLProblem, MySQLdb.Error):  # it is looked at in the end
                self._used_at = 0.0

    def look_at_the_rest(self) -> None:
        """Look at the tables that no dump program was seen to read. Raises MySQLProblem.

        The watch then has no connection of its own any more, which some users have few of.
        """
        with self._lock, translated(self._server, self._database):
            for table in sorted(self._unread):
                self._look_at(table)
            self.close()

    def close(self) -> None:
        """End the watch's own connection."""
        self._closing.close()
        self._used_at = 0.0

    def _look_at(self, table: str) -> None:
        if table not in self._unread or self.altered:
            return
        connection = self._connected()
        noted = self._noted.identities[table]
        if noted.differs(_identity(connection, self._database, table, noted, self._info)):
            self.altered = Altered(table, "")
        elif self._was_taken(connection, table):
            self.altered = Altered(table, self._wires.who_took(connection))
        self._used_at = time.monotonic()
        self._unread.discard(table)

    def _was_taken(self, connection: Any, table: str) -> bool:
        mates = self._noted.mates.get(table)
        if mates is None or not self._wires.was_taken(connection, table, mates):
            return False
        others = {mate for mate in mates if mate != table and self._may_be_exchanged(connection, mate)}
        return not mates or bool(others and self._wires.was_taken(connection, table, others))

    def _may_be_exchanged(self, connection: Any, mate: str) -> bool:
        """Not what was altered in a way that shows: another table in its place would look as it did."""
        noted = self._noted.identities[mate]
        is_partitioned = mate in self._noted.mates and not self._noted.mates[mate]
        return is_partitioned or not noted.differs(
            _identity(connection, self._database, mate, noted, self._info)
        )

    def _connected(self) -> Any:
        if time.monotonic() > self._used_at + _IDLE_SECONDS:
            self._closing.close()
            self._connection = self._closing.enter_context(connect(self._server))
            _speak_utc(self._connection)
        return self._connection


@contextmanager
def watched_tables(
    server: Server, database: str, info: ServerInfo, *, besides: int = 1
) -> Iterator[TableWatch]:
    """Note what the tables of a database are, and watch them for the length of a block.

    `besides` is how many connections the user needs meanwhile for the dump itself.
    """
    with connect(server) as connection:
        noted = _noted(connection, database, info)
        wires = Tripwires(server, database, info.flavour, noted.wired)
        left = connections_left(connection) - besides - TableWatch.CONNECTIONS
        if left < Tripwires.CONNECTIONS:
            wires.do_without_guards()
        stretched = ExitStack()
        stretched.enter_context(wires.stretched(connection))
    with stretched:
        watch = TableWatch(server, database, info, noted, wires)
        if left < 0:
            watch.wait_for_the_end()
        try:
            yield watch
        finally:
            watch.close()


def _speak_utc(connection: Any) -> None:
    execute(connection, "SET SESSION time_zone = '+00:00'")


def _noted(connection: Any, database: str, info: ServerInfo) -> _Noted:
    _speak_utc(connection)
    made = _made(connection, database, info)
    is_partitioned = any(each.is_partitioned for each in made.values())
    mates = _made_at_once(connection, database, made, info)
    schemas = {database, *(schema for schema, _ in mates)} if is_partitioned or mates else set()
    columns = _columns(connection, schemas)
    shared = set(mates.values())
    identities = {
        table: _Identity(each.at, columns.get((database, table)) if each.at in shared else None)
        for table, each in made.items()
    }
    return _Noted(identities, _mates(database, made, mates, columns))


def _mates(
    database: str,
    made: Mapping[str, Made],
    made_at_once: Mapping[_Table, datetime],
    columns: Mapping[_Table, _Columns],
) -> dict[str, frozenset[str]]:
    """As `_Noted` has them."""
    forms = {table: columns.get((database, table)) for table in made}
    partitioned = _grouped((table, forms[table]) for table, each in made.items() if each.is_partitioned)
    # Those of one second and one form; one that we see in another database is not guarded there.
    twins = _grouped(
        (table if schema == database and table in made else "", (at, columns.get((schema, table))))
        for (schema, table), at in made_at_once.items()
    )

    def of(table: str, each: Made) -> frozenset[str] | None:
        is_twin = (database, table) in made_at_once
        own = twins.get((each.at, forms[table]), frozenset()) if is_twin else frozenset()
        is_unknown = each.at is None and each.engine.lower() in _MAY_BE_UNKNOWN
        if each.is_partitioned or is_unknown or "" in own:
            return frozenset()
        exchanged = partitioned.get(forms[table], frozenset())
        return exchanged | own if exchanged or len(own) > 1 else None

    return {table: mates for table, each in made.items() if (mates := of(table, each)) is not None}


def _grouped(keys: Iterable[tuple[str, Hashable]]) -> dict[Hashable, frozenset[str]]:
    """The names that have each key."""
    groups: dict[Hashable, set[str]] = defaultdict(set)
    for name, key in keys:
        groups[key].add(name)
    return {key: frozenset(names) for key, names in groups.items()}


def _made(connection: Any, database: str, info: ServerInfo) -> dict[str, Made]:
    """When each table was made, told so late that a change from now on makes it another time."""
    for _ in range(2):
        made = definitions_changed_at(connection, database)
        (now,) = fetch_one(connection, "SELECT NOW(6)", as_time)
        newest = max((each.at for each in made.values() if each.at), default=now - _SECOND)
        if newest + _SECOND <= now:
            break
        time.sleep(min(newest + _SECOND - now, _SECOND).total_seconds())
    if info.flavour != MARIADB:
        return made
    return {table: _known(connection, database, table, each) for table, each in made.items()}


def _known(connection: Any, database: str, table: str, made: Made) -> Made:
    """What MariaDB says when it is asked so that it has to look; an ARCHIVE's time is its last row's."""
    if made.engine.lower() == "archive":
        return made._replace(at=None)
    if made.at or made.engine.lower() != "innodb":
        return made
    return made._replace(at=_cured(connection, database, table))


def _cured(connection: Any, database: str, table: str) -> datetime | None:
    """When a table was made, of which MariaDB has objects that do not know.

    InnoDB's purge opens tables with an index on a virtual column before anyone asks for their times.
    """
    for _ in range(_CURES):
        with suppress(MySQLdb.Error):
            fetch_all(connection, f"SHOW INDEX FROM {quote(database)}.{quote(table)}")
        if at := made_at(connection, database, table):
            return at
    return None


def _identity(connection: Any, database: str, table: str, noted: _Identity, info: ServerInfo) -> _Identity:
    """What a table is now, as far as it was noted."""
    if noted.made_at is None:
        return noted
    at = made_at(connection, database, table)
    if at is None and info.flavour == MARIADB:
        at = _cured(connection, database, table)
    if noted.columns is None:
        return _Identity(at)
    return _Identity(at, _columns(connection, [database], table).get((database, table)))


def _made_at_once(
    connection: Any, database: str, made: Mapping[str, Made], info: ServerInfo
) -> dict[_Table, datetime]:
    """Tables that were made in the same second as another one. The own database's name is as it is given.

    On MySQL of any database that we see. On MariaDB, which would open all of them to tell, of the own one,
    and none of InnoDB: to be renamed makes those another time's.
    """
    if info.flavour == MARIADB:
        tables = {
            (database, table): each.at
            for table, each in made.items()
            if each.at and each.engine.lower() != "innodb"
        }
    else:
        tables = _made_with_ours(connection, database, made)
    count = Counter(tables.values())
    return {place: at for place, at in tables.items() if count[at] > 1}


def _made_with_ours(connection: Any, database: str, made: Mapping[str, Made]) -> dict[_Table, datetime]:
    rows = fetch_rows(
        connection,
        "SELECT TABLE_SCHEMA, TABLE_NAME, CREATE_TIME FROM information_schema.TABLES "  # noqa: S608
        f"WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN ({_OF_THE_SERVER})",
        3,
    )
    ours = {each.at for each in made.values() if each.at}
    spelled = spelling(connection)
    return {
        (database if spelled(str(schema)) == spelled(database) else str(schema), str(name)): at
        for schema, name, at in rows
        if at in ours
    }


def _columns(connection: Any, databases: Collection[str], table: str = "") -> dict[_Table, _Columns]:
    """A digest of each table's columns."""
    question = Question(
        "COLUMNS",
        "TABLE_NAME, COUNT(*), SUM(CRC32(CONCAT_WS(' ', ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE)))",
        condition=("AND TABLE_NAME = %s " if table else "") + _EACH_TABLE_APART,
        arguments=[table] if table else [],
    )
    return {
        (database, str(name)): (as_number(count), as_number(digest))
        for database in databases
        for name, count, digest in rows_of(connection, database, question)
    }


# By the letters of their names, not by a collation in which others are equal.
_EACH_TABLE_APART = "GROUP BY CAST(TABLE_SCHEMA AS BINARY), CAST(TABLE_NAME AS BINARY)"
