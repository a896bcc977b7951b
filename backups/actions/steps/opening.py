"""The run's repository, opened, and free of what holds its lock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backups import process, restic
from backups.choices import EXCLUSIVE_ACTIONS, Action
from backups.endpoints import names_of, repository_access
from backups.models import Repository, Run, Snapshot
from backups.repositories import identity
from backups.runs import leases, notes
from backups.runs.progress import Progress
from backups.text.sentences import phrase


@dataclass(frozen=True)
class OpenedSnapshot:
    """A snapshot, and how to reach its repository, which was opened.

    Of a moment that was brought back there is none: then `snapshot` is in no row and says what such a one
    would, and its dump is in the file of a descriptor of this process.
    """

    snapshot: Snapshot
    access: restic.Access
    file: int | None = None


# Their own first restic finds out whether the repository opens and is the one known (`restic.probed_call`).
_FIND_OUT = (Action.CHECK, Action.FORGET, Action.PORTAL, Action.SNAPSHOTS)
# They read what has a manifest to prove it, and a person waits for them.
_TRUST_LATELY = (Action.DIFF,)


def opened(run: Run, progress: Progress) -> restic.Access:
    """How to reach the run's repository, which opens and is the one known; its restic's version is noted.

    It is left to the first restic of the run's own to find that out, where the repository was opened before
    and looks as it did then. Raises Problem.
    """
    access = reached(run, progress)
    if run.action in EXCLUSIVE_ACTIONS:
        # Before anything is taken for damage, or left out by a repair, that is only not ours.
        restic.refuse_others_files(
            access, phrase("looking at its files"), packs=run.action in (Action.CHECK, Action.REPAIR_INDEX)
        )
    if run.action in _FIND_OUT and restic.was_opened(access):
        return access
    if run.action in _TRUST_LATELY and restic.was_opened(access, within=restic.LATELY_SECONDS):
        return access
    identity.meet(run.repository, access, progress.tick)
    return replace(access, names=names_of(run.repository))


def reached(run: Run, progress: Progress) -> restic.Access:
    """How to reach a repository, its secrets hidden from the run's log. Raises Problem."""
    access = repository_access(run.repository)
    progress.mask_secrets(access.secret_values())
    notes.run_update(run.pk, **notes.restic_facts(restic.version(access), restic.origin(access.program)))
    return access


def wait_for_maintenance(repository: Repository, progress: Progress) -> None:
    """A prune or check of ours holds restic's exclusive lock; what only adds can wait for it."""
    holder = leases.lease_holder(repository)
    if holder is not None:
        progress.log(phrase("Waiting for {holder} to finish with the repository.", holder=holder))
    while leases.lease_holder(repository) is not None:
        progress.detail(phrase("waiting for the repository"))
        process.sleep_tick()
        progress.tick()
