"""How many connections are to be had, of a user and of the whole server."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from backups.mysql.answers import as_number, fetch_one, fetch_rows


class ChosenConnections(NamedTuple):
    """How many connections do a work at once, and why: `because` ends a sentence."""

    number: int
    because: str


def connections_left(connection: Any) -> float:
    """How many connections the user, who may have few, can have once this one is closed."""
    most, now = fetch_one(
        connection,
        "SELECT @@SESSION.max_user_connections, COUNT(*) FROM information_schema.PROCESSLIST"
        " WHERE USER = SUBSTRING_INDEX(USER(), '@', 1)",
        as_number,
        as_number,
    )
    return most - (now - 1) if most else math.inf


def connections_to_take(connection: Any) -> float:
    """How many connections may be taken at once: all that the user has left, but half of the server's.

    The others are for those whose server it is.
    """
    (most,) = fetch_one(connection, "SELECT @@GLOBAL.max_connections", as_number)
    rows = fetch_rows(connection, "SHOW GLOBAL STATUS LIKE 'Threads_connected'", 2)
    taken = sum(as_number(number) for _, number in rows)
    return max(0, min(connections_left(connection), (most - taken) // 2))
