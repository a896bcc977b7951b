"""The schedules that should be, as data; `schedules_sync` makes django-q2's table say so.

django-q2 and croniter are loaded where they are called: most commands call neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from backups.models import Database, Repository
from backups.text import checked
from backups.text.sentences import phrase, template

if TYPE_CHECKING:
    from django_q.models import Schedule

# Schedules with other names are not ours to change.
PREFIX = "vedetta "
# Snapshots may come and go without us: others use the repository too.
_SNAPSHOTS_CRON = "17 4 * * *"
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_YEAR = 366 * _DAY
_GAPS_MEASURED = 3000
# Planned times of these become runs by `due`, and no message tells of them.
BECOME_RUNS = ("backup", "verify")
# Each database may have two of its own.
CRONS_KEPT = 10_000


@dataclass(frozen=True)
class Wanted:
    """A schedule as it should be. Without `cron` it is due every minute."""

    name: str
    func: str
    args: str = ""
    cron: str = ""
    cluster: str | None = None


def wanted() -> Iterator[Wanted]:
    """Every schedule of the portal: backups, verifications, lists of snapshots, each cluster's tending."""
    for database in Database.objects.in_service().order_by("pk"):
        for verb in ("backup", "verify"):
            if cron := usable(getattr(database, f"{verb}_cron")):
                yield Wanted(
                    name=name_of(verb, database.pk),
                    func=f"backups.tasks.{verb}_due",
                    args=f"({database.pk},)",
                    cron=cron,
                )
    for repository in Repository.objects.order_by("pk"):
        yield Wanted(
            name=name_of("snapshots", repository.pk),
            func="backups.tasks.snapshots_due",
            args=f"({repository.pk},)",
            cron=_SNAPSHOTS_CRON,
        )
    for cluster in (None, settings.RESTORES_CLUSTER):
        yield Wanted(
            name=f"{PREFIX}tend {cluster or 'default'}",
            func="backups.tasks.tend_runs",
            cluster=cluster,
        )


def name_of(verb: str, pk: int) -> str:
    """What the schedule is called that does something with a database or a repository."""
    return f"{PREFIX}{verb} {pk}"


def in_words(name: str) -> str:
    """What a schedule of ours does, for a person; other names as they are."""
    verb, _, of = name.removeprefix(PREFIX).partition(" ")
    if not name.startswith(PREFIX) or verb not in _WORDS:
        return name
    model = Repository if verb == "snapshots" else Database
    if verb != "tend":
        number = checked.row_number(of)
        found = None if number is None else model.objects.filter(pk=number).first()
        of = str(
            found
            or phrase("{verbose_name} {of}, which is gone", verbose_name=model._meta.verbose_name, of=of)
        )
    return phrase(_WORDS[verb], name=of)


_WORDS = {
    "backup": template("Backup of {name}"),
    "verify": template("Verification of {name}"),
    "snapshots": template("Look for new snapshots in {name}"),
    "tend": template("Clear up after dead runs (worker {name})"),
}


@transaction.atomic
def schedules_sync() -> None:
    """Insert, change and remove our schedules. One that is as it should be keeps its next time."""
    from django_q.models import Schedule

    known: dict[str, Schedule] = {}
    for schedule in Schedule.objects.select_for_update().filter(name__startswith=PREFIX):
        if schedule.name in known:
            schedule.delete()
        else:
            known[schedule.name] = schedule
    for want in wanted():
        _upsert(known.pop(want.name, None), want)
    for unwanted in known.values():
        unwanted.delete()


@dataclass(frozen=True)
class Due:
    """A planned time of a database's that has come."""

    schedule: int
    name: str
    verb: str
    database: int
    slot: datetime


def due(now: datetime | None = None) -> list[Due]:
    """The backups and verifications whose time has come, each with the time that was planned.

    That is in the schedule's row, so that it is the same whoever looks, and whichever clock they go by.
    """
    from django_q.models import Schedule

    ours = Schedule.objects.filter(ours_alone(), next_run__lte=now or timezone.now())
    found = []
    for schedule in ours.order_by("next_run", "pk"):
        verb, pk = verb_and_pk(schedule)
        if usable(schedule.cron) and pk:
            found.append(Due(schedule.pk, schedule.name, verb, pk, schedule.next_run))
    return found


def pass_on(one: Due, now: datetime | None = None) -> bool:
    """Plan the schedule's next time, after all that was missed; False where somebody else has done so."""
    from django_q.models import Schedule

    row = Schedule.objects.filter(pk=one.schedule, next_run=one.slot)
    cron = row.values_list("cron", flat=True).first()
    if not cron:
        return False
    following = next_times(cron, 1, after=max(now or timezone.now(), one.slot))[0]
    return bool(row.update(next_run=following.astimezone(UTC)))


def ours_alone() -> Q:
    """The schedules of which planned times become runs, by `due`."""
    named = Q()
    for verb in BECOME_RUNS:
        named |= Q(name__startswith=f"{PREFIX}{verb} ")
    return named


def verb_and_pk(schedule: Schedule) -> tuple[str, int]:
    """What a schedule of ours does and with which row, 0 where its name tells of none."""
    verb, _, of = schedule.name.removeprefix(PREFIX).partition(" ")
    return verb, int(of) if of.isdecimal() else 0


def next_times(cron: str, count: int, *, after: datetime | None = None) -> list[datetime]:
    """When a cron expression is due next, in TIME_ZONE. Raises ValueError for a wrong one.

    In autumn an hour comes twice: an expression that names hours is due in the first alone, one
    for every hour in both. In spring what is due in the hour left out is due right after it.
    """
    return list(islice(_times(cron, after or timezone.now()), count))


def all_times(cron: str, *, after: datetime) -> Iterator[datetime]:
    """The same, without an end."""
    return _times(cron, after)


def last_time(cron: str, now: datetime) -> datetime:
    """When a cron expression was due last by TIME_ZONE's clock, `now` included. Raises ValueError.

    In UTC, for Python takes a time in an hour that comes twice to equal none elsewhere.
    """
    from croniter import croniter

    now = now.astimezone(UTC)
    backwards = croniter(checked.Cron(cron), (now + _SECOND).astimezone(ZoneInfo(settings.TIME_ZONE)))
    # What is left out of an hour that comes twice only the way forward knows.
    start: datetime = [backwards.get_prev(datetime) for _ in range(3)][-1]
    return list(takewhile(lambda time: time <= now, _times(cron, start - _SECOND)))[-1].astimezone(UTC)


@lru_cache(maxsize=CRONS_KEPT)
def usable(cron: str) -> str:
    """A row's cron expression, empty where it is none: then nothing comes due, as where there is none.

    Forms take no such text; another schedule must not wait for it.
    """
    try:
        return str(checked.Cron(cron))
    except checked.Unfit:
        return ""


def is_due_on(cron: str, day: date) -> bool:
    """Whether a row's cron expression, which may be empty, names a time of this day, in TIME_ZONE."""
    return bool(usable(cron)) and _is_due_on(cron, day)


@lru_cache(maxsize=5000)
def _is_due_on(cron: str, day: date) -> bool:
    start = datetime.combine(day, datetime.min.time(), ZoneInfo(settings.TIME_ZONE))
    return next_times(cron, 1, after=start - _SECOND)[0].date() == day


def longest_gap(cron: str, *, after: datetime | None = None) -> timedelta:
    """The longest time between two times at which a cron expression is due, within the next year.

    Of expressions with very many times within the next 3,000. Raises ValueError for a wrong one.
    """
    return _longest_gap(cron, _today(after))


def longest_age(made: str, proved: str, *, after: datetime | None = None) -> timedelta:
    """How old what `made` makes is at most when `proved` comes again, having taken the newest of it.

    Both are cron expressions; otherwise as `longest_gap`.
    """
    return _longest_age(made, proved, _today(after))


@lru_cache(maxsize=CRONS_KEPT)
def _longest_age(made: str, proved: str, start: datetime) -> timedelta:
    from croniter import croniter

    longest = timedelta()
    for first, second in islice(pairwise(_times(proved, start)), _GAPS_MEASURED):
        if longest and first > start + _YEAR:
            break
        newest = croniter(checked.Cron(made), first + _SECOND).get_prev(datetime)
        longest = max(longest, second.astimezone(UTC) - newest.astimezone(UTC))
    return longest


@lru_cache(maxsize=CRONS_KEPT)
def _longest_gap(cron: str, start: datetime) -> timedelta:
    longest = timedelta()
    for begin, end in _parts_that_differ(cron, start):
        for first, second in islice(pairwise(_times(cron, begin)), _GAPS_MEASURED):
            if longest and first > end:
                break
            # In UTC, for within one zone Python counts the hours that the clock on the wall shows.
            longest = max(longest, second.astimezone(UTC) - first.astimezone(UTC))
    return longest


def _parts_that_differ(cron: str, start: datetime) -> list[tuple[datetime, datetime]]:
    """Of the next year what is to be looked at: of a schedule that is each day's, one that stands for all.

    And those around which the clock is changed. With a schedule of its own for each of thousands of
    databases, all days of the year would take minutes.
    """
    if cron.split()[2:] != ["*", "*", "*"]:
        return [(start, start + _YEAR)]
    return [(day - _DAY, day + 2 * _DAY) for day in (start + _DAY, *_clock_changes(start))]


@lru_cache(maxsize=4)
def _clock_changes(start: datetime) -> tuple[datetime, ...]:
    """The days of the next year that are longer or shorter than others, `start` being a midnight."""
    days = [start + number * _DAY for number in range(_YEAR // _DAY + 1)]
    return tuple(day for day, next_day in pairwise(days) if day.utcoffset() != next_day.utcoffset())


def _today(now: datetime | None) -> datetime:
    """By the day, so that pages that ask every few seconds are answered from memory."""
    return _midnight_before(now or timezone.now(), settings.TIME_ZONE)


# Of thousands of schedules it is asked at one moment.
@lru_cache(maxsize=16)
def _midnight_before(now: datetime, zone: str) -> datetime:
    return now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)


def _times(cron: str, after: datetime) -> Iterator[datetime]:
    from croniter import croniter

    times = croniter(checked.Cron(cron), after.astimezone(ZoneInfo(settings.TIME_ZONE)))
    every_hour = times.expanded[1] == ["*"]
    while True:
        time = times.get_next(datetime)
        if every_hour or not time.fold:
            yield time


def _upsert(schedule: Schedule | None, want: Wanted) -> None:
    from django_q.models import Schedule

    rhythm = {
        "cron": want.cron or None,
        "schedule_type": Schedule.CRON if want.cron else Schedule.MINUTES,
        "minutes": None if want.cron else 1,
    }
    verb = want.name.removeprefix(PREFIX).partition(" ")[0]
    others: dict[str, object] = {"func": want.func, "args": want.args or None, "cluster": want.cluster}
    if verb not in BECOME_RUNS:
        others["repeats"] = -1  # of the rest `schedules_keep` says it: the worker may be an older one
    if schedule is None:
        schedule = Schedule(name=want.name, next_run=None)
    if schedule.next_run is None or _differs(schedule, rhythm):
        schedule.next_run = next_times(want.cron, 1)[0] if want.cron else timezone.now()
    elif not _differs(schedule, others):
        return
    for name, value in {**rhythm, **others}.items():
        setattr(schedule, name, value)
    schedule.save()


def _differs(schedule: Schedule, fields: Mapping[str, object]) -> bool:
    return any(getattr(schedule, name) != value for name, value in fields.items())
