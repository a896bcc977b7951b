"""What all swaps have in common, be they restores or undos."""

from __future__ import annotations

from django.conf import settings

from backups import mysql
from backups.actions.steps.row_counts import note_swapped_rows
from backups.choices import DefinerPolicy, RestoreMode
from backups.endpoints import restores_as_another, restoring_server
from backups.models import Restore, Run
from backups.mysql import grants
from backups.restoring.foreign_keys import refuse_keys_from_elsewhere, unseen_words
from backups.restoring.swap import swap, write_down
from backups.runs import notes
from backups.runs.progress import Progress
from backups.snapshots.retention import SAFETY_KEPT
from backups.text.sentences import phrase


def place_of(restore: Restore, run: Run, progress: Progress) -> mysql.ProbedServer:
    """The server of the restore's target, as the run finds it. Raises Problem."""
    server = restoring_server(restore.database)
    progress.mask_secrets([server.password])
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
    programs = mysql.clients(info, settings.MYSQL_CLIENT_DIR)
    notes.run_update(run.pk, server_version=str(info), client_version=str(programs))
    if restores_as_another(restore.database) and restore.definers == DefinerPolicy.CURRENT_USER:
        progress.warn(
            phrase(
                "Everything that has a definer will run as {user} (RESTORE_MYSQL_USER). It cannot run "
                "any more once that user is dropped.",
                user=server.user,
            )
        )
    return mysql.ProbedServer(server, info, programs)


def refuse_missing_privileges(restore: Restore, place: mysql.ProbedServer) -> None:
    """Refuse before anything is touched: a swap that stops half-way leaves definitions out."""
    with mysql.connect(place.server) as connection:
        missing = grants.missing_for_replacing(connection, restore.target)
    if missing:
        raise mysql.MissingPrivilege(
            phrase(
                "The user {user} may not replace {target} ({because}).",
                user=place.server.user,
                target=restore.target,
                because=missing.because,
            ),
            do=phrase("Run as an administrator: {statement}", statement=missing.statement),
        )


def swap_in(restore: Restore, place: mysql.ProbedServer, progress: Progress) -> None:
    """The swap itself, once all that stands in its way was looked for. Raises Problem."""
    progress.phase("prepare")
    note_swapped_rows(restore, place, progress)
    refuse_keys_from_elsewhere(restore.target, restore.tables, place.server)
    if words := unseen_words(restore.target, place.server):
        progress.log(words)
    write_down(restore, place, progress.tick, progress.warn)
    progress.phase("swap")
    progress.disable_cancel()
    swap(restore, place, say=progress.log, tick=progress.tick)
    progress.log(way_back_words(restore))


def way_back_words(restore: Restore) -> str:
    """What was brought back, and how to take that back, until when."""
    undone = restore.undo_of if restore.mode == RestoreMode.UNDO else None
    if undone is None:
        done, this = phrase("is restored"), phrase("this restore")
    else:
        done, this = (
            phrase("is again what it was before restore {run_id}", run_id=undone.run_id),
            phrase("this undo"),
        )
    saved = restore.safety_snapshot
    given_up = restore.run.result.get("not_kept", [])
    gone = (
        phrase(" {given_up} was damaged and is not kept.", given_up=mysql.named(given_up)) if given_up else ""
    )
    also = (
        phrase(
            " The safety snapshot {snapshot} is kept for at least {days} days.",
            snapshot=saved.short_id,
            days=SAFETY_KEPT.days,
        )
        if saved
        else ""
    )
    return phrase(
        "{target} {done}. To take {this} back: manage.py undo_restore --restore {run_id}. That is "
        "possible until somebody drops {kept_in}; nothing drops it by itself.{gone}{also}",
        target=restore.target,
        done=done,
        this=this,
        run_id=restore.run_id,
        kept_in=restore.kept_in,
        gone=gone,
        also=also,
    )
