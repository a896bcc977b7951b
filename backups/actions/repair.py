"""Repairs of a damaged repository, in the order in which restic's troubleshooting guide has them.

https://restic.readthedocs.io/en/stable/077_troubleshooting.html
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from django.conf import settings

from backups import restic, services
from backups.actions.outcome import Outcome
from backups.actions.repository import opened, sync
from backups.choices import Action
from backups.models import Run
from backups.progress import Progress


def index(run: Run, progress: Progress) -> Outcome:
    """Save what can be read of the packs that the newest check named, then rebuild the index."""
    progress.phase("repair index")
    access = opened(run, progress)
    packs = _broken_packs(run)
    if packs:
        folder = Path(settings.RESTIC_CACHE_DIR or tempfile.gettempdir()) / "damaged-packs" / str(run.pk)
        folder.mkdir(parents=True, exist_ok=True)
        progress.log(f"The damaged packs as they were are kept in {folder}.")
        _call(access, restic.repair_packs_args(packs), "saving what is readable", progress, str(folder))
    _call(access, restic.repair_index_args(), "rebuilding the index", progress)
    _sentence(run, "The index was rebuilt. Next: repair snapshots, back up, check.", progress)
    return Outcome()


def snapshots(run: Run, progress: Progress) -> Outcome:
    """Write damaged snapshots anew without what is lost; the others stay as they are."""
    progress.phase("repair snapshots")
    access = opened(run, progress)
    _call(access, restic.repair_snapshots_args(), "repairing snapshots", progress)
    sync(run.repository, access, progress)
    _sentence(run, "Snapshots were repaired. Next: back up, then check.", progress)
    return Outcome()


def _broken_packs(run: Run) -> list[str]:
    newest = run.repository.runs.filter(action=Action.CHECK, finished_at__isnull=False).first()
    return list(newest.result.get("broken_packs", [])) if newest else []


def _call(
    access: restic.Access, args: tuple[str, ...], doing: str, progress: Progress, folder: str | None = None
) -> None:
    restic.call(
        access,
        args,
        doing=doing,
        on_stdout=progress.log,
        on_stderr=lambda line: progress.warn(restic.readable(line)),
        tick=progress.tick,
        folder=folder,
    )


def _sentence(run: Run, sentence: str, progress: Progress) -> None:
    progress.log(sentence)
    services.run_note(run.pk, result={"sentence": sentence})
