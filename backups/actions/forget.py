"""Retention: forget what the policy no longer keeps, but never the newest or the newest verified.

Nor, for a while, what was saved before a restore.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet
from django.utils import timezone

from backups import choose, restic, services, states
from backups.actions import portal
from backups.actions.backup import tag_of
from backups.actions.outcome import Outcome
from backups.actions.repository import is_ours, note_size, opened, sync
from backups.models import Database, Restore, Run, Snapshot
from backups.progress import Progress
from backups.retention import SAFETY_KEPT

NEWEST = "newest snapshot, kept whatever the policy says"
# With a clock that was set back, the last one made is not the newest.
MADE_LAST = "made last, kept whatever its time says"
NEWEST_VERIFIED = "newest verified snapshot, kept whatever the policy says"
SAFETY = "safety snapshot of restore {}, kept for 30 days after it whatever the policy says"
STANDS = "safety snapshot of restore {}, kept as long as restore {} after it can be undone"
# restic's argument list has its limits; a prune follows the last portion only.
_PORTION = 500


def run(run: Run, progress: Progress) -> Outcome:
    """Forget for the run's database, or for all of its repository's. Raises Problem."""
    progress.phase("plan")
    access = opened(run, progress)
    restic.probe(access, tick=progress.tick)
    sync(run.repository, access, progress)
    databases = [run.database] if run.database else list(run.repository.databases.order_by("pk"))
    remove: list[str] = []
    kept = 0
    for database in databases:
        present = database.snapshots.filter(repository=run.repository, forgotten_at=None)
        plan = _plan(database, present, access, progress)
        kept += len(plan.reasons)
        remove += _told(present, plan, progress)
    copies = portal.superfluous(run.repository, access, progress)
    progress.phase("forget")
    _forget(access, [*remove, *copies], progress)
    sync(run.repository, access, progress)
    if remove or copies:
        note_size(run, access, progress)
    sentence = f"{len(remove)} snapshots forgotten, {kept} kept."
    progress.log(sentence)
    services.run_note(run.pk, result={"sentence": sentence, "forgotten": remove, "kept": kept})
    return Outcome()


@dataclass
class _Plan:
    """Why each snapshot is kept, by its id: restic's reasons from a dry run, and ours; which may go.

    What restic did not speak of is not in either, and stays.
    """

    reasons: dict[str, list[str]] = field(default_factory=dict)
    removable: set[str] = field(default_factory=set)


def _plan(
    database: Database, present: QuerySet[Snapshot], access: restic.Access, progress: Progress
) -> _Plan:
    plan = _Plan()
    # restic refuses to plan for a policy that keeps nothing, and would not be asked anything.
    keeps = any((database.keep_daily, database.keep_weekly, database.keep_monthly))
    if not keeps:
        plan.removable = set(present.values_list("snapshot_id", flat=True))
    for selection in _selections(database, present) if keeps else ():
        answer = restic.call_of_snapshots(
            access,
            restic.forget_dry_run_args(
                selection=selection,
                keep_daily=database.keep_daily,
                keep_weekly=database.keep_weekly,
                keep_monthly=database.keep_monthly,
            ),
            doing="planning what to forget",
            tick=progress.tick,
        )
        told = restic.parse_forget_plan(answer.stdout)
        plan.removable.update(told.remove)
        for keep in told.keep:
            plan.reasons.setdefault(keep.id, []).extend(keep.reasons)
    for snapshot, reason in _protected(database, present):
        plan.reasons.setdefault(snapshot.snapshot_id, []).insert(0, reason)
    return plan


def _selections(database: Database, present: QuerySet[Snapshot]) -> Iterator[restic.Selection]:
    """Our snapshots by their tag; those of the old scripts by their paths, whatever their host."""
    yield restic.Selection(tag=tag_of(database), group_by="host,tags")
    theirs = {snapshot.path for snapshot in present if not is_ours(snapshot.tags)}
    for path in sorted(theirs):
        yield restic.Selection(path=path, group_by="paths")


def _protected(database: Database, present: QuerySet[Snapshot]) -> Iterator[tuple[Snapshot, str]]:
    newest = choose.newest_of(present)
    if newest is not None:
        yield newest, NEWEST
    made_last = present.exclude(made_by=None).order_by("-made_by_id").first()
    if made_last is not None and made_last != newest:
        yield made_last, MADE_LAST
    verified = choose.newest_of(present.exclude(verified_at=None))
    if verified is not None:
        yield verified, NEWEST_VERIFIED
    lately = Q(run__finished_at=None) | Q(run__finished_at__gt=timezone.now() - SAFETY_KEPT)
    for restore in Restore.objects.filter(lately, database=database, safety_snapshot__in=present):
        assert restore.safety_snapshot is not None  # noqa: S101
        yield restore.safety_snapshot, SAFETY.format(restore.run_id)
    for snapshot, older, newer in states.held_snapshots(database):
        yield snapshot, STANDS.format(older.run_id, newer.run_id)


def _told(present: QuerySet[Snapshot], plan: _Plan, progress: Progress) -> list[str]:
    """Write down what is kept and why; answers the ids of what goes."""
    remove = []
    for snapshot in present:
        why = list(dict.fromkeys(plan.reasons.get(snapshot.snapshot_id, [])))
        services.snapshot_kept(snapshot, why)
        local = snapshot.local_time
        if why:
            progress.log(f"keep   {snapshot.short_id} {local:%Y-%m-%d %H:%M}: {', '.join(why)}")
        elif snapshot.snapshot_id in plan.removable:
            progress.log(f"forget {snapshot.short_id} {local:%Y-%m-%d %H:%M}")
            remove.append(snapshot.snapshot_id)
        else:
            progress.warn(f"leave  {snapshot.short_id} {local:%Y-%m-%d %H:%M}: restic did not speak of it")
    return remove


def _forget(access: restic.Access, ids: list[str], progress: Progress) -> None:
    """Remove exactly these, then the data that no snapshot needs any more."""
    for begin in range(0, len(ids), _PORTION):
        portion = ids[begin : begin + _PORTION]
        # Another portal may have removed one before us. What cannot be read, the next list tells.
        with suppress(restic.UnreadableSnapshots):
            restic.call(
                access,
                restic.forget_args(portion, prune=begin + _PORTION >= len(ids)),
                doing="forgetting snapshots",
                tick=progress.tick,
            )
