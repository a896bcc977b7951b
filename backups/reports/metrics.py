"""What Prometheus is told, computed from the portal's own database when it asks.

The number of queries does not grow with the history, nor with the number of databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db.models import Count
from django.utils import timezone
from django_q.models import OrmQ

from backups import __version__, marks
from backups.models import Repository
from backups.reports import figures_of_databases, run_counts, standing
from backups.reports.gauges import Gauges, gauge, text_of
from backups.runs.queue import PULSE_AHEAD
from backups.verdict import Overall, State
from sentinel.gate import Word


def exposition() -> bytes:
    """All figures in Prometheus's text format."""
    return b"".join(_Figures(timezone.now()).texts())


class _Figures:
    """Everything at one moment."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def texts(self) -> Iterator[bytes]:
        """What is told, piece by piece."""
        versions = marks.Versions()
        found = standing.read(self._now, versions)
        overall = found.overall
        databases, runs = _KEPT.get(versions.version, partial(_read, versions, found))
        yield text_of(self._of_verdict(overall))
        yield from databases.verdicts(overall)
        yield text_of(self._of_findings(found))
        yield from databases.texts(self._now)
        yield text_of(self._of_repositories(found.repositories))
        yield text_of(self._of_work(found, runs))

    @staticmethod
    def _of_verdict(overall: Overall) -> Gauges:
        yield gauge("build_info", "Always 1, with the version that runs.", [((__version__,), 1)], "version")
        states = [((state.value,), state == overall.state) for state in State]
        yield gauge("verdict", "1 for the worst of all that is known.", states, "state")

    @staticmethod
    def _of_findings(stands: standing.Standing) -> Gauges:
        findings = stands.overall.findings
        found = {(each.key, each.database, each.repository): each.state == State.BAD for each in findings}
        meaning = "What was found: 1 where it is bad, 0 where it is doubtful."
        yield gauge("finding", meaning, found.items(), "key", "database", "repository")
        heard = all(each.key != "gate_process" for each in findings)
        meaning = (
            "1 while the gate lets the application be used, and its process is not known to be in trouble."
        )
        yield gauge("gate_open", meaning, [((), stands.gate.is_open and heard)])
        states = [((one.value,), one.value == stands.gate.word) for one in Word]
        yield gauge("gate_state", "1 for the word that the gate has to answer.", states, "state")

    @staticmethod
    def _of_repositories(repositories: Sequence[Repository]) -> Gauges:
        damaged = [((r.name,), r.is_damaged) for r in repositories]
        suspect = [((r.name,), r.is_suspect) for r in repositories]
        sizes = [((r.name,), r.size_bytes) for r in repositories]
        until = "1 from when a check finds damage until one of all data finds none."
        yield gauge("repository_damaged", until, damaged, "repository")
        until = "1 from when a snapshot is found bad until a check finds damage, or one of all data none."
        yield gauge("repository_suspect", until, suspect, "repository")
        yield gauge("repository_size_bytes", "What the repository takes up.", sizes, "repository")

    def _of_work(self, found: standing.Standing, runs: Iterable[tuple[tuple[str, str], int]]) -> Gauges:
        yield gauge("runs", "Runs in the history.", runs, "action", "status")
        waiting = dict(OrmQ.objects.order_by().values_list("key").annotate(Count("pk")))
        queues = [str(settings.Q_CLUSTER["name"]), settings.RESTORES_CLUSTER]
        lengths = [((queue,), waiting.get(queue, 0)) for queue in queues]
        yield gauge("queue_length", "Messages that wait in the queue.", lengths, "queue")
        pulses = [((each.cluster,), self._pulse_age(each.seen_at)) for each in found.workers]
        yield gauge("worker_pulse_age_seconds", "Since the worker was last seen.", pulses, "cluster")
        until = "Alerts that did not reach everyone, and channels that reach nobody."
        yield gauge("notifications_failing", until, [((), found.failing)])

    def _pulse_age(self, seen: datetime) -> float | None:
        """Not known where it was seen before the clock was set back."""
        return None if seen > self._now + PULSE_AHEAD else self._age(seen)

    def _age(self, time: datetime) -> float:
        return (self._now - time).total_seconds()


def _read(
    versions: marks.Versions, found: standing.Standing
) -> tuple[figures_of_databases.Figures, list[tuple[tuple[str, str], int]]]:
    return figures_of_databases.read(found), run_counts.read(versions)


_KEPT = marks.Kept[tuple[figures_of_databases.Figures, list[tuple[tuple[str, str], int]]]]()
