"""Tells people when something fails and when it works again: one message a change, not an attempt.

Each subject (the backup of a database, the check of a repository, a database's freshness …) has a
row that says how it stands. `run_ended` and `tend` note a change there; the message goes out at
once, and is tried again by `tend` for those whom it did not reach. PING_URL is told of every
backup's start and end, so that a dead man's switch notices when nothing runs at all.

Nothing here may fail or hold up a run: sending has a deadline, and what goes wrong is noted in the
row, which the portal shows. Addresses hold secrets, so they are never logged, stored or shown.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import threading
import time
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any, NamedTuple, ParamSpec
from urllib.parse import unquote, urlsplit, urlunsplit

from django.conf import settings
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from backups import __version__, endpoints, process
from backups.choices import Action, AlertState, Status, SuspicionState, Verdict
from backups.errors import Problem
from backups.keeping import suspicions
from backups.models import Alert, Database, Repository, Run, Snapshot, Verification
from backups.notifications import channels, sender
from backups.reports import standing
from backups.scheduling import staleness
from backups.snapshots.selection import CLOCKS_DIFFER
from backups.text import formatting
from backups.verdict import Finding, State

logger = logging.getLogger(__name__)
Arguments = ParamSpec("Arguments")

SEND_SECONDS = 20.0
PING_SECONDS = 5.0
TRY_AGAIN = timedelta(minutes=5)
GIVE_UP = timedelta(days=1)
# Long enough for each process that looks once a minute, and tries again as above.
OTHERS_HAVE = 3 * TRY_AGAIN
# Shorter than until it is tried again.
_HUNG_SECONDS = TRY_AGAIN.total_seconds() - 60

_STATES = {
    Status.SUCCEEDED: AlertState.GOOD,
    Status.FAILED: AlertState.FAILED,
    Status.LOST: AlertState.LOST,
}
_ABOUT_THE_REPOSITORY = frozenset(
    {
        Action.CHECK,
        Action.FORGET,
        Action.PRUNE,
        Action.REPAIR_INDEX,
        Action.REPAIR_SNAPSHOTS,
        Action.SNAPSHOTS,
        Action.STATS,
        Action.UNLOCK,
        Action.INIT,
        Action.PORTAL,
    }
)


def _harmless(work: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """What goes wrong while telling people must not become a run's failure."""

    @functools.wraps(work)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  nor any other
            # Without its text, which may hold an address.
            logger.error("%s failed with %s", work.__name__, type(error).__name__)

    return wrapped


@_harmless
def run_began(run: Run) -> None:
    """Tell PING_URL that a backup starts, without waiting for its answer."""
    if run.action == Action.BACKUP and settings.PING_URL:
        threading.Thread(target=_ping, args=("start", _rid(run)), daemon=True).start()


@_harmless
def run_ended(run_id: int) -> None:
    """Tell people where the run's outcome changes how its subject stands; cancelled changes nothing."""
    run = Run.objects.select_related("database", "repository").get(pk=run_id)
    state = _STATES.get(Status(run.status))
    # A connection test is looked at by whoever asked for it.
    if state is None or run.action == Action.PREFLIGHT:
        return
    whose = run.repository if run.database is None or run.action in _ABOUT_THE_REPOSITORY else run.database
    subject = f"{run.get_action_display()} of {whose}"
    sentence = run.error
    if state == AlertState.GOOD and (suspicious := run.result.get("suspicious")):
        state, sentence = AlertState.SUSPICIOUS, suspicions.told(run.pk, suspicious)
    _change(subject, state, sentence, database=run.database if whose == run.database else None)
    until = time.monotonic() + SEND_SECONDS
    if run.action == Action.BACKUP and settings.PING_URL:
        _ping_outcome(run, state)
    # One deadline for all; whom it does not reach in time is tried again, here or by the worker.
    deliver(seconds=until - time.monotonic())


@_harmless
def backup_accepted(database: Database) -> None:
    """Tell people that a suspicious backup is right, where they were told that it is suspicious."""
    subject = f"{Action.BACKUP.label} of {database}"
    if Alert.objects.filter(subject=subject, state=AlertState.SUSPICIOUS).exists():
        _change(subject, AlertState.GOOD, "", database=database)
        deliver()


@_harmless
def strange_order(sentence: str) -> None:
    """Note that the queue was told to play what is not ours. Told with the next `tend`."""
    _change(standing.ORDERS, AlertState.SUSPICIOUS, sentence, word="one was removed")


def _forget_strange_order(now: datetime) -> None:
    """After a day, so that the next one is news again."""
    told = Alert.objects.filter(subject=standing.ORDERS, state=AlertState.SUSPICIOUS)
    if told.filter(since__lt=now - GIVE_UP).exists():
        _change(standing.ORDERS, AlertState.GOOD, "", now=now)


@_harmless
def schedule_played(name: str, complaint: str) -> None:
    """Tell people where a schedule's time came and nothing could be queued, and when it could again."""
    state = AlertState.FAILED if complaint else AlertState.GOOD
    _change(f"Schedule: {name}", state, complaint)


@_harmless
def tend(now: datetime | None = None) -> None:
    """Once a minute: notice what should have happened and did not, and try again to reach people."""
    now = now or timezone.now()
    for watched in _watched(now):
        _change(
            watched.subject, watched.state, watched.sentence, database=watched.database, now=now, begin=True
        )
    _note_secrets(now)
    _note_findings(now)
    _forget_strange_order(now)
    deliver(now)


@_harmless
def watch(now: datetime | None = None) -> None:
    """Tell what no run's end tells, a silent worker above all: the portal asks for it once a minute.

    Whoever sees it first notes it in the alert's row, and only they send.
    """
    now = now or timezone.now()
    _note_findings(now)
    deliver(now)


class _Told(NamedTuple):
    """What of the verdict is told as a subject of its own; all else ends in a run or is overdue."""

    subject: str
    word: str


_TOLD = {
    "worker": _Told("Worker", "silent"),
    "gate": _Told("Gate", "closed"),
    "queue": _Told("Queue", "stands still"),
    "repository_suspect": _Told("Repository {name}", "suspect"),
    "heartbeat_withheld": _Told("Heartbeat of {name}", "withheld"),
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


def _note_findings(now: datetime) -> None:
    found = standing.read(now)
    bad: dict[str, list[Finding]] = {}
    for each in found.overall.findings:
        if _is_told(each):
            subject = _TOLD[each.key].subject.format(name=each.database or each.repository)
            bad.setdefault(subject, []).append(each)
    for gone in _seen_since.keys() - bad.keys():
        del _seen_since[gone]
    soon = found.closes_at is not None and found.closes_at - now < CLOSES_SOON
    for subject, findings in bad.items():
        since = _seen_since.setdefault(subject, time.monotonic())
        if findings[0].key == "worker" and not soon and time.monotonic() - since < _PATIENCE_SECONDS:
            continue
        sentence = " ".join(each.sentence for each in findings)
        word = _TOLD[findings[0].key].word
        _change(subject, AlertState.TROUBLE, sentence, now=now, word=word)
    # The gate's process is asked by itself, and only its answer makes it good.
    troubles = Alert.objects.filter(state=AlertState.TROUBLE).exclude(
        subject__startswith=standing.GATE_PROCESS
    )
    overridden = next((each.sentence for each in found.overall.findings if _is_override(each)), "")
    for over in troubles.exclude(subject__in=bad):
        told = overridden if over.subject == _TOLD["gate"].subject else ""
        _change(over.subject, AlertState.GOOD, "", now=now, word="overridden" if told else "", good=told)


def _note_secrets(now: datetime) -> None:
    """Whether the worker can read what its next runs will read; another process may not know its secrets."""
    databases = list(Database.objects.select_related("repository").order_by("pk"))
    repositories = {database.repository_id: database.repository for database in databases}
    rows: list[Database | Repository] = [*repositories.values(), *databases]
    for row in rows:
        try:
            endpoints.refuse_missing_secrets(row)
        except Problem as problem:
            state, sentence = AlertState.FAILED, problem.sentence()
        else:
            state, sentence = AlertState.GOOD, ""
        database = row if isinstance(row, Database) else None
        subject = endpoints.secrets_subject(row)
        _change(subject, state, sentence, database=database, now=now, word=_UNREADABLE[state])


_UNREADABLE = {AlertState.GOOD: "", AlertState.FAILED: "cannot be read"}


def is_gate_known() -> bool:
    """Whether a gate was ever heard, at whichever address was asked last."""
    return Alert.objects.filter(subject__startswith=standing.GATE_PROCESS).exists()


def is_gate_in_trouble(address: str) -> bool:
    """Whether something was wrong with it when it was asked last."""
    subject = f"{standing.GATE_PROCESS}{address}"
    return Alert.objects.filter(subject=subject, state=AlertState.TROUBLE).exists()


def gate_is_not_asked() -> None:
    """Forget what was found of a gate that nobody is to ask any more."""
    Alert.objects.filter(subject__startswith=standing.GATE_PROCESS).delete()


def gate_answers(address: str) -> None:
    """Note that the gate's process says what it has to; `watch` tells where that is news."""
    _of_gate_process(address, AlertState.GOOD)


def gate_in_trouble(address: str, word: str, what: str, do: str) -> None:
    """Note what is wrong with it."""
    _of_gate_process(address, AlertState.TROUBLE, f"{what}\n{do}", word)


def _of_gate_process(address: str, state: AlertState, sentence: str = "", word: str = "") -> None:
    subject = f"{standing.GATE_PROCESS}{address}"
    # It was moved; nobody asks there any more.
    Alert.objects.filter(subject__startswith=standing.GATE_PROCESS).exclude(subject=subject).delete()
    _change(subject, state, sentence, word=word, begin=True)
    # It may have begun to hang and be dead by now, which is no news, but is to be read.
    Alert.objects.filter(subject=subject, state=AlertState.TROUBLE).update(text=sentence)


def undelivered() -> QuerySet[Alert]:
    """Alerts of which somebody could not be told: the portal shows them."""
    return Alert.objects.exclude(error="")


def send_test() -> str:
    """Send everyone a test message; answers in a sentence. Raises Problem saying who was not reached."""
    addresses = settings.NOTIFY_URLS
    if not addresses:
        raise Problem("NOTIFY_URLS is not set, so nobody is told.", do="Set it and start the portal again.")
    message = _message("Vedetta: test", "Notifications from Vedetta reach you.", AlertState.GOOD, addresses)
    (complaints,) = _send([message])
    if told := _complaint(addresses, complaints):
        raise Problem(told, do="Correct NOTIFY_URLS, or see whether the service is up.")
    count = len(addresses)
    return f"A test message was sent to {count} address{'es' if count > 1 else ''}."


def tell_again() -> None:
    """Try at once to reach those who could not be told, also where that was given up."""
    undelivered().update(is_pending=True, tried_at=None)
    _hanging_until.clear()
    deliver()


def deliver(now: datetime | None = None, seconds: float | None = None) -> None:
    """Send what is still to be told, within `seconds`. Two processes that do this at once send once.

    Others may know other addresses: what these have not heard stays pending for whoever knows them.
    """
    now = now or timezone.now()
    if not settings.NOTIFY_URLS:
        return
    alerts = []
    for alert in Alert.objects.filter(is_pending=True):
        if not _not_reached(alert) or _is_old_news(alert, now):
            _end_where_all_had_time(alert, now)
        elif _claimed(alert, now):
            alerts.append(alert)
    if not alerts:
        return
    left = [_not_reached(alert) for alert in alerts]
    messages = [
        _message(alert.title, alert.text, AlertState(alert.state), addresses)
        for alert, addresses in zip(alerts, left, strict=True)
    ]
    answers = _send_but_to_hanging(messages, seconds)
    for alert, addresses, complaints in zip(alerts, left, answers, strict=True):
        _note_delivery(alert, addresses, complaints, now)


def _is_old_news(alert: Alert, now: datetime) -> bool:
    """That it works again is nothing to be told of days later, by the first who could."""
    is_untried = alert.tried_at is None and not alert.error
    return is_untried and alert.state == AlertState.GOOD and now - alert.since > GIVE_UP


def _end_where_all_had_time(alert: Alert, now: datetime) -> None:
    """All whom this process knows were told; who knows others would have tried by now."""
    if alert.tried_at is None or now - alert.tried_at > OTHERS_HAVE:
        Alert.objects.filter(pk=alert.pk, since=alert.since, tried_at=alert.tried_at).update(
            is_pending=False, error="", told_at=alert.told_at or (now if alert.reached else None)
        )


@dataclass(frozen=True)
class _Watched:
    """Something that should happen in time, and whether it did."""

    subject: str
    database: Database
    state: AlertState
    sentence: str


def _watched(now: datetime) -> Iterator[_Watched]:
    """Every database's newest good backup and newest verification, against what is allowed."""
    # One that a wrong clock put into the future would be timely for as long.
    past = now + CLOCKS_DIFFER
    backed_up = _newest(Snapshot.objects.trusted().meant().filter(forgotten_at=None, time__lte=past), "time")
    proved = _newest_proved(past)
    first_seen = dict(Alert.objects.filter(state=AlertState.GOOD).values_list("subject", "since"))
    for database in Database.objects.order_by("pk"):
        for noun, times, allowed in (
            ("backup", backed_up, _backup_allowed(database)),
            ("verification", proved, staleness.verification_allowed(database, now)),
        ):
            if allowed is None:
                continue
            subject = f"Timely {noun} of {database}"
            newest = times.get(database.pk)
            overdue = now - (newest or first_seen.get(subject, now)) > allowed
            # Nothing yet is overdue for as long as it stays nothing.
            if newest is None and Alert.objects.filter(subject=subject, state=AlertState.OVERDUE).exists():
                overdue = True
            state = AlertState.OVERDUE if overdue else AlertState.GOOD
            yield _Watched(subject, database, state, _overdue_sentence(noun, database, newest, allowed))


def _newest_proved(past: datetime) -> dict[int, datetime]:
    """By when verifications ended; where the gate asks for them, as it does: by what they verified."""
    if settings.SENTINEL.verified_threshold_seconds:
        trusted = Snapshot.objects.trusted().meant()
        return _newest(trusted.filter(verified_at__isnull=False, time__lte=past), "time")
    good = Verification.objects.filter(verdict=Verdict.IDENTICAL, finished_at__lte=past).exclude(
        snapshot__suspicion__state__in=[SuspicionState.WAITING, SuspicionState.OVER]
    )
    return _newest(good, "finished_at", "snapshot__database")


def _newest(rows: QuerySet[Any], field: str, database: str = "database") -> dict[int, datetime]:
    return dict(rows.values_list(database).annotate(newest=Max(field)))


def _backup_allowed(database: Database) -> timedelta | None:
    if not (database.backup_cron or database.gates_app):
        return None
    return staleness.backup_allowed(database)


def _overdue_sentence(noun: str, database: Database, newest: datetime | None, allowed: timedelta) -> str:
    known = f"the newest good one is of {_when(newest)}" if newest else "there is none yet"
    return (
        f"{database} had no good {noun} for more than {formatting.rough(allowed)}: {known}. "
        "See whether the worker runs and what its newest run says."
    )


def _when(time: datetime) -> str:
    return f"{timezone.localtime(time):%Y-%m-%d %H:%M}"


def _change(
    subject: str,
    state: AlertState,
    sentence: str,
    *,
    database: Database | None = None,
    now: datetime | None = None,
    begin: bool = False,
    word: str = "",
    good: str = "",
) -> None:
    """Note how a subject stands; where that is news, somebody is to be told.

    A subject that was never bad gets a row with `begin` only, from which waiting is counted. `word` is
    for its title, where the state's own says too little, and `good` what it is good for where it does not
    just work again.
    """
    now = now or timezone.now()
    alert = Alert.objects.filter(subject=subject).first()
    if alert is None:
        if state == AlertState.GOOD and not begin:
            return
        alert, _ = Alert.objects.get_or_create(subject=subject, defaults={"database": database, "since": now})
    if alert.state == state:
        return
    # Of two processes that see the same change, one makes it.
    Alert.objects.filter(pk=alert.pk, state=alert.state).update(
        state=state,
        since=now,
        title=f"{subject}: {word or _WORDS[state]}",
        text=sentence if state != AlertState.GOOD else good or _recovered(alert),
        # Also where we know no address: another process may.
        is_pending=True,
        reached=[],
        tried_at=None,
        told_at=None,
        error="",
    )


_WORDS = {
    AlertState.GOOD: "good again",
    AlertState.FAILED: "failed",
    AlertState.LOST: "lost",
    AlertState.OVERDUE: "overdue",
    AlertState.SUSPICIOUS: "suspicious",
    AlertState.TROUBLE: "in trouble",
}


def _recovered(alert: Alert) -> str:
    return f"It works again, after it stood as {_WORDS[AlertState(alert.state)]} since {_when(alert.since)}."


def _due(now: datetime) -> Q:
    """A try that lies in the future was made before the clock was set back."""
    return Q(tried_at=None) | Q(tried_at__lt=now - TRY_AGAIN) | Q(tried_at__gt=now)


def _claimed(alert: Alert, now: datetime) -> bool:
    claim = Alert.objects.filter(
        _due(now), pk=alert.pk, state=alert.state, since=alert.since, is_pending=True
    )
    return claim.update(tried_at=now) == 1


def _not_reached(alert: Alert) -> list[str]:
    return [address for address in settings.NOTIFY_URLS if _digest(address) not in alert.reached]


def _note_delivery(alert: Alert, addresses: Sequence[str], complaints: Sequence[str], now: datetime) -> None:
    """Note who was reached; whoever was not, here or by another process, is tried again, for a day."""
    reached = [
        _digest(address) for address, complaint in zip(addresses, complaints, strict=True) if not complaint
    ]
    told = _complaint(addresses, complaints)
    Alert.objects.filter(pk=alert.pk, since=alert.since).update(
        reached=[*alert.reached, *reached],
        is_pending=now - alert.since < GIVE_UP,
        told_at=None if told else now,
        error=told,
    )
    if told:
        logger.error("%s: %s", alert, told)


def _complaint(addresses: Sequence[str], complaints: Sequence[str]) -> str:
    """Who was not reached, in one sentence; empty when all were. By place, as an address is secret."""
    told = [
        f"{channels.named(address)} {complaint}"
        for address, complaint in zip(addresses, complaints, strict=True)
        if complaint
    ]
    return f"Not everyone was told: {'; '.join(told)}." if told else ""


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def _message(title: str, body: str, state: AlertState, addresses: Sequence[str]) -> dict[str, Any]:
    kind = "success" if state == AlertState.GOOD else "failure"
    # Apprise refuses a message without a body.
    text = f"{body or title}\n\nVedetta {__version__}"
    return {"title": title, "body": text, "kind": kind, "addresses": list(addresses)}


# Addresses, by digest, that gave no answer in time, and when they are asked again.
_hanging_until: dict[str, float] = {}


def _is_hanging(address: str) -> bool:
    return _hanging_until.get(_digest(address), 0.0) > time.monotonic()


def _send_but_to_hanging(messages: Sequence[Mapping[str, Any]], seconds: float | None) -> list[list[str]]:
    """As `_send`; one that hung a moment ago is waited for no second time, and is tried again later."""
    tried = [
        {**message, "addresses": [each for each in message["addresses"] if not _is_hanging(each)]}
        for message in messages
    ]
    if not any(message["addresses"] for message in tried):
        return [[_HUNG] * len(message["addresses"]) for message in messages]
    sent = [
        dict(zip(message["addresses"], complaints, strict=True))
        for message, complaints in zip(tried, _send(tried, seconds), strict=True)
    ]
    return [
        [complaints.get(address, _HUNG) for address in message["addresses"]]
        for message, complaints in zip(messages, sent, strict=True)
    ]


_HUNG = "gave no answer a moment ago"


def _send(messages: Sequence[Mapping[str, Any]], seconds: float | None = None) -> list[list[str]]:
    """Send them; answers each address's complaint or an empty text, for each message."""
    seconds = SEND_SECONDS if seconds is None else seconds
    silent = "was not tried, because the program that sends messages failed"
    answers: dict[tuple[int, int], str] = {}

    def hear(line: str) -> None:
        with suppress(ValueError, TypeError):
            message, address, complaint = json.loads(line)
            answers[message, address] = complaint

    try:
        channels.ask_messenger(sender.order(messages), hear, seconds)
    except process.DeadlineExceeded:
        silent = f"gave no answer within {seconds:.0f} seconds"
        _note_hanging(messages, answers)
    return [
        [answers.get((place, number), silent) for number in range(len(message["addresses"]))]
        for place, message in enumerate(messages)
    ]


def _note_hanging(messages: Sequence[Mapping[str, Any]], answers: Mapping[tuple[int, int], str]) -> None:
    for place, message in enumerate(messages):
        for number, address in enumerate(message["addresses"]):
            if (place, number) not in answers:
                _hanging_until[_digest(address)] = time.monotonic() + _HUNG_SECONDS


def _ping_outcome(run: Run, state: AlertState) -> None:
    """Tell PING_URL of a backup's end. Its success says nothing while another database's fails."""
    if state == AlertState.GOOD and _others_fail(run):
        return
    verb = "" if state == AlertState.GOOD else "fail"
    told = _bounded(lambda: _ping(verb, _rid(run), run.error))
    _change(channels.PING, AlertState.FAILED if told else AlertState.GOOD, told)


def _others_fail(run: Run) -> bool:
    failing = Alert.objects.filter(subject__startswith=f"{Action.BACKUP.label} of ").exclude(
        state=AlertState.GOOD
    )
    return failing.exclude(database=run.database).exclude(database__backup_cron="").exists()


def _bounded(ask: Callable[[], str]) -> str:
    """What `ask` answers, or that it took too long: looking up a name has no deadline of its own."""
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    asking.start()
    asking.join(PING_SECONDS + 1)
    return answers[0] if answers else "PING_URL gives no answer."


def _rid(run: Run) -> uuid.UUID:
    """Pairs a start with its end, also where backups of several databases overlap."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{run.pk} {run.queued_at.isoformat()}")


def _basic(user: str, password: str) -> str:
    """The header's value for a user and password as they stand in an address."""
    pair = f"{unquote(user)}:{unquote(password)}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _ping(verb: str, rid: uuid.UUID, text: str = "") -> str:
    """Request PING_URL as Healthchecks wants it; answers what went wrong, in words without the address."""
    try:
        parts = urlsplit(settings.PING_URL)
        address = parts.netloc.rpartition("@")[2]
        path = "/".join(part for part in (parts.path.rstrip("/"), verb) if part)
        query = "&".join(part for part in (parts.query, f"rid={rid}") if part)
        request = urllib.request.Request(  # noqa: S310  the operator's own address
            urlunsplit((parts.scheme, address, path, query, "")), data=text.encode()[:10_000]
        )
        if parts.username is not None:
            # Not for whomever the service sends us on to.
            request.add_unredirected_header("Authorization", _basic(parts.username, parts.password or ""))
        with closing(urllib.request.urlopen(request, timeout=PING_SECONDS)):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        return f"PING_URL answered {error.code}."
    except (OSError, ValueError, HTTPException) as error:
        return f"PING_URL could not be reached ({type(error).__name__})."
