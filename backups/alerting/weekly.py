"""A week in one message: how all stands, and what was done for each database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count
from django.utils import timezone

from backups.choices import Action, AlertState, Status
from backups.models import Alert, Database, Run
from backups.reports import standing
from backups.text import formatting
from backups.text.sentences import joined, phrase, plural
from backups.verdict import State

_WEEK = timedelta(days=7)
# Of databases, and of what is wrong, in a message that is read on a phone.
_MOST = 40


def summary(chosen: Sequence[Database], end: datetime) -> tuple[str, str]:
    """Title and text of the week before `end`; of all databases where none is chosen."""
    now = timezone.now()
    found = standing.read(now)
    state = found.overall.state
    words = phrase("all is well") if state == State.GOOD else (
        phrase("not safe") if state == State.BAD else phrase("needs a look")
    )  # fmt: skip
    title = phrase("Vedetta, the week until {day}: {words}", day=_day(end), words=words)
    names = {each.name for each in chosen}
    findings = [
        each.sentence for each in found.overall.findings
        if not names or not each.database or each.database in names
    ]  # fmt: skip
    lines = [*_bounded([phrase("• {sentence}", sentence=each) for each in findings])]
    if not findings:
        lines.append(found.overall.all_well or phrase("Nothing needs a look."))
    rows = [each for each in found.databases if not names or each.name in names]
    counts = _counts(end)
    lines += ["", *_bounded([_line(each, found, counts) for each in rows])]
    return title, joined([*lines, "", _alerts()], "\n")


Counts = dict[tuple[int, str, str], int]


def _counts(end: datetime) -> Counts:
    """How many runs of each action ended how within the week, by database."""
    runs = Run.objects.filter(finished_at__gt=end - _WEEK, finished_at__lte=end, database__isnull=False)
    told = runs.filter(action__in=[Action.BACKUP, Action.VERIFY, Action.RESTORE]).order_by()
    rows = told.values_list("database", "action", "status").annotate(n=Count("pk"))
    return {(database, action, status): n for database, action, status, n in rows}


def _line(database: Database, found: standing.Standing, counts: Counts) -> str:
    newest = found.newest(database)
    kept = (
        phrase("newest {age}", age=formatting.age(newest.time, found.now)) if newest else phrase("none kept")
    )
    parts = [
        phrase("{made} of {n} backups good", **_good(counts, database, Action.BACKUP)),
        kept,
        phrase("{made} of {n} verifications good", **_good(counts, database, Action.VERIFY)),
    ]
    if (restores := _good(counts, database, Action.RESTORE))["n"]:
        parts.append(phrase("{made} of {n} restores good", **restores))
    return phrase("{database}: {parts}", database=database.name, parts=joined(parts, ", "))


def _good(counts: Counts, database: Database, action: Action) -> dict[str, int]:
    made = counts.get((database.pk, action, Status.SUCCEEDED), 0)
    failed = sum(counts.get((database.pk, action, each), 0) for each in (Status.FAILED, Status.LOST))
    return {"made": made, "n": made + failed}


def _bounded(lines: Sequence[str]) -> list[str]:
    left = len(lines) - _MOST
    more = [plural("and {n} more", "and {n} more", n=left)] if left > 0 else []
    return [*lines[:_MOST], *more]


def _alerts() -> str:
    count = Alert.objects.exclude(state=AlertState.GOOD).count()
    if not count:
        return phrase("No alert stands.")
    return plural("{n} alert stands.", "{n} alerts stand.", n=count)


def _day(end: datetime) -> str:
    return f"{timezone.localtime(end):%Y-%m-%d}"
