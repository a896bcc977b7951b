"""What an account may do, and the GRANT for what it may not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.answers import anything, as_number, as_text, execute, fetch_all, fetch_one, fetch_rows
from backups.mysql.introspection import inventory
from backups.mysql.names import quote, quote_text
from backups.mysql.problems import TRUST_FUNCTION_CREATORS, MissingPrivilege
from backups.mysql.schemas import Question, rows_of
from backups.mysql.server import MARIADB
from backups.mysql.server_status import probe
from backups.mysql.session import BEGIN_LOADING
from backups.text.sentences import phrase


def account(connection: Any) -> str:
    """The account that we are, quoted for GRANT: 'user'@'host'."""
    (current,) = fetch_one(connection, "SELECT CURRENT_USER()", as_text)
    user, _, host = current.rpartition("@")
    return f"{quote_text(user)}@{quote_text(host)}"


def has_partial_revokes(connection: Any) -> bool:
    """Whether the names in grants are no patterns, as with MySQL's partial_revokes."""
    return ("partial_revokes", "ON") in fetch_all(connection, "SHOW VARIABLES LIKE 'partial_revokes'")


def show_grants(connection: Any) -> list[str]:
    """The grants of the connected user, active roles included."""
    return [str(line) for (line,) in fetch_rows(connection, "SHOW GRANTS", 1)]


def current_role(connection: Any) -> str:
    """The roles that are in force, as the server writes them."""
    (current,) = fetch_one(connection, "SELECT CURRENT_ROLE()", anything)
    return str(current or "")


def view_that_calls_denied(connection: Any, database: str) -> str | None:
    """A view that calls a function which this user may not execute, None where there is none.

    MariaDB's dump program asks for the columns of each view, and is refused.
    """
    for view in inventory(connection, database).get("view", []):
        try:
            fetch_all(connection, f"SHOW FIELDS FROM {quote(database)}.{quote(view)}")
        except MySQLdb.Error as error:
            if error.args[0] == ER.PROCACCESS_DENIED_ERROR:
                return view
    return None


def routines_without_body(connection: Any, database: str) -> list[str]:
    """Routines that the user sees by name only."""
    return _routines_with(connection, database, "ROUTINE_DEFINITION IS NULL")


def undeclared_functions(connection: Any, database: str) -> list[str]:
    """Functions that may change data, as far as they are declared, and are not said to be deterministic."""
    return _routines_with(
        connection,
        database,
        "ROUTINE_TYPE = 'FUNCTION' AND IS_DETERMINISTIC = 'NO'"
        " AND SQL_DATA_ACCESS NOT IN ('NO SQL', 'READS SQL DATA')",
    )


def _routines_with(connection: Any, database: str, condition: str) -> list[str]:
    rows = rows_of(
        connection,
        database,
        Question("ROUTINES", "ROUTINE_NAME", by="ROUTINE_SCHEMA", condition=f"AND {condition}"),
    )
    return [str(name) for (name,) in rows]


def definers(connection: Any, database: str) -> list[str]:
    """The users in whose name views, triggers, routines and events of a database run."""
    return sorted(set(definers_of(connection, database).values()))


def other_definers(connection: Any, database: str) -> list[str]:
    """The same without the user that we are."""
    (current,) = fetch_one(connection, "SELECT CURRENT_USER()", as_text)
    return [definer for definer in definers(connection, database) if definer != current]


def definers_of(connection: Any, database: str) -> dict[tuple[str, str], str]:
    """In whose name each view, trigger, routine and event runs, by kind and name."""
    columns = (
        ("VIEWS", "'view', TABLE_NAME", "TABLE_SCHEMA"),
        ("TRIGGERS", "'trigger', TRIGGER_NAME", "TRIGGER_SCHEMA"),
        ("ROUTINES", "LOWER(ROUTINE_TYPE), ROUTINE_NAME", "ROUTINE_SCHEMA"),
        ("EVENTS", "'event', EVENT_NAME", "EVENT_SCHEMA"),
    )
    return {
        (str(kind), str(name)): str(definer)
        for table, named, by in columns
        for kind, name, definer in rows_of(connection, database, Question(table, f"{named}, DEFINER", by=by))
    }


def missing_users(connection: Any, accounts: Sequence[str]) -> list[str] | None:
    """Which of the accounts (user@host) the server does not know; None where we may not see them."""
    try:
        rows = fetch_rows(connection, "SELECT User, Host FROM mysql.user", 2)
    except MySQLdb.Error:
        return None
    known = {f"{user}@{host}" for user, host in rows}
    return [account for account in accounts if account not in known]


def definer_grant(connection: Any) -> str:
    """The statement that lets us make things that run in another user's name."""
    info = probe(connection)
    if info.flavour == MARIADB:
        right = "SET USER"
    elif info.number >= (8, 2):
        right = "SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER, SYSTEM_USER"
    else:
        right = "SET_USER_ID, SYSTEM_USER"
    return f"GRANT {right} ON *.* TO {account(connection)}"


def binary_log_grant(connection: Any) -> str:
    """The statement that lets us leave sessions out of the binary log."""
    info = probe(connection)
    if info.flavour == MARIADB:
        right = "BINLOG ADMIN" if info.number >= (10, 5, 2) else "SUPER"
    else:
        right = "SESSION_VARIABLES_ADMIN" if info.number >= (8, 0, 14) else "SUPER"
    return f"GRANT {right} ON *.* TO {account(connection)};"


def way_out(connection: Any, settings: Collection[str]) -> dict[str, str]:
    """What an administrator can do for each setting that a load would change and we may not."""
    right = "SUPER" if probe(connection).flavour == MARIADB else "SESSION_VARIABLES_ADMIN"
    grant = f"GRANT {right} ON *.* TO {account(connection)};"
    return {
        name: phrase(
            "Run as an administrator: {grant} or SET GLOBAL {name} = {begin_loading};",
            grant=grant,
            name=name,
            begin_loading=BEGIN_LOADING[name],
        )
        for name in settings
        if name in BEGIN_LOADING
    }


def refuse_unless_may_define(
    connection: Any, database: str, definers: Collection[str], *, with_functions: bool
) -> None:
    """Raise MissingPrivilege unless we may make things in the name of these users, as tried in `database`.

    `definers` are quoted as in the server's own statements. Where the binary log is on, functions
    and triggers need more than procedures do.
    """
    kind = "FUNCTION" if with_functions else "PROCEDURE"
    body = "() RETURNS INT DETERMINISTIC NO SQL RETURN 1" if with_functions else "() BEGIN END"
    routine = f"{quote(database)}.`vedetta_may_define`"
    for definer in definers:
        execute(connection, f"DROP {kind} IF EXISTS {routine}")
        try:
            execute(connection, f"CREATE DEFINER={definer} {kind} {routine}{body}")
        except MySQLdb.Error as error:
            if error.args[0] == ER.BINLOG_CREATE_ROUTINE_NEED_SUPER:
                raise MissingPrivilege(
                    phrase(
                        "The server's binary log is on and it does not trust us with functions and triggers."
                    ),
                    do=TRUST_FUNCTION_CREATORS,
                ) from error
            if error.args[0] != ER.SPECIFIC_ACCESS_DENIED_ERROR:
                raise
            raise MissingPrivilege(
                phrase(
                    "Views, triggers, routines or events run as {definer}, and we may not make them.",
                    definer=definer,
                ),
                do=phrase(
                    "Run as an administrator: {definer_grant}; or restore in place.",
                    definer_grant=definer_grant(connection),
                ),
            ) from error
        execute(connection, f"DROP {kind} {routine}")


def refuses_functions(connection: Any) -> bool:
    """Whether the binary log keeps all but users with SUPER from making triggers and functions."""
    logs, trusts = fetch_one(
        connection, "SELECT @@log_bin, @@log_bin_trust_function_creators", as_number, as_number
    )
    return bool(logs) and not trusts
