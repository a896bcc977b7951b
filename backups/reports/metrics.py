"""What Prometheus is told, computed from the portal's own database when it asks.

The number of queries does not grow with the history, nor with the number of databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.utils import timezone
from django_q.models import OrmQ
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backups import __version__
from backups.choices import BAD_VERDICTS, Action, Status, Verdict
from backups.models import Database, Repository, Run, Snapshot, Verification, WorkerPulse
from backups.notifications import channels
from backups.reports import standing
from backups.reports.rows import by_key
from backups.runs.queue import PULSE_AHEAD
from backups.verdict import Overall, State

Gauges = Iterator[GaugeMetricFamily]
# What of the rows is told. Of very many databases, whole rows would take most of the time.
_SNAPSHOTS = Snapshot.objects.values_list(
    "pk", "time", "total_bytes_processed", "data_added_packed", named=True
)
_PROOFS = Verification.objects.values_list("pk", "finished_at", "restore_seconds", named=True)
_RUNS = Run.objects.filter(started_at__isnull=False).values_list(
    "pk", "started_at", "finished_at", named=True
)


def exposition(gate_word: str, gate_words: Iterable[str], *, gate_is_open: bool) -> bytes:
    """All figures in Prometheus's text format; the gate's own come from whoever asked it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(timezone.now(), gate_word, gate_words, gate_is_open))
    return bytes(generate_latest(registry))


class _Figures(Collector):
    """Everything at one moment."""

    def __init__(self, now: datetime, gate_word: str, gate_words: Iterable[str], gate_is_open: bool) -> None:
        self._now = now
        self._gate = gate_word, gate_words, gate_is_open

    def collect(self) -> Gauges:
        yield _gauge("build_info", "Always 1, with the version that runs.", [((__version__,), 1)], "version")
        overall = standing.read(self._now).overall
        yield from self._of_verdict(overall)
        yield from self._of_gate(overall)
        yield from self._of_databases()
        yield from self._of_repositories()
        yield from self._of_work()

    def _of_verdict(self, overall: Overall) -> Gauges:
        states = [((state.value,), state == overall.state) for state in State]
        yield _gauge("verdict", "1 for the worst of all that is known.", states, "state")
        databases = [
            ((name, state.value), state == overall.state_of(name))
            for name in overall.databases
            for state in State
        ]
        yield _gauge("database_verdict", "The same by database.", databases, "database", "state")
        found = {
            (each.key, each.database, each.repository): each.state == State.BAD for each in overall.findings
        }
        meaning = "What was found: 1 where it is bad, 0 where it is doubtful."
        yield _gauge("finding", meaning, found.items(), "key", "database", "repository")

    def _of_gate(self, overall: Overall) -> Gauges:
        word, words, is_open = self._gate
        heard = all(each.key != "gate_process" for each in overall.findings)
        meaning = (
            "1 while the gate lets the application be used, and its process is not known to be in trouble."
        )
        yield _gauge("gate_open", meaning, [((), is_open and heard)])
        states = [((one,), one == word) for one in words]
        yield _gauge("gate_state", "1 for the word that the gate has to answer.", states, "state")

    def _of_databases(self) -> Gauges:
        databases = list(_with_newest(Database.objects.in_service().order_by("pk")))
        snapshots = by_key(_SNAPSHOTS, (d.newest_snapshot for d in databases))
        proofs = by_key(_PROOFS, (d.newest_proof for d in databases))
        backups = [((d.name,), snapshots.get(d.newest_snapshot)) for d in databases]
        proved = [((d.name,), proofs.get(d.newest_proof)) for d in databases]
        yield _gauge(
            "last_backup_age_seconds",
            "Age of the newest good backup.",
            [(labels, self._age(s.time)) for labels, s in backups if s],
            "database",
        )
        yield _gauge(
            "last_verified_age_seconds",
            "Time since a backup was last proved by a full restore.",
            [(labels, self._age(v.finished_at)) for labels, v in proved if v],
            "database",
        )
        yield _gauge(
            "backup_size_bytes",
            "Size of the newest backup's dump.",
            [(labels, s.total_bytes_processed) for labels, s in backups if s],
            "database",
        )
        yield _gauge(
            "backup_added_bytes",
            "What the newest backup added to the repository, compressed.",
            [(labels, s.data_added_packed) for labels, s in backups if s],
            "database",
        )
        yield _gauge(
            "restore_duration_seconds",
            "How long the newest verification's restore took.",
            [(labels, v.restore_seconds) for labels, v in proved if v],
            "database",
        )
        yield from self._of_runs(databases)

    @staticmethod
    def _of_runs(databases: Iterable[Any]) -> Gauges:
        runs = by_key(_RUNS, (pk for d in databases for pk in (d.newest_backup, d.newest_verify)))
        done = [
            ((d.name, action), runs[pk])
            for d in databases
            for action, pk in ((Action.BACKUP, d.newest_backup), (Action.VERIFY, d.newest_verify))
            if pk in runs
        ]
        yield _gauge(
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

    def _of_repositories(self) -> Gauges:
        repositories = list(Repository.objects.order_by("pk"))
        damaged = [((r.name,), r.is_damaged) for r in repositories]
        suspect = [((r.name,), r.is_suspect) for r in repositories]
        sizes = [((r.name,), r.size_bytes) for r in repositories]
        until = "1 from when a check finds damage until one of all data finds none."
        yield _gauge("repository_damaged", until, damaged, "repository")
        until = "1 from when a snapshot is found bad until a check finds damage, or one of all data none."
        yield _gauge("repository_suspect", until, suspect, "repository")
        yield _gauge("repository_size_bytes", "What the repository takes up.", sizes, "repository")

    def _of_work(self) -> Gauges:
        counts = Run.objects.order_by().values_list("action", "status").annotate(Count("pk"))
        runs = [((action, status), count) for action, status, count in counts]
        yield _gauge("runs", "Runs in the history.", runs, "action", "status")
        waiting = dict(OrmQ.objects.order_by().values_list("key").annotate(Count("pk")))
        queues = [str(settings.Q_CLUSTER["name"]), settings.RESTORES_CLUSTER]
        lengths = [((queue,), waiting.get(queue, 0)) for queue in queues]
        yield _gauge("queue_length", "Messages that wait in the queue.", lengths, "queue")
        pulses = [((p.cluster,), self._pulse_age(p.seen_at)) for p in WorkerPulse.objects.all()]
        yield _gauge("worker_pulse_age_seconds", "Since the worker was last seen.", pulses, "cluster")
        until = "Alerts that did not reach everyone, and channels that reach nobody."
        yield _gauge("notifications_failing", until, [((), channels.failing())])

    def _pulse_age(self, seen: datetime) -> float | None:
        """Not known where it was seen before the clock was set back."""
        return None if seen > self._now + PULSE_AHEAD else self._age(seen)

    def _age(self, time: datetime) -> float:
        return (self._now - time).total_seconds()


def _with_newest(databases: QuerySet[Database]) -> QuerySet[Any]:
    """Each database with the keys of its newest snapshot, proof and good runs."""
    mine = OuterRef("pk")
    snapshots = Snapshot.objects.trusted().meant().present().filter(database=mine).newest_first()
    proofs = Verification.objects.filter(snapshot__database=mine, verdict=Verdict.IDENTICAL).exclude(
        snapshot__verdict__in=BAD_VERDICTS
    )
    good = Run.objects.filter(database=mine, status=Status.SUCCEEDED).order_by("-finished_at")
    return databases.annotate(
        newest_snapshot=_first(snapshots),
        newest_proof=_first(proofs.order_by("-finished_at")),
        newest_backup=_first(good.filter(action=Action.BACKUP)),
        newest_verify=_first(good.filter(action=Action.VERIFY)),
    )


def _first(rows: QuerySet[Any]) -> Subquery:
    return Subquery(rows.values("pk")[:1])


def _gauge(
    name: str,
    meaning: str,
    values: Iterable[tuple[tuple[str, ...], float | None]],
    *labels: str,
) -> GaugeMetricFamily:
    """A family of figures; what is not known is left out."""
    family = GaugeMetricFamily(f"vedetta_{name}", meaning, labels=labels)
    for label_values, value in values:
        if value is not None:
            family.add_metric(label_values, float(value))
    return family
