"""What Prometheus is told of each database, put into words once for each version of its rows.

Of thousands of databases the text alone takes most of the time. What time changes is put in each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Exists, F, OuterRef, QuerySet, Subquery
from prometheus_client.utils import floatToGoString

from backups import marks
from backups.choices import BAD_VERDICTS, Action, ArchiveState, Status, Verdict
from backups.models import Database, DatabaseQuerySet, LogGap, Run, Snapshot, Verification
from backups.reports.gauges import head, label
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
# Families whose figures grow with time, and others, each with what it means.
_AGES = {
    "last_backup_age_seconds": "Age of the newest good backup.",
    "last_verified_age_seconds": "Time since a backup was last proved by a full restore.",
    "log_stored_age_seconds": "Since the moment up to which the binary log is stored, where it is.",
}
_OTHERS = {
    "backup_size_bytes": "Size of the newest backup's dump.",
    "backup_added_bytes": "What the newest backup added to the repository, compressed.",
    "restore_duration_seconds": "How long the newest verification's restore took.",
    "run_duration_seconds": "How long the newest run that succeeded took.",
    "log_gap_open": "1 while the binary log, where it is stored, has a gap that has not ended.",
}


class _OfDatabase(NamedTuple):
    """One database: its lines of each family, and of those that grow the begin, and since when it counts."""

    name: str
    ages: Mapping[str, tuple[str, float]]
    others: Mapping[str, str]
    verdicts: Mapping[State, str]


@dataclass(frozen=True)
class Figures:
    """Of all databases, by their keys, and of which versions of their groups."""

    groups: Sequence[object]
    databases: Mapping[int, _OfDatabase]

    def texts(self, now: datetime) -> Iterator[bytes]:
        """All but how they stand."""
        at = now.timestamp()
        for begin, lines in self._ages:
            yield (begin + "".join([f"{line}{_go(at - since)}\n" for line, since in lines])).encode()
        yield self._others

    def verdicts(self, overall: Overall) -> Iterator[bytes]:
        """How each stands."""
        lines, state_of = self._verdicts, overall.state_of
        told = [(lines.get(name) or _verdicts(name))[state_of(name)] for name in overall.databases]
        yield (head("database_verdict", "The same by database.") + "".join(told)).encode()

    # Put together once for all who ask before the next change.

    @cached_property
    def _ages(self) -> list[tuple[str, list[tuple[str, float]]]]:
        every = [each.ages for each in self.databases.values()]
        return [
            (head(family, meaning), [ages[family] for ages in every if family in ages])
            for family, meaning in _AGES.items()
        ]

    @cached_property
    def _others(self) -> bytes:
        every = [each.others for each in self.databases.values()]
        return "".join(
            head(family, meaning) + "".join([others[family] for others in every if family in others])
            for family, meaning in _OTHERS.items()
        ).encode()

    @cached_property
    def _verdicts(self) -> dict[str, Mapping[State, str]]:
        return {each.name: each.verdicts for each in self.databases.values()}


def _go(value: float) -> str:
    """As Prometheus's own client writes it, which for most takes the way of `repr`."""
    return repr(value) if 0 <= value < 1e6 else str(floatToGoString(value))


def _verdicts(name: str) -> dict[State, str]:
    begin = f'vedetta_database_verdict{{database="{label(name)}",state='
    return {
        stands: "".join(f'{begin}"{state.value}"}} {float(state == stands)}\n' for state in State)
        for stands in State
    }


# Of this process, put in its place as a whole.
_held: list[Figures] = []


def read(versions: marks.Versions) -> Figures:
    """By the rows of now; of databases to whose rows nothing was written what was told of them before."""
    databases = Database.objects.in_service()
    known = _held[0] if _held else None
    changed = marks.changed(known.groups, versions.groups) if known else set(range(marks.GROUPS))
    if known is None or len(changed) > marks.GROUPS // 2:
        found: Mapping[int, _OfDatabase] = _read(databases)
    elif changed:
        some = databases.annotate(group=F("pk") % marks.GROUPS).filter(group__in=changed)
        same = {pk: each for pk, each in known.databases.items() if marks.group_of(pk) not in changed}
        found = dict(sorted({**same, **_read(some)}.items()))
    else:
        found = known.databases
    figures = Figures(versions.groups, found)
    _held[:] = [figures]
    return figures


def _read(some: DatabaseQuerySet) -> dict[int, _OfDatabase]:
    databases = list(_with_newest(some.order_by("pk")))
    snapshots = by_key(_SNAPSHOTS, (d.newest_snapshot for d in databases))
    proofs = by_key(_PROOFS, (d.newest_proof for d in databases))
    runs = by_key(_RUNS, (pk for d in databases for pk in (d.newest_backup, d.newest_verify)))
    return {
        d.pk: _of(d, snapshots.get(d.newest_snapshot), proofs.get(d.newest_proof), runs) for d in databases
    }


def _of(database: Any, snapshot: Any, proof: Any, runs: Mapping[int, Any]) -> _OfDatabase:
    of = f'database="{label(database.name)}"'
    ages = {}
    figures: list[tuple[str, str, float | None]] = []
    if snapshot:
        ages["last_backup_age_seconds"] = snapshot.time
        figures.append(("backup_size_bytes", of, snapshot.total_bytes_processed))
        figures.append(("backup_added_bytes", of, snapshot.data_added_packed))
    if proof:
        ages["last_verified_age_seconds"] = proof.finished_at
        figures.append(("restore_duration_seconds", of, proof.restore_seconds))
    if database.log_state and database.log_state != ArchiveState.OFF:
        if database.log_stored_until:
            ages["log_stored_age_seconds"] = database.log_stored_until
        figures.append(("log_gap_open", of, float(database.log_gap_open)))
    for action, pk in ((Action.BACKUP, database.newest_backup), (Action.VERIFY, database.newest_verify)):
        if (run := runs.get(pk)) and run.started_at and run.finished_at:
            took = (run.finished_at - run.started_at).total_seconds()
            figures.append(("run_duration_seconds", f'action="{action.value}",{of}', took))
    return _OfDatabase(
        database.name,
        {name: (f"vedetta_{name}{{{of}}} ", since.timestamp()) for name, since in ages.items()},
        _lines(figures),
        _verdicts(database.name),
    )


def _lines(figures: Iterable[tuple[str, str, float | None]]) -> dict[str, str]:
    """By family; what is not known is left out."""
    lines: dict[str, str] = {}
    for family, labels, value in figures:
        if value is not None:
            told = f"vedetta_{family}{{{labels}}} {floatToGoString(float(value))}\n"
            lines[family] = lines.get(family, "") + told
    return lines


def _with_newest(databases: QuerySet[Database]) -> QuerySet[Any, Any]:
    """Each database's key and name with the keys of its newest snapshot, proof and good runs."""
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
    of_log = {
        "log_state": F("log_archive__state"),
        "log_stored_until": F("log_archive__stored_until"),
        "log_gap_open": Exists(LogGap.objects.filter(database=mine, ends=None)),
    }
    return databases.annotate(**newest, **of_log).values_list("pk", "name", *newest, *of_log, named=True)
