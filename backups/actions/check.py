"""An integrity check of the repository. Its outcome decides whether heartbeats are written."""

from __future__ import annotations

from backups import process, restic, services
from backups.actions.outcome import Outcome
from backups.actions.repository import opened
from backups.choices import Level
from backups.errors import Problem
from backups.models import Run
from backups.progress import Progress


def run(run: Run, progress: Progress) -> Outcome:
    """Check structure and, as the options say, data. Raises Problem when something is damaged."""
    progress.phase("check")
    access = opened(run, progress)
    restic.probe(access, tick=progress.tick)
    complaints: list[str] = []

    def hear(line: str) -> None:
        text = restic.readable(line)
        complaints.append(text)
        progress.log(text, Level.WARNING)

    args = restic.check_args(
        read_data=bool(run.options.get("read_data")),
        read_data_subset=str(run.options.get("read_data_subset", "")),
    )
    try:
        answer = restic.call(
            access, args, doing="checking the repository", on_stderr=hear, tick=progress.tick
        )
    except restic.ResticError as error:
        _judge(run, error, complaints)
        raise
    _all_good(run, answer, progress)
    return Outcome()


def _all_good(run: Run, answer: process.Completed, progress: Progress) -> None:
    summary = restic.parse_check_summary(answer.stdout)
    if summary is None or summary.num_errors:
        raise Problem("restic ended its check without saying that all is good.", do="Check again.")
    services.check_recorded(run.repository, error="")
    sentence = f"No errors found ({_scope(run)})."
    progress.log(sentence)
    services.run_note(run.pk, result={"sentence": sentence})


def _judge(run: Run, error: restic.ResticError, complaints: list[str]) -> None:
    """Damage is remembered with the repository; a check that could not be made says nothing of it."""
    if not _is_damage(error, complaints):
        return
    found = next((text for text in complaints if text), str(error))
    packs = restic.broken_packs(complaints)
    services.run_note(run.pk, result={"broken_packs": packs})
    services.check_recorded(run.repository, error=found[:500])
    raise restic.DamagedData(
        f"The repository {run.repository} is damaged: {found[:300]}.",
        safe="Backups still run, but no heartbeat is written until a check is good again.",
        do="Run `repository repair-index`, then `repository repair-snapshots`, back up and check again.",
    ) from error


def _is_damage(error: restic.ResticError, complaints: list[str]) -> bool:
    return type(error) is restic.ResticError and any(
        "repository contains errors" in text or "is damaged" in text for text in complaints
    )


def _scope(run: Run) -> str:
    if run.options.get("read_data"):
        return "structure and all data"
    if subset := run.options.get("read_data_subset"):
        return f"structure and {subset} of the data"
    return "structure"
