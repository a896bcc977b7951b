"""Tables that a server cannot read, or of which it gives out less than they hold, without saying so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import MySQLdb
from MySQLdb.constants import CR, ER

from backups.mysql.answers import as_number, execute, fetch_all, fetch_one, fetch_rows
from backups.mysql.connection import at_work
from backups.mysql.damage_errors import damaged_table, is_damage, lost_at_table
from backups.mysql.introspection import inventory
from backups.mysql.left_out import engines, is_dumped, rows_are_dumped, tables_without_rows
from backups.mysql.names import name_pattern, quote
from backups.mysql.privileges import account, has_partial_revokes
from backups.mysql.problems import DamagedTable, MissingPrivilege, MySQLProblem, text_of
from backups.mysql.schemas import Question, but_for, rows_of
from backups.mysql.server import Server
from backups.mysql.views import BrokenView
from backups.text.sentences import number, phrase, plural
from backups.text.terminal import bounded

_TRIES = 3


def refuse_unreadable(connection: Any, database: str) -> None:
    """Raise DamagedTable for a table that is listed and cannot be opened.

    All are opened by one question, whose warnings tell whether it is worth a question for each.
    """
    for problem in _unreadable(connection, database).values():
        raise problem


def damaged_tables(connection: Any, database: str) -> list[str]:
    """The tables that the server cannot open, because their files are damaged."""
    unreadable = _unreadable(connection, database)
    return [table for table, problem in unreadable.items() if is_damage(problem.number, problem.what)]


def _unreadable(connection: Any, database: str) -> dict[str, DamagedTable]:
    found: dict[str, DamagedTable] = {}
    if not _opens_with_warnings(connection, database):
        return found
    for table in dumped_tables(connection, database):
        try:
            # As the dump programs ask for it.
            fetch_all(connection, f"SHOW CREATE TABLE {quote(database)}.{quote(table)}")
        except MySQLdb.Error as error:
            if error.args[0] in _OTHERWISE_TOLD or table not in dumped_tables(connection, database):
                continue
            found[table] = damaged_table(
                database, table, phrase("{text_of}, error {args}", text_of=text_of(error), args=error.args[0])
            )
            found[table].number = error.args[0]
    return found


def refuse_broken_views(connection: Any, views: Sequence[BrokenView], database: str) -> None:
    """Raise MySQLProblem for views at which the dump programs end.

    Where a table that one reads is damaged, it is the table that is told of, and not the view.
    """
    if not views:
        return
    refuse_unreadable(connection, database)
    for view in views:
        if is_damage(view.code, view.why):
            raise DamagedTable(
                phrase(
                    "A table that the view {view} of {database} reads is damaged ({why}).",
                    view=view.name,
                    database=database,
                    why=view.why,
                ),
                do=phrase(
                    "Find the table with CHECK TABLE, in the databases that SHOW CREATE VIEW names. "
                    "Restore it from the newest good snapshot. Or try REPAIR TABLE, which may mend "
                    "MyISAM, Aria, ARCHIVE and CSV, and may drop rows. Then back up again."
                ),
            )
    _refuse_unseen(connection, views, database)
    names = ", ".join(view.name for view in views)
    which = (
        phrase("The view {names} of {database}", names=names, database=database)
        if len(views) == 1
        else phrase("These views of {database}", database=database)
    )
    named = "" if len(views) == 1 else f": {names}"
    raise MySQLProblem(
        phrase(
            "{which} cannot be read any more{named} ({why}). The dump program stops at such a view.",
            which=which,
            named=named,
            why=views[0].why,
        ),
        code="dump.view_unreadable",
        do=phrase(
            "If the view calls a function, the user may lack EXECUTE: first grant what Test connection "
            "names. If not, make again what is missing. Or copy what SHOW CREATE VIEW shows, and drop "
            "the view. A restore still works: the backup before it leaves such views out."
        ),
    )


def _refuse_unseen(connection: Any, views: Sequence[BrokenView], database: str) -> None:
    """Raise MissingPrivilege for views that are sound, and whose text alone we may not read."""
    denied = [view for view in views if view.code == ER.TABLEACCESS_DENIED_ERROR]
    if not denied:
        return
    names = ", ".join(view.name for view in denied)
    pattern = name_pattern(database, literal=has_partial_revokes(connection))
    raise MissingPrivilege(
        phrase(
            "{account} may not read how these views of {database} are made: {names} ({why}).",
            account=account(connection),
            database=database,
            names=names,
            why=denied[0].why,
        ),
        do=phrase(
            "Nothing is wrong with them, so drop none. Run as an administrator: {statement} and the same for "
            "what they read in other databases, where the server names one.",
            statement=f"GRANT SELECT, SHOW VIEW ON {pattern}.* TO {account(connection)};",
        ),
    )


_OTHERWISE_TOLD = (ER.LOCK_WAIT_TIMEOUT, ER.TABLEACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR)


def _opens_with_warnings(connection: Any, database: str) -> bool:
    with suppress(MySQLdb.Error):  # MySQL's, which would answer from memory
        execute(connection, "SET SESSION information_schema_stats_expiry = 0")
    try:
        rows_of(connection, database, Question("TABLES", "TABLE_ROWS, DATA_LENGTH, TABLE_COMMENT"))
    except MySQLdb.Error:  # one whose remote server is away, in MariaDB
        return True
    return bool(connection.warning_count())


def dumped_tables(connection: Any, database: str) -> list[str]:
    """The tables that a dump reads, if only their definition."""
    of = engines(connection, database)
    return [table for table in inventory(connection, database).get("table", []) if is_dumped(of.get(table))]


def checked_tables(connection: Any, database: str, *, with_innodb: bool) -> list[str]:
    """The tables of which a dump has the rows, and which CHECK TABLE is to look at."""
    return [
        table
        for table, engine in sorted(engines(connection, database).items())
        if rows_are_dumped(engine) and (with_innodb or engine.lower() != "innodb")
    ]


def refuse_short(connection: Any, database: str) -> None:
    """Raise DamagedTable for a table that gives out fewer rows than it says it has.

    Where a MyISAM table's file was cut off, its rows of a fixed length end there without an error
    (seen in MariaDB 10.11).
    """
    for table in _with_fixed_rows(connection, database):
        # It may be locked, or gone meanwhile; and at what ends in an error, a dump ends too.
        with suppress(MySQLdb.OperationalError):
            _refuse_short(connection, database, str(table))


def _with_fixed_rows(connection: Any, database: str) -> list[str]:
    """MyISAM tables with rows of a fixed length. Opens no other table, whose remote server may be away."""
    far = tables_without_rows(connection, database)
    condition = "AND ENGINE = 'MyISAM' AND ROW_FORMAT = 'Fixed'" + but_for(far)
    rows = rows_of(connection, database, Question("TABLES", "TABLE_NAME", condition=condition, arguments=far))
    return sorted(str(table) for (table,) in rows)


def _refuse_short(connection: Any, database: str, table: str) -> None:
    """Counted again where it is changed at the same time."""
    for _ in range(_TRIES):
        said = _said(connection, database, table)
        # Without a key the rows themselves are read, as by a dump.
        with at_work(connection):
            (read,) = fetch_one(
                connection,
                f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)} USE INDEX () WHERE RAND() < 2",  # noqa: S608
                as_number,
            )
        wanted = min(said, _said(connection, database, table))
        if read >= wanted:
            return
    raise damaged_table(
        database,
        table,
        plural(
            "it says it has {n} row and gives out {read}, without an error",
            "it says it has {n} rows and gives out {read}, without an error",
            n=wanted,
            read=number(read),
        ),
    )


def _said(connection: Any, database: str, table: str) -> int:
    """How many rows a table says it has, which it keeps count of."""
    statement = f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}"  # noqa: S608
    (count,) = fetch_one(connection, statement, as_number)
    return int(count)


def check_table(connection: Any, server: Server, database: str, table: str) -> None:
    """Have the server check a whole table. Raises DamagedTable with what it found; ServerGone.

    https://mariadb.com/kb/en/check-table/ https://dev.mysql.com/doc/refman/8.4/en/check-table.html
    """
    try:
        rows = fetch_rows(connection, f"CHECK TABLE {quote(database)}.{quote(table)}", 4)
    except MySQLdb.OperationalError as error:
        if error.args[0] in _LOST:
            raise lost_at_table(server, database, table) from error
        raise
    found = [str(text) for _, _, kind, text in rows if str(kind).lower() == "error"]
    # The last line is the verdict; an older release's table is no damage.
    if not found or any("upgrade" in text.lower() for text in found) or _LOCKED in found[0]:
        return
    others = [str(text) for _, _, kind, text in rows if str(kind).lower() == "warning"]
    raise damaged_table(
        database, table, bounded("CHECK TABLE: " + "; ".join(dict.fromkeys([*others, *found])))
    )


_LOCKED = "Lock wait timeout"
# The last is the driver's word for an encrypted connection that was cut.
_LOST = (CR.SERVER_LOST, CR.SERVER_GONE_ERROR, CR.SSL_CONNECTION_ERROR)
