"""Whether the portal's own database can be worked with: asked by `/healthz` and before a worker starts."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor


def database_problem() -> str:
    """What is wrong with the portal's database in one sentence; empty when nothing is."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "The portal's database gives no answer; check DATABASE_URL and that its server runs."
    if missing:
        return "The portal's database is not up to date; run `manage.py bootstrap`."
    return ""
