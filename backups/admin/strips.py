"""A database's last weeks, a day at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from backups.admin.filters import start_of
from backups.choices import Action, Status
from backups.models import Database, Repository, Run
from backups.models.as_stored import moment
from backups.scheduling import left_out, schedules
from backups.scheduling.planned import planned_times
from backups.text import formatting
from backups.text.sentences import joined, phrase, template

DAYS = 30
# Of each database: thirty days of a backup every ten minutes.
MOST_RECENT = 5000

# Whose it is, when it ended, and what it took.
Point = tuple[int, datetime, float]


@dataclass(frozen=True)
class Day:
    """A cell of a strip."""

    day: date
    colour: str
    title: str
    href: str
    is_missed: bool = False


class Recent(NamedTuple):
    """A backup of the days that are shown."""

    database_id: int | None
    status: str
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    size: int | None
    packed: int | None
    raw: int | None

    @property
    def seconds(self) -> float:
        """How long it took."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def added(self) -> int:
        """What it added to the repository, compressed where restic said so."""
        return (self.raw if self.packed is None else self.packed) or 0

    def point(self, value: float | None) -> Point:
        """A point of a chart."""
        return self.database_id or 0, self.queued_at, value or 0.0


def strips_of(
    databases: Iterable[Database],
    recent: Iterable[Recent],
    now: datetime,
    unasked: Collection[tuple[int, date]] = (),
) -> dict[int, list[Day]]:
    """Thirty days of backups for each database, today last; on days that are `unasked` none was missed."""
    days = last_days(now)
    runs_url = reverse("admin:backups_run_changelist")
    counts: dict[tuple[int | None, date], Counter[str]] = defaultdict(Counter)
    for run in recent:
        counts[run.database_id, timezone.localtime(run.queued_at).date()][run.status] += 1
    return {
        database.pk: [
            _day(
                f"{runs_url}?database__id__exact={database.pk}",
                day,
                counts.get((database.pk, day), Counter()),
                is_due=(database.pk, day) not in unasked
                and _was_set_up(database, day)
                and day < days[-1]
                and schedules.is_due_on(database.backup_cron, day),
            )
            for day in days
        ]
        for database in databases
    }


def left_out_days(databases: Sequence[Database], now: datetime) -> set[tuple[int, date]]:
    """The days of these weeks of which each planned time came while its database was paused or retired."""
    days, crons = last_days(now), {each.pk: each.backup_cron for each in databases}
    begin, end = start_of(days[0]), start_of(days[-1] + timedelta(days=1))
    found = set()
    for pk, spans in left_out.spans(begin, end, databases).items():
        cron = schedules.usable(crons[pk])
        times = (planned_times(cron, begin, end) if cron else None) or ()
        passed_over = left_out.passed_over(times, spans)
        asked = {timezone.localdate(time) for time in times if time not in passed_over}
        found |= {(pk, day) for day in days if day not in asked}
    return found


def strip_of_repository(repository: Repository, now: datetime) -> list[Day]:
    """Thirty days of all that was done in a repository, backups of all its databases above all."""
    days = last_days(now)
    runs = Run.objects.filter(repository=repository, queued_at__gte=start_of(days[0]))
    counts: dict[date, Counter[str]] = defaultdict(Counter)
    for at, status in runs.order_by("-queued_at").values_list("queued_at", "status")[:_MOST_OF_A_REPOSITORY]:
        counts[timezone.localtime(at).date()][status] += 1
    runs_url = f"{reverse('admin:backups_run_changelist')}?repository__id__exact={repository.pk}"
    return [_day(runs_url, day, counts.get(day, Counter()), is_due=False, of=_RUNS) for day in days]


# Thirty nights of two hundred databases, twice a day, with what follows.
_MOST_OF_A_REPOSITORY = 20_000


_IN_WORDS = template("The last {days} days: {good} good, {bad} with failures")


def strip_words(strip: Sequence[Day], words: str = _IN_WORDS) -> str:
    """A strip for who does not see it."""
    good = sum(day.colour == "success" for day in strip)
    missed = sum(day.is_missed for day in strip)
    bad = sum(day.colour in {"warning", "danger"} for day in strip) - missed
    sentence = phrase(words, days=len(strip), good=good, bad=bad)
    if not missed:
        return sentence
    return phrase("{sentence}, {missed} without the backup that was due", sentence=sentence, missed=missed)


def _was_set_up(database: Any, day: date) -> bool:
    """Whether this day came after that of its first run: nothing was due before."""
    first = moment(database.first_run_at)
    return first is not None and timezone.localtime(first).date() < day


def last_days(now: datetime) -> list[date]:
    """The days that a strip shows, oldest first."""
    today = timezone.localtime(now).date()
    return [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]


def recent_runs(databases: Sequence[Database], now: datetime) -> list[Recent]:
    """The backups of these days, newest first.

    Counted in Python and not filtered by status, and by action so that no index fits: without statistics
    SQLite would choose one that makes it read all of the history.
    """
    return _recent(Q(database__in=databases), now, MOST_RECENT * len(databases))


def recent_of(repository: Repository, now: datetime) -> list[Recent]:
    """The same of all that is backed up to a repository."""
    return _recent(Q(repository=repository), now, _MOST_OF_A_REPOSITORY)


def _recent(whose: Q, now: datetime, most: int) -> list[Recent]:
    rows = (
        Run.objects.alias(what=Lower("action"))
        .filter(whose, what=Action.BACKUP, queued_at__gte=start_of(last_days(now)[0]))
        .order_by("-queued_at")
        .values_list(
            "database_id", "status", "queued_at", "started_at", "finished_at",
            "snapshot__total_bytes_processed", "snapshot__data_added_packed", "snapshot__data_added",
        )[:most]
    )  # fmt: skip
    return [Recent(*row) for row in rows]


_BACKUPS, _RUNS = phrase("no backup"), phrase("nothing was done")


def _day(runs_url: str, day: date, counts: Mapping[str, int], *, is_due: bool, of: str = _BACKUPS) -> Day:
    good = counts.get(Status.SUCCEEDED, 0)
    bad = sum(counts.get(status, 0) for status in (Status.FAILED, Status.LOST))
    cancelled = counts.get(Status.CANCELLED, 0)
    if bad:
        colour = "warning" if good else "danger"
    elif good:
        colour = "success"
    else:
        colour = "warning" if cancelled else "plain"
    # Whatever kept the schedule from firing left no run that tells of it.
    is_missed = is_due and not counts
    nothing = phrase("no backup, though the schedule asks for one") if is_missed else of
    parts = [
        phrase("{count} good", count=good) if good else "",
        phrase("{count} failed", count=bad) if bad else "",
        phrase("{count} cancelled", count=cancelled) if cancelled else "",
    ]
    told = joined(filter(None, parts), ", ") or nothing
    href = f"{runs_url}&queued_at_from={day:%Y-%m-%d}&queued_at_to={day:%Y-%m-%d}"
    return Day(
        day,
        "danger" if is_missed else colour,
        phrase("{day}: {backups}", day=formatting.day(day), backups=told),
        href if counts else "",
        is_missed,
    )
