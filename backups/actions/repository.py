"""What is done to a repository as a whole: make it, read what it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from backups import process, restic
from backups.catalog import learned, records
from backups.catalog.series import database_in, has_our_tag
from backups.choices import EXCLUSIVE_ACTIONS, Action
from backups.endpoints import names_of, repository_access
from backups.models import Database, Repository, Run
from backups.repositories import identity, places
from backups.runs import leases, notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text import formatting
from backups.text.terminal import counted

# Of an `init`: somebody said that it may begin where another one lay that the portal knows.
IN_PLACE = "in_place"
_LIST_SECONDS = 600.0
_SHOWN = 10
_DUMP_PATH = re.compile(r"/(?:.*/)?([^/]+)\.sql(?:\.gz)?")


def opened(run: Run, progress: Progress) -> restic.Access:
    """How to reach the run's repository, which opens and is the one known; its restic's version is noted.

    Raises Problem.
    """
    access = _reached(run, progress)
    if run.action in EXCLUSIVE_ACTIONS:
        # Before anything is taken for damage, or left out by a repair, that is only not ours.
        restic.refuse_others_files(
            access, "looking at its files", packs=run.action in (Action.CHECK, Action.REPAIR_INDEX)
        )
    identity.meet(run.repository, access, progress.tick)
    if run.action in EXCLUSIVE_ACTIONS and run.action != Action.CHECK:  # which can do without
        # A restic that was killed leaves its lock behind, which would stop what locks exclusively.
        restic.remove_stale_locks(access, tick=progress.tick)
    return access


def _reached(run: Run, progress: Progress) -> restic.Access:
    access = repository_access(run.repository)
    progress.hide(access.secret_values())
    notes.run_note(run.pk, **notes.restic_facts(restic.version(access), restic.origin(access.program)))
    return access


def wait_for_maintenance(repository: Repository, progress: Progress) -> None:
    """A prune or check of ours holds restic's exclusive lock; what only adds can wait for it."""
    holder = leases.lease_holder(repository)
    if holder is not None:
        progress.log(f"Waiting for {holder} to finish with the repository.")
    while leases.lease_holder(repository) is not None:
        progress.detail("waiting for the repository")
        process.pause()
        progress.tick()


def init(run: Run, progress: Progress) -> Outcome:
    """Make the repository where none is known; one that is there already is left as it is. Raises Problem."""
    progress.phase("init")
    access = _reached(run, progress)
    try:
        identity.meet(run.repository, access, progress.tick)
    except (restic.NoRepository, restic.NoBucket) as missing:  # restic makes the bucket as well
        if access.names.known:
            raise
        another = places.known_at(run.repository)
        if another is not None and not run.options.get(IN_PLACE):
            raise restic.gone(missing, replace(access, names=names_of(another))) from None
        restic.call(
            access, restic.init_args(), doing="making the repository", tick=progress.tick,
            deadline=2 * restic.PROBE_DEADLINE_SECONDS,
        )  # fmt: skip
        identity.meet(run.repository, access, progress.tick)
        sentence = (
            f"Made a new repository at {access.url} ({run.repository}), {_why_new(another)} If "
            f"backups were to be there, see whether its disk is mounted and {access.url_set_by} is right."
        )
    else:
        sentence = (
            f"There is a repository at {access.url} already ({run.repository}), and the password opens it."
        )
        if not run.repository.snapshots.exists():
            # As on a new machine, whose portal is new as well.
            sentence += (
                " Run `manage.py snapshots` once: it lists the backups that lie there, if there are any."
            )
        sentence += _of_another_row(run.repository)
    progress.log(sentence)
    notes.run_note(run.pk, result={"sentence": sentence})
    return Outcome()


def _why_new(another: Repository | None) -> str:
    if another is None:
        return "as the portal knew of none there."
    return f"in the place of {another}, as was said; what that held stays listed."


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
    notes.run_note(run.pk, result={"sentence": sentence})
    return Outcome()


def prune(run: Run, progress: Progress) -> Outcome:
    """Remove data that no snapshot refers to. Raises Problem."""
    progress.phase("prune")
    access = opened(run, progress)
    restic.call(access, restic.prune_args(), doing="pruning", tick=progress.tick)
    note_size(run, access, progress)
    return Outcome()


def stats(run: Run, progress: Progress) -> Outcome:
    """Ask how much the repository holds. Raises Problem."""
    progress.phase("stats")
    access = opened(run, progress)
    note_size(run, access, progress)
    return Outcome()


def sync(
    repository: Repository, access: restic.Access, progress: Progress, *, is_repaired: bool = False
) -> str:
    """Bring the list of snapshots from the repository, which may have been repaired; answers a sentence.

    Raises Problem, also when some cannot be read: those are not taken for gone.
    """
    unreadable: list[restic.UnreadableSnapshots] = []
    found = restic.snapshots(
        access, tick=progress.tick, deadline=_LIST_SECONDS, on_unreadable=unreadable.append
    )
    databases = list(Database.objects.filter(repository=repository).order_by("pk"))
    dumps = [(info, owner(info, databases)) for info in found if is_dump(info)]
    still_there = unreadable[0].ids if unreadable else ()
    new, gone = records.snapshots_sync(repository, dumps, unreadable=still_there, is_repaired=is_repaired)
    if unreadable:
        raise unreadable[0]
    told = f"{counted(len(dumps), 'snapshot')} in the repository, {new} new here, {gone} gone."
    return told + _strays(dumps)


def _strays(dumps: Iterable[tuple[restic.SnapshotInfo, Database | None]]) -> str:
    """What is of no database that is set up here, which nobody would miss."""
    found = Counter(_name_in(info) for info, database in dumps if database is None)
    if not found:
        return ""
    named = ", ".join(f"{name} ({count})" for name, count in sorted(found.items())[:_SHOWN])
    return f" {found.total()} are of no database that is set up here, and are never forgotten: {named}."


def note_size(run: Run, access: restic.Access, progress: Progress) -> None:
    """Store the size of the repository's data and say it. Raises Problem."""
    answer = restic.call(access, restic.stats_args(), doing="measuring", tick=progress.tick)
    total = restic.parse_total_size(answer.stdout)
    learned.repository_sized(run.repository, total)
    sentence = f"The repository holds {formatting.size(total)} of data."
    progress.log(sentence)
    notes.run_note(run.pk, result={"sentence": sentence, "size_bytes": total})


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
    names = (found[1] for path in info.paths if (found := _DUMP_PATH.fullmatch(path)))
    return next(names, "").replace("%2F", "/")
