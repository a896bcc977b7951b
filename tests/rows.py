"""Rows that most tests of rows need."""

from __future__ import annotations

from backups.models import Database, Server


def a_server(host: str = "db", port: int = 3306, *, user: str = "u", **fields: str) -> Server:
    """A server's row; the same one for the same address and user."""
    name = f"{user}@{host}:{port}"
    wanted = {"host": host, "port": port, "user": user, **fields}
    return Server.objects.get_or_create(name=name, defaults=wanted)[0]


def change_server(database: Database, **fields: object) -> None:
    """Change the row of a database's server, as a form would."""
    for name, value in fields.items():
        setattr(database.server, name, value)
    database.server.save()
