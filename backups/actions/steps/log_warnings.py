"""What preflight says of a database's stored log. No backup waits for any of it."""

from __future__ import annotations

from collections.abc import Iterator

from backups.models import Database, LogArchive
from backups.scheduling import proofs, staleness
from backups.shipping import from_environment, packets
from backups.text.sentences import joined


def sentences(database: Database) -> Iterator[str]:
    """One for each thing that will not go well; none where no log is to be stored."""
    if from_environment.is_wanted(database):
        yield from_environment.not_yet(database)
    if not LogArchive.objects.wanted().filter(database=database).exists():
        return
    if conflict := staleness.log_conflict(database):
        yield conflict
    if (why_not := proofs.not_possible(database)) is not None:
        yield joined(why_not)
    yield from packets.warnings(database)
