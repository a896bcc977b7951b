"""The first page: could we restore, is the gate open, what runs, what needs a look."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from backups import humane, schedules, services, staleness
from backups.admin import alerts, gate, live
from backups.admin.base import Notice, may_start, page_url
from backups.admin.filters import start_of
from backups.choices import ACTIVE, STATUS_COLOURS, TERMINAL, Action, Status, SuspicionState
from backups.models import Database, Repository, Run, Snapshot, Suspicion, Verification, WorkerPulse

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


@dataclass(frozen=True)
class Card:
    """How a database stands."""

    database: Database
    good: Run | None
    snapshot: Snapshot | None
    proved: Snapshot | None
    next_backup: datetime | None
    next_verify: datetime | None
    notices: list[Notice]
    strip: list[Day]

    @property
    def colour(self) -> str:
        """The worst of its notices."""
        colours = {notice.colour for notice in self.notices}
        return next((colour for colour in ("danger", "warning") if colour in colours), "success")

    @property
    def word(self) -> str:
        """The colour in words."""
        return {"danger": "Not safe", "warning": "Needs a look"}.get(self.colour, "Good")

    @property
    def strip_words(self) -> str:
        """The strip for who does not see it."""
        good = sum(day.colour == "success" for day in self.strip)
        bad = sum(day.colour in {"warning", "danger"} for day in self.strip)
        return f"The last {DAYS} days: {good} with good backups only, {bad} with failures"


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


@dataclass
class _Found:
    """What the queries brought, by primary key."""

    runs: dict[int, Run] = field(default_factory=dict)
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    suspicions: dict[int, Suspicion] = field(default_factory=dict)


def callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What unfold asks for the first page."""
    context |= {"title": "Dashboard", "may_see": request.user.has_perm("backups.view_run")}
    if context["may_see"]:
        now = timezone.now()
        databases = list(_databases())
        recent = _recent(databases, now)
        context |= state(request, databases, recent, now)
        context["charts"] = charts(databases, recent, now)
        context["legend"] = _legend(databases)
    return context


def live_view(request: HttpRequest) -> JsonResponse:
    """What the first page shows now."""
    if not request.user.has_perm("backups.view_run"):
        return JsonResponse({}, status=403)
    now = timezone.now()
    databases = list(_databases())
    context = state(request, databases, _recent(databases, now), now)
    return JsonResponse(
        {
            "over": False,
            "every": _EVERY_BUSY if context["active"] else _EVERY_IDLE,
            "html": render_to_string("backups/dashboard.html", context, request),
        }
    )


def state(
    request: HttpRequest, databases: Sequence[Any], recent: Sequence[Recent], now: datetime
) -> dict[str, Any]:
    """Everything on the first page but the charts."""
    found = _newest(databases)
    strips = _strips(databases, recent, now)
    cards = [_card(database, found, strips[database.pk], now) for database in databases]
    return {
        "gate": gate.look(),
        "notices": [*_worker_notices(now), *_repository_notices(databases), *_alert_notices(request)],
        "cards": cards,
        "could_restore": _could_restore(cards),
        "active": _active(now),
        "has_repository": bool(databases) or Repository.objects.exists(),
        "may_back_up": may_start(request, Action.BACKUP),
        "may_verify": may_start(request, Action.VERIFY),
        "may_restore": request.user.has_perm("backups.run_restore"),
        "may_set_up": request.user.has_perm("backups.add_database"),
    }


# ---------------------------------------------------------------- Databases


def _databases() -> QuerySet[Database]:
    """All databases with the keys of their newest runs and snapshots, found through the indexes."""
    runs = Run.objects.filter(database=OuterRef("pk"), action=Action.BACKUP).order_by("-finished_at")
    held = Snapshot.objects.trusted().filter(database=OuterRef("pk"), forgotten_at=None).order_by("-time")
    newest = {
        f"newest_{status}": Subquery(runs.filter(status=status).values("pk")[:1]) for status in TERMINAL
    }
    return (
        Database.objects.select_related("repository")
        .order_by("-is_primary", "name")
        .annotate(
            **newest,
            newest_snapshot=Subquery(held.values("pk")[:1]),
            newest_proved=Subquery(held.filter(verified_at__isnull=False).values("pk")[:1]),
        )
    )


def _newest(databases: Iterable[Any]) -> _Found:
    keys = [getattr(database, f"newest_{status}") for database in databases for status in TERMINAL]
    snapshots = [key for database in databases for key in (database.newest_snapshot, database.newest_proved)]
    light = Snapshot.objects.defer("manifest", "tags")
    return _Found(
        runs=Run.objects.defer("result", "phases").in_bulk([key for key in keys if key]),
        snapshots=light.in_bulk([key for key in snapshots if key]),
        suspicions={waits.database_id: waits for waits in _waiting()},
    )


def _waiting() -> QuerySet[Suspicion]:
    """Of each database the newest backup that waits for a person comes last."""
    rows = Suspicion.objects.filter(state=SuspicionState.WAITING).order_by("pk")
    return rows.select_related("snapshot").defer("snapshot__manifest", "snapshot__tags")


def _card(database: Any, found: _Found, strip: list[Day], now: datetime) -> Card:
    ended = [found.runs[key] for status in TERMINAL if (key := getattr(database, f"newest_{status}"))]
    good = found.runs.get(database.newest_succeeded)
    last = max(ended, key=lambda run: run.finished_at or run.queued_at, default=None)
    snapshot = found.snapshots.get(database.newest_snapshot)
    proved = found.snapshots.get(database.newest_proved)
    return Card(
        database=database,
        good=good,
        snapshot=snapshot,
        proved=proved,
        next_backup=_next(database.backup_cron, now),
        next_verify=_next(database.verify_cron, now),
        notices=[
            *_suspicious(found.suspicions.get(database.pk)),
            *_notices(database, last, good, snapshot, proved, now),
        ],
        strip=strip,
    )


def _suspicious(waits: Suspicion | None) -> Iterable[Notice]:
    if waits is not None:
        yield Notice(
            "danger",
            f"The newest backup waits for a person: {' '.join(waits.reasons)} Until then the heartbeat "
            "stays where it was and nothing is forgotten.",
            page_url(waits.snapshot),
            "Say whether it is right",
        )


def _notices(
    database: Database,
    last: Run | None,
    good: Run | None,
    snapshot: Snapshot | None,
    proved: Snapshot | None,
    now: datetime,
) -> Iterable[Notice]:
    """What needs a look, the worst first."""
    limits = settings.SENTINEL
    allowed = staleness.backup_allowed(database)
    if snapshot is None:
        yield Notice("danger", "There is no backup yet. Press Back up now to make the first.")
    elif now - snapshot.time > allowed:
        yield Notice(
            "danger",
            f"The newest backup is {humane.rough(now - snapshot.time)} old; "
            f"{humane.rough(allowed)} are allowed.",
        )
    if last is not None and last.status in {Status.FAILED, Status.LOST}:
        yield Notice("warning", last.error, page_url(last), f"See {last}")
    if snapshot is not None and proved is None:
        yield Notice("warning", "No backup was verified yet: nobody knows whether it can be restored.")
    elif proved is not None and 0 < limits.verified_threshold_seconds < (now - proved.time).total_seconds():
        yield Notice("warning", f"The newest verified backup is {humane.rough(now - proved.time)} old.")
    if not database.backup_cron:
        yield Notice("warning", "No backups are scheduled.", page_url(database), "Set a schedule")
    takes = (good.duration() if good else None) or timedelta()
    for conflict in staleness.conflicts(database, now, takes=takes):
        yield Notice("warning", conflict, page_url(database), "Change the schedule")


def _next(cron: str, now: datetime) -> datetime | None:
    return schedules.next_times(cron, 1, after=now)[0] if cron else None


def _could_restore(cards: Sequence[Card]) -> Notice:
    """The question that the page is there for, answered."""
    without = [card.database.name for card in cards if card.snapshot is None]
    unproved = [card.database.name for card in cards if card.snapshot and card.proved is None]
    if without:
        return Notice("danger", f"No: there is no backup of {', '.join(without)}.", link="Not yet")
    if unproved:
        return Notice(
            "warning", f"Probably: no backup of {', '.join(unproved)} was proved by a restore yet.",
            link="Not proved",
        )  # fmt: skip
    oldest = min((card.proved.time for card in cards if card.proved), default=None)
    if oldest is None:
        return Notice("plain", "There is nothing to restore yet.", link="Nothing yet")
    proved = "has a backup that was restored in full and compared"
    made = f"was made {humane.age(oldest)}"
    return Notice(
        "success",
        f"{cards[0].database.name} {proved}; it {made}."
        if len(cards) == 1
        else f"Each of the {len(cards)} databases {proved}; the oldest of them {made}.",
        link="Yes, proved",
    )


# ---------------------------------------------------------------- Strips


def _strips(databases: Iterable[Database], recent: Iterable[Recent], now: datetime) -> dict[int, list[Day]]:
    """Thirty days of backups for each database, today last."""
    days = _days(now)
    counts: dict[tuple[int | None, date], Counter[str]] = defaultdict(Counter)
    for run in recent:
        counts[run.database_id, timezone.localtime(run.queued_at).date()][run.status] += 1
    return {
        database.pk: [_day(database, day, counts.get((database.pk, day), Counter())) for day in days]
        for database in databases
    }


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


def _day(database: Database, day: date, counts: Mapping[str, int]) -> Day:
    good = counts.get(Status.SUCCEEDED, 0)
    bad = sum(counts.get(status, 0) for status in (Status.FAILED, Status.LOST))
    cancelled = counts.get(Status.CANCELLED, 0)
    if bad:
        colour = "warning" if good else "danger"
    elif good:
        colour = "success"
    else:
        colour = "warning" if cancelled else "plain"
    told = [
        f"{count} {word}"
        for count, word in ((good, "good"), (bad, "failed"), (cancelled, "cancelled"))
        if count
    ]
    href = reverse("admin:backups_run_changelist") + (
        f"?database__id__exact={database.pk}&queued_at_from={day:%Y-%m-%d}&queued_at_to={day:%Y-%m-%d}"
    )
    return Day(
        day, colour, f"{day:%a} {day.day} {day:%b}: {', '.join(told) or 'no backup'}", href if counts else ""
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


def _worker_notices(now: datetime) -> Iterable[Notice]:
    pulses = {pulse.cluster: pulse.seen_at for pulse in WorkerPulse.objects.all()}
    if not pulses:
        yield Notice(
            "danger",
            "No worker was seen yet, so nothing that is queued starts. Start the worker; its own log says "
            "what keeps it from starting.",
        )
    for cluster, seen in pulses.items():
        what = "Restores" if cluster == settings.RESTORES_CLUSTER else "Backups and verifications"
        if seen > now + services.PULSE_AHEAD:
            yield Notice(
                "danger",
                f"Whether the worker “{cluster}” runs is not known: its last sign of life is of "
                f"{humane.clock(seen)}, which is yet to come, so the clock was set back. {what} that are "
                "queued may wait. If this is still here in a minute, start it; its own log says why it "
                "stopped.",
            )
        elif now - seen > services.PULSE_LOST:
            yield Notice(
                "danger",
                f"The worker “{cluster}” was last seen {humane.age(seen, now)}. {what} that are queued "
                "wait until it runs again. Start it; its own log says why it stopped.",
            )


def _repository_notices(databases: Iterable[Database]) -> Iterable[Notice]:
    for repository in {database.repository for database in databases}:
        if repository.is_damaged:
            yield Notice(
                "danger",
                f"Repository {repository} is damaged: {repository.check_error} Backups go on, but the gate "
                "is told of none of them. Repair the index, then check all data; a good one ends this.",
                page_url(repository),
                f"Go to {repository}",
            )


def _alert_notices(request: HttpRequest) -> Iterable[Notice]:
    return alerts.notices() if request.user.has_perm("backups.view_alert") else ()


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
