"""Repairs of a damaged repository, in the order in which restic's troubleshooting guide has them.

https://restic.readthedocs.io/en/stable/077_troubleshooting.html
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from backups import process, restic
from backups.actions.steps import alone
from backups.actions.steps.opening import opened
from backups.actions.steps.snapshot_list import sync
from backups.choices import Action, Status
from backups.models import Run
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import phrase


def index(run: Run, progress: Progress) -> Outcome:
    """Save what can be read of the packs that a check named, then rebuild the index."""
    progress.phase("repair index")
    access = opened(run, progress)
    packs = _broken_packs(run)
    if packs:
        folder = Path(settings.RESTIC_CACHE_DIR or tempfile.gettempdir()) / "damaged-packs" / str(run.pk)
        folder.mkdir(parents=True, exist_ok=True)
        progress.log(phrase("The original damaged packs are kept in {folder}.", folder=folder))
        _call(
            access, restic.repair_packs_args(packs), phrase("saving what is readable"), progress, str(folder)
        )
    _call(access, restic.repair_index_args(), phrase("rebuilding the index"), progress)
    _sentence(
        run, phrase("The index was rebuilt. Next: repair snapshots, check all data, back up."), progress
    )
    return Outcome()


def snapshots(run: Run, progress: Progress) -> Outcome:
    """Write damaged snapshots anew without what is lost; the others stay as they are."""
    progress.phase("repair snapshots")
    access = opened(run, progress)
    _call(access, restic.repair_snapshots_args(), phrase("repairing snapshots"), progress)
    sync(run.repository, access, progress, is_repaired=True)
    _sentence(run, phrase("Snapshots were repaired. Next: check all data, then back up."), progress)
    return Outcome()


def _broken_packs(run: Run) -> list[str]:
    """What the newest check named that named any, unless that was repaired or found mended since.

    The newest of all may have met a lock, or read too little to meet the damage.
    """
    if not run.repository.is_damaged:
        return []
    checks = run.repository.runs.filter(action=Action.CHECK, finished_at__isnull=False)
    repairs = run.repository.runs.filter(action=Action.REPAIR_INDEX, status=Status.SUCCEEDED)
    if repaired := repairs.order_by("-finished_at").first():
        checks = checks.filter(finished_at__gt=repaired.finished_at)
    named = (check.result.get("broken_packs") for check in checks.order_by("-finished_at"))
    return next((list(packs) for packs in named if packs), [])


def _call(
    access: restic.Access, args: tuple[str, ...], doing: str, progress: Progress, folder: str | None = None
) -> None:
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        if not restic.tells_of_lock(text := restic.readable(line)):
            progress.warn(text)

    def call(args: Sequence[str]) -> process.Completed:
        heard.clear()
        return restic.call(
            access,
            restic.Command(args, doing, folder=folder),
            on_stdout=progress.log,
            on_stderr=hear,
            tick=progress.tick,
        )

    alone.past_stale_locks(access, args, call, progress)
    if kept_from := restic.complaint(heard, access, doing):
        raise kept_from


def _sentence(run: Run, sentence: str, progress: Progress) -> None:
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence})
