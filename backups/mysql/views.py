"""Views that cannot be read any more, at which dump programs end."""

from __future__ import annotations

from typing import Any, NamedTuple

import MySQLdb

from backups.mysql.answers import anything, as_text, fetch_all, fetch_one
from backups.mysql.introspection import inventory
from backups.mysql.names import quote
from backups.mysql.problems import text_of
from backups.mysql.schemas import Question, rows_of


class BrokenView(NamedTuple):
    """A view that cannot be read any more, with the statement that made it.

    `why` is the server's reason, and `code` its number: what it reads is gone or damaged, or who
    defines it may not read that.
    """

    name: str
    statement: str
    charset: str
    collation: str
    why: str
    code: int


def broken_views(connection: Any, database: str) -> list[BrokenView]:
    """The views at which the dump programs end. `connection` has the database chosen."""
    found = []
    for name in inventory(connection, database).get("view", []):
        try:
            # As the dump programs ask of each view. Of some, MySQL knows the columns all the same.
            fetch_all(connection, f"SHOW FIELDS FROM {quote(name)}")
            fetch_all(connection, f"SHOW CREATE TABLE {quote(name)}")
        except MySQLdb.Error as error:
            statement, charset, collation = _view_as_made(connection, database, name)
            why, code = text_of(error), error.args[0]
            found.append(BrokenView(name, statement, charset, collation, why, code))
    return found


def _view_as_made(connection: Any, database: str, name: str) -> tuple[str, str, str]:
    """A view's statement, with the character set and collation that it was made under."""
    try:
        shown = fetch_one(connection, f"SHOW CREATE VIEW {quote(name)}", anything, as_text, as_text, as_text)
        _, statement, charset, collation = shown
    except MySQLdb.Error:  # MySQL's, where a whole database is gone that the view reads
        names = ("VIEW_DEFINITION", "CHECK_OPTION", "DEFINER", "SECURITY_TYPE")
        columns = ", ".join([*names, "CHARACTER_SET_CLIENT", "COLLATION_CONNECTION"])
        condition = "AND CAST(TABLE_NAME AS BINARY) = %s"
        rows = rows_of(
            connection, database, Question("VIEWS", columns, condition=condition, arguments=[name])
        )
        if len(rows) != 1:
            raise  # it is gone meanwhile
        body, check, definer, security, charset, collation = rows[0]
        user, _, host = str(definer).rpartition("@")
        statement = (
            f"CREATE DEFINER={quote(user)}@{quote(host)} SQL SECURITY {security} VIEW {quote(name)} AS {body}"
        )
        if check != "NONE":
            statement += f" WITH {check} CHECK OPTION"
    return str(statement), str(charset), str(collation)
