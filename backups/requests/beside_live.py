"""A moment that would be brought back beside the live database, on a MariaDB: refused before a run begins."""

from __future__ import annotations

from backups.errors import Problem
from backups.models import Database
from backups.requests.base import NOTHING_DONE
from backups.scheduling.proofs import HOW_TO_PLACE
from backups.text.sentences import phrase


def refuse_beside_live(database: Database) -> None:
    """Raise Problem where test restores of a database go to its own server, as far as rows tell.

    For an SQL file of a moment, and for comparisons with one: both are made where test restores are.
    """
    if not database.replays_beside_live:
        return
    host, port = database.test_restores_at
    raise Problem(
        phrase(
            "The moment would be brought back at {address}, where test restores of {database} go: beside the "
            "live database, and MariaDB checks no right on tables while a log is replayed.",
            address=f"{host}:{port}",
            database=database,
        ),
        code="replay.beside_live",
        safe=NOTHING_DONE,
        do=HOW_TO_PLACE,
    )
