"""What a run writes down of itself: phases, results, its log, and what it would leave behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from backups.choices import ACTIVE, TERMINAL, TEST_RESTORES, Action, Level, Status
from backups.models import Database, Repository, Run, RunLine
from backups.runs.portal_database_away import outlast
from backups.text.sentences import english, joined, parts_of, phrase

if TYPE_CHECKING:
    from backups import restic


def run_append_error(run: Run, sentence: str) -> None:
    """Add to a run that is over how what it left behind was put right."""
    run_log(run.pk, [line(sentence, Level.WARNING)])
    told = joined([part for part in (run.error_told, sentence) if part])
    params = {**(run.error_params or {}), **parts_of(told)}
    Run.objects.filter(pk=run.pk, status__in=TERMINAL).update(error=english(told), error_params=params)


def run_phase(run_id: int, name: str, *, now: datetime | None = None) -> None:
    """Append a phase to the run's story."""
    run = Run.objects.only("phases").get(pk=run_id)
    phases = [*run.phases, {"name": name, "at": (now or timezone.now()).isoformat()}]
    Run.objects.filter(pk=run_id, status=Status.RUNNING).update(phase=name, phases=phases)


def run_update(run_id: int, **facts: Any) -> None:
    """Store what the run found out: versions, its snapshot, results (merged into `result`)."""
    outlast(lambda: run_noted(run_id, facts))


def run_noted(run_id: int, facts: Mapping[str, Any]) -> None:
    """As `run_update`, but tried once. Raises what Django raises where the portal's database is away."""
    merged = dict(facts)
    if "result" in facts:
        known = Run.objects.values_list("result", flat=True).get(pk=run_id)
        merged["result"] = {**known, **facts["result"]}
    Run.objects.filter(pk=run_id).update(**merged)


def restic_facts(version: str, origin: restic.Origin) -> dict[str, Any]:
    """For `run_update`: which restic a run works with, and where that is from."""
    facts = {"version": version, "origin": origin.words, "sha256": origin.sha256, "pinned": origin.is_pinned}
    return {"restic_version": version, "result": {"restic": facts}}


def run_log(run_id: int, lines: Iterable[tuple[datetime, Level, str]]) -> None:
    """Append lines to the run's log."""
    RunLine.objects.bulk_create(
        RunLine(run_id=run_id, at=at, level=level, text=text) for at, level, text in lines
    )


def line(text: str, level: Level = Level.INFO) -> tuple[datetime, Level, str]:
    """A line for `run_log`, of now."""
    return timezone.now(), level, text


def skipped_note(action: Action, database: Database) -> None:
    """Say in the running run's log that a scheduled one was left out because of it."""
    running = Run.objects.filter(action=action, database=database, status__in=ACTIVE).first()
    if running is not None:
        text = phrase(
            "The scheduled {action} was left out, because this one was under way.",
            action=action.label.lower(),
        )
        run_log(running.pk, [line(text, Level.WARNING)])


# What a run notes that it would leave behind if it died: databases, and by which word they are named.
SCRATCH, SCRATCH_BESIDE = "scratch", "scratch_beside"
SCRATCH_PURPOSES = {SCRATCH: "verify", SCRATCH_BESIDE: "verify_beside"}
PARTIAL = "partial"


def leftover_cleared(run_id: int, name: str) -> None:
    """Forget what a run noted that it would leave behind if it died: it is gone."""
    known = Run.objects.values_list("result", flat=True).get(pk=run_id)
    Run.objects.filter(pk=run_id).update(result={key: value for key, value in known.items() if key != name})


def runs_with_leftover(name: str) -> list[Run]:
    """Runs that are over and of which what they noted so (two databases, a file) may still be there."""
    # Asked for every minute, of a history that only grows: by the index, of the few that may.
    over = Run.objects.filter(
        repository__in=Repository.objects.all(),
        action__in=_LEAVING,
        status__in=TERMINAL,
        result__has_key=name,
    )
    return list(over.select_related("database__repository", "database__server"))


# Whose runs make a database or a file for themselves.
_LEAVING = [*TEST_RESTORES, Action.RESTORE, Action.ROWS_BACK, Action.DIFF]
