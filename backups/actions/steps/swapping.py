"""What all swaps have in common, be they restores or undos."""

from __future__ import annotations

from django.conf import settings

from backups import mysql
from backups.choices import DefinerPolicy, RestoreMode
from backups.endpoints import restores_as_another, restoring_server
from backups.models import Restore, Run
from backups.mysql import grants
from backups.restoring.obstacles import refuse_keys_from_elsewhere
from backups.restoring.swap import swap, write_down
from backups.runs import notes
from backups.runs.progress import Progress
from backups.snapshots.retention import SAFETY_KEPT


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
            f"All that has a definer becomes {server.user}'s (RESTORE_MYSQL_USER), and cannot run any more "
            "once that user is dropped."
        )
    return mysql.ProbedServer(server, info, programs)


def refuse_missing_privileges(restore: Restore, place: mysql.ProbedServer) -> None:
    """Refuse before anything is touched: a swap that stops half-way leaves definitions out."""
    with mysql.connect(place.server) as connection:
        missing = grants.missing_for_replacing(connection, restore.target)
    if missing:
        raise mysql.MissingPrivilege(
            f"The user {place.server.user} may not replace {restore.target} ({missing.because}).",
            do=f"Run as an administrator: {missing.statement}",
        )


def swap_in(restore: Restore, place: mysql.ProbedServer, progress: Progress) -> None:
    """The swap itself, once all that stands in its way was looked for. Raises Problem."""
    progress.phase("prepare")
    refuse_keys_from_elsewhere(restore.target, restore.tables, place.server)
    write_down(restore, place, progress.tick, progress.warn)
    progress.phase("swap")
    progress.disable_cancel()
    swap(restore, place, say=progress.log, tick=progress.tick)
    progress.log(way_back_words(restore))


def way_back_words(restore: Restore) -> str:
    """What was brought back, and how to take that back, until when."""
    undone = restore.undo_of if restore.mode == RestoreMode.UNDO else None
    if undone is None:
        done, this = "is restored", "this restore"
    else:
        done, this = f"is again what it was before restore {undone.run_id}", "this undo"
    saved = restore.safety_snapshot
    given_up = restore.run.result.get("not_kept", [])
    gone = f" Not kept is {mysql.named(given_up)}, which was damaged." if given_up else ""
    also = (
        f" Snapshot {saved.short_id} of before is kept for at least {SAFETY_KEPT.days} days." if saved else ""
    )
    return (
        f"{restore.target} {done}. To take {this} back: manage.py undo_restore --restore {restore.run_id}. "
        f"That is possible until somebody drops {restore.kept_in}; nothing drops it by itself.{gone}{also}"
    )
