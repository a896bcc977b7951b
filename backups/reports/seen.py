"""What rows tell the verdict, read again only of the databases to whose rows something was written.

What is kept of a database is of a version of its group (see `marks`), for `marks.BOUND_SECONDS` at most: then
all is read anew, whatever the marks say. What time alone decides is left to whoever judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Exists, F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import get_language

from backups import installation, marks, verdict
from backups.catalog import made_here, series
from backups.choices import AlertState, Status
from backups.configuration import environment
from backups.endpoints import secrets_subject
from backups.models import Alert, Database, Repository, Run, WorkerPulse
from backups.notifications import channels
from backups.reports import (
    database_facts,
    few_rows,
    own_database,
    portal_start,
    repository_facts,
    stand_downs,
)
from backups.reports.database_facts import OfDatabase
from backups.reports.few_rows import Few
from backups.runs import queue
from backups.text.sentences import phrase

# The alert's subject under which it is noted that the queue was told to play what is not ours.
ORDERS = phrase("Orders in the queue")
# The subject of the alert that has what was found of the gate's process, with the address after it.
GATE_PROCESS = "Gate process at "
_OF_SECRETS = "Secrets of "
# As `alerting.log_subjects` calls them.
_OF_BARRIERS = "Moments of "


@dataclass(frozen=True)
class Seen:
    """What rows tell, whoever asks, and when."""

    # By their keys, in the order in which pages have them.
    databases: Mapping[int, OfDatabase]
    # With what was done to each as a whole: see `maintenance.told`.
    repositories: Sequence[Any]
    facts: verdict.Facts
    # How many alerts and channels do not reach everybody.
    failing: int
    # The workers' signs of life as they were at that moment, where they came with something else.
    pulses: Sequence[WorkerPulse] | None
    # The versions of the groups of databases by which that is; none of some databases alone.
    groups: Sequence[object] = ()


def of_all(now: datetime, versions: marks.Versions | None = None) -> Seen:
    """Of all databases that are in service, by the versions of now if none were asked for right before."""
    versions = versions or marks.Versions()
    rows = _read(now, versions)
    held = _databases(rows, versions)
    return Seen(
        held.databases, rows.repositories, _facts(rows, held.databases.values(), versions),
        channels.failing_of(rows.alerts, rows.few.channels), rows.pulses, held.groups,
    )  # fmt: skip


def of_some(now: datetime, only: QuerySet[Database]) -> Seen:
    """Of some databases, whether there is one or not."""
    versions = marks.Versions()
    rows = _read(now, versions)
    others = _others(rows, environment.Shared.of_all(rows.repositories))
    found = database_facts.read(now, rows.repositories, others, only)
    facts = replace(_facts(rows, found, versions), databases_in_all=Database.objects.in_service().count())
    return Seen(
        {each.row.pk: each for each in found}, rows.repositories, facts,
        channels.failing_of(rows.alerts, rows.few.channels), rows.pulses,
    )  # fmt: skip


@dataclass(frozen=True)
class _Rows:
    """What is of no single database, and little."""

    now: datetime
    repositories: Sequence[Any]
    # Those that failed, those that somebody could not be told, of strange orders, of the gate's process.
    alerts: Sequence[Alert]
    # What alerts say of each subject that failed.
    failures: Mapping[str, str]
    few: Few
    stood_down: stand_downs.StoodDown
    pulses: Sequence[WorkerPulse] | None


def _read(now: datetime, versions: marks.Versions) -> _Rows:
    alerts = _ALERTS.get(versions.of("backups_alert"), _alerts)
    failures = {each.subject: each.text for each in alerts if each.state == AlertState.FAILED}
    repositories = repository_facts.read(versions)
    few, pulses = few_rows.read(versions)
    return _Rows(now, repositories, alerts, failures, few, stand_downs.of(few.stand_downs, now), pulses)


_ALERTS = marks.Kept[list[Alert]]()


def _alerts() -> list[Alert]:
    told = Q(state=AlertState.FAILED) | ~Q(error="") | Q(subject=ORDERS) | _OF_GATE_PROCESS | _BARRED
    return list(Alert.objects.filter(told))


_BARRED = Q(subject__startswith=_OF_BARRIERS) & ~Q(state=AlertState.GOOD)
_OF_GATE_PROCESS = Q(subject__startswith=GATE_PROCESS, state=AlertState.TROUBLE)


# ---------------------------------------------------------------- Databases


class _Held(NamedTuple):
    """What was made of each database's rows, in their order, and of what that is all."""

    of: object
    # What of the facts of each is alike for all of them, by which they may be those of before.
    alike: object
    at: datetime
    groups: Sequence[object]
    repositories: Mapping[int, Repository]
    shared: environment.Shared
    databases: Mapping[int, OfDatabase]


# Of this process. Several threads may share it: it is put in its place as a whole.
_held: list[_Held] = []


def _databases(rows: _Rows, versions: marks.Versions) -> _Held:
    decides = (
        # Settings are changed by tests only: that is another object each time. Some of it is a text already.
        getattr(settings, "_wrapped", None), get_language(),
        [_what_counts(each) for each in rows.repositories],
        sorted(each for each in rows.failures.items() if each[0].startswith(_OF_SECRETS)),
        sorted(_barred(rows)),
    )  # fmt: skip
    of = decides, int(rows.now.timestamp()) // marks.BOUND_SECONDS, versions.of("backups_server")
    # How long schedules may take is worked out by the day.
    servers = [{**vars(each), "_state": None} for each in rows.few.servers.values()]
    alike = decides, servers, timezone.localdate(rows.now, ZoneInfo(settings.TIME_ZONE))
    known = _held[0] if _held else None
    # What was of the past is of the future where the clock was set back.
    is_of_use = known is not None and known.of == of and known.at <= rows.now
    held = known and is_of_use and _renewed(known, rows, versions)
    if not held:
        before = known if known and known.alike == alike else None
        held = _Held(of, alike, rows.now, versions.groups, *_made(rows, before))
    _held[:] = [held]
    return held


def _what_counts(repository: Any) -> object:
    """What of a repository's row is told of its databases; the rest of it changes with each backup."""
    return (
        repository.pk, repository.name, repository.url, repository.restic_id, repository.is_damaged,
        tuple(repository.references()), repository.tended_at is None,
    )  # fmt: skip


def _made(
    rows: _Rows, before: _Held | None
) -> tuple[Mapping[int, Repository], environment.Shared, Mapping[int, OfDatabase]]:
    shared = environment.Shared.of_all(rows.repositories, series.Others.read_all())
    repositories: Mapping[int, Repository] = {each.pk: each for each in rows.repositories}
    if before and before.repositories.keys() == repositories.keys():
        # Those that rows of before have as well.
        repositories = before.repositories
        _renew_repositories(repositories, rows.repositories)
    known = before.databases if before and before.repositories is repositories else None
    found = database_facts.read(rows.now, [*repositories.values()], _others(rows, shared), before=known)
    return repositories, shared, {each.row.pk: each for each in found}


def _others(rows: _Rows, shared: environment.Shared) -> database_facts.Others:
    return database_facts.Others(rows.failures, rows.few.waiting, rows.few.servers, shared, _barred(rows))


def _barred(rows: _Rows) -> frozenset[int]:
    """Of whose log an alert says that moments end at something: whether they do, their rows tell."""
    return frozenset(each.database_id for each in rows.alerts if each.database_id and _is_of_barrier(each))


def _is_of_barrier(alert: Alert) -> bool:
    return alert.subject.startswith(_OF_BARRIERS) and alert.state != AlertState.GOOD


def _renewed(held: _Held, rows: _Rows, versions: marks.Versions) -> _Held | None:
    """The same with what was written since; None where all is as well read anew."""
    changed = marks.changed(held.groups, versions.groups)
    if len(changed) > marks.GROUPS // 2:
        return None
    _renew_repositories(held.repositories, rows.repositories)
    changed.update(marks.group_of(pk) for pk, each in held.databases.items() if each.is_fleeting)
    if not changed:
        return held._replace(at=rows.now, groups=versions.groups)
    only = Database.objects.in_service().annotate(group=F("pk") % marks.GROUPS).filter(group__in=changed)
    others = _others(rows, held.shared.of_some())
    read = database_facts.read(rows.now, [*held.repositories.values()], others, only)
    found = {each.row.pk: each for each in read}
    if not _are_the_same(held.databases, found, changed):
        return None
    return held._replace(at=rows.now, groups=versions.groups, databases={**held.databases, **found})


def _renew_repositories(held: Mapping[int, Repository], read: Iterable[Repository]) -> None:
    """All databases that have one have the same object, which gets the values of now."""
    for each in read:
        held[each.pk].__dict__.update(each.__dict__)


def _are_the_same(known: Mapping[int, OfDatabase], found: Mapping[int, OfDatabase], groups: set[int]) -> bool:
    """Whether the same ones are there, in the same order, and where they were: else others' may be told."""
    expected = {pk: _place(each) for pk, each in known.items() if marks.group_of(pk) in groups}
    return expected == {pk: _place(each) for pk, each in found.items()}


def _place(one: OfDatabase) -> object:
    return one.row.name, one.row.is_primary, one.row.repository_id


# ---------------------------------------------------------------- Facts


def _facts(rows: _Rows, found: Iterable[OfDatabase], versions: marks.Versions) -> verdict.Facts:
    databases = list(found)
    untold = [alert for alert in rows.alerts if alert.error]
    newest = _newest_good(databases)
    waiting = _waits_longest(versions)
    commands = installation.commands()
    in_portal = [each for each in rows.few.channels if each.is_watching]
    return verdict.Facts(
        now=rows.now,
        databases=_left_out([each.facts for each in databases], rows.stood_down),
        retired=rows.stood_down.retired,
        repositories=[_repository(each, newest, rows) for each in rows.repositories],
        gate_process=_told(next((each for each in rows.alerts if _is_of_gate_process(each)), None)),
        silent_after=queue.PULSE_LOST,
        clocks_differ=queue.PULSE_AHEAD,
        waiting=verdict.RunFacts(waiting.pk, str(waiting), since=waiting.queued_at) if waiting else None,
        is_busy=waiting is not None and waiting.is_busy,
        channels=len(settings.NOTIFY_URLS) + len(in_portal),
        unknown_channels=channels.unknown(),
        failing_channels=[(each.name, each.answer) for each in in_portal if each.is_failing],
        pings=bool(settings.PING_URL),
        ping_error=rows.failures.get(channels.PING, "") if settings.PING_URL else "",
        env_file=_env_file(),
        portal_secrets=portal_start.finding_of(rows.few.portal_start),
        portal_database=_OWN.get((versions.of_all, get_language()), own_database.finding),
        key_to_copy=made_here.not_copied_of(rows.few.public_key),
        strange_orders=[each.text for each in rows.alerts if _is_strange_order(each)],
        untold=len(untold),
        told_nobody=channels.told_nobody(untold),
        start_worker=commands.start_worker,
        worker_log=commands.worker_log,
    )


# By which machines play runs: it is as late as what time alone changes.
_OWN = marks.Kept[tuple[str, str] | None]()


def _waits_longest(versions: marks.Versions) -> Any:
    """The run that does, with whether another runs: then it does not matter that it waits."""
    if versions.beats:
        return None
    # Where none waits, it does not matter whether one runs.
    waits = Run.objects.filter(status=Status.QUEUED).annotate(
        is_busy=Exists(Run.objects.filter(status=Status.RUNNING))
    )
    return waits.order_by("queued_at").first()


def _left_out(facts: list[verdict.DatabaseFacts], stood_down: stand_downs.StoodDown) -> list[Any]:
    """The same, with who had a database paused or muted."""
    keys = stood_down.paused.keys() | stood_down.muted.keys()
    if not keys:
        return facts
    return [
        replace(each, paused=stood_down.paused.get(each.pk), muted=stood_down.muted.get(each.pk))
        if each.pk in keys
        else each
        for each in facts
    ]


def _newest_good(databases: Iterable[OfDatabase]) -> dict[int, int]:
    """By repository the key of the newest run that backed up to it."""
    newest: dict[int, int] = {}
    for each in databases:
        if key := each.row.newest_succeeded:
            newest[each.row.repository_id] = max(key, newest.get(each.row.repository_id, 0))
    return newest


def _repository(repository: Any, newest: Mapping[int, int], rows: _Rows) -> verdict.RepositoryFacts:
    secret = rows.failures.get(secrets_subject(repository), "") if rows.failures else ""
    return repository_facts.facts(repository, [newest.get(repository.pk)], secret, rows.now)


def _is_strange_order(alert: Alert) -> bool:
    return alert.subject == ORDERS and alert.state == AlertState.SUSPICIOUS


def _env_file() -> tuple[str, str] | None:
    doubt = settings.ENV_FILE_DOUBT
    return (f"{doubt.what} {doubt.until}", doubt.do) if doubt else None


def gate_process() -> tuple[str, str] | None:
    """What is wrong with it as it was found last, and what to do about it; nothing where nothing gates."""
    return _told(Alert.objects.filter(_OF_GATE_PROCESS).first())


def _is_of_gate_process(alert: Alert) -> bool:
    return alert.subject.startswith(GATE_PROCESS) and alert.state == AlertState.TROUBLE


def _told(alert: Alert | None) -> tuple[str, str] | None:
    if alert is None or not Database.objects.in_service().filter(gates_app=True).exists():
        return None
    what, _, do = str(alert.in_words("text")).partition("\n")
    return what, do
