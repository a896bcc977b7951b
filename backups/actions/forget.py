"""Retention: forget what the policy no longer keeps, but never the newest or the newest verified.

Nor, for a while, what was saved before a restore, nor what a restore or a verification is to take. The
plan is ours (`retention.plan`), and restic is given ids: its own would count two databases that came
under one tag as one series, and a safety copy as a day's backup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from backups import restic
from backups.actions import portal_copy
from backups.actions.steps import alone, follow_ups
from backups.actions.steps.disk import note_disk
from backups.actions.steps.one_list import left_by_backup, told_by_files
from backups.actions.steps.opening import opened
from backups.actions.steps.snapshot_list import Listing, brought, note_size, size_is_due
from backups.catalog import portal_copies, records, series
from backups.choices import StandDownKind, SuspicionState
from backups.models import Run, Snapshot
from backups.requests.retention_plan import DatabasePlan, plan_of_repository
from backups.runs import notes
from backups.runs.outcome import CallsForMore, FollowUp, Outcome
from backups.runs.progress import Progress
from backups.shipping import retention as log_pieces
from backups.snapshots import holds
from backups.text.sentences import joined, phrase, plural

# restic's argument list has its limits; a prune follows the last portion only.
_PORTION = 500


def run(run: Run, progress: Progress) -> Outcome:
    """Forget for the run's database, or for all of its repository's. Raises Problem."""
    progress.phase("plan")
    following = tuple(follow_ups.at_night(run))
    if settings.BACKUP_KEEP_ALL:
        return _nothing(run, following, progress)
    access = opened(run, progress)
    listing = left_by_backup(run) or _listed_at_night(run, access, progress)
    plans, there = _plans(run, listing, progress)
    remove = [each for plan in plans for each in plan.plan.forget]
    # Each night is often enough, and each forget that follows a backup would plan the same again.
    is_night = run.database is None
    copies = portal_copy.superfluous(run.repository, listing.found, progress) if is_night else []
    pieces = _pieces(run, listing, progress) if is_night else []
    progress.phase("forget")
    gone = _forget(run, access, [*remove, *copies, *pieces], listing, progress)
    log_pieces.note_forgotten(run.repository, gone.intersection(pieces))
    remove = [each for each in remove if each in gone]
    copies = [each for each in copies if each in gone]
    was_pruned = (remove or copies or pieces) and listing.unreadable is None
    if was_pruned and size_is_due(run, is_night=is_night):
        note_size(run, access, progress)
    if is_night:
        note_disk(run)
        _learn_key(access, progress)
    waiting = [str(plan.database) for plan in plans if plan.waits]
    all_wait = bool(plans) and len(waiting) == len(plans)
    sentence = forgotten_words(len(remove), there - len(remove), waiting, all_wait=all_wait)
    progress.log(sentence)
    told = {
        "forgotten": remove,
        "kept": there - len(remove),
        "copies_forgotten": len(copies),
        "pieces_forgotten": len(gone.intersection(pieces)),
    }
    notes.run_update(run.pk, result={"sentence": sentence, **told})
    _tell_failed(plans, listing, sentence, following)
    return Outcome(following)


def _listed_at_night(run: Run, access: restic.Access, progress: Progress) -> Listing:
    """All snapshots: of a whole repository by a folder's files, where these say enough."""
    if run.database is None and (listing := told_by_files(run, access, progress)) is not None:
        return listing
    listing = brought(run.repository, access, progress)
    portal_copies.note_listed(run.repository, listing.found)
    return listing


def _pieces(run: Run, listing: Listing, progress: Progress) -> list[str]:
    """Pieces of logs that no moment is restored by any more, of a list that is of all."""
    if listing.unreadable is not None:
        return []
    pieces = log_pieces.superfluous(run.repository, listing.found)
    if pieces:
        progress.log(
            plural("forget {n} piece of a log", "forget {n} pieces of logs", n=len(pieces)),
        )
    return pieces


def _learn_key(access: restic.Access, progress: Progress) -> None:
    """Which key opens the repository, so that all that is done until the next night opens it at once."""
    try:
        news = restic.learn_key(access, tick=progress.tick)
    except restic.ResticError as error:
        news = phrase("Which key the password opens is not known. {sentence}", sentence=error.sentence())
    if news:
        progress.log(news)


def _plans(run: Run, listing: Listing, progress: Progress) -> tuple[list[DatabasePlan], int]:
    """The plan of each database, told, and how many snapshots there are; what stays has its reasons noted."""
    plans: list[DatabasePlan] = []
    there = 0
    noted: dict[tuple[str, ...], list[int]] = {}
    for plan in plan_of_repository(
        run.repository,
        timezone.now(),
        databases=[run.database] if run.database else None,
        unreadable=listing.unreadable.ids if listing.unreadable else (),
        tick=progress.tick,
    ):
        # Of thousands of databases the rows would not have room.
        plans.append(replace(plan, read=None))
        there += plan.count
        if nothing := plan.waits or plan.failed:
            progress.warn(nothing)
            continue
        if plan.stays:
            progress.log(plan.stays)
            continue
        _tell(plan, progress)
        for reasons, key in _news(plan):
            noted.setdefault(reasons, []).append(key)
        for words in series.undecided_words(plan.database, {each.host for each in plan.snapshots}):
            progress.warn(words)
    records.snapshots_kept(noted)
    return plans, there


def _news(plan: DatabasePlan) -> Iterator[tuple[tuple[str, ...], int]]:
    """Why snapshots are kept of which the portal's list says something else, with their keys."""
    for snapshot in plan.snapshots:
        why = plan.plan.keep.get(snapshot.snapshot_id, ())
        if snapshot.kept_because != list(why):
            yield tuple(why), snapshot.pk


def _tell_failed(
    plans: Sequence[DatabasePlan], listing: Listing, sentence: str, following: tuple[FollowUp, ...]
) -> None:
    """Raise what kept a database from being planned, now that all others are done."""
    failed = [plan.failed for plan in plans if plan.failed]
    unreadable = listing.unreadable
    if unreadable is not None:
        raise CallsForMore(
            joined([unreadable.what, *failed]),
            *following,
            code=unreadable.code,
            safe=phrase("All else was done: {sentence}", sentence=sentence),
            do=unreadable.do,
        )
    if failed:
        raise CallsForMore(
            joined(failed),
            *following,
            code="forget.not_planned",
            safe=phrase("All else was done: {sentence}", sentence=sentence),
            do=phrase("See the worker's log, and report it."),
        )


def _nothing(run: Run, following: tuple[FollowUp, ...], progress: Progress) -> Outcome:
    if run.database is None:
        note_disk(run)
    sentence = phrase("Nothing is forgotten, as BACKUP_KEEP_ALL says.")
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence, "forgotten": []})
    return Outcome(following)


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


def _without_those_that_wait_by_now(remove: list[str], run: Run, progress: Progress) -> list[str]:
    """A backup that ended while this was planned may be suspicious."""
    late = run.repository.snapshots.filter(
        snapshot_id__in=remove, database__suspicions__state=SuspicionState.WAITING
    )
    return _without(
        remove,
        late,
        lambda n: plural(
            "{n} snapshot stays, because a backup that was just made is suspicious.",
            "{n} snapshots stay, because a backup that was just made is suspicious.",
            n=n,
        ),
        progress,
    )


def _without_those_retired_by_now(remove: list[str], run: Run, progress: Progress) -> list[str]:
    """Of a database that was retired while this was planned nothing goes any more."""
    retired = run.repository.snapshots.filter(
        snapshot_id__in=remove,
        database__stand_downs__kind=StandDownKind.RETIREMENT,
        database__stand_downs__ended_at=None,
    )
    return _without(
        remove,
        retired,
        lambda n: plural(
            "{n} snapshot stays, because its database was just retired.",
            "{n} snapshots stay, because their database was just retired.",
            n=n,
        ),
        progress,
    )


def _without(
    remove: list[str], spared: QuerySet[Snapshot], words: Callable[[int], str], progress: Progress
) -> list[str]:
    """The ids that are not spared; of how many are, `words` says why."""
    ids = set(spared.values_list("snapshot_id", flat=True))
    if ids:
        progress.warn(words(len(ids)))
    return [each for each in remove if each not in ids]


def _tell(plan: DatabasePlan, progress: Progress) -> None:
    """Write down what is kept of a database and why, and what goes."""
    for snapshot in plan.snapshots:
        progress.tick()
        why = plan.plan.keep.get(snapshot.snapshot_id, ())
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


def _not_wanted_meanwhile(run: Run, ids: list[str], progress: Progress) -> list[str]:
    """The ids without those that somebody pinned or wants to restore or verify since the plan was made."""
    planned = Snapshot.objects.filter(repository=run.repository, snapshot_id__in=ids).defer("manifest")
    wanted = dict(holds.asked_for_by_now(planned, timezone.now()))
    for snapshot, reason in wanted.items():
        progress.log(
            phrase("keep   {snapshot} after all: {reason}", snapshot=snapshot.short_id, reason=reason)
        )
    spared = {snapshot.snapshot_id for snapshot in wanted}
    return [each for each in ids if each not in spared]


class _NothingLeft(Exception):
    """All that was to go is wanted by now."""


@dataclass
class _Portion:
    """Ids that go with one restic, without those that somebody came to want before it begins."""

    run: Run
    ids: list[str]
    is_pruned: bool
    progress: Progress

    def command(self) -> restic.Command:
        """What restic is told now. Raises _NothingLeft: without any id restic would do something else."""
        self.ids = _not_wanted_meanwhile(self.run, self.ids, self.progress)
        self.ids = _without_those_that_wait_by_now(self.ids, self.run, self.progress)
        self.ids = _without_those_retired_by_now(self.ids, self.run, self.progress)
        if not self.ids:
            raise _NothingLeft
        return restic.Command(
            restic.forget_args(self.ids, prune=self.is_pruned), phrase("forgetting snapshots")
        )


def _forget(
    run: Run, access: restic.Access, ids: Sequence[str], listing: Listing, progress: Progress
) -> set[str]:
    """Remove these but for what is wanted by now, then the data that no snapshot needs any more.

    Answers which went; the list follows.
    """
    unreadable = set(listing.unreadable.ids if listing.unreadable else ())
    is_to_be_read = False
    gone: set[str] = set()
    for ids_of_one, is_last in _portions(ids):
        # A prune reads all snapshots, and would end at one that cannot be read.
        portion = _Portion(run, list(ids_of_one), is_last and not unreadable, progress)
        try:
            alone.call(run, access, portion.command, progress)
        except _NothingLeft:
            continue
        except restic.UnreadableSnapshots as error:
            gone.update(portion.ids)
            if not unreadable.issuperset(error.ids):
                is_to_be_read = True  # another portal may have removed one before us
                continue
        gone.update(portion.ids)
        records.snapshots_forgotten(run.repository, portion.ids)
    if is_to_be_read:
        brought(run.repository, access, progress)
    return gone


def _portions(ids: Sequence[str]) -> Iterator[tuple[Sequence[str], bool]]:
    """As many ids as one restic takes, and whether they are the last."""
    for begin in range(0, len(ids), _PORTION):
        yield ids[begin : begin + _PORTION], begin + _PORTION >= len(ids)
