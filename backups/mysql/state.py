"""What a server says of itself: its version, its replication, its binary log, what it waits for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import MySQLdb

from backups.mysql.connection import fetch_all
from backups.mysql.server import MARIADB, MYSQL, ServerInfo


def probe(connection: Any) -> ServerInfo:
    """Flavour and version of the server."""
    ((version, comment),) = fetch_all(connection, "SELECT VERSION(), @@version_comment")
    is_mariadb = "mariadb" in f"{version} {comment}".lower()
    return ServerInfo(MARIADB if is_mariadb else MYSQL, str(version))


def lock_wait(connection: Any, database: str) -> str:
    """The server's words for what another connection of ours to this database waits for, or none."""
    ((user, own),) = fetch_all(connection, "SELECT SUBSTRING_INDEX(USER(), '@', 1), CONNECTION_ID()")
    for number, who, _host, where, _command, _time, state, *_ in fetch_all(connection, "SHOW PROCESSLIST"):
        if (who, where) == (user, database) and number != own and str(state).startswith("Waiting for"):
            return str(state)
    return ""


@dataclass(frozen=True)
class Replica:
    """A server that follows another: whether it does, and how many seconds it is behind."""

    source: str
    runs: bool
    behind: int | None

    def __str__(self) -> str:
        if not self.runs or self.behind is None:
            return f"The server is a replica of {self.source}, and its replication does not run"
        seconds = f"{self.behind} second{'' if self.behind == 1 else 's'}"
        return f"The server is a replica of {self.source}, {seconds} behind it"


def replica(connection: Any) -> Replica | None:
    """What the server follows; None where it follows none, or we may not ask.

    https://mariadb.com/kb/en/show-replica-status/ https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html
    """
    for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
        with suppress(MySQLdb.Error), connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            if row is None:
                return None
            told = dict(zip((column[0] for column in cursor.description), row, strict=True))
            return _replica_from(told)
    return None


def _replica_from(told: dict[str, Any]) -> Replica:
    """Both flavours' columns, by their newer and older names."""

    def of(*names: str) -> Any:
        return next((told[name] for name in names if name in told), None)

    threads = (
        of("Replica_IO_Running", "Slave_IO_Running"),
        of("Replica_SQL_Running", "Slave_SQL_Running"),
    )
    behind = of("Seconds_Behind_Source", "Seconds_Behind_Master")
    return Replica(
        source=f"{of('Source_Host', 'Master_Host')}:{of('Source_Port', 'Master_Port')}",
        runs=threads == ("Yes", "Yes"),
        behind=None if behind is None else int(behind),
    )


def binary_log_position(connection: Any) -> dict[str, Any] | None:
    """File and position of the binary log, None where it is off or not ours to see."""
    for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        with suppress(MySQLdb.Error):
            for file, position, *_ in fetch_all(connection, statement):
                return {"file": str(file), "position": int(position)}
    return None
