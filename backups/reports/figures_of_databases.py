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
from backups.models import Database, DatabaseQuerySet, LogGap, Run, Verification
from backups.models.as_stored import as_stored, moment
from backups.reports.database_facts import OfDatabase
from backups.reports.gauges import head, label
from backups.reports.rows import by_key, first, proofs_of
from backups.reports.standing import Standing
from backups.verdict import Overall, State

# What of the rows is told. Of very many databases, whole rows would take most of the time.
_PROOFS = Verification.objects.values_list("pk", as_stored("finished_at"), "restore_seconds")
_RUNS = Run.objects.filter(started_at__isnull=False).values_list(
    "pk", as_stored("started_at"), as_stored("finished_at")
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

    # What they were made of.
    of: object
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
    return {stands: begin + begin.join(ends) for stands, ends in _ENDS.items()}


_ENDS = {stands: [f'"{state.value}"}} {float(state == stands)}\n' for state in State] for stands in State}


# Of this process, put in its place as a whole.
_held: list[Figures] = []


def read(found: Standing) -> Figures:
    """By the rows of now; of databases to whose rows nothing was written what was told of them before.

    Of their newest backups is told what was found, and so all is kept for as long as that is the same.
    """
    databases = Database.objects.in_service()
    known = _held[0] if _held else None
    changed = marks.changed(known.groups, found.groups) if known else set(range(marks.GROUPS))
    before = known.databases if known else {}
    told = before
    if known is None or len(changed) > marks.GROUPS // 2:
        told = _read(databases, found, before)
    elif changed:
        some = databases.annotate(group=F("pk") % marks.GROUPS).filter(group__in=changed)
        same = {pk: each for pk, each in before.items() if marks.group_of(pk) not in changed}
        told = dict(sorted({**same, **_read(some, found, before)}.items()))
    figures = Figures(found.groups, told)
    _held[:] = [figures]
    return figures


def _read(
    some: DatabaseQuerySet, found: Standing, before: Mapping[int, _OfDatabase]
) -> dict[int, _OfDatabase]:
    """What is made of the same as before is not put into words again."""
    databases = list(_with_newest(some.order_by("pk")))
    proofs = by_key(_PROOFS, (d.newest_proof for d in databases), tuple)
    took = by_key(_RUNS, (d.newest_verify for d in databases), _seconds)
    return {
        d.pk: _of(
            d, found.found[d.pk], proofs.get(d.newest_proof), took.get(d.newest_verify), before.get(d.pk)
        )
        for d in databases
        # One that was made just now is told of next time.
        if d.pk in found.found
    }


def _seconds(run: Any) -> float | None:
    _, started, finished = run
    return (moment(finished) - moment(started)).total_seconds() if started and finished else None


def _of(
    database: Any, stands: OfDatabase, proof: Any, verified: float | None, before: _OfDatabase | None
) -> _OfDatabase:
    made_of = (database, stands.newest, stands.good, proof, verified)
    if before is not None and before.of == made_of:
        return before
    of = f'database="{label(database.name)}"'
    ages = {}
    figures: list[tuple[str, str, float | None]] = []
    if snapshot := stands.newest:
        ages["last_backup_age_seconds"] = snapshot.time
        figures.append(("backup_size_bytes", of, snapshot.total_bytes_processed))
        figures.append(("backup_added_bytes", of, snapshot.data_added_packed))
    if proof:
        _, at, seconds = proof
        ages["last_verified_age_seconds"] = moment(at)
        figures.append(("restore_duration_seconds", of, seconds))
    if database.log_state and database.log_state != ArchiveState.OFF:
        if database.log_stored_until:
            ages["log_stored_age_seconds"] = database.log_stored_until
        figures.append(("log_gap_open", of, float(database.log_gap_open)))
    good = stands.good
    made = good.duration() if good and good.finished_at else None
    saved = None if made is None else made.total_seconds()
    for action, took in ((Action.BACKUP, saved), (Action.VERIFY, verified)):
        figures.append(("run_duration_seconds", f'action="{action.value}",{of}', took))
    return _OfDatabase(
        made_of,
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
            told = f"vedetta_{family}{{{labels}}} {_go(float(value))}\n"
            lines[family] = lines.get(family, "") + told
    return lines


def _with_newest(databases: QuerySet[Database]) -> QuerySet[Any, Any]:
    """Each database's key and name with the keys of its newest proof and verification."""
    mine = OuterRef("pk")
    proofs = proofs_of(mine).filter(verdict=Verdict.IDENTICAL).exclude(snapshot__verdict__in=BAD_VERDICTS)
    good = Run.objects.filter(database=mine, status=Status.SUCCEEDED).order_by("-finished_at")
    newest: dict[str, Subquery] = {
        "newest_proof": first(proofs.order_by("-finished_at")),
        "newest_verify": first(good.filter(action=Action.VERIFY)),
    }
    of_log = {
        "log_state": F("log_archive__state"),
        "log_stored_until": F("log_archive__stored_until"),
        "log_gap_open": Exists(LogGap.objects.filter(database=mine, ends=None)),
    }
    return databases.annotate(**newest, **of_log).values_list("pk", "name", *newest, *of_log, named=True)
