"""What a server says of itself: its version, its replication, its binary log, what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import MySQLdb

from backups.mysql.answers import as_number, as_text, fetch_one, fetch_rows, open_cursor, strange
from backups.mysql.problems import MySQLProblem
from backups.mysql.server import MARIADB, MYSQL, ServerInfo, says, shown, without_prefix
from backups.text.sentences import phrase, plural
from backups.text.terminal import LONGEST_MESSAGE


def probe(connection: Any) -> ServerInfo:
    """Flavour and version of the server, told by what it reads of version comments.

    Its parser has them built in, while the text of a version is anybody's. https://mariadb.com/kb/en/comment-syntax/
    Raises MySQLProblem.
    """
    flavour = MARIADB if _reads(connection, "M!", [0]) else MYSQL
    number = _number(connection, "M!" if flavour == MARIADB else "!")
    (version,) = fetch_one(connection, "SELECT CAST(VERSION() AS BINARY)", _bytes)
    claimed = version[:LONGEST_MESSAGE].decode(errors="replace")
    greeting = str(connection.get_server_info())
    odd = [text for text in (claimed, greeting) if not says(text, number)]
    return ServerInfo(
        flavour,
        shown(".".join(map(str, number)) if claimed in odd else without_prefix(claimed)),
        claimed=odd[0] if odd else None,
        greeting=greeting if greeting in odd else None,
    )


def _number(connection: Any, mark: str) -> tuple[int, int, int]:
    """The server's version as its parser knows it. Versions before 5.7 read five digits and no more."""
    major = 4 + _reads(connection, mark, range(50000, 100000, 10000))
    if major == 4:
        raise MySQLProblem(
            phrase(
                "The program that answers ignores version comments, so it is neither MySQL nor "
                "MariaDB. No dump can be made or loaded without them."
            ),
            code="mysql.neither_mysql_nor_mariadb",
            do=phrase(
                "If a proxy stands before the server, have it leave comments in, or name the server itself."
            ),
        )
    if major == 9:
        major += _reads(connection, mark, range(100000, 1000000, 10000))
    minor = _reads(connection, mark, range(major * 10000 + 100, major * 10000 + 10000, 100))
    release = major * 10000 + minor * 100
    return major, minor, _reads(connection, mark, range(release + 1, release + 100))


def _reads(connection: Any, mark: str, versions: Sequence[int]) -> int:
    """How many version comments the server reads, of one for each of `versions`; 0 is without a version."""
    comments = " ".join(f"/*{mark}{version or ''} +1 */" for version in versions)
    (count,) = fetch_one(connection, f"SELECT 0 {comments}", as_number)
    if not 0 <= count <= len(versions):
        raise strange(count)
    return int(count)


def _bytes(value: Any) -> bytes:
    if value is None:
        raise strange(value)
    return value if isinstance(value, bytes) else str(value).encode()


def lock_wait(connection: Any, database: str) -> str:
    """The server's words for what another connection of ours to this database waits for, or none."""
    user, own = fetch_one(
        connection, "SELECT SUBSTRING_INDEX(USER(), '@', 1), CONNECTION_ID()", as_text, as_number
    )
    rows = fetch_rows(connection, "SHOW PROCESSLIST", 7, or_more=True)
    for number, who, _host, where, _command, _time, state, *_ in rows:
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
            return phrase(
                "The server is a replica of {source}, and its replication does not run", source=self.source
            )
        seconds = plural("{n} second", "{n} seconds", n=self.behind)
        return phrase(
            "The server is a replica of {source}, {seconds} behind it", source=self.source, seconds=seconds
        )


def replica(connection: Any) -> Replica | None:
    """What the server follows; None where it follows none, or we may not ask.

    https://mariadb.com/kb/en/show-replica-status/ https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html
    """
    for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
        with suppress(MySQLdb.Error), open_cursor(connection) as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            if row is None:
                return None
            status = dict(zip((column[0] for column in cursor.description), row, strict=True))
            return _replica_from(status)
    return None


def _replica_from(status: dict[str, Any]) -> Replica:
    """Both flavours' columns, by their newer and older names."""

    def of(*names: str) -> Any:
        return next((status[name] for name in names if name in status), None)

    threads = (
        of("Replica_IO_Running", "Slave_IO_Running"),
        of("Replica_SQL_Running", "Slave_SQL_Running"),
    )
    behind = of("Seconds_Behind_Source", "Seconds_Behind_Master")
    return Replica(
        source=f"{of('Source_Host', 'Master_Host')}:{of('Source_Port', 'Master_Port')}",
        runs=threads == ("Yes", "Yes"),
        behind=None if behind is None else as_number(behind),
    )


def binary_log_position(connection: Any) -> dict[str, Any] | None:
    """File and position of the binary log, None where it is off or not ours to see."""
    for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        with suppress(MySQLdb.Error):
            for file, position, *_ in fetch_rows(connection, statement, 2, or_more=True):
                return {"file": str(file), "position": as_number(position)}
    return None
