"""What all swaps have in common, be they restores or undos."""

from __future__ import annotations

from django.conf import settings

from backups import grants, mysql, services
from backups.connections import database_server
from backups.models import Restore, Run
from backups.obstacles import refuse_keys_from_elsewhere
from backups.progress import Progress
from backups.swap import Place, swap, write_down


def place_of(restore: Restore, run: Run, progress: Progress) -> Place:
    """The server of the restore's target, as the run finds it. Raises Problem."""
    server = database_server(restore.database)
    progress.hide([server.password])
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
    programs = mysql.clients(info, settings.MYSQL_CLIENT_DIR)
    services.run_note(run.pk, server_version=str(info), client_version=str(programs))
    return Place(server, info, programs)


def refuse_missing_privileges(restore: Restore, place: Place) -> None:
    """Refuse before anything is touched: a swap that stops half-way leaves definitions out."""
    with mysql.connect(place.server) as connection:
        missing = grants.missing_for_replacing(connection, restore.target)
    if missing:
        raise mysql.MissingPrivilege(
            f"The user {place.server.user} may not replace {restore.target} ({missing.because}).",
            do=f"Run as an administrator: {missing.statement}",
        )


def swap_in(restore: Restore, place: Place, progress: Progress) -> None:
    """The swap itself, once all that stands in its way was looked for. Raises Problem."""
    progress.phase("prepare")
    refuse_keys_from_elsewhere(restore.target, restore.tables, place.server)
    write_down(restore, place, progress.tick, progress.warn)
    progress.phase("swap")
    progress.no_way_back()
    swap(restore, place, say=progress.log, tick=progress.tick)
    progress.log(f"{restore.target} is restored. Undo is possible until the kept tables are dropped.")
