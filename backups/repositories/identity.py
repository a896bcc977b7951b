"""Whether what lies at a repository's address is the repository that the portal knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from backups import process, restic
from backups.catalog import learned
from backups.models import Repository
from backups.text.sentences import phrase

_LIST_SECONDS = 600.0


def meet(repository: Repository, access: restic.Access, tick: process.Tick | None = None) -> None:
    """Make sure that the repository opens and is the one known; learn its id at the first contact.

    Raises Problem: NoRepository, OtherRepository and the others of `restic.probe`.
    """
    with another_named(repository):
        found_id = restic.probe(access, tick=tick)
    if repository.restic_id or not found_id:
        return
    # A portal that noted no ids knows it by what it holds.
    if not holds_what_is_known(repository, access, tick):
        raise restic.OtherRepository(
            phrase(
                "The repository at {url} holds none of the snapshots that the portal knows there: {known}.",
                url=access.url,
                known=access.names.known,
            ),
            access,
        )
    learned.repository_learned(repository, found_id)
    restic.note_opened(replace(access, names=replace(access.names, known_id=found_id)))


@contextmanager
def another_named(repository: Repository) -> Iterator[None]:
    """Have what is said of another repository in its place say which row it is of."""
    try:
        yield
    except restic.OtherRepository as other:
        known = Repository.objects.exclude(pk=repository.pk).filter(restic_id=other.found_id).first()
        if known is not None and other.found_id:
            other.what += phrase(" It is the one that the portal knows as {known}.", known=known)
        raise


def holds_what_is_known(
    repository: Repository, access: restic.Access, tick: process.Tick | None = None
) -> bool:
    """Whether a repository holds one of the snapshots that the portal knows of, where it knows of any.

    Raises Problem, also where none is listed and some cannot be read.
    """
    there = repository.snapshots.present()
    known = set(there.values_list("snapshot_id", flat=True))
    if not known:
        return True
    unreadable: list[restic.UnreadableSnapshots] = []
    listed = restic.snapshots(access, tick=tick, deadline=_LIST_SECONDS, on_unreadable=unreadable.append)
    if not known.isdisjoint(info.id for info in listed):
        return True
    if unreadable:
        raise unreadable[0]
    return False
