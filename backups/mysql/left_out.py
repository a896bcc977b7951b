"""What no dump of a database carries, by what the dump programs of both flavours leave out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import MySQLdb

from backups.mysql.answers import fetch_rows
from backups.mysql.schemas import Question, rows_of
from backups.text.sentences import phrase

# What mariadb-dump and mysqldump write no rows of, whatever they are told: mariadb-dump's list
# under --no-data-med (on by default), and check_if_ignore_table in the source of both; S3, which
# mariadb-dump leaves out whole (--copy-s3-tables); and engines that hold no rows of their own.
_ELSEWHERE = phrase("its rows lie outside of the database, and dump programs leave them out")
_WITHOUT_ROWS = {
    "blackhole": phrase("it keeps no rows"),
    "connect": phrase("its rows lie in files or on another server, and dump programs leave them out"),
    "federated": phrase("its rows lie on another server, and dump programs leave them out"),
    "mrg_isam": phrase("its rows are those of the tables that it merges"),
    "mrg_myisam": phrase("its rows are those of the tables that it merges"),
    "oqgraph": phrase("it shows the rows of another table"),
    "s3": phrase("dump programs leave it out whole, rows and definition"),
    "sphinx": _ELSEWHERE,
    "spider": phrase("its rows lie on other servers, and dump programs leave them out"),
    "vp": phrase("its rows are those of the tables that it joins"),
}
_WITHOUT_DEFINITION = frozenset({"s3"})
# What the reason begins with where it is the history of a table that is left out.
HISTORY = "history"
# So many names of a kind are told; the list is for people, and stands in every manifest.
_MOST = 500


class LeftOut(NamedTuple):
    """What a backup does not hold, and why; an empty `table` means the database itself."""

    table: str
    why: str

    @property
    def words(self) -> str:
        """What is left out, for a list."""
        return f"{self.table} ({self.why})" if self.table else self.why


def rows_are_dumped(engine: str | None) -> bool:
    """Whether the dump programs write the rows of tables of this engine, in whatever case it is named."""
    return (engine or "").lower() not in _WITHOUT_ROWS


def is_dumped(engine: str | None) -> bool:
    """Whether the dump programs write the tables of this engine at all, if only their definition."""
    return (engine or "").lower() not in _WITHOUT_DEFINITION


def without_rows(left_out: Sequence[Mapping[str, str]]) -> list[str]:
    """Of a manifest's `not_in_backup`, the tables whose rows the snapshot does not hold."""
    return [each["table"] for each in left_out if not rows_are_dumped(each["why"].partition(":")[0])]


def engines(connection: Any, database: str) -> dict[str, str]:
    """Each table's engine. Opens no table, so that a remote one whose server is away does not matter.

    Asked for these columns alone, both servers answer from what they know of the definitions.
    """
    rows = rows_of(
        connection,
        database,
        Question(
            "TABLES", "TABLE_NAME, ENGINE", condition="AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
        ),
    )
    return {str(name): str(engine or "") for name, engine in rows}


def tables_without_rows(connection: Any, database: str) -> list[str]:
    """The tables whose rows no dump carries, sorted. Opens none of them."""
    return sorted(
        name for name, engine in engines(connection, database).items() if not rows_are_dumped(engine)
    )


def tables_without_rows_anywhere(connection: Any) -> list[str]:
    """The names of such tables in any database that we see."""
    names = sorted(_WITHOUT_ROWS)
    places = ", ".join(["%s"] * len(names))
    select = f"SELECT DISTINCT TABLE_NAME FROM information_schema.TABLES WHERE LOWER(ENGINE) IN ({places})"  # noqa: S608
    return [str(name) for (name,) in fetch_rows(connection, select, 1, names)]


def not_in_backup(connection: Any, database: str) -> list[LeftOut]:
    """All that a dump of this database will not hold, as far as the server tells. Opens no table.

    Temporary tables are not among it: nobody sees another session's.
    """
    left_out = [
        LeftOut(name, f"{engine}: {_WITHOUT_ROWS[engine.lower()]}")
        for name, engine in sorted(engines(connection, database).items())
        if not rows_are_dumped(engine)
    ]
    left_out += [
        LeftOut(
            str(table),
            phrase(
                "column {column}: its REF_SYSTEM_ID {number} is in no dump, values keep theirs",
                column=column,
                number=number,
            ),
        )
        for table, column, number in asked_where_known(connection, database, _REFERENCE_SYSTEMS)
    ]
    left_out += [LeftOut(name, f"{HISTORY}: {why}") for name, why in _histories(connection, database)]
    left_out += [
        LeftOut("", phrase("the database's own comment ({comment})", comment=comment))
        for (comment,) in asked_where_known(connection, database, _COMMENT)
        if comment
    ]
    left_out += [
        LeftOut("", phrase("that the database encrypts new tables (DEFAULT_ENCRYPTION)"))
        for (encrypted,) in asked_where_known(connection, database, _ENCRYPTION)
        if encrypted == "YES"
    ]
    return _shortened(left_out)


def versioned_by_transactions(connection: Any, database: str) -> list[str]:
    """MariaDB's tables whose history tells transactions and not times: no dump can carry it.

    mariadb-dump refuses --dump-history for the whole of a database that has one.
    """
    rows = asked_where_known(connection, database, _ROW_STARTS)
    return sorted(str(name) for name, kind in rows if kind == "bigint")


def _histories(connection: Any, database: str) -> Iterator[tuple[str, str]]:
    by_transactions = versioned_by_transactions(connection, database)
    for name in by_transactions:
        yield name, phrase("earlier rows are told by transactions, which dump programs do not write")
    for (name,) in asked_where_known(connection, database, _VERSIONED) if by_transactions else ():
        if name not in by_transactions:
            yield (
                str(name),
                phrase(
                    "earlier rows are left out of each dump that has {by_transactions}",
                    by_transactions=by_transactions[0],
                ),
            )


def without_history(left_out: Sequence[Mapping[str, str]]) -> list[str]:
    """Of a manifest's `not_in_backup`, the tables whose rows of before the snapshot does not hold."""
    return [each["table"] for each in left_out if each["why"].startswith(f"{HISTORY}:")]


def libraries(connection: Any, database: str) -> list[str]:
    """The JavaScript libraries of a database, which MySQL has since 9.2 and dumps with its routines."""
    return [str(name) for (name,) in asked_where_known(connection, database, _LIBRARIES)]


_LIBRARIES = Question("LIBRARIES", "LIBRARY_NAME", "LIBRARY_SCHEMA", "ORDER BY LIBRARY_NAME")
_ROW_STARTS = Question(
    "COLUMNS", "TABLE_NAME, DATA_TYPE", "TABLE_SCHEMA", "AND GENERATION_EXPRESSION = 'ROW START'"
)
_VERSIONED = Question(
    "TABLES", "TABLE_NAME", "TABLE_SCHEMA", "AND TABLE_TYPE = 'SYSTEM VERSIONED' ORDER BY TABLE_NAME"
)
# MariaDB alone has the table; MySQL's SHOW CREATE TABLE, and so its dump, has the SRID.
_REFERENCE_SYSTEMS = Question(
    "GEOMETRY_COLUMNS",
    "F_TABLE_NAME, G_GEOMETRY_COLUMN, SRID",
    "F_TABLE_SCHEMA",
    "AND SRID <> 0 ORDER BY F_TABLE_NAME, G_GEOMETRY_COLUMN",
)
_COMMENT = Question("SCHEMATA", "SCHEMA_COMMENT", "SCHEMA_NAME")
_ENCRYPTION = Question("SCHEMATA", "DEFAULT_ENCRYPTION", "SCHEMA_NAME")


def asked_where_known(connection: Any, database: str, question: Question) -> Sequence[tuple[Any, ...]]:
    """What `rows_of` answers on a server that knows these tables and columns; of another one none."""
    try:
        return rows_of(connection, database, question)
    except (MySQLdb.OperationalError, MySQLdb.ProgrammingError) as error:
        if error.args[0] in (_UNKNOWN_TABLE, _UNKNOWN_COLUMN):
            return ()
        raise


_UNKNOWN_TABLE = 1109
_UNKNOWN_COLUMN = 1054


def _shortened(left_out: list[LeftOut]) -> list[LeftOut]:
    if len(left_out) <= _MOST:
        return left_out
    return [
        *left_out[:_MOST],
        LeftOut("", phrase("{count} more of these kinds", count=len(left_out) - _MOST)),
    ]
