"""What of the verdict is told as a subject of its own, and secrets that cannot be read."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q

from backups import endpoints
from backups.alerting import each_minute, subjects
from backups.choices import AlertEvent, AlertState
from backups.errors import Problem
from backups.models import Alert, Database, Repository
from backups.reports import standing
from backups.text.sentences import joined, phrase, template
from backups.verdict import Finding, State


class _Told(NamedTuple):
    """What of the verdict is told as a subject of its own; all else ends in a run or is overdue."""

    subject: str
    word: str
    event: AlertEvent


_TOLD = {
    "worker": _Told(phrase("Worker"), phrase("silent"), AlertEvent.WORKER),
    "gate": _Told(phrase("Gate"), phrase("closed"), AlertEvent.GATE),
    "queue": _Told(phrase("Queue"), phrase("stands still"), AlertEvent.WORKER),
    "repository_suspect": _Told(template("Repository {name}"), phrase("suspect"), AlertEvent.SUSPICIOUS),
    "maintenance_overdue": _Told(
        template("Timely maintenance of {name}"), phrase("overdue"), AlertEvent.OVERDUE
    ),
    "disk_fills": _Told(template("Room for {name}"), phrase("runs out"), AlertEvent.SUSPICIOUS),
    "heartbeat_withheld": _Told(template("Heartbeat of {name}"), phrase("withheld"), AlertEvent.FAILED),
}


def _is_told(finding: Finding) -> bool:
    return finding.key in _TOLD and not _is_override(finding)


def _is_override(finding: Finding) -> bool:
    """It is news only where it ends what was told."""
    return finding.key == "gate" and finding.state != State.BAD


# A worker may be stopped and begun again, and its clock be another than ours, which shows at the next look.
_PATIENCE_SECONDS = 180.0
# Then a word too many is better than one too late.
CLOSES_SOON = timedelta(minutes=15)
# When this process first saw what it has seen ever since, by subject.
_seen_since: dict[str, float] = {}


def note_findings(now: datetime) -> None:
    """Note what of the verdict is bad, and what of it is over."""
    withheld = each_minute.withheld(each_minute.databases(now).values())
    found = standing.read_told(now, withheld)
    bad: dict[str, list[Finding]] = {}
    for each in found.overall.findings:
        if _is_told(each):
            subject = phrase(_TOLD[each.key].subject, name=each.database or each.repository)
            bad.setdefault(subject, []).append(each)
    for gone in _seen_since.keys() - bad.keys():
        del _seen_since[gone]
    soon = found.closes_at is not None and found.closes_at - now < CLOSES_SOON
    for subject, findings in bad.items():
        since = _seen_since.setdefault(subject, time.monotonic())
        if findings[0].key == "worker" and not soon and time.monotonic() - since < _PATIENCE_SECONDS:
            continue
        sentence = joined(each.sentence for each in findings)
        told = _TOLD[findings[0].key]
        database = next((each for each in found.databases if each.name == findings[0].database), None)
        trouble = subjects.Standing(AlertState.TROUBLE, sentence, word=told.word, event=told.event)
        subjects.change(subject, trouble, database=database, now=now)
    # The gate's process is asked by itself, and only its answer makes it good.
    troubles = Alert.objects.filter(state=AlertState.TROUBLE).exclude(
        subject__startswith=standing.GATE_PROCESS
    )
    overridden = next((each.sentence for each in found.overall.findings if _is_override(each)), "")
    for over in troubles.exclude(subject__in=bad):
        override = overridden if over.subject == _TOLD["gate"].subject else ""
        subjects.change(
            over.in_words("subject"),
            subjects.Standing(AlertState.GOOD, word=phrase("overridden") if override else "", good=override),
            now=now,
        )


def note_retired(now: datetime) -> None:
    """Of what is backed up no more nothing is wrong any more; who was told that it is is told this."""
    bad = Alert.objects.exclude(state=AlertState.GOOD).filter(database__isnull=False)
    for alert in bad.exclude(database__in=Database.objects.in_service()).select_related("database"):
        words = subjects.Standing(
            AlertState.GOOD,
            word=phrase("retired"),
            good=phrase(
                "{database} was retired: it is backed up no more, and its snapshots stay.",
                database=alert.database,
            ),
        )
        subjects.change(alert.in_words("subject"), words, now=now)


def note_secrets(now: datetime) -> None:
    """Whether the worker can read what its next runs will read; another process may not know its secrets."""
    told = Alert.objects.filter(subject__startswith=_OF_SECRETS)
    known = dict(told.order_by().values_list("subject", "state"))
    in_service = Database.objects.in_service().order_by("pk")
    repositories = Repository.objects.filter(pk__in=in_service.order_by().values("repository"))
    was_bad = Q(pk__in=told.exclude(state=AlertState.GOOD).values("database"))
    unreadable = _unreadable(each_minute.databases(now).values())
    databases = in_service.filter(Q(pk__in=unreadable) | was_bad).select_related("server")
    rows: list[Database | Repository] = [*repositories.order_by("pk"), *databases]
    subjects.change_all(map(_secrets, rows), known, now=now)


_OF_SECRETS = "Secrets of "


def _unreadable(databases: Iterable[each_minute.Looked]) -> list[int]:
    """The keys of those whose secrets cannot be read: of thousands with the same ones, one is tried."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for each in databases:
        alike.setdefault(each.secrets, []).append(each.pk)
    tried = Database.objects.select_related("server").in_bulk([keys[0] for keys in alike.values()])
    return [
        key
        for keys in alike.values()
        if keys[0] in tried and _secrets(tried[keys[0]]).standing.state != AlertState.GOOD
        for key in keys
    ]


def _secrets(row: Database | Repository) -> subjects.Change:
    try:
        endpoints.refuse_missing_secrets(row)
    except Problem as problem:
        state, sentence = AlertState.FAILED, problem.sentence()
    else:
        state, sentence = AlertState.GOOD, ""
    standing = subjects.Standing(state, sentence, word=_UNREADABLE[state])
    return subjects.Change(
        endpoints.secrets_subject(row), standing, row if isinstance(row, Database) else None
    )


_UNREADABLE = {AlertState.GOOD: "", AlertState.FAILED: phrase("cannot be read")}
