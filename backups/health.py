"""Whether the portal's own database can be worked with: asked by `/healthz` and before a worker starts."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

# Databases once seen to be up to date stay so; looking again would read all migrations each time.
_up_to_date: set[str] = set()


def database_problem() -> str:
    """What is wrong with the portal's database in one sentence; empty when nothing is."""
    name = str(connection.settings_dict["NAME"])
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if name not in _up_to_date and _migrations_missing():
            return "The portal's database is not up to date; run `manage.py bootstrap`."
    except DatabaseError:
        return "The portal's database gives no answer; check DATABASE_URL and that its server runs."
    _up_to_date.add(name)
    return ""


def _migrations_missing() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
