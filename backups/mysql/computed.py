"""Generated columns that are stored: whatever a dump says of their values, a load computes them anew.

mysqldump leaves them out, and MariaDB heeds none that it is given. What they become depends on the
session that writes a row (time_zone, sql_mode, lc_time_names and more), which nobody can tell
afterwards. So they are digested beside a dump, and again once it is loaded. The other columns are
digested as well, apart: where these are the same, both digests are of the same rows, whoever wrote
to the table meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.answers import anything, as_number, execute, fetch_one
from backups.mysql.connection import at_work, connect, kill
from backups.mysql.left_out import tables_without_rows
from backups.mysql.names import quote
from backups.mysql.problems import MySQLProblem, text_of
from backups.mysql.schemas import STORED_COLUMNS, Question, but_for, rows_of, spelling
from backups.mysql.server import Server
from backups.mysql.session import AS_THE_SERVER_HAS_IT
from backups.text.sentences import phrase

# One statement reads a whole table.
_READ_SECONDS = 24 * 3600
_NOT_TOLD = phrase("the snapshot does not tell what they held")
_OTHER_ROWS = phrase(
    "the snapshot describes slightly other rows than it holds, as happens when somebody writes"
)
_OVERFLOWED = phrase("a row is larger than the server's max_allowed_packet")
_READ_FROM = "SET SESSION time_zone = '+00:00'"


class Columns(NamedTuple):
    """The columns of a table, as SQL has their bytes: those that are given, and those computed and stored."""

    given: list[str]
    computed: list[str]
    names: list[str]


class Computed(NamedTuple):
    """What a table held at a moment: its computed columns, and digests of its rows without and with them.

    Where it could not be read, `why` ends a sentence.
    """

    table: str
    columns: list[str]
    given: str = ""
    whole: str = ""
    why: str = ""


class ComputedAnew(NamedTuple):
    """Computed columns that are not as they were, or of which nobody can tell; `why` ends a sentence."""

    table: str
    columns: list[str]
    differ: bool
    why: str

    @property
    def words(self) -> str:
        """What a person should know of them."""
        which = phrase(
            "stored generated columns of {table} ({columns})",
            table=self.table,
            columns=", ".join(self.columns),
        )
        if self.differ:
            return phrase("the {which} hold other values after the restore: {why}", which=which, why=self.why)
        return phrase(
            "the values of the {which}, which each load computes anew: {why}", which=which, why=self.why
        )


OTHER_SETTINGS = phrase(
    "each load computes them anew, and the sessions that wrote them had other settings than the "
    "server's own (time_zone, sql_mode, lc_time_names, div_precision_increment and the like)"
)


SET_AS_WRITTEN = phrase(
    "Set the server's global settings to the values that the application's sessions have: a restore "
    "then computes them with these. Or, after a restore, run ALTER TABLE … FORCE, ALGORITHM=COPY on "
    "each of these tables, in a session with the application's settings."
)


def computed_columns(connection: Any, database: str) -> dict[str, Columns]:
    """The tables that have columns which are computed and stored."""
    elsewhere = tables_without_rows(connection, database)
    is_computed = f"AND {STORED_COLUMNS}{but_for(elsewhere)}"
    try:
        rows = rows_of(
            connection,
            database,
            Question("COLUMNS", "TABLE_NAME", condition=is_computed, arguments=elsewhere),
        )
    except MySQLdb.OperationalError as error:
        if error.args[0] != ER.BAD_FIELD_ERROR:
            raise
        return {}  # a server that is too old to have any, or to tell
    return {name: _columns(connection, database, name) for name in sorted({str(name) for (name,) in rows})}


def _columns(connection: Any, database: str, table: str) -> Columns:
    columns = Columns([], [], [])
    asked = "TABLE_NAME, COLUMN_NAME, DATA_TYPE, EXTRA, COALESCE(GENERATION_EXPRESSION, '')"
    condition = "AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
    for of, name, kind, extra, expression in (
        tuple(map(str, row))
        for row in rows_of(
            connection, database, Question("COLUMNS", asked, condition=condition, arguments=[table])
        )
    ):
        if of != table or "VIRTUAL" in extra or expression in ("ROW START", "ROW END"):
            continue
        # A vector is no text to any cast.
        data = f"HEX({quote(name)})" if kind == "vector" else f"CAST({quote(name)} AS BINARY)"
        if expression:
            columns.names.append(name)
        (columns.computed if expression else columns.given).append(f"ISNULL({quote(name)}), {data}")
    return columns


def _read(connection: Any, database: str, table: str, columns: Columns) -> Computed:
    """Digest a table, whatever the order of its rows."""
    given, whole = _digest(columns.given), _digest([*columns.given, *columns.computed])
    question = f"SELECT COUNT(*), {given}, {whole} FROM {quote(database)}.{quote(table)}"  # noqa: S608
    try:
        with at_work(connection):
            count, *sums = fetch_one(connection, question, as_number, anything, anything)
    except MySQLdb.OperationalError as error:
        return Computed(
            table, columns.names, why=phrase("they could not be read ({text_of})", text_of=text_of(error))
        )
    # What does not fit is NULL to a sum, and no more than a warning.
    if connection.warning_count():
        return Computed(table, columns.names, why=_OVERFLOWED)
    of_given, of_whole = (f"{count} {total}" for total in sums)
    return Computed(table, columns.names, of_given, of_whole)


def _digest(columns: Sequence[str]) -> str:
    row = f"SHA2(CONCAT_WS(',', {', '.join(columns) or 'NULL'}), 256)"
    return f"SUM(CAST(CONV(LEFT({row}, 15), 16, 10) AS UNSIGNED))"


class ComputedReading:
    """Computed columns, read beside a dump as they are when that begins."""

    def __init__(self, server: Server, database: str, wanted: Mapping[str, Columns]) -> None:
        self._server, self._database, self._wanted = server, database, wanted
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self._connection: int | None = None
        self._read: dict[str, Computed] = {}
        self._why = ""
        self.doing = ""

    def begin(self) -> None:
        """Read what they are from now on, in a thread; once begun, more calls change nothing."""
        with self._lock:
            if self._reader is None and self._wanted:
                self._reader = threading.Thread(target=self._work, daemon=True)
                self._reader.start()

    def told(self) -> list[Computed]:
        """Wait for all that was to be read."""
        self.begin()
        if self._reader is not None:
            self._reader.join()
        return [
            self._read.get(table, Computed(table, columns.names, why=self._why))
            for table, columns in self._wanted.items()
        ]

    def close(self) -> None:
        """End it where nobody wants to know any more."""
        if self._reader is not None and self._reader.is_alive() and self._connection is not None:
            kill(self._server, self._connection)

    def _work(self) -> None:
        try:
            with connect(self._server, self._database, read_seconds=_READ_SECONDS) as connection:
                self._connection = connection.thread_id()
                self._read_all(connection)
                self._connection = None
        except MySQLProblem as problem:
            self._why = phrase(
                "they could not be read at the backup ({problem})", problem=problem.what.rstrip(".")
            )

    def _read_all(self, connection: Any) -> None:
        execute(connection, _READ_FROM)
        execute(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        for table, columns in self._wanted.items():
            self.doing = phrase("stored generated columns of {table}", table=table)
            # Nobody who alters a table is to wait for the others.
            execute(connection, "SAVEPOINT vedetta")
            self._read[table] = _read(connection, self._database, table, columns)
            execute(connection, "ROLLBACK TO SAVEPOINT vedetta")


@contextmanager
def computed_beside(server: Server, database: str) -> Iterator[ComputedReading]:
    """The reading of a database's computed columns, for the length of a block. Raises MySQLProblem."""
    with connect(server, database) as connection:
        wanted = computed_columns(connection, database)
    reading = ComputedReading(server, database, wanted)
    try:
        yield reading
    finally:
        reading.close()


def computed_in(manifest: Mapping[str, Any] | None) -> list[Computed]:
    """What the manifest of a backup tells, as far as it has the form of it."""
    listed = (manifest or {}).get("computed")
    return [
        Computed(each["table"], each["columns"], *(str(each.get(key, "")) for key in Computed._fields[2:]))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and isinstance(each.get("table"), str) and "columns" in each
    ]


def computed_anew(
    server: Server,
    database: str,
    loaded: Collection[str],
    expected: Sequence[Computed],
    *,
    connected: Callable[[int], None] = lambda _: None,
) -> list[ComputedAnew]:
    """Which computed columns of the tables `loaded` are not proved to hold what they did.

    `expected` is what was read at the backup. `connected` is given the connection's number, by which to end
    it. Raises MySQLProblem.
    """
    with connect(server, database, read_seconds=_READ_SECONDS) as connection:
        connected(connection.thread_id())
        execute(connection, _READ_FROM)
        spelled = spelling(connection)
        known = {spelled(each.table): each for each in expected}
        wanted = {spelled(table) for table in loaded}
        held = computed_columns(connection, database)
        found = [
            _held_against(connection, database, table, columns, known.get(spelled(table)))
            for table, columns in held.items()
            if spelled(table) in wanted
        ]
    return [each for each in found if each is not None]


def _held_against(
    connection: Any, database: str, table: str, columns: Columns, was: Computed | None
) -> ComputedAnew | None:
    if was is None or was.why or was.columns != columns.names:
        return ComputedAnew(table, columns.names, differ=False, why=(was and was.why) or _NOT_TOLD)
    now = _read(connection, database, table, columns)
    if now.whole != was.whole and now.given == was.given and not now.why:
        # As the sessions of others do, who set nothing themselves.
        _compute_as_others_do(connection, database, table)
        now = _read(connection, database, table, columns)
    if now.why or now.given != was.given:
        return ComputedAnew(table, columns.names, differ=False, why=now.why or _OTHER_ROWS)
    if now.whole != was.whole:
        return ComputedAnew(table, columns.names, differ=True, why=OTHER_SETTINGS)
    return None


def _compute_as_others_do(connection: Any, database: str, table: str) -> None:
    """Have a table's columns computed under the server's own settings, if it takes that."""
    try:
        execute(connection, AS_THE_SERVER_HAS_IT)
        with suppress(MySQLdb.Error):  # a value may not fit, so that all stays as it is
            execute(connection, f"ALTER TABLE {quote(database)}.{quote(table)} FORCE, ALGORITHM = COPY")
    finally:
        execute(connection, "SET SESSION sql_mode = 'STRICT_TRANS_TABLES', foreign_key_checks = 1")
        execute(connection, _READ_FROM)
