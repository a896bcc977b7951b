"""What is done to a repository as a whole: make it, read what it holds."""

from __future__ import annotations

from dataclasses import replace

from backups import restic
from backups.actions.steps import alone
from backups.actions.steps.disk import note_disk
from backups.actions.steps.opening import opened, reached
from backups.actions.steps.snapshot_list import note_size, sync
from backups.endpoints import names_of
from backups.models import Repository, Run
from backups.repositories import identity, places
from backups.requests import InitRequest, read_as
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import phrase


def init(run: Run, progress: Progress) -> Outcome:
    """Make the repository where none is known; one that is there already is left as it is. Raises Problem."""
    progress.phase("init")
    access = reached(run, progress)
    try:
        identity.meet(run.repository, access, progress.tick)
    except (restic.NoRepository, restic.NoBucket) as missing:  # restic makes the bucket as well
        if access.names.known:
            raise
        another = places.known_at(run.repository)
        if another is not None and not read_as(run, InitRequest).in_place:
            raise restic.gone(missing, replace(access, names=names_of(another))) from None
        making = restic.Command(
            restic.init_args(), phrase("making the repository"), deadline=2 * restic.PROBE_DEADLINE_SECONDS
        )
        restic.call(access, making, tick=progress.tick)
        identity.meet(run.repository, access, progress.tick)
        sentence = phrase(
            "Made a new repository at {url} ({repository}), {why_new} If there should be backups "
            "already, see whether its disk is mounted and {url_set_by} is right.",
            url=access.url,
            repository=run.repository,
            why_new=_why_new(another),
            url_set_by=access.url_set_by,
        )
    else:
        sentence = phrase(
            "There is a repository at {url} already ({repository}), and the password opens it.",
            url=access.url,
            repository=run.repository,
        )
        if not run.repository.snapshots.exists():
            # As on a new machine, whose portal is new as well.
            sentence += phrase(
                " Run `manage.py snapshots` once: it lists the backups that lie there, if there are any."
            )
        sentence += _of_another_row(run.repository)
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence})
    return Outcome()


def _why_new(another: Repository | None) -> str:
    if another is None:
        return phrase("because the portal knew of none there.")
    return phrase(
        "in the place of {another}, as you asked. The snapshots of that one stay listed.", another=another
    )


def _of_another_row(repository: Repository) -> str:
    repository.refresh_from_db(fields=["restic_id"])
    words = places.doubles([repository]).get(repository.pk, "")
    return f" {words}" if words else ""


def snapshots(run: Run, progress: Progress) -> Outcome:
    """Make the portal's list of snapshots say what the repository holds. Raises Problem."""
    progress.phase("snapshots")
    access = opened(run, progress)
    sentence = sync(run.repository, access, progress)
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence})
    return Outcome()


def prune(run: Run, progress: Progress) -> Outcome:
    """Remove data that no snapshot refers to. Raises Problem."""
    progress.phase("prune")
    access = opened(run, progress)
    alone.call(run, access, lambda: restic.Command(restic.prune_args(), "pruning"), progress)
    note_size(run, access, progress)
    return Outcome()


def stats(run: Run, progress: Progress) -> Outcome:
    """Ask how much the repository holds. Raises Problem."""
    progress.phase("stats")
    access = opened(run, progress)
    note_size(run, access, progress)
    note_disk(run)
    return Outcome()
