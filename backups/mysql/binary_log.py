"""What becomes of a session's work in its server's binary log, from which other servers load it again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any

import MySQLdb
from MySQLdb.constants import ER

from backups.mysql.answers import as_number, execute, fetch_one, fetch_rows
from backups.mysql.problems import MissingPrivilege
from backups.mysql.server import Server
from backups.text.sentences import phrase

# Without the right, or inside of what lets nobody change it.
_REFUSED = (ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.ACCESS_DENIED_ERROR)
_ON = ("ON", "1")


class InLog(StrEnum):
    """Where the work of a session goes, besides into the server's own data."""

    # Nowhere: the server writes no binary log, or none of this database.
    OFF = "off"
    # Nowhere, because the session leaves it out.
    LEFT_OUT = "left_out"
    # Into the binary log.
    WRITTEN = "written"
    # To the other nodes of a Galera cluster, whatever a session says of its binary log.
    CLUSTER = "cluster"


class IntoBinaryLog(MissingPrivilege):
    """A session was to be left out of the binary log and is not."""

    code = "mysql.into_binary_log"


def try_to_leave_out(connection: Any, database: str) -> InLog:
    """Have what this session does to a database left out of the binary log, and say what became of it.

    On a node of a Galera cluster nothing is changed. With MariaDB, other nodes load it all the same, and
    their binary logs would hold what this one's lacks; with others they may load a part of it.
    https://mariadb.com/docs/server/ref/mdb/system-variables/sql_log_bin
    https://github.com/maxbube/mydumper/issues/159
    """
    if _is_of_a_cluster(connection):
        return InLog.CLUSTER
    (is_written,) = fetch_one(connection, "SELECT @@GLOBAL.log_bin", as_number)
    if not is_written or _is_filtered_out(connection, database):
        return InLog.OFF
    return InLog.LEFT_OUT if _is_left_out(connection) else InLog.WRITTEN


def refuse_unless_left_out(connection: Any, server: Server) -> None:
    """Have what this session does left out of the binary log. Raises IntoBinaryLog where it is not."""
    if not _is_left_out(connection):
        raise IntoBinaryLog(
            phrase(
                "The user {user} may no longer leave a session out of the binary log of the server at "
                "{address}. What was begun outside of the log cannot go on in it: replicas do not have "
                "what it builds on.",
                user=server.user,
                address=server.address,
            ),
            do=phrase("Grant the right again, or leave it revoked. Then try again."),
        )


def _is_left_out(connection: Any) -> bool:
    """Tried, and read back: a proxy may say yes to anything."""
    try:
        execute(connection, "SET SESSION sql_log_bin = 0")
    except MySQLdb.Error as error:
        if error.args[0] not in _REFUSED:
            raise
    (is_written,) = fetch_one(connection, "SELECT @@SESSION.sql_log_bin", as_number)
    return not is_written


def _is_of_a_cluster(connection: Any) -> bool:
    asked = "SHOW SESSION VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_provider')"
    known = {str(name).lower(): str(value) for name, value in fetch_rows(connection, asked, 2)}
    has_provider = known.get("wsrep_provider", "none").lower() not in ("", "none")
    return has_provider and known.get("wsrep_on", "").upper() in _ON


def _is_filtered_out(connection: Any, database: str) -> bool:
    """Whether the server leaves a database out of its log for everybody, as far as we may see."""
    for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        with suppress(MySQLdb.Error):
            for _file, _position, only, without, *_ in fetch_rows(connection, statement, 4, or_more=True):
                wanted, ignored = _names(only), _names(without)
                return bool(wanted and database not in wanted) or database in ignored
    return False


def _names(listed: object) -> Sequence[str]:
    return [name for name in str(listed or "").split(",") if name]
