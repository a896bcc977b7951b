"""How far a run is and how long it will still take, from its beats and from earlier runs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Case, OuterRef, QuerySet, Subquery, When

from backups import marks
from backups.choices import Status
from backups.models import Run
from backups.reports import standing
from backups.text.sentences import joined

_EARLIER = 5
# Speed over less than this says nothing.
_LEAST_SECONDS = 2.0
# Beats come every second.
_SILENT = timedelta(seconds=15)


@dataclass(frozen=True)
class Phase:
    """A phase of a run. `took` is None while it lasts."""

    name: str
    at: datetime
    took: timedelta | None
    so_far: timedelta


@dataclass(frozen=True)
class Progress:
    """Where a running run stands. `left` and `percent` are None where nothing is known.

    `silent` is set when its worker has not been heard of for longer than it should be.
    """

    bytes_done: int
    bytes_expected: int | None
    speed: float | None
    percent: int | None
    left: timedelta | None
    silent: timedelta | None


@dataclass(frozen=True)
class Typical:
    """What earlier runs of the same kind took: in all, and by phase."""

    seconds: float | None
    phases: dict[str, float]

    def after(self, phase: str) -> float:
        """Seconds of the phases that follow `phase`."""
        names = list(self.phases)
        if phase not in names:
            return 0.0
        return sum(self.phases[name] for name in names[names.index(phase) + 1 :])


def phases(run: Run, now: datetime) -> list[Phase]:
    """The run's phases in order; the last one lasts until the run is over."""
    starts = list(_starts(run))
    ends = [at for _, at in starts[1:]] + [run.finished_at]
    return [
        Phase(name, at, end - at if end else None, (end or now) - at)
        for (name, at), end in zip(starts, ends, strict=False)
    ]


def _starts(run: Run) -> Iterator[tuple[str, datetime]]:
    """What its row tells of them; what no run of ours wrote is left out."""
    for entry in run.phases if isinstance(run.phases, list) else ():
        with suppress(KeyError, TypeError, ValueError):
            at = datetime.fromisoformat(entry["at"])
            if at.tzinfo is not None:
                yield str(entry["name"]), at


def progress(run: Run, typical: Typical, now: datetime) -> Progress | None:
    """How far a running run is; None for one that is not running."""
    if run.status != Status.RUNNING or run.started_at is None:
        return None
    heard = min(now, run.beat_at or now)
    story = phases(run, heard)
    in_phase = story[-1].so_far.total_seconds() if story else 0.0
    speed = run.bytes_done / in_phase if in_phase > _LEAST_SECONDS and run.bytes_done else None
    left = _left(run, typical, in_phase, speed)
    return Progress(
        bytes_done=run.bytes_done,
        bytes_expected=run.bytes_expected,
        speed=speed,
        percent=_percent(run, (heard - run.started_at).total_seconds(), left),
        left=None if left is None else timedelta(seconds=left),
        silent=now - heard if now - heard > _SILENT else None,
    )


def waits_because(run: Run, now: datetime) -> str:
    """What keeps a queued run from starting, where there is such a thing."""
    if run.status != Status.QUEUED:
        return ""
    found = standing.read(now).overall.findings
    return joined(each.sentence for each in found if each.key == "worker")


def _left(run: Run, typical: Typical, in_phase: float, speed: float | None) -> float | None:
    """Seconds left: of this phase by its bytes, of the later ones as they took earlier."""
    later = typical.after(run.phase)
    if speed and run.bytes_expected:
        return max(run.bytes_expected - run.bytes_done, 0) / speed + later
    if (usual := typical.phases.get(run.phase)) is not None:
        return max(usual - in_phase, 0.0) + later
    return None


def _percent(run: Run, elapsed: float, left: float | None) -> int | None:
    """Of the phase's bytes where they are known, else of the time; never 100 before the end."""
    if run.bytes_expected:
        return min(99, run.bytes_done * 100 // run.bytes_expected)
    if left is None:
        return None
    return min(99, int(elapsed * 100 / (elapsed + left))) if elapsed + left else 0


def earlier(run: Run) -> QuerySet[Run]:
    """The newest runs of the same kind that succeeded."""
    found = Run.objects.filter(action=run.action, status=Status.SUCCEEDED)
    if run.database_id is None:
        found = found.filter(repository=run.repository_id)
    else:
        found = found.filter(database=run.database_id)
    return found.order_by("-finished_at").only("phases", "started_at", "finished_at")[:_EARLIER]


def with_earlier(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Each with the keys of what `earlier` brings, where `usual_so_far` is about to ask for all of it."""
    return runs if _USUAL.has(_half_minute()) else _with_keys(runs)


def _with_keys(runs: QuerySet[Run]) -> QuerySet[Run]:
    mine = Run.objects.filter(action=OuterRef("action"), status=Status.SUCCEEDED).order_by("-finished_at")
    of_database = mine.filter(database=OuterRef("database")).values("pk")
    of_repository = mine.filter(repository=OuterRef("repository")).values("pk")
    nth = {
        # One by one, as each is found through an index.
        name: Case(
            When(database=None, then=Subquery(of_repository[n : n + 1])),
            default=Subquery(of_database[n : n + 1]),
        )
        for n, name in enumerate(_KEYS)
    }
    return runs.annotate(**nth)


_KEYS = [f"earlier_{n}" for n in range(_EARLIER)]


def usual(runs: Collection[Run]) -> dict[int, Typical]:
    """What `earlier` brings for each of these, by its key; in one query if they come `with_earlier`."""
    of: Iterable[Run] = runs
    if not all(hasattr(run, _KEYS[0]) for run in runs):
        of = _with_keys(Run.objects.filter(pk__in=[run.pk for run in runs]).order_by().only("pk"))
    found = {run.pk: [key for name in _KEYS if (key := getattr(run, name))] for run in of}
    wanted = {key for keys in found.values() for key in keys}
    rows = Run.objects.only("phases", "started_at", "finished_at").in_bulk(wanted) if wanted else {}
    return {pk: typical(rows[key] for key in keys if key in rows) for pk, keys in found.items()}


def usual_so_far(runs: Iterable[Run]) -> dict[int, Typical]:
    """The same of those that run, asked for once of each: while it runs, no earlier one comes."""
    running = {(run.pk, run.queued_at): run for run in runs if run.status == Status.RUNNING}

    def ask(keys: Iterable[tuple[int, datetime]]) -> dict[tuple[int, datetime], Typical]:
        found = usual([running[key] for key in keys])
        return {key: found[key[0]] for key in keys if key[0] in found}

    known = _USUAL.get(_half_minute(), list(running), ask)
    return {pk: typical for (pk, _), typical in known.items()}


_USUAL = marks.KeptEach[tuple[int, datetime], Typical]()


def _half_minute() -> int:
    return int(time.time()) // marks.BOUND_SECONDS


def typical(runs: Iterable[Run]) -> Typical:
    """The median of what `runs`, newest first, took."""
    known = [run for run in runs if run.started_at and run.finished_at]
    by_phase: dict[str, list[float]] = defaultdict(list)
    for run in known:
        for phase in phases(run, run.finished_at):  # type: ignore[arg-type]
            by_phase[phase.name].append(phase.so_far.total_seconds())
    return Typical(
        seconds=_median([run.duration().total_seconds() for run in known]),  # type: ignore[union-attr]
        phases={name: median(took) for name, took in by_phase.items()},
    )


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
