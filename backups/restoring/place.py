"""The server on which tables are swapped."""

from __future__ import annotations

from backups import mysql


class Place(mysql.ProbedServer):
    """The server on which a swap happens."""
