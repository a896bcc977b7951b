"""Retention: forget what the policy no longer keeps, but never the newest or the newest verified.

Nor, for a while, what was saved before a restore, nor what a restore or a verification is to take. The
plan is ours (`retention.plan`), and restic is given ids: its own would count two databases that came
under one tag as one series, and a safety copy as a day's backup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from django.conf import settings
from django.utils import timezone

from backups import restic
from backups.actions import portal_copy
from backups.actions.steps.opening import opened
from backups.actions.steps.snapshot_list import note_size, sync
from backups.catalog import records, series
from backups.choices import SuspicionState
from backups.keeping import suspicions
from backups.models import Database, Run, Snapshot, SnapshotQuerySet
from backups.requests.retention_plan import plan_of
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.snapshots import holds, retention
from backups.text.sentences import phrase, plural

# restic's argument list has its limits; a prune follows the last portion only.
_PORTION = 500


def run(run: Run, progress: Progress) -> Outcome:
    """Forget for the run's database, or for all of its repository's. Raises Problem."""
    progress.phase("plan")
    if settings.BACKUP_KEEP_ALL:
        return _nothing(run, progress)
    access = opened(run, progress)
    sync(run.repository, access, progress)
    databases = [run.database] if run.database else list(run.repository.databases.order_by("pk"))
    remove: list[str] = []
    present = Snapshot.objects.present().filter(repository=run.repository).defer("manifest")
    planned = list(_those_that_do_not_wait(databases, progress))
    for database in planned:
        of_database = present.filter(database=database)
        policy = retention.Policy(database.keep_daily, database.keep_weekly, database.keep_monthly)
        plan = plan_of(database, of_database, policy, timezone.now())
        remove += _told(of_database, plan, progress)
        for words in series.undecided_words(database):
            progress.warn(words)
    there = present.filter(database__in=databases).count()
    copies = portal_copy.superfluous(run.repository, access, progress)
    progress.phase("forget")
    remove = _not_wanted_meanwhile(run, remove, progress)
    remove = _without_those_that_wait_by_now(remove, run, progress)
    _forget(access, [*remove, *copies], progress)
    sync(run.repository, access, progress)
    if remove or copies:
        note_size(run, access, progress)
    kept = there - len(remove)
    waiting = [str(database) for database in databases if database not in planned]
    sentence = forgotten_words(len(remove), kept, waiting, all_wait=not planned)
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence, "forgotten": remove, "kept": kept})
    return Outcome()


def _nothing(run: Run, progress: Progress) -> Outcome:
    sentence = phrase("Nothing is forgotten, as BACKUP_KEEP_ALL says.")
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence, "forgotten": []})
    return Outcome()


def forgotten_words(gone: int, kept: int, waiting: list[str], *, all_wait: bool) -> str:
    """How it ended, with the databases of which nothing is forgotten until a person decides."""
    if not waiting:
        return phrase(
            "{snapshots} forgotten, {kept} kept.",
            snapshots=plural("{n} snapshot", "{n} snapshots", n=gone),
            kept=kept,
        )
    names = ", ".join(waiting)
    until = phrase("stay until somebody says whether the suspicious backup is right")
    if all_wait:
        return phrase(
            "Nothing was forgotten: all {snapshots} of {names} {until}.",
            snapshots=plural("{n} snapshot", "{n} snapshots", n=kept),
            names=names,
            until=until,
        )
    return phrase(
        "{snapshots} forgotten, {kept} kept; all those of {names} {until}.",
        snapshots=plural("{n} snapshot", "{n} snapshots", n=gone),
        kept=kept,
        names=names,
        until=until,
    )


def _those_that_do_not_wait(databases: Iterable[Database], progress: Progress) -> Iterator[Database]:
    """Without those of which a backup is suspicious: what is old there may be all that is left."""
    for database in databases:
        if suspicions.waiting(database):
            progress.warn(
                phrase(
                    "Nothing of {database} is forgotten. {sentences}",
                    database=database,
                    sentences=suspicions.sentences(database)[0],
                )
            )
        else:
            yield database


def _without_those_that_wait_by_now(remove: list[str], run: Run, progress: Progress) -> list[str]:
    """A backup that ended while this was planned may be suspicious."""
    late = run.repository.snapshots.filter(
        snapshot_id__in=remove, database__suspicions__state=SuspicionState.WAITING
    )
    spared = set(late.values_list("snapshot_id", flat=True))
    if spared:
        progress.warn(
            phrase(
                "{count} snapshots stay, because a backup that was just made is suspicious.",
                count=len(spared),
            )
        )
    return [each for each in remove if each not in spared]


def _told(present: SnapshotQuerySet, plan: retention.Plan, progress: Progress) -> list[str]:
    """Write down what is kept and why; answers the ids of what goes."""
    for snapshot in present:
        why = plan.keep.get(snapshot.snapshot_id, ())
        records.snapshot_kept(snapshot, why)
        local = snapshot.local_time
        if why:
            progress.log(
                phrase(
                    "keep   {snapshot} {local}: {why}",
                    snapshot=snapshot.short_id,
                    local=f"{local:%Y-%m-%d %H:%M}",
                    why=", ".join(why),
                )
            )
        else:
            progress.log(
                phrase(
                    "forget {snapshot} {local}", snapshot=snapshot.short_id, local=f"{local:%Y-%m-%d %H:%M}"
                )
            )
    return list(plan.forget)


def _not_wanted_meanwhile(run: Run, ids: list[str], progress: Progress) -> list[str]:
    """The ids without those that somebody pinned or wants to restore or verify since the plan was made."""
    planned = Snapshot.objects.filter(repository=run.repository, snapshot_id__in=ids).defer("manifest")
    wanted = dict(holds.wanted_by_now(planned, timezone.now()))
    for snapshot, reason in wanted.items():
        progress.log(
            phrase("keep   {snapshot} after all: {reason}", snapshot=snapshot.short_id, reason=reason)
        )
    spared = {snapshot.snapshot_id for snapshot in wanted}
    return [each for each in ids if each not in spared]


def _forget(access: restic.Access, ids: list[str], progress: Progress) -> None:
    """Remove exactly these, then the data that no snapshot needs any more."""
    for begin in range(0, len(ids), _PORTION):
        portion = ids[begin : begin + _PORTION]
        # Another portal may have removed one before us. What cannot be read, the next list tells.
        with suppress(restic.UnreadableSnapshots):
            restic.call(
                access,
                restic.Command(
                    restic.forget_args(portion, prune=begin + _PORTION >= len(ids)),
                    phrase("forgetting snapshots"),
                ),
                tick=progress.tick,
            )
