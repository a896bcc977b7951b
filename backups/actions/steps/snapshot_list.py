"""What a repository holds, and whose it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from backups import restic
from backups.catalog import learned, records
from backups.models import Database, Repository, Run, Snapshot
from backups.repositories import identity
from backups.runs import notes
from backups.runs.progress import Progress
from backups.snapshots.naming import database_in, has_our_tag
from backups.text import formatting
from backups.text.sentences import phrase, plural

_LIST_SECONDS = 600.0
_SHOWN = 10
_NIGHTS_MISSED = timedelta(days=2)
_DUMP_PATH = re.compile(r"/(?:.*/)?[^/]+\.sql(?:\.gz)?")


@dataclass(frozen=True)
class Listing:
    """All snapshots of a repository but for those that cannot be read, and what there is to say of them."""

    found: tuple[restic.SnapshotInfo, ...]
    unreadable: restic.UnreadableSnapshots | None
    sentence: str


def sync(
    repository: Repository, access: restic.Access, progress: Progress, *, is_repaired: bool = False
) -> str:
    """Bring the list of snapshots from the repository, which may have been repaired; answers a sentence.

    Raises Problem, also when some cannot be read: those are not taken for gone.
    """
    listing = brought(repository, access, progress, is_repaired=is_repaired)
    if listing.unreadable is not None:
        raise listing.unreadable
    return listing.sentence


def brought(
    repository: Repository, access: restic.Access, progress: Progress, *, is_repaired: bool = False
) -> Listing:
    """The same, telling of those that cannot be read rather than raising. Raises Problem for the rest."""
    found, unreadable = listed(repository, access, progress, seconds=_LIST_SECONDS)
    owners = Owners(Database.objects.filter(repository=repository).order_by("pk"))
    dumps = [(info, owners.of(info)) for info in found if is_dump(info)]
    still_there = unreadable.ids if unreadable else ()
    new, gone = records.snapshots_sync(repository, dumps, unreadable=still_there, is_repaired=is_repaired)
    summary = phrase(
        "{snapshots} in the repository, {new} new here, {gone} gone.",
        snapshots=plural("{n} snapshot", "{n} snapshots", n=len(dumps)),
        new=new,
        gone=gone,
    )
    return Listing(found, unreadable, summary + _strays(dumps))


def listed(
    repository: Repository, access: restic.Access, progress: Progress, *, seconds: float
) -> tuple[tuple[restic.SnapshotInfo, ...], restic.UnreadableSnapshots | None]:
    """All that the repository holds, which is the one known; what of it cannot be read. Raises Problem."""
    unreadable: list[restic.UnreadableSnapshots] = []
    with identity.another_named(repository):
        found = restic.snapshots_of_known(
            access, tick=progress.tick, deadline=seconds, on_unreadable=unreadable.append
        )
    return found, unreadable[0] if unreadable else None


def _strays(dumps: Iterable[tuple[restic.SnapshotInfo, Database | None]]) -> str:
    """What is of no database that is set up here, which nobody would miss."""
    found = Counter(_name_in(info) for info, database in dumps if database is None)
    if not found:
        return ""
    named = ", ".join(f"{name} ({count})" for name, count in sorted(found.items())[:_SHOWN])
    return plural(
        " {n} is of no database that is set up here, and is never forgotten: {named}.",
        " {n} are of no database that is set up here, and are never forgotten: {named}.",
        n=found.total(),
        named=named,
    )


def size_is_due(run: Run, *, is_night: bool) -> bool:
    """Whether a forget is to measure what it left: once a day at most, and that at night.

    After a backup, for which somebody may wait, only where no night has done it for days.
    """
    repository, now = run.repository, timezone.now()
    if is_night:
        last = repository.sized_at
        return last is None or timezone.localdate(last) != timezone.localdate(now)
    days_ago = now - _NIGHTS_MISSED
    if repository.sized_at is not None:
        return repository.sized_at < days_ago
    return repository.runs.filter(queued_at__lt=days_ago).exists()


def note_size(run: Run, access: restic.Access, progress: Progress) -> None:
    """Store the size of the repository's data and say it. Raises Problem."""
    answer = restic.call(access, restic.Command(restic.stats_args(), "measuring"), tick=progress.tick)
    total = restic.parse_total_size(answer.stdout)
    learned.repository_sized(run.repository, total)
    sentence = phrase("The repository holds {total} of data.", total=formatting.size(total))
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence, "size_bytes": total})


def is_dump(info: restic.SnapshotInfo) -> bool:
    """Whether the snapshot holds a database's dump, ours or one of the old scripts'."""
    return any(_DUMP_PATH.fullmatch(path) for path in info.paths)


class Owners:
    """Whose dumps snapshots hold: by our tag, else by the file's name, as the old scripts had it.

    Of several databases that are called alike on their servers it is the first one's.
    """

    def __init__(self, databases: Iterable[Database]) -> None:
        self._by_name: dict[str, Database] = {}
        self._by_database: dict[str, Database] = {}
        for each in databases:
            self._by_name.setdefault(each.name, each)
            self._by_database.setdefault(each.database, each)

    def of(self, info: restic.SnapshotInfo) -> Database | None:
        """The one whose dump it is; None where that is none of them."""
        known = self._by_name if has_our_tag(info.tags) else self._by_database
        return known.get(_name_in(info))


def _name_in(info: restic.SnapshotInfo) -> str:
    """What our tag calls the database, else the name on its server, after which the file is called."""
    if named := database_in(info.tags):
        return named
    return next((Snapshot(path=path).source for path in info.paths if _DUMP_PATH.fullmatch(path)), "")
