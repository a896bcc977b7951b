"""One snapshot is forgotten because a person said so; what keeps it is looked up once more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.utils import timezone

from backups import process, restic
from backups.actions.steps import alone
from backups.actions.steps.opening import opened
from backups.actions.steps.snapshot_list import note_size, size_is_due, sync
from backups.catalog import records
from backups.models import Run
from backups.requests import ForgetSnapshotRequest, read_as
from backups.requests.forget_snapshot import kept_by
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import phrase


def run(run: Run, progress: Progress) -> Outcome:
    """Forget the snapshot that the run is about, and free its room. Raises Problem."""
    progress.phase("plan")
    asked = read_as(run, ForgetSnapshotRequest)
    progress.log(
        phrase(
            "{person} wants snapshot {snapshot} of {local} to be forgotten: {reason}",
            person=asked.by,
            snapshot=asked.snapshot.short_id,
            local=f"{asked.snapshot.local_time:%Y-%m-%d %H:%M}",
            reason=asked.reason,
        )
    )
    access = opened(run, progress)
    sync(run.repository, access, progress)
    progress.phase("forget")
    # Somebody may have pinned it meanwhile, or asked for it to be restored.
    asked.refuse_unfit()
    for why in kept_by(asked.snapshot, timezone.now()).all_but_pins:
        progress.log(phrase("Forgotten although there is a reason to keep it: {why}.", why=why))
    args = restic.forget_args([asked.snapshot.snapshot_id], prune=True)
    alone.past_stale_locks(access, args, partial(_forget, access, progress), progress)
    records.snapshots_forgotten(run.repository, [asked.snapshot.snapshot_id])
    if size_is_due(run, is_night=True):
        note_size(run, access, progress)
    sentence = phrase(
        "Snapshot {snapshot} of {local} was forgotten.",
        snapshot=asked.snapshot.short_id,
        local=f"{asked.snapshot.local_time:%Y-%m-%d %H:%M}",
    )
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence, "forgotten": [asked.snapshot.snapshot_id]})
    return Outcome()


def _forget(access: restic.Access, progress: Progress, args: Sequence[str]) -> process.Completed:
    return restic.call(access, restic.Command(args, phrase("forgetting a snapshot")), tick=progress.tick)
