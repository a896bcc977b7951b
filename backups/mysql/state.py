"""What a server says of itself: its version, its replication, its binary log, what it waits for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import MySQLdb

from backups.mysql.connection import fetch_all
from backups.mysql.problems import MySQLProblem
from backups.mysql.server import MARIADB, MYSQL, ServerInfo, says, shown, without_prefix
from backups.plain import LONGEST_MESSAGE


def probe(connection: Any) -> ServerInfo:
    """Flavour and version of the server, told by what it reads of version comments.

    Its parser has them built in, while the text of a version is anybody's. https://mariadb.com/kb/en/comment-syntax/
    Raises MySQLProblem.
    """
    flavour = MARIADB if _reads(connection, "M!", [0]) else MYSQL
    number = _number(connection, "M!" if flavour == MARIADB else "!")
    version = _value(connection, "SELECT CAST(VERSION() AS BINARY)")
    told = version[:LONGEST_MESSAGE].decode(errors="replace")
    greeting = str(connection.get_server_info())
    strange = [text for text in (told, greeting) if not says(text, number)]
    return ServerInfo(
        flavour,
        shown(".".join(map(str, number)) if told in strange else without_prefix(told)),
        claimed=strange[0] if strange else None,
        greeting=greeting if greeting in strange else None,
    )


def _number(connection: Any, mark: str) -> tuple[int, int, int]:
    """The server's version as its parser knows it. Versions before 5.7 read five digits and no more."""
    major = 4 + _reads(connection, mark, range(50000, 100000, 10000))
    if major == 4:
        raise MySQLProblem(
            "What answers passes over version comments, as neither MySQL nor MariaDB does, and no dump can "
            "be made or loaded without them.",
            do="If a proxy stands before the server, have it leave comments in, or name the server itself.",
        )
    if major == 9:
        major += _reads(connection, mark, range(100000, 1000000, 10000))
    minor = _reads(connection, mark, range(major * 10000 + 100, major * 10000 + 10000, 100))
    release = major * 10000 + minor * 100
    return major, minor, _reads(connection, mark, range(release + 1, release + 100))


def _reads(connection: Any, mark: str, versions: Iterable[int]) -> int:
    """How many version comments the server reads, of one for each of `versions`; 0 is without a version."""
    comments = " ".join(f"/*{mark}{version or ''} +1 */" for version in versions)
    count = _value(connection, f"SELECT 0 {comments}")
    return int(count) if count.isdigit() else _refuse_strange(count)


def _value(connection: Any, statement: str) -> bytes:
    """The one value that a server answers with. Raises MySQLProblem for what is not one."""
    told = fetch_all(connection, statement)
    if [len(row) for row in told] != [1] or told[0][0] is None:
        _refuse_strange(told)
    (value,) = told[0]
    return value if isinstance(value, bytes) else str(value).encode()


def _refuse_strange(told: object) -> NoReturn:
    raise MySQLProblem(
        f"What answers gives an answer that no database server gives: {shown(str(told))}.",
        do="See what it is that listens there; if a proxy stands before the server, name the server itself.",
    )


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
