"""What keeps snapshots whatever a policy says: each hold finds some among rows, with a sentence why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from backups.choices import ACTIVE, SUSPICION_KEPT, TERMINAL, TEST_RESTORES, Action, Status, SuspicionState
from backups.dumpfile.log_positions import How
from backups.models import Database, Pin, Restore, Run, Snapshot, SnapshotQuerySet, Suspicion
from backups.moments import bases as moments
from backups.snapshots import last_copies, selection
from backups.snapshots.retention import ROWS_KEPT, SAFETY_KEPT
from backups.text.sentences import phrase, template

NEWEST = phrase("newest snapshot, kept whatever the policy says")
# With a clock that was set back, the last one made is not the newest.
MADE_LAST = phrase("made last, kept whatever its time says")
NEWEST_NOT_BAD = phrase("newest snapshot that is not known to be bad, kept whatever the policy says")
NEWEST_VERIFIED = phrase("newest verified snapshot, kept whatever the policy says")
BASE_OF_LOG = phrase("base of the log: what is stored of it is replayed on no older snapshot")
BEGINS_MOMENTS = template(
    "base of the log: without it no moment from {begins} to the next base could be restored"
)
# What a restore overwrote is nowhere else, and one that failed is to be begun again.
SAFETY = template("safety snapshot of restore {restore}, kept for 30 days after it whatever the policy says")
STANDS = template(
    "safety snapshot of restore {restore}, kept as long as restore {newer} after it can be undone"
)
SAVED = phrase("safety snapshot of a restore, kept for 30 days whatever the policy says")
WANTED = template("wanted snapshot of {run}, which is {status}, kept whatever the policy says")
WANTED_AGAIN = template(
    "wanted snapshot of {run}, which {status}, kept for 30 days after it to be restored again"
)
KEEPS_ROWS = template("wanted snapshot of {run}, whose rows are kept for a day to be given back")
PINNED = template("pinned snapshot, by {person}: {reason}")
PINNED_UNTIL = template("pinned snapshot until {until}, by {person}: {reason}")
TO_BE_PINNED = template("pinned snapshot as soon as {run} is done, which made it")
LAST_COPY = template("last copy of a table: {tables} in no newer snapshot, kept until {until}")
BEFORE_SUSPICIOUS = template("before a suspicious one: {snapshot}, kept until somebody says that it is right")
BEFORE_SUSPICIOUS_UNTIL = template(
    "before a suspicious one: {snapshot}, which nobody said to be right, kept until {until}"
)
_TABLES_NAMED = 5
# Of a single one nothing newer tells what is gone.
_FEWEST_WITH_A_NEWER_ONE = 2

Held: TypeAlias = Iterator[tuple[Snapshot, str]]
Hold: TypeAlias = Callable[["Present", datetime], Held]


@dataclass(frozen=True)
class Present:
    """The snapshots of a row that are there, newest first, read once for all holds that look at them.

    `saved` are the keys of those that were saved before a restore, and `rows` finds the same ones again.
    `may_be_suspicious` is false where it is known that nobody has to say anything of their database, and
    `may_have_log` where it is known that its binary log is not stored.
    """

    snapshots: Sequence[Snapshot]
    saved: Set[int]
    rows: SnapshotQuerySet
    may_be_suspicious: bool = True
    may_have_log: bool = True

    def backups(self) -> list[Snapshot]:
        """These without what was saved before restores."""
        return [each for each in self.snapshots if each.pk not in self.saved]


def present_of(rows: SnapshotQuerySet) -> Present:
    """Read the snapshots that `rows` finds, without their manifests."""
    snapshots = list(rows.order_by("-time", "-pk").defer("manifest"))
    return Present(snapshots, selection.safety_copies(rows, among=snapshots), rows)


def held(
    present: Present, now: datetime, asked_for: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[str]]:
    """Of the snapshots of a row that are there, the ids of those that are held, each with its reasons.

    `asked_for` is what was read already of who wants which, as `reasons` tells it.
    """
    asked = [(hold, of_one) for of_one in _apart(present) for hold in OF_EACH_DATABASE]
    found = reasons(each for hold, among in [*asked, (saved, present)] for each in hold(among, now))
    if asked_for is None:
        asked_for = reasons(asked_for_by_now(present.rows, now))
    for snapshot in present.snapshots:
        if snapshot.snapshot_id in asked_for:
            found.setdefault(snapshot.snapshot_id, []).extend(asked_for[snapshot.snapshot_id])
    return found


def asked_for_by_now(rows: SnapshotQuerySet, now: datetime) -> Held:
    """What a person or a run wants, and may have come to want since a forget made its plan."""
    yield from wanted(rows, now)
    yield from pinned(rows, now)


def reasons(held: Iterable[tuple[Snapshot, str]]) -> dict[str, list[str]]:
    """The same by the snapshots' ids."""
    found: dict[str, list[str]] = {}
    for snapshot, why in held:
        found.setdefault(snapshot.snapshot_id, []).append(why)
    return found


def _apart(present: Present) -> Iterator[Present]:
    """Those of each database that came under one row; what was not made here pushes nothing out that was."""
    groups: dict[str, dict[bool, list[Snapshot]]] = {}
    for snapshot in present.snapshots:
        of_one = groups.setdefault(snapshot.file_stem, {True: [], False: []})
        of_one[snapshot.made_here].append(snapshot)
    paths = {snapshot.path for snapshot in present.snapshots}
    # A server may take paths for one that differ in case alone.
    are_told_apart = len({path.casefold() for path in paths}) == len(paths)
    for of_one in groups.values():
        theirs = [each for group in of_one.values() for each in group]
        # By path where that will do: a series has one or two, and any number of snapshots.
        alike = (
            Q(path__in={each.path for each in theirs})
            if are_told_apart
            else Q(pk__in=[each.pk for each in theirs])
        )
        for made_here, group in of_one.items():
            if group:
                rows = present.rows.filter(alike, made_here=made_here)
                yield replace(present, snapshots=group, rows=rows)


def newest(present: Present, _now: datetime) -> Held:
    """The newest backup; of what was saved before restores only where there is nothing else."""
    if (found := _newest(present)) is not None:
        yield found, NEWEST


def newest_not_bad(present: Present, _now: datetime) -> Held:
    """The newest backup that is not known to be bad, where that is another one."""
    found = selection.latest_among([each for each in present.backups() if not each.is_known_bad])
    if found is not None and found != _newest(present):
        yield found, NEWEST_NOT_BAD


def made_last(present: Present, _now: datetime) -> Held:
    """The backup that a run of ours made last, where that is not the newest."""
    made = [each for each in present.backups() if each.made_by_id is not None]
    found = max(made, key=lambda each: each.made_by_id or 0, default=None)
    if found is not None and found != _newest(present):
        yield found, MADE_LAST


def newest_verified(present: Present, _now: datetime) -> Held:
    """The newest that is proved, a backup before what was saved before restores."""
    proved = [each for each in present.snapshots if each.verified_at is not None]
    backups = [each for each in proved if each.pk not in present.saved]
    found = selection.latest_among(backups) or selection.latest_among(proved)
    if found is not None:
        yield found, NEWEST_VERIFIED


def _newest(present: Present) -> Snapshot | None:
    return selection.latest_among(present.backups()) or selection.latest_among(present.snapshots)


def saved(present: Present, now: datetime) -> Held:
    """What was saved before a restore, counted from the restore's end where that is known."""
    if not present.saved:
        return
    since = now - SAFETY_KEPT
    known = set()
    restores = Restore.objects.filter(safety_snapshot__in=present.rows).select_related(
        "run", "safety_snapshot"
    )
    for restore in restores.defer("safety_snapshot__manifest"):
        if (snapshot := restore.safety_snapshot) is None:
            continue
        known.add(snapshot.pk)
        if restore.run.finished_at is None or restore.run.finished_at > since:
            yield snapshot, phrase(SAFETY, restore=restore.run_id)
    for snapshot in present.snapshots:
        if snapshot.pk in present.saved - known and snapshot.time > since:
            yield snapshot, SAVED


def wanted(rows: SnapshotQuerySet, now: datetime) -> Held:
    """What runs are to read that wait or run, and what a restore failed with, which is begun again."""
    reading = Run.objects.filter(
        action__in=[*TEST_RESTORES, Action.RESTORE, Action.DIFF, Action.ROWS_BACK], snapshot__in=rows
    )
    # Whose rows somebody may want back, or the whole table where they are too many.
    compared = reading.filter(action=Action.DIFF, finished_at__gt=now - ROWS_KEPT, result__has_key="kept")
    ended = reading.filter(action=Action.RESTORE, finished_at__gt=now - SAFETY_KEPT)
    for runs, words in (
        (reading.filter(status__in=ACTIVE), WANTED),
        (ended.filter(status__in=TERMINAL - {Status.SUCCEEDED}), WANTED_AGAIN),
        (compared, KEEPS_ROWS),
    ):
        for run in runs.select_related("snapshot").defer("snapshot__manifest"):
            if run.snapshot is not None:
                yield run.snapshot, _read_by(run, words)
    for run in Run.objects.filter(action=Action.DIFF, status__in=ACTIVE):
        until = run.request.get("until") if isinstance(run.request, dict) else None
        for snapshot in rows.filter(snapshot_id=until, database=run.database_id) if until else ():
            yield snapshot, _read_by(run, WANTED)


def _read_by(run: Run, words: str) -> str:
    return phrase(words, run=str(run).lower(), status=run.get_status_display().lower())


def pinned(rows: SnapshotQuerySet, now: datetime) -> Held:
    """What a person said is to stay, and what a backup that is to be pinned has stored but not noted yet."""
    standing = Pin.objects.standing(now).filter(snapshot__in=rows)
    for pin in standing.select_related("snapshot").defer("snapshot__manifest"):
        yield pin.snapshot, pin_words(pin)
    making = Run.objects.filter(action=Action.BACKUP, status=Status.RUNNING, request__pin__isnull=False)
    for run in making.exclude(started_at=None):
        since = (run.started_at or now) - selection.CLOCKS_DIFFER
        for snapshot in rows.filter(database=run.database_id, made_by=None, time__gte=since):
            yield snapshot, phrase(TO_BE_PINNED, run=str(run).lower())


def pin_words(pin: Pin) -> str:
    """Who wants it kept, why, and until when."""
    if pin.until is None:
        return phrase(PINNED, person=pin.made_by, reason=pin.reason)
    return phrase(PINNED_UNTIL, person=pin.made_by, reason=pin.reason, until=f"{pin.until:%Y-%m-%d}")


def with_last_copies(present: Present, now: datetime) -> Held:
    """What alone still has a table's rows, for RETENTION_OBJECT_DAYS."""
    if not settings.RETENTION_OBJECT_DAYS or len(present.snapshots) < _FEWEST_WITH_A_NEWER_ONE:
        return
    found = last_copies.last_copies(present.rows, now)
    for snapshot in present.snapshots:
        if snapshot.pk not in found:
            continue
        until = last_copies.kept_until(snapshot)
        if now < until:
            yield snapshot, phrase(LAST_COPY, tables=_named(found[snapshot.pk]), until=_local(until))


def _named(tables: Sequence[str]) -> str:
    return ", ".join(tables[:_TABLES_NAMED]) + (" …" if len(tables) > _TABLES_NAMED else "")


def _local(time: datetime) -> str:
    return f"{timezone.localtime(time):%Y-%m-%d %H:%M}"


def doubted() -> QuerySet[Suspicion]:
    """The suspicions of which nobody said that the backup is right."""
    return Suspicion.objects.exclude(state=SuspicionState.ACCEPTED)


def before_suspicious(present: Present, now: datetime) -> Held:
    """The newest before one that suddenly held nothing: what it had may be wanted once that is noticed."""
    if not present.may_be_suspicious:
        return
    any_of_them = present.snapshots[0]
    suspicious = doubted().filter(database=any_of_them.database_id)
    for suspicion in suspicious.select_related("snapshot").defer("snapshot__manifest"):
        found, until = suspicion.snapshot, suspicion.found_at + SUSPICION_KEPT
        waits = suspicion.state == SuspicionState.WAITING
        is_theirs = (found.file_stem, found.made_here) == (any_of_them.file_stem, any_of_them.made_here)
        if not is_theirs or (until <= now and not waits):
            continue
        before = selection.latest_of(selection.backups_of(present.rows.trusted().filter(time__lt=found.time)))
        if before is not None:
            words = BEFORE_SUSPICIOUS if waits else BEFORE_SUSPICIOUS_UNTIL
            yield (
                before,
                phrase(words, snapshot=found.short_id, until=_local(until)),
            )


def base_of_log(present: Present, _now: datetime) -> Held:
    """The newest at which a stored log can be replayed: without it no moment since can be had."""
    if not present.may_have_log:
        return
    # Each way to have one; to Django, `exact` would be a lookup.
    exact = present.rows.made_here().not_known_bad().filter(manifest__log__how__in=[*map(str, How)])
    found = exact.filter(database__log_archive__isnull=False).newest_first().defer("manifest").first()
    if found is not None:
        yield found, BASE_OF_LOG


def begins_moments(present: Present, now: datetime) -> Held:
    """What alone leads to the moments behind a break of a stored log, as long as that log is kept."""
    if not present.may_have_log:
        return
    there = {snapshot.pk: snapshot for snapshot in present.snapshots}
    theirs = {each.database_id for each in present.snapshots if each.database_id is not None}
    logged = Database.objects.filter(pk__in=theirs, log_archive__isnull=False)
    for base in (base for database in logged for base in moments.needed(database, now)):
        if base.key in there:
            yield there[base.key], phrase(BEGINS_MOMENTS, begins=_local(base.time))


# Asked of each database by itself; the rest is asked of all that lies under one row.
OF_EACH_DATABASE: tuple[Hold, ...] = (
    newest, newest_not_bad, made_last, newest_verified, with_last_copies, before_suspicious, base_of_log,
    begins_moments,
)  # fmt: skip
