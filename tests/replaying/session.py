"""A client's session, which says what it is told byte for byte, in the character set that it named."""

from __future__ import annotations

import re
from collections.abc import Iterable

import MySQLdb

from tests.servers import DatabaseServer

_CODECS = {"latin1": "cp1252", "sjis": "shift_jis", "gbk": "gbk"}


def say(server: DatabaseServer, database: str, statements: Iterable[str]) -> None:
    """Run statements in one session, whatever they answer."""
    connection = MySQLdb.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=database,
        charset="utf8mb4",
        autocommit=True,
    )
    codec = "utf-8"
    try:
        for statement in statements:
            connection.query(statement.encode(codec))
            while True:
                connection.store_result()
                if connection.next_result() != 0:
                    break
            if named := re.match(r"SET NAMES (\w+)", statement):
                codec = _CODECS.get(named[1], "utf-8")
    finally:
        connection.close()
