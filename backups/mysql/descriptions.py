"""How the server describes what has no rows: asked as the dump programs ask, so that no detail is missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import MySQLdb
from MySQLdb.constants import CR, ER

from backups.mysql.answers import anything, execute, fetch_one, fetch_rows, open_cursor, strange
from backups.mysql.dump_errors import unlinked
from backups.mysql.left_out import asked_where_known
from backups.mysql.names import quote, quote_text
from backups.mysql.schemas import Question

# A trigger's head: MariaDB writes it anew where its table gets another name, if only for a while.
_HEAD = "CONCAT_WS(' ', ACTION_ORDER, ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, DEFINER)"
_HEAD_ENDS = b"FOR EACH ROW"
# Of each table of information_schema: whose it is, what makes it known, when it was made or altered.
_LISTS = (
    ("VIEWS", "TABLE_SCHEMA", "'VIEW', TABLE_NAME, '', ''"),
    ("TRIGGERS", "TRIGGER_SCHEMA", f"'TRIGGER', TRIGGER_NAME, {_HEAD}, CREATED"),
    ("EVENTS", "EVENT_SCHEMA", "'EVENT', EVENT_NAME, '', LAST_ALTERED"),
    ("ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_TYPE, ROUTINE_NAME, '', LAST_ALTERED"),
    ("LIBRARIES", "LIBRARY_SCHEMA", "'LIBRARY', LIBRARY_NAME, '', LAST_ALTERED"),
)
# What SHOW CREATE warns of: "The routine '…' references a missing library '…' or …".
_NO_LIBRARY = 6436
_TEXT_AT = {"view": 1, "event": 3}
# The column of SHOW CREATE TRIGGER that tells when it was made.
_TIME = "Created"
# What says nothing of the definition: a lock is not to be had, a connection or a statement was ended.
_OF_THE_MOMENT = frozenset(
    {ER.LOCK_WAIT_TIMEOUT, ER.QUERY_INTERRUPTED, 1969, 3024, CR.SERVER_GONE_ERROR, CR.SERVER_LOST}
)


class Described(NamedTuple):
    """A view, trigger, event, routine or library as the server tells it, in the bytes that a dump gets.

    `text` is the statement that makes it, of a trigger what it does, and empty where the server does not
    tell; `besides` all that it tells with it, as under which settings it was made, and a trigger's head;
    `at` when it was made or altered last, empty where it does not know.
    """

    kind: str
    name: str
    text: bytes
    besides: tuple[bytes, ...]
    at: str

    @property
    def mode(self) -> bytes:
        """The sql_mode under which it was made; of a view none, as it has none."""
        return self.besides[1] if self.text and self.kind != "view" else b""


def described(connection: Any, database: str) -> Iterator[Described]:
    """All that has no rows of a database, one by one, as far as we may see it."""
    listed = [
        (str(kind).lower(), str(name), str(head), str(at or ""))
        for table, by, columns in _LISTS
        for kind, name, head, at in asked_where_known(connection, database, Question(table, columns, by))
    ]
    with _in(connection, character_set_results="binary"):
        for kind, name, head, at in listed:
            columns = _shown(connection, database, kind, name)
            at_text = _TEXT_AT.get(kind, 2)
            text = columns[at_text] if len(columns) > at_text else b""
            if kind == "trigger":
                text = text[max(text.find(_HEAD_ENDS), 0) :]
            besides = (*columns[:at_text], *columns[at_text + 1 :], head.encode())
            yield Described(kind, name, text, besides, at)


def unlinked_routines(connection: Any, database: str) -> list[tuple[str, str]]:
    """Routines, by kind and name, of which a library is not there: MySQL's dump program ends at the first."""
    using = asked_where_known(
        connection, database, Question("ROUTINE_LIBRARIES", "ROUTINE_TYPE, ROUTINE_NAME", "ROUTINE_SCHEMA")
    )
    routines = sorted({(str(kind).lower(), str(name)) for kind, name in using})
    return [(kind, name) for kind, name in routines if _lacks_a_library(connection, database, kind, name)]


def _lacks_a_library(connection: Any, database: str, kind: str, name: str) -> bool:
    _shown(connection, database, kind, name)
    return any(number == _NO_LIBRARY for _, number, _ in fetch_rows(connection, "SHOW WARNINGS", 3))


def refuse_unlinked_routines(connection: Any, database: str, *, or_else: str = "") -> None:
    """Raise MySQLProblem for a routine of which a library is not there. `or_else` is a further way out."""
    for _, name in unlinked_routines(connection, database):
        raise unlinked(f"{database}.{name}", or_else)


@contextmanager
def _in(connection: Any, **settings: str) -> Iterator[None]:
    """With settings of the session for the length of a block."""
    names = ", ".join(f"@@SESSION.{name}" for name in settings)
    before = fetch_one(connection, f"SELECT {names}", *[anything] * len(settings))
    _set(connection, settings)
    try:
        yield
    finally:
        _set(connection, dict(zip(settings, map(_plain, before), strict=True)))


def _set(connection: Any, settings: Mapping[str, str]) -> None:
    assignments = ", ".join(f"{name} = {quote_text(value)}" for name, value in settings.items())
    execute(connection, f"SET SESSION {assignments}")


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _shown(connection: Any, database: str, kind: str, name: str) -> list[bytes]:
    """What SHOW CREATE answers, but for times; in its place the number of the server's error."""
    statement = f"SHOW CREATE {kind.upper()} {quote(database)}.{quote(name)}"
    try:
        if kind.startswith("package"):
            # MariaDB before 11 reads it in Oracle's mode alone, in which it shows all else otherwise.
            with _in(connection, sql_mode="ORACLE"):
                return _asked(connection, statement)
        return _asked(connection, statement)
    except MySQLdb.Error as error:
        if error.args[0] in _OF_THE_MOMENT:
            raise
        return [str(error.args[0]).encode()]


def _asked(connection: Any, statement: str) -> list[bytes]:
    with open_cursor(connection) as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall()
        names = [column[0] for column in cursor.description or ()]
    if len(rows) != 1:
        raise strange(rows)
    values = (value for value, name in zip(rows[0], names, strict=True) if name != _TIME)
    return [value if isinstance(value, bytes) else str(value).encode() for value in values]
