"""What a run is about."""

from __future__ import annotations

from backups.errors import Problem
from backups.models import Database, Run
from backups.text.sentences import phrase


def database_of(run: Run) -> Database:
    """The database that a run is about. Raises Problem for one that is about a repository alone."""
    if run.database is None:
        raise Problem(
            phrase("{run} is about no database.", run=run),
            code="run.without_database",
            do=phrase("Ask for it again, and say of which database."),
        )
    return run.database
