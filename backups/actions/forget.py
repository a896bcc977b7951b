"""Retention: forget what the policy no longer keeps, but never the newest or the newest verified.

Nor, for a while, what was saved before a restore, nor what a restore or a verification is to take. The
plan is ours (`retention.kept`), and restic is given ids: its own would count two databases that came
under one tag as one series, and a safety copy as a day's backup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from backups import restic
from backups.actions import portal_copy
from backups.actions.steps.opening import opened
from backups.actions.steps.snapshot_list import note_size, sync
from backups.catalog import records, series
from backups.choices import ACTIVE, BAD_VERDICTS, TERMINAL, Action, Status, SuspicionState
from backups.keeping import suspicions
from backups.models import Database, Restore, Run, Snapshot
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.snapshots import retention, selection
from backups.snapshots.retention import SAFETY_KEPT
from backups.text.sentences import phrase, plural, template

NEWEST = phrase("newest snapshot, kept whatever the policy says")
# With a clock that was set back, the last one made is not the newest.
MADE_LAST = phrase("made last, kept whatever its time says")
NEWEST_NOT_BAD = phrase("newest snapshot that is not known to be bad, kept whatever the policy says")
NEWEST_VERIFIED = phrase("newest verified snapshot, kept whatever the policy says")
# What a restore overwrote is nowhere else, and one that failed is to be begun again.
SAFETY = template("safety snapshot of restore {restore}, kept for 30 days after it whatever the policy says")
STANDS = "safety snapshot of restore {}, kept as long as restore {} after it can be undone"
SAVED = phrase("safety snapshot of a restore, kept for 30 days whatever the policy says")
WANTED = template("wanted snapshot of {run}, which is {status}, kept whatever the policy says")
WANTED_AGAIN = template(
    "wanted snapshot of {run}, which {status}, kept for 30 days after it to be restored again"
)
# restic's argument list has its limits; a prune follows the last portion only.
_PORTION = 500
# By a snapshot's id.
Reasons = dict[str, list[str]]


def run(run: Run, progress: Progress) -> Outcome:
    """Forget for the run's database, or for all of its repository's. Raises Problem."""
    progress.phase("plan")
    if settings.BACKUP_KEEP_ALL:
        return _nothing(run, progress)
    access = opened(run, progress)
    sync(run.repository, access, progress)
    databases = [run.database] if run.database else list(run.repository.databases.order_by("pk"))
    remove: list[str] = []
    present = Snapshot.objects.filter(repository=run.repository, forgotten_at=None).defer("manifest")
    planned = list(_those_that_do_not_wait(databases, progress))
    for database in planned:
        of_database = present.filter(database=database)
        remove += _told(of_database, _plan(database, of_database), progress)
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


def _plan(database: Database, present: QuerySet[Snapshot]) -> Reasons:
    """Why each snapshot is kept. What is not in it goes."""
    plan: Reasons = {}
    for snapshot, reason in _protected(present):
        plan.setdefault(snapshot.snapshot_id, []).append(reason)
    policy = {
        "daily": database.keep_daily,
        "weekly": database.keep_weekly,
        "monthly": database.keep_monthly,
    }
    for one_series in _series(database, selection.backups_of(present)) if any(policy.values()) else ():
        kept = retention.kept([snapshot.local_time for snapshot in one_series], **policy)
        for snapshot in one_series:
            if rules := kept.get(snapshot.local_time):
                plan.setdefault(snapshot.snapshot_id, []).extend(
                    phrase("{rule} snapshot", rule=rule) for rule in rules
                )
    return plan


def _series(database: Database, backups: QuerySet[Snapshot]) -> Iterable[list[Snapshot]]:
    """The backups that a policy counts together: of one database, in either format, whatever their row.

    Of other installations by host as well, since they may share a repository; the old scripts'
    containers had names by chance. What was not made here pushes nothing out that was.
    """
    our_hosts = series.of_this_installation(database)
    found: dict[tuple[bool, bool, str, str], list[Snapshot]] = {}
    for snapshot in backups:
        ours = series.has_our_tag(snapshot.tags)
        theirs = snapshot.host if ours and snapshot.host not in our_hosts else ""
        found.setdefault((snapshot.made_here, ours, theirs, snapshot.file_stem), []).append(snapshot)
    return found.values()


def _protected(present: QuerySet[Snapshot]) -> Iterator[tuple[Snapshot, str]]:
    """What is kept whatever the policy says, and why; of each database that came under one row."""
    of_database: dict[str, list[int]] = {}
    for snapshot in present:
        of_database.setdefault(snapshot.file_stem, []).append(snapshot.pk)
    for keys in of_database.values():
        of_one = present.filter(pk__in=keys)
        yield from _newest(of_one.filter(made_here=True))
        yield from _newest(of_one.filter(made_here=False))
    yield from _saved(present)
    yield from _wanted(present)


def _newest(present: QuerySet[Snapshot]) -> Iterator[tuple[Snapshot, str]]:
    """Of backups; of what was saved before restores only where there is nothing else."""
    backups = selection.backups_of(present)
    newest = selection.latest_of(backups) or selection.latest_of(present)
    if newest is not None:
        yield newest, NEWEST
    not_bad = selection.latest_of(backups.exclude(verdict__in=BAD_VERDICTS))
    if not_bad is not None and not_bad != newest:
        yield not_bad, NEWEST_NOT_BAD
    made_last = backups.exclude(made_by=None).order_by("-made_by_id").first()
    if made_last is not None and made_last != newest:
        yield made_last, MADE_LAST
    proved = {"verified_at": None}
    verified = selection.latest_of(backups.exclude(**proved)) or selection.latest_of(
        present.exclude(**proved)
    )
    if verified is not None:
        yield verified, NEWEST_VERIFIED


def _saved(present: QuerySet[Snapshot]) -> Iterator[tuple[Snapshot, str]]:
    """What was saved before a restore, counted from the restore's end where that is known."""
    since = timezone.now() - SAFETY_KEPT
    known = set()
    restores = Restore.objects.filter(safety_snapshot__in=present).select_related("run", "safety_snapshot")
    for restore in restores:
        assert restore.safety_snapshot is not None  # noqa: S101
        known.add(restore.safety_snapshot.pk)
        if restore.run.finished_at is None or restore.run.finished_at > since:
            yield restore.safety_snapshot, phrase(SAFETY, restore=restore.run_id)
    for snapshot in present.filter(pk__in=selection.safety_copies(present), time__gt=since):
        if snapshot.pk not in known:
            yield snapshot, SAVED


def _wanted(present: QuerySet[Snapshot]) -> Iterator[tuple[Snapshot, str]]:
    """What runs are to read that wait or run, and what a restore failed with, which is begun again."""
    reading = Run.objects.filter(action__in=[Action.RESTORE, Action.VERIFY], snapshot__in=present)
    for run in reading.filter(status__in=ACTIVE).select_related("snapshot"):
        assert run.snapshot is not None  # noqa: S101
        yield run.snapshot, phrase(WANTED, run=str(run).lower(), status=run.get_status_display().lower())
    ended = reading.filter(action=Action.RESTORE, finished_at__gt=timezone.now() - SAFETY_KEPT)
    for run in ended.filter(status__in=TERMINAL - {Status.SUCCEEDED}).select_related("snapshot"):
        assert run.snapshot is not None  # noqa: S101
        yield (
            run.snapshot,
            phrase(WANTED_AGAIN, run=str(run).lower(), status=run.get_status_display().lower()),
        )


def _told(present: QuerySet[Snapshot], plan: Reasons, progress: Progress) -> list[str]:
    """Write down what is kept and why; answers the ids of what goes."""
    remove = []
    for snapshot in present:
        why = list(dict.fromkeys(plan.get(snapshot.snapshot_id, [])))
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
            remove.append(snapshot.snapshot_id)
    return remove


def _not_wanted_meanwhile(run: Run, ids: list[str], progress: Progress) -> list[str]:
    """The ids without those of which a restore or a verification was asked since the plan was made."""
    planned = Snapshot.objects.filter(repository=run.repository, snapshot_id__in=ids).defer("manifest")
    wanted = dict(_wanted(planned))
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
                restic.forget_args(portion, prune=begin + _PORTION >= len(ids)),
                doing=phrase("forgetting snapshots"),
                tick=progress.tick,
            )
