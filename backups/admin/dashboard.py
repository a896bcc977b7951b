"""The first page: could we restore, is the gate open, what runs, what needs a look."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from backups.admin import gate, live
from backups.admin.base import STATE_COLOURS, STATE_WORDS, Notice, may_start, notice_of
from backups.admin.filters import start_of
from backups.choices import ACTIVE, STATUS_COLOURS, Action, Status
from backups.models import Database, Repository, Run, Snapshot, Verification
from backups.reports import standing
from backups.reports.standing import Standing
from backups.scheduling import schedules
from backups.verdict import Finding, Overall, State

DAYS = 30
_ACTIVE_SHOWN = 8
# Of each database: thirty days of a backup every ten minutes.
_RECENT = 5000
_EVERY_BUSY, _EVERY_IDLE = 2, 15
# A chart's line for each database, in turn.
_LINES = (
    "var(--color-primary-600)",
    "var(--color-orange-500)",
    "var(--color-green-600)",
    "var(--color-red-500)",
)


@dataclass(frozen=True)
class Day:
    """A cell of a strip."""

    day: date
    colour: str
    title: str
    href: str
    is_missed: bool = False


@dataclass(frozen=True)
class Card:
    """How a database stands."""

    database: Database
    state: State
    good: Run | None
    snapshot: Snapshot | None
    proved: Snapshot | None
    next_backup: datetime | None
    next_verify: datetime | None
    notices: list[Notice]
    strip: list[Day]

    @property
    def colour(self) -> str:
        """How it stands, in colour."""
        return STATE_COLOURS[self.state]

    @property
    def word(self) -> str:
        """The same in words."""
        return STATE_WORDS[self.state]

    @property
    def strip_words(self) -> str:
        """The strip for who does not see it."""
        good = sum(day.colour == "success" for day in self.strip)
        missed = sum(day.is_missed for day in self.strip)
        bad = sum(day.colour in {"warning", "danger"} for day in self.strip) - missed
        told = f"The last {DAYS} days: {good} with good backups only, {bad} with failures"
        return f"{told}, {missed} without the backup that was due" if missed else told


Point = tuple[int, datetime, float]


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


def callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What unfold asks for the first page."""
    context |= {"title": "Dashboard", "may_see": request.user.has_perm("backups.view_run")}
    if context["may_see"]:
        found = standing.read()
        recent = _recent(found.databases, found.now)
        context |= state(request, found, recent)
        context["charts"] = charts(found.databases, recent, found.now)
        context["legend"] = _legend(found.databases)
    return context


def live_view(request: HttpRequest) -> JsonResponse:
    """What the first page shows now."""
    if not request.user.has_perm("backups.view_run"):
        return JsonResponse({}, status=403)
    found = standing.read()
    context = state(request, found, _recent(found.databases, found.now))
    return JsonResponse(
        {
            "over": False,
            "every": _EVERY_BUSY if context["active"] else _EVERY_IDLE,
            "chip": gate.chip(request),
            "html": render_to_string("backups/dashboard.html", context, request),
        }
    )


def state(request: HttpRequest, found: Standing, recent: Sequence[Recent]) -> dict[str, Any]:
    """Everything on the first page but the charts."""
    strips = _strips(found.databases, recent, found.now)
    return {
        "gate": gate.look(found),
        "answer": _WORDS[found.overall.state],
        "hero": _hero(found.overall),
        "others": [*_unbelieved(request), *_others(found.overall)],
        "cards": [_card(database, found, strips[database.pk]) for database in found.databases],
        "active": _active(found.now),
        "has_repository": bool(found.overall.repositories),
        "may_back_up": may_start(request, Action.BACKUP),
        "may_verify": may_start(request, Action.VERIFY),
        "may_restore": request.user.has_perm("backups.run_restore"),
        "may_set_up": request.user.has_perm("backups.add_database"),
    }


# ---------------------------------------------------------------- The verdict

_WORDS = {State.GOOD: "Yes, proved", State.DOUBTFUL: "Doubtful", State.BAD: "No"}


def _hero(overall: Overall) -> Notice:
    """The question that the page is there for, answered by the worst of all."""
    if not overall.findings:
        return Notice("success", overall.all_well)
    return notice_of(overall.findings[0])


def _others(overall: Overall) -> list[Notice]:
    """What is of no database and stands nowhere else: the first is the answer, the gate has its card.

    That there is no database has a card of its own as well.
    """
    shown = overall.findings[:1] if overall.databases else ()
    found = [each for each in overall.of_all() if each not in shown and each.key not in _WITH_A_CARD]
    notes = [each for each in overall.notes if not each.database]
    return [notice_of(each) for each in (*found, *notes)]


def _unbelieved(request: HttpRequest) -> list[Notice]:
    """That the reader's own request came by a proxy whose word is not taken, as the portal noted of it."""
    if before := request.META.get("vedetta.unlisted_proxy"):
        return [
            Notice(
                "warning",
                f"You come by {before}, which says that it asks for somebody else. If it is a proxy of "
                f"yours, add {before} to TRUSTED_PROXIES and start the portal anew: until then all who "
                "come by it count as one when passwords are guessed. Backups go on.",
            )
        ]
    proxy = request.META.get("vedetta.unbelieved_proxy")
    if not proxy:
        return []
    return [
        Notice(
            "warning",
            f"You come by a proxy at {proxy} that is not believed: when passwords are guessed, all who come "
            "by it count as one, and it cannot say by which path or by HTTPS. If it is yours, add its "
            f"address to the settings as TRUSTED_PROXIES={proxy} and start the portal anew. Backups go on.",
        )
    ]


_WITH_A_CARD = frozenset({"gate", "no_database"})


# ---------------------------------------------------------------- Databases


def _card(database: Any, found: Standing, strip: list[Day]) -> Card:
    return Card(
        database=database,
        state=found.overall.state_of(database.name),
        good=found.good(database),
        snapshot=found.newest(database),
        proved=found.proved(database),
        next_backup=_next(database.backup_cron, found.now),
        next_verify=_next(database.verify_cron, found.now),
        notices=_notices(database, found.overall),
        strip=strip,
    )


def _notices(database: Database, overall: Overall) -> list[Notice]:
    """What needs a look, the worst first; of a lone database not what is the answer above already."""
    above = overall.findings[:1] if len(overall.databases) == 1 else ()
    own = [notice_of(each) for each in overall.of_database(database.name) if each not in above]
    of_repository = overall.of_repository(database.repository.name)
    if of_repository and len(overall.databases) > 1:
        words = _of_repository(database.repository, of_repository[0])
        href = reverse("admin:backups_repository_change", args=[database.repository_id])
        own.append(Notice(STATE_COLOURS[of_repository[0].state], words, href, "See why"))
    return [*own, *(notice_of(each) for each in overall.notes if each.database == database.name)]


def _of_repository(repository: Repository, worst: Finding) -> str:
    words = _WORDS_OF_REPOSITORY.get(worst.key)
    return words or f"Its repository is {repository.get_health_display().lower()}."


_WORDS_OF_REPOSITORY = {
    "look_failed": "The last look at its repository failed.",
    "secret_unreadable": "A secret of its repository cannot be read, so its next run will fail.",
}


def _next(cron: str, now: datetime) -> datetime | None:
    return schedules.next_times(cron, 1, after=now)[0] if schedules.usable(cron) else None


# ---------------------------------------------------------------- Strips


def _strips(databases: Iterable[Database], recent: Iterable[Recent], now: datetime) -> dict[int, list[Day]]:
    """Thirty days of backups for each database, today last."""
    days = _days(now)
    counts: dict[tuple[int | None, date], Counter[str]] = defaultdict(Counter)
    for run in recent:
        counts[run.database_id, timezone.localtime(run.queued_at).date()][run.status] += 1
    return {
        database.pk: [
            _day(
                database,
                day,
                counts.get((database.pk, day), Counter()),
                is_due=_was_set_up(database, day)
                and day < days[-1]
                and schedules.is_due_on(database.backup_cron, day),
            )
            for day in days
        ]
        for database in databases
    }


def _was_set_up(database: Any, day: date) -> bool:
    """Whether this day came after that of its first run: nothing was due before."""
    first = database.first_run_at
    return first is not None and timezone.localtime(first).date() < day


def _days(now: datetime) -> list[date]:
    today = timezone.localtime(now).date()
    return [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]


def _recent(databases: Sequence[Database], now: datetime) -> list[Recent]:
    """The backups of these days, newest first.

    Counted in Python and not filtered by status: without statistics SQLite would choose an index
    that makes it read all of the history.
    """
    rows = (
        Run.objects.filter(action=Action.BACKUP, queued_at__gte=start_of(_days(now)[0]))
        .order_by("-queued_at")
        .values_list(
            "database_id", "status", "queued_at", "started_at", "finished_at",
            "snapshot__total_bytes_processed", "snapshot__data_added_packed", "snapshot__data_added",
        )[: _RECENT * len(databases)]
    )  # fmt: skip
    return [Recent(*row) for row in rows]


def _day(database: Database, day: date, counts: Mapping[str, int], *, is_due: bool) -> Day:
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
    nothing = "no backup, though the schedule asks for one" if is_missed else "no backup"
    told = [
        f"{count} {word}"
        for count, word in ((good, "good"), (bad, "failed"), (cancelled, "cancelled"))
        if count
    ]
    href = reverse("admin:backups_run_changelist") + (
        f"?database__id__exact={database.pk}&queued_at_from={day:%Y-%m-%d}&queued_at_to={day:%Y-%m-%d}"
    )
    return Day(
        day,
        "danger" if is_missed else colour,
        f"{day:%a} {day.day} {day:%b}: {', '.join(told) or nothing}",
        href if counts else "",
        is_missed,
    )


# ---------------------------------------------------------------- What runs, what is wrong


def _active(now: datetime) -> list[dict[str, Any]]:
    """Running and waiting work, each with how far it is."""
    runs = Run.objects.filter(status__in=ACTIVE).select_related("database", "repository", "requested_by")
    found = []
    for run in sorted(
        runs.order_by("queued_at")[:_ACTIVE_SHOWN], key=lambda run: run.status != Status.RUNNING
    ):
        usual = live.typical(live.earlier(run)) if run.status == Status.RUNNING else live.Typical(None, {})
        found.append(
            {
                "run": run,
                "colour": STATUS_COLOURS[Status(run.status)],
                "progress": live.progress(run, usual, now),
            }
        )
    return found


# ---------------------------------------------------------------- Charts


def charts(databases: Sequence[Database], recent: Iterable[Recent], now: datetime) -> list[dict[str, Any]]:
    """Duration, dump size, growth and measured recovery time, a point a day."""
    days = _days(now)
    good = [run for run in recent if run.status == Status.SUCCEEDED and run.finished_at and run.database_id]
    restores = Verification.objects.filter(restore_seconds__isnull=False).order_by("-pk").values_list(
        "run__database_id", "finished_at", "restore_seconds"
    )[:_RECENT]  # fmt: skip
    times: dict[str, list[Point]] = {
        "How long a backup takes": [run.point(run.seconds) for run in good],
        "How long a restore takes, as measured": [(pk, at, took) for pk, at, took in restores if pk and took],
    }
    sizes: dict[str, list[Point]] = {
        "Dump size": [run.point(run.size) for run in good if run.size],
        "Added to the repository, each day": [run.point(run.added) for run in good if run.added],
    }
    found = [_chart(title, points, days, databases, _time_unit) for title, points in times.items()]
    found += [
        _chart(title, points, days, databases, _size_unit, add_up="each day" in title)
        for title, points in sizes.items()
    ]
    return found


def _chart(
    title: str,
    points: Sequence[Point],
    days: Sequence[date],
    databases: Sequence[Database],
    unit_of: Any,
    *,
    add_up: bool = False,
) -> dict[str, Any]:
    factor, unit = unit_of(max((value for _, _, value in points), default=0))
    by_day: dict[tuple[int, date], list[float]] = defaultdict(list)
    for pk, at, value in points:
        by_day[pk, timezone.localtime(at).date()].append(value / factor)
    datasets = [
        _dataset(
            database, colour, [_of_day(by_day.get((database.pk, day)), add_up) for day in days], unit, add_up
        )
        for database, colour in _coloured(databases)
    ]
    labels = [f"{day.day} {day:%b}" for day in days]
    return {
        "title": title,
        "type": "bar" if add_up else "line",
        "is_empty": not by_day,
        "data": json.dumps({"labels": labels, "datasets": datasets}),
    }


def _of_day(values: list[float] | None, add_up: bool) -> float | None:
    """All of a day's added up, or its newest; points come newest first."""
    if not values:
        return None
    return round(sum(values) if add_up else values[0], 2)


def _dataset(
    database: Database, colour: str, values: list[float | None], unit: str, bars: bool
) -> dict[str, Any]:
    common = {
        "label": str(database),
        "data": values,
        "displayYAxis": True,
        "suffixYAxis": unit,
        "maxTicksXLimit": 6,
        "backgroundColor": colour,
        "borderColor": colour,
    }
    if bars:
        return common
    return common | {"spanGaps": True, "pointStyle": "circle", "pointRadius": 2, "tension": 0.25}


def _coloured(databases: Sequence[Database]) -> Iterable[tuple[Database, str]]:
    return [(database, _LINES[index % len(_LINES)]) for index, database in enumerate(databases)]


def _legend(databases: Sequence[Database]) -> Iterable[tuple[Database, str]]:
    return _coloured(databases) if len(databases) > 1 else []


def _time_unit(most: float) -> tuple[float, str]:
    if most < 120:
        return 1, "s"
    return (60, "min") if most < 7200 else (3600, "h")


def _size_unit(most: float) -> tuple[float, str]:
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if most >= 2 * factor:
            return factor, unit
    return 1e3, "kB"
