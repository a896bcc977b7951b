"""What is looked at of every database each minute, read again only where something was written since.

All is read anew after BOUND_SECONDS, whatever the marks say: for so long at most nothing may be known of what
a process wrote that was killed before it raised its mark. What time alone decides is judged by who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import F, Max, OuterRef, QuerySet, Subquery

from backups import marks
from backups.choices import SuspicionState, Verdict
from backups.models import Alert, Database, DatabaseQuerySet, Snapshot, Verification
from backups.models.as_stored import as_stored, moment
from backups.reports import database_facts
from backups.snapshots.selection import CLOCKS_DIFFER

# An alert of what is overdue for hours may be later by that. A minute is what it is looked at again after.
BOUND_SECONDS = 120
# On which the secrets depend that a run with a database reads.
READ_BY = (
    "server", "verify_host", "verify_port", "verify_password_ref", "verify_ssl_mode", "verify_ssl_ca",
)  # fmt: skip


class Looked(NamedTuple):
    """A database: what decides whether it is in time, and whether its secrets can be read."""

    pk: int
    name: str
    gates: bool
    backup_cron: str
    threshold: int | None
    verify_cron: str
    backed_up: datetime | None
    secrets: tuple[Any, ...]
    proved: datetime | None
    # After its newest good backup no heartbeat was written.
    is_withheld: bool


_COLUMNS = ("pk", "name", "gates_app", "backup_cron", "heartbeat_threshold", "verify_cron", "newest")


class _Held(NamedTuple):
    of: object
    at: datetime
    groups: Sequence[object]
    databases: Mapping[int, Looked]


# Of this process, put in its place as a whole.
_held: list[_Held] = []


def databases(now: datetime) -> Mapping[int, Looked]:
    """Those that are in service, by their keys."""
    versions = marks.Versions(BOUND_SECONDS)
    of = getattr(settings, "_wrapped", None), int(now.timestamp()) // BOUND_SECONDS
    held = _held[0] if _held else None
    every = Database.objects.in_service()
    # What was of the past is of the future where the clock was set back.
    if held is None or held.of != of or held.at > now:
        found: Mapping[int, Looked] = _read(every, now)
    else:
        changed = marks.changed(held.groups, versions.groups)
        found = held.databases
        if changed:
            some = every.annotate(group=F("pk") % marks.GROUPS).filter(group__in=changed)
            same = {pk: each for pk, each in found.items() if marks.group_of(pk) not in changed}
            found = dict(sorted({**same, **_read(some, now)}.items()))
    _held[:] = [_Held(of, now, versions.groups, found)]
    return found


def states() -> Mapping[str, str]:
    """How all subjects stand that tell whether something is in time, by their alerts."""
    return _STATES.get(marks.Versions(BOUND_SECONDS).of("backups_alert"), _states)


_STATES = marks.Kept[dict[str, str]]()
TIMELY = Alert.objects.filter(subject__startswith="Timely ").order_by()


def _states() -> dict[str, str]:
    return dict(TIMELY.values_list("subject", "state"))


def _read(some: DatabaseQuerySet, now: datetime) -> dict[int, Looked]:
    # One that a wrong clock put into the future would be timely for as long.
    past = now + CLOCKS_DIFFER
    backups = Snapshot.objects.trusted().meant().present().filter(database=OuterRef("pk"), time__lte=past)
    newest = Subquery(backups.newest_first().values(at=as_stored("time"))[:1])
    rows = list(some.order_by("pk").annotate(newest=newest).values_list(*_COLUMNS, *READ_BY))
    proved = _newest_proved(past, some)
    withheld = set(database_facts.withheld_by_now(some).values_list("pk", flat=True))
    count = len(_COLUMNS)
    return {
        row[0]: Looked._make(
            (*row[: count - 1], moment(row[count - 1]), row[count:], proved.get(row[0]), row[0] in withheld)
        )
        for row in rows
    }


def _newest_proved(past: datetime, some: DatabaseQuerySet) -> dict[int, datetime]:
    """By when verifications ended; where the gate asks for them, as it does: by what they verified."""
    of = some.order_by().values("pk")
    if settings.SENTINEL.verified_threshold_seconds:
        trusted = Snapshot.objects.trusted().meant().filter(database__in=of)
        return _newest(trusted.verified().filter(time__lte=past), "time")
    good = Verification.objects.filter(verdict=Verdict.IDENTICAL, finished_at__lte=past).exclude(
        snapshot__suspicion__state__in=[SuspicionState.WAITING, SuspicionState.OVER]
    )
    return _newest(good.filter(snapshot__database__in=of), "finished_at", "snapshot__database")


def _newest(rows: QuerySet[Any], field: str, database: str = "database") -> dict[int, datetime]:
    newest = rows.values_list(database).annotate(newest=as_stored(Max(field)))
    return {pk: moment(at) for pk, at in newest}


def withheld(found: Iterable[Looked]) -> list[int]:
    """The keys of those after whose newest good backup no heartbeat was written."""
    return [each.pk for each in found if each.is_withheld]
