"""On an empty machine: the history rebuilt from the repository, the newest snapshot found."""

from __future__ import annotations

from backups import restic, services
from backups.actions.outcome import Outcome
from backups.actions.repository import is_dump, opened, owner
from backups.errors import Problem
from backups.models import Database, Run, Snapshot
from backups.progress import Progress


def run(run: Run, progress: Progress) -> Outcome:
    """Write down what the repository tells of earlier backups. Raises Problem."""
    progress.phase("history")
    access = opened(run, progress)
    restic.probe(access, tick=progress.tick)
    databases = list(Database.objects.filter(repository=run.repository).order_by("pk"))
    found = [
        (info, owner(info, databases))
        for info in restic.snapshots(access, tick=progress.tick, deadline=600)
        if is_dump(info)
    ]
    new, _ = services.snapshots_sync(run.repository, found)
    rebuilt = sum(services.backup_rebuilt(run.repository, info, of) for info, of in found)
    sentence = f"{len(found)} snapshots found, {new} of them new here; {rebuilt} backups rebuilt."
    progress.log(sentence)
    services.run_note(run.pk, result={"sentence": sentence})
    return Outcome()


def newest(database: Database) -> Snapshot:
    """The snapshot to start again from. Raises Problem."""
    found = database.snapshots.filter(forgotten_at=None).first()
    if found is None:
        raise Problem(
            f"The repository holds no snapshot of {database}.",
            do="Check RESTIC_REPOSITORY and MYSQL_DATABASE: the name must be the one backed up.",
        )
    return found
