"""The server on which tables are swapped."""

from __future__ import annotations

from dataclasses import dataclass

from backups import mysql


@dataclass(frozen=True)
class Place:
    """The server on which a swap happens."""

    server: mysql.Server
    info: mysql.ServerInfo
    programs: mysql.Clients
