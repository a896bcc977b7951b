"""What Prometheus is told of each database, put into words once for each version of its rows.

Of thousands of databases the text alone takes most of the time. What time changes is put in each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from django.db.models import OuterRef
from prometheus_client.utils import floatToGoString

from backups.choices import BAD_VERDICTS, Action, ArchiveState, Verdict
from backups.models import Database, LogGap, Verification
from backups.models.as_stored import as_stored, moment
from backups.reports.database_facts import OfDatabase
from backups.reports.gauges import head, label
from backups.reports.newest_rows import NewestRun
from backups.reports.rows import by_key, first, proofs_of
from backups.reports.standing import Standing
from backups.verdict import Overall, State

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


class _Proof(NamedTuple):
    """The newest verification that counts as a proof."""

    at: datetime
    restore_seconds: float | None


class _OfDatabase(NamedTuple):
    """One database: its lines of each family, and of those that grow the begin, and since when it counts."""

    # What they were made of.
    stands: OfDatabase
    others: tuple[_Proof | None, bool]
    name: str
    ages: Mapping[str, tuple[str, float]]
    lines: Mapping[str, str]
    verdicts: Mapping[State, str]


@dataclass(frozen=True)
class Figures:
    """Of all databases, by their keys."""

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
        every = [each.lines for each in self.databases.values()]
        return "".join(
            head(family, meaning) + "".join([lines[family] for lines in every if family in lines])
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
    """By the rows of now; what was found as it was before is not put into words again."""
    before = _held[0].databases if _held else {}
    every = sorted(found.found.items())
    proofs = _older_proofs(pk for pk, each in every if each.proof and not _is_good(each.proof, pk))
    gaps = _with_gap(pk for pk, each in every if _has_log(each))
    told: dict[int, _OfDatabase] = {}
    for pk, each in every:
        known = before.get(pk)
        others = proofs.get(pk), pk in gaps
        # Values by the thousand are not compared where it is the same object.
        is_same = known is not None and known.stands is each and known.others == others
        told[pk] = known if known and is_same else _of(each, others)
    figures = Figures(told)
    _held[:] = [figures]
    return figures


def _is_good(proof: NewestRun, database: int) -> bool:
    """Whether the newest verification proved a snapshot of which nothing bad was found since.

    What was found of one that is another row's by now, nothing that is written to this one's tells.
    """
    is_its_own = proof.proved_of == database
    return is_its_own and proof.verdict == Verdict.IDENTICAL and proof.proved_verdict not in BAD_VERDICTS


def _older_proofs(databases: Iterable[int]) -> dict[int, _Proof]:
    """Of those whose newest verification is none, the newest that is one."""
    keys = [*databases]
    if not keys:
        return {}
    proofs = proofs_of(OuterRef("pk")).filter(verdict=Verdict.IDENTICAL, snapshot__database=OuterRef("pk"))
    proofs = proofs.exclude(snapshot__verdict__in=BAD_VERDICTS).order_by("-finished_at")
    newest = Database.objects.filter(pk__in=keys).order_by().values_list("pk", first(proofs))
    of = {proof: pk for pk, proof in newest if proof}
    columns = Verification.objects.values_list("pk", as_stored("finished_at"), "restore_seconds")
    found = by_key(columns, of, lambda values: _Proof(moment(values[1]), values[2]))
    return {of[key]: proof for key, proof in found.items()}


def _has_log(one: OfDatabase) -> bool:
    return bool(one.row.log_state) and one.row.log_state != ArchiveState.OFF


def _with_gap(databases: Iterable[int]) -> set[int]:
    """Those of which the stored log has a gap that has not ended."""
    keys = {*databases}
    open_ones = LogGap.objects.filter(ends=None).order_by() if keys else LogGap.objects.none()
    return keys.intersection(open_ones.values_list("database_id", flat=True))


def _of(stands: OfDatabase, others: tuple[_Proof | None, bool]) -> _OfDatabase:
    database, proof = stands.row, _proof(stands, others[0])
    of = f'database="{label(database.name)}"'
    ages = {}
    figures: list[tuple[str, str, float | None]] = []
    if snapshot := stands.newest:
        ages["last_backup_age_seconds"] = snapshot.time
        figures.append(("backup_size_bytes", of, snapshot.total_bytes_processed))
        figures.append(("backup_added_bytes", of, snapshot.data_added_packed))
    if proof:
        ages["last_verified_age_seconds"] = proof.at
        figures.append(("restore_duration_seconds", of, proof.restore_seconds))
    if _has_log(stands):
        if database.log_stored_until:
            ages["log_stored_age_seconds"] = database.log_stored_until
        figures.append(("log_gap_open", of, float(others[1])))
    for action, run in ((Action.BACKUP, stands.good), (Action.VERIFY, stands.verified)):
        took = run.duration() if run and run.finished_at else None
        seconds = None if took is None else took.total_seconds()
        figures.append(("run_duration_seconds", f'action="{action.value}",{of}', seconds))
    return _OfDatabase(
        stands,
        others,
        database.name,
        {name: (f"vedetta_{name}{{{of}}} ", since.timestamp()) for name, since in ages.items()},
        _lines(figures),
        _verdicts(database.name),
    )


def _proof(stands: OfDatabase, older: _Proof | None) -> _Proof | None:
    newest = stands.proof
    if newest and newest.proved_at and _is_good(newest, stands.row.pk):
        return _Proof(newest.proved_at, newest.restore_seconds)
    return older


def _lines(figures: Iterable[tuple[str, str, float | None]]) -> dict[str, str]:
    """By family; what is not known is left out."""
    lines: dict[str, str] = {}
    for family, labels, value in figures:
        if value is not None:
            told = f"vedetta_{family}{{{labels}}} {_go(float(value))}\n"
            lines[family] = lines.get(family, "") + told
    return lines
