"""What rows tell the verdict, read again only of the databases to whose rows something was written.

What is kept of a database is of a version of its group (see `marks`), for `marks.BOUND_SECONDS` at most: then
all is read anew, whatever the marks say. What time alone decides is left to whoever judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Exists, F, Q, QuerySet
from django.utils.translation import get_language

from backups import installation, marks, verdict
from backups.catalog import made_here
from backups.choices import AlertState, Status, SuspicionState
from backups.configuration import environment
from backups.endpoints import secrets_subject
from backups.models import Alert, Channel, Database, Repository, Run, Snapshot, Suspicion
from backups.notifications import channels
from backups.reports import database_facts, own_database, portal_start, repository_facts, stand_downs
from backups.reports.database_facts import OfDatabase
from backups.runs import queue
from backups.text.sentences import phrase

# The alert's subject under which it is noted that the queue was told to play what is not ours.
ORDERS = phrase("Orders in the queue")
# The subject of the alert that has what was found of the gate's process, with the address after it.
GATE_PROCESS = "Gate process at "
_OF_SECRETS = "Secrets of "


@dataclass(frozen=True)
class Seen:
    """What rows tell, whoever asks, and when."""

    databases: Sequence[Any]
    runs: Mapping[int, Run]
    snapshots: Mapping[int, Snapshot]
    # With what was done to each as a whole: see `maintenance.told`.
    repositories: Sequence[Any]
    facts: verdict.Facts


def of_all(now: datetime, versions: marks.Versions | None = None) -> Seen:
    """Of all databases that are in service, by the versions of now if none were asked for right before."""
    versions = versions or marks.Versions()
    rows = _read(now, versions)
    held = _databases(rows, versions)
    return Seen(
        [each.row for each in held.databases.values()], held.runs, held.snapshots,
        rows.repositories, _facts(rows, held.databases.values(), versions),
    )  # fmt: skip


def of_some(now: datetime, only: QuerySet[Database]) -> Seen:
    """Of some databases, whether there is one or not."""
    versions = marks.Versions()
    rows = _read(now, versions)
    others = _others(rows, versions, environment.Shared.of_all(rows.repositories))
    found = database_facts.read(now, rows.repositories, others, only)
    facts = replace(_facts(rows, found, versions), databases_in_all=Database.objects.in_service().count())
    return Seen([each.row for each in found], *_shown(found), rows.repositories, facts)


@dataclass(frozen=True)
class _Rows:
    """What is of no single database, and little."""

    now: datetime
    repositories: Sequence[Any]
    # Those that failed, those that somebody could not be told, of strange orders, of the gate's process.
    alerts: Sequence[Alert]
    # What alerts say of each subject that failed.
    failures: Mapping[str, str]
    stood_down: stand_downs.StoodDown


def _read(now: datetime, versions: marks.Versions) -> _Rows:
    alerts = _ALERTS.get(versions.of("backups_alert"), _alerts)
    failures = {each.subject: each.text for each in alerts if each.state == AlertState.FAILED}
    return _Rows(now, repository_facts.read(versions), alerts, failures, stand_downs.read(now, versions))


_ALERTS = marks.Kept[list[Alert]]()


def _alerts() -> list[Alert]:
    told = Q(state=AlertState.FAILED) | ~Q(error="") | Q(subject=ORDERS) | _OF_GATE_PROCESS
    return list(Alert.objects.filter(told))


_OF_GATE_PROCESS = Q(subject__startswith=GATE_PROCESS, state=AlertState.TROUBLE)


# ---------------------------------------------------------------- Databases


class _Held(NamedTuple):
    """What was made of each database's rows, in their order, and of what that is all."""

    of: object
    at: datetime
    groups: Sequence[object]
    repositories: Mapping[int, Repository]
    shared: environment.Shared
    databases: Mapping[int, OfDatabase]
    runs: Mapping[int, Run]
    snapshots: Mapping[int, Snapshot]


# Of this process. Several threads may share it: it is put in its place as a whole.
_held: list[_Held] = []


def _databases(rows: _Rows, versions: marks.Versions) -> _Held:
    of = (
        # Settings are changed by tests only: that is another object each time. Some of it is a text already.
        getattr(settings, "_wrapped", None), get_language(),
        int(rows.now.timestamp()) // marks.BOUND_SECONDS, versions.of("backups_server"),
        [_what_counts(each) for each in rows.repositories],
        sorted(each for each in rows.failures.items() if each[0].startswith(_OF_SECRETS)),
    )  # fmt: skip
    known = _held[0] if _held else None
    # What was of the past is of the future where the clock was set back.
    is_of_use = known is not None and known.of == of and known.at <= rows.now
    held = (known and is_of_use and _renewed(known, rows, versions)) or _made(of, rows, versions)
    _held[:] = [held]
    return held


def _what_counts(repository: Any) -> object:
    """What of a repository's row is told of its databases; the rest of it changes with each backup."""
    return (
        repository.pk, repository.name, repository.url, repository.restic_id, repository.is_damaged,
        tuple(repository.references()), repository.tended_at is None,
    )  # fmt: skip


def _made(of: object, rows: _Rows, versions: marks.Versions) -> _Held:
    shared = environment.Shared.of_all(rows.repositories)
    found = database_facts.read(rows.now, rows.repositories, _others(rows, versions, shared))
    repositories = {each.pk: each for each in rows.repositories}
    databases = {each.row.pk: each for each in found}
    return _Held(of, rows.now, versions.groups, repositories, shared, databases, *_shown(found))


def _others(rows: _Rows, versions: marks.Versions, shared: environment.Shared) -> database_facts.Others:
    waiting = _WAITING.get(versions.of("backups_suspicion"), _waiting)
    return database_facts.Others(rows.failures, waiting, shared)


_WAITING = marks.Kept[frozenset[int]]()


def _waiting() -> frozenset[int]:
    rows = Suspicion.objects.filter(state=SuspicionState.WAITING).order_by()
    return frozenset(rows.values_list("database", flat=True))


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
    others = _others(rows, versions, held.shared)
    read = database_facts.read(rows.now, held.repositories.values(), others, only)
    found = {each.row.pk: each for each in read}
    if not _are_the_same(held.databases, found, changed):
        return None
    runs, snapshots = _shown(read)
    return held._replace(
        at=rows.now,
        groups=versions.groups,
        databases={**held.databases, **found},
        runs={**held.runs, **runs},
        snapshots={**held.snapshots, **snapshots},
    )


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


def _shown(found: Iterable[OfDatabase]) -> tuple[dict[int, Run], dict[int, Snapshot]]:
    runs: dict[int, Run] = {}
    snapshots: dict[int, Snapshot] = {}
    for each in found:
        runs.update(each.runs)
        snapshots.update(each.snapshots)
    return runs, snapshots


# ---------------------------------------------------------------- Facts


def _facts(rows: _Rows, found: Iterable[OfDatabase], versions: marks.Versions) -> verdict.Facts:
    databases = list(found)
    untold = [alert for alert in rows.alerts if alert.error]
    newest = _newest_good(databases)
    waiting = _waits_longest(versions)
    commands = installation.commands()
    in_portal = _CHANNELS.get(versions.of("backups_channel"), channels.watching)
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
        portal_secrets=_START.get((versions.of("backups_portalstart"), get_language()), portal_start.finding),
        portal_database=_OWN.get((versions.of_all, get_language()), own_database.finding),
        key_to_copy=_KEY.get((versions.of("backups_publickey"), get_language()), made_here.not_copied),
        strange_orders=[each.text for each in rows.alerts if _is_strange_order(each)],
        untold=len(untold),
        told_nobody=channels.told_nobody(untold),
        start_worker=commands.start_worker,
        worker_log=commands.worker_log,
    )


_CHANNELS = marks.Kept[list[Channel]]()
# By which machines play runs: it is as late as what time alone changes.
_OWN = marks.Kept[tuple[str, str] | None]()
_START = marks.Kept[tuple[str, str] | None]()
_KEY = marks.Kept[str]()


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
