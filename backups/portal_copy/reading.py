"""How the portal's own database is read: whether its file is whole, and as of one moment."""

from __future__ import annotations

from typing import Any

from django.db import connections

# As psycopg's IsolationLevel has it.
_REPEATABLE_READ = 3


def damage_of(alias: str = "default") -> str:
    """What SQLite finds broken in a file, looking at all of it; empty for other engines.

    Raises DatabaseError where it cannot even be opened.
    """
    if connections[alias].vendor != "sqlite":
        return ""
    with connections[alias].cursor() as cursor:
        cursor.execute("PRAGMA quick_check(1)")
        (found,) = cursor.fetchone()
    return "" if found == "ok" else str(found)


def options_for_reading() -> dict[str, Any]:
    """All is read as of the first look, and nobody waits for us."""
    options = dict(connections.settings["default"]["OPTIONS"])
    engine = connections.settings["default"]["ENGINE"]
    if engine == "django.db.backends.sqlite3":
        options["transaction_mode"] = "DEFERRED"
    elif engine == "django.db.backends.mysql":
        options["isolation_level"] = "repeatable read"
    elif engine == "django.db.backends.postgresql":
        options["isolation_level"] = _REPEATABLE_READ
    return options
