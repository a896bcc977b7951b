"""What a repository holds, and whose it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from backups import restic
from backups.catalog import learned, records
from backups.models import Database, Repository, Run, Snapshot
from backups.runs import notes
from backups.runs.progress import Progress
from backups.snapshots.naming import database_in, has_our_tag
from backups.text import formatting
from backups.text.sentences import phrase, plural

_LIST_SECONDS = 600.0
_SHOWN = 10
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
    unreadable: list[restic.UnreadableSnapshots] = []
    found = restic.snapshots(
        access, tick=progress.tick, deadline=_LIST_SECONDS, on_unreadable=unreadable.append
    )
    databases = list(Database.objects.filter(repository=repository).order_by("pk"))
    dumps = [(info, owner(info, databases)) for info in found if is_dump(info)]
    still_there = unreadable[0].ids if unreadable else ()
    new, gone = records.snapshots_sync(repository, dumps, unreadable=still_there, is_repaired=is_repaired)
    summary = phrase(
        "{snapshots} in the repository, {new} new here, {gone} gone.",
        snapshots=plural("{n} snapshot", "{n} snapshots", n=len(dumps)),
        new=new,
        gone=gone,
    )
    return Listing(found, unreadable[0] if unreadable else None, summary + _strays(dumps))


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


def owner(info: restic.SnapshotInfo, databases: Iterable[Database]) -> Database | None:
    """Whose dump a snapshot holds: by our tag, else by the file's name, as the old scripts had it."""
    name = _name_in(info)
    if has_our_tag(info.tags):
        return next((database for database in databases if database.name == name), None)
    return next((database for database in databases if database.database == name), None)


def _name_in(info: restic.SnapshotInfo) -> str:
    """What our tag calls the database, else the name on its server, after which the file is called."""
    if named := database_in(info.tags):
        return named
    return next((Snapshot(path=path).source for path in info.paths if _DUMP_PATH.fullmatch(path)), "")
