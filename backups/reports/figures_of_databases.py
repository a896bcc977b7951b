"""What Prometheus is told of each database, put into words once for each version of the rows.

Of thousands of databases the text alone takes most of the time. What time changes is put in each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.utils import floatToGoString

from backups.choices import BAD_VERDICTS, Action, Status, Verdict
from backups.models import Database, Run, Snapshot, Verification
from backups.reports.gauges import Gauges, gauge, head, label, text_of
from backups.reports.rows import by_key, first
from backups.verdict import Overall, State

# What of the rows is told. Of very many databases, whole rows would take most of the time.
_SNAPSHOTS = Snapshot.objects.values_list(
    "pk", "time", "total_bytes_processed", "data_added_packed", named=True
)
_PROOFS = Verification.objects.values_list("pk", "finished_at", "restore_seconds", named=True)
_RUNS = Run.objects.filter(started_at__isnull=False).values_list(
    "pk", "started_at", "finished_at", named=True
)


class _Ages(NamedTuple):
    """A family whose figures grow with time: the begin of each line, and the seconds since when it counts."""

    head: str
    lines: Sequence[tuple[str, float]]

    def text(self, now: float) -> bytes:
        """At one moment, in seconds."""
        lines = (f"{begin}{floatToGoString(now - since)}\n" for begin, since in self.lines)
        return (self.head + "".join(lines)).encode()


@dataclass(frozen=True)
class Figures:
    """Of all databases."""

    ages: Sequence[_Ages]
    others: bytes

    def texts(self, now: datetime) -> Iterator[bytes]:
        """All but how they stand."""
        for each in self.ages:
            yield each.text(now.timestamp())
        yield self.others

    def verdicts(self, overall: Overall) -> Iterator[bytes]:
        """How each stands."""
        yield self._head.encode()
        lines = self._lines
        for name in overall.databases:
            if name not in lines:
                lines[name] = {state: _verdict(name, state) for state in State}
        told = "".join(lines[name][overall.state_of(name)] for name in overall.databases)
        yield told.encode()

    @cached_property
    def _head(self) -> str:
        return head("database_verdict", "The same by database.")

    @cached_property
    def _lines(self) -> dict[str, dict[State, str]]:
        return {}


def _verdict(name: str, stands: State) -> str:
    begin = f'vedetta_database_verdict{{database="{label(name)}",state='
    return "".join(f'{begin}"{state.value}"}} {float(state == stands)}\n' for state in State)


def read() -> Figures:
    """By the rows of now."""
    databases = list(_with_newest(Database.objects.in_service().order_by("pk")))
    snapshots = by_key(_SNAPSHOTS, (d.newest_snapshot for d in databases))
    proofs = by_key(_PROOFS, (d.newest_proof for d in databases))
    backups = [(d.name, s) for d in databases if (s := snapshots.get(d.newest_snapshot))]
    proved = [(d.name, v) for d in databases if (v := proofs.get(d.newest_proof))]
    ages = (
        _ages("last_backup_age_seconds", "Age of the newest good backup.", [(n, s.time) for n, s in backups]),
        _ages(
            "last_verified_age_seconds",
            "Time since a backup was last proved by a full restore.",
            [(n, v.finished_at) for n, v in proved],
        ),
    )
    return Figures(ages, text_of(_others(databases, backups, proved)))


def _ages(name: str, meaning: str, times: Iterable[tuple[str, datetime]]) -> _Ages:
    lines = [(f'vedetta_{name}{{database="{label(of)}"}} ', time.timestamp()) for of, time in times]
    return _Ages(head(name, meaning), lines)


def _others(
    databases: Iterable[Any], backups: Sequence[tuple[str, Any]], proved: Sequence[tuple[str, Any]]
) -> Gauges:
    yield gauge(
        "backup_size_bytes",
        "Size of the newest backup's dump.",
        [((name,), s.total_bytes_processed) for name, s in backups],
        "database",
    )
    yield gauge(
        "backup_added_bytes",
        "What the newest backup added to the repository, compressed.",
        [((name,), s.data_added_packed) for name, s in backups],
        "database",
    )
    yield gauge(
        "restore_duration_seconds",
        "How long the newest verification's restore took.",
        [((name,), v.restore_seconds) for name, v in proved],
        "database",
    )
    yield _of_runs(list(databases))


def _of_runs(databases: Sequence[Any]) -> GaugeMetricFamily:
    runs = by_key(_RUNS, (pk for d in databases for pk in (d.newest_backup, d.newest_verify)))
    done = [
        ((d.name, action), runs[pk])
        for d in databases
        for action, pk in ((Action.BACKUP, d.newest_backup), (Action.VERIFY, d.newest_verify))
        if pk in runs
    ]
    return gauge(
        "run_duration_seconds",
        "How long the newest run that succeeded took.",
        [
            (labels, (run.finished_at - run.started_at).total_seconds())
            for labels, run in done
            if run.started_at and run.finished_at
        ],
        "database",
        "action",
    )


def _with_newest(databases: QuerySet[Database]) -> QuerySet[Any, Any]:
    """Each database's name with the keys of its newest snapshot, proof and good runs."""
    mine = OuterRef("pk")
    snapshots = Snapshot.objects.trusted().meant().present().filter(database=mine).newest_first()
    proofs = Verification.objects.filter(snapshot__database=mine, verdict=Verdict.IDENTICAL).exclude(
        snapshot__verdict__in=BAD_VERDICTS
    )
    good = Run.objects.filter(database=mine, status=Status.SUCCEEDED).order_by("-finished_at")
    newest: dict[str, Subquery] = {
        "newest_snapshot": first(snapshots),
        "newest_proof": first(proofs.order_by("-finished_at")),
        "newest_backup": first(good.filter(action=Action.BACKUP)),
        "newest_verify": first(good.filter(action=Action.VERIFY)),
    }
    return databases.annotate(**newest).values_list("name", *newest, named=True)
