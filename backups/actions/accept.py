"""A person says of a suspicious backup that it is right: heartbeat and retention go on from it."""

from __future__ import annotations

from backups.alerting import alerts
from backups.choices import Action, SuspicionState
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.keeping import suspicions
from backups.models import Run, Snapshot, Suspicion
from backups.runs import notes
from backups.text.sentences import phrase


def accept(suspicion: Suspicion, *, by: str, reason: str) -> str:
    """Take a suspicious backup for right; answers in a sentence what follows. Raises Problem.

    `by` says who, `reason` why. Safe to repeat: what was accepted stays as it was said first.
    """
    _refuse_what_cannot_be_accepted(suspicion)
    run, snapshot = suspicion.snapshot.made_by, suspicion.snapshot
    if suspicions.settle(suspicion, by=by, reason=reason):
        if run is not None:
            notes.run_log(
                run.pk,
                [notes.line(phrase("Accepted by {person}: {reason}", person=by, reason=suspicion.reason))],
            )
        answer = phrase(
            "Snapshot {snapshot} of {database} is accepted.",
            snapshot=snapshot.short_id,
            database=suspicion.database,
        )
    else:
        _refuse_what_cannot_be_accepted(suspicion)
        answer = phrase(
            "Snapshot {snapshot} was accepted before, by {settled_by}.",
            snapshot=snapshot.short_id,
            settled_by=suspicion.settled_by,
        )
    alerts.backup_accepted(suspicion.database)
    return f"{answer} {_move_heartbeat(suspicion)}"


def suspicion_of(run: Run) -> Suspicion:
    """What makes the backup suspicious that a run made. Raises Problem where nothing does."""
    if run.action != Action.BACKUP:
        raise Problem(
            phrase(
                "Run {run} is no backup ({action}); only a backup can be accepted.",
                run=run.pk,
                action=run.get_action_display().lower(),
            ),
            code="accept.no_backup",
        )
    found = Suspicion.objects.filter(snapshot__made_by=run).select_related("snapshot", "database").first()
    if found is None:
        raise Problem(
            phrase("Backup {run} is not suspicious: there is nothing to accept.", run=run.pk),
            code="accept.not_suspicious",
        )
    return found


def _refuse_what_cannot_be_accepted(suspicion: Suspicion) -> None:
    snapshot = suspicion.snapshot
    if suspicion.state == SuspicionState.OVER:
        raise Problem(
            phrase(
                "Snapshot {snapshot} does not wait any more: the suspicion was ended by {settled_by}.",
                snapshot=snapshot.short_id,
                settled_by=suspicion.settled_by,
            ),
            code="accept.already_settled",
            safe=phrase("Nothing was changed."),
        )
    if suspicion.state == SuspicionState.WAITING and snapshot.forgotten_at is not None:
        raise Problem(
            phrase(
                "Snapshot {snapshot} is not in the repository any more, so it cannot be accepted.",
                snapshot=snapshot.short_id,
            ),
            code="snapshot.gone",
            safe=phrase("Nothing was changed."),
            do=phrase("Back up again; that backup can be accepted."),
        )


def _move_heartbeat(suspicion: Suspicion) -> str:
    """Take the heartbeat to the newest accepted backup, if the repository is sound; never backwards."""
    database = suspicion.database
    newest = _newest_accepted(suspicion)
    if newest.repository.is_damaged:
        return phrase("No heartbeat was written, because an integrity check found the repository damaged.")
    try:
        moved = heartbeat_files.move_last_ok(database, newest.time)
        if newest.verified_at is not None:
            heartbeat_files.move_last_verified(database, newest.time)
        heartbeat_files.write_gates()
    except Problem as problem:
        problem.safe = phrase("The backup is accepted all the same.")
        problem.do = phrase("{do} Then accept it again, which writes the heartbeat.", do=problem.do).strip()
        raise
    if moved is None:
        return phrase("The heartbeat was left as it is: it is newer, or the backup's time is yet to come.")
    return phrase(
        "The heartbeat is that of snapshot {snapshot}; retention forgets by its rules again.",
        snapshot=newest.short_id,
    )


def _newest_accepted(suspicion: Suspicion) -> Snapshot:
    accepted = Snapshot.objects.present().filter(
        database=suspicion.database, suspicion__state=SuspicionState.ACCEPTED
    )
    newest = accepted.select_related("repository").newest_first().first()
    return newest or suspicion.snapshot
