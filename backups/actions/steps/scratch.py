"""The scratch database of a test restore, for the length of a block."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.conf import settings

from backups import mysql
from backups.actions.steps import room, scratch_log, verify_place
from backups.actions.steps.dropping import drop_scratch
from backups.actions.steps.findings import Scratch
from backups.endpoints import scratch_server, to_verify_at
from backups.models import Database, Run, Snapshot
from backups.runs import notes
from backups.runs.progress import Progress
from backups.runs.subject import database_of
from backups.text.sentences import phrase

# Of the 64 characters of a name, so that the pattern of a GRANT has room for the rest.
_LONGEST_BASE = 40


def scratch_name(database: str, run_id: int, noted_as: str = notes.SCRATCH) -> str:
    """The name of a run's scratch database, by which the reaper finds it."""
    return f"{database[:_LONGEST_BASE]}__{notes.SCRATCH_PURPOSES[noted_as]}_{run_id}"


@contextmanager
def scratch_database(
    run: Run,
    snapshot: Snapshot,
    progress: Progress,
    *,
    noted_as: str = notes.SCRATCH,
    tables: Collection[str] = (),
) -> Iterator[Scratch]:
    """An empty database for the length of a block; dropped whatever happens. Raises Problem.

    A run that needs two has the second one `noted_as` notes.SCRATCH_BESIDE. There is to be room for all of
    the snapshot, or for these `tables` of it.
    """
    database = database_of(run)
    server = scratch_server(database)
    progress.mask_secrets([server.password])
    name = scratch_name(database.database, run.pk, noted_as)
    another = to_verify_at(database, phrase("another server"))
    manifest = snapshot.manifest or {}
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        _refuse_other_kind(database, server, info, snapshot)
        programs = mysql.clients(info, settings.MYSQL_CLIENT_DIR, settings.RESTIC_CACHE_DIR)
        # Decided once, for all that is done to it: half of it would end what replicates from there.
        in_log = scratch_log.looked_at(connection, database, server, name)
        room.refuse_without_room(connection, server, snapshot, instead=another, tables=tables)
        server = replace(server, skips_binary_log=in_log.state == mysql.InLog.LEFT_OUT)
        # Noted before it exists, so that the reaper finds it even if we die in between.
        where = {"address": server.address, "server": str(info), "set_by": server.address_set_by}
        result = {noted_as: name, "verified_on": where, **in_log.noted}
        notes.run_update(run.pk, result=result, server_version=str(info), client_version=str(programs))
        try:
            _create(connection, database, server, name, manifest)
        except mysql.MissingPrivilege:
            notes.leftover_cleared(run.pk, noted_as)
            raise
    scratch = Scratch(server, info, programs, name, database)
    _tell(scratch, in_log.words, progress)
    with room.full_disk_told(name, instead=another):
        try:
            yield scratch
        finally:
            if dropped := drop_scratch(
                run.pk, server, name, progress.tick_ignoring_cancel, noted_as=noted_as
            ):
                progress.warn(dropped)


def _tell(scratch: Scratch, of_log: str, progress: Progress) -> None:
    """Say where it is, and what of its binary log is worth a warning."""
    progress.log(
        phrase(
            "Restoring into {name} at {address} ({info}, {programs} client).",
            name=scratch.database,
            address=scratch.server.address,
            info=scratch.info,
            programs=scratch.programs,
        )
    )
    if of_log:
        progress.warn(of_log)


def _refuse_other_kind(
    database: Database, server: mysql.Server, info: mysql.ServerInfo, snapshot: Snapshot
) -> None:
    """Before a client is looked for that nobody needs here."""
    dumped_from = (snapshot.manifest or {}).get("server", {}).get("flavour", "")
    verify_place.refuse_other_kind(
        database,
        server,
        info,
        of=[dumped_from, database.server.flavour],
        what=phrase("Nothing was proved: snapshot {snapshot}", snapshot=snapshot.short_id),
    )


def _create(
    connection: Any, database: Database, server: mysql.Server, name: str, manifest: dict[str, Any]
) -> None:
    try:
        with mysql.translated(server, name):
            mysql.create_database(
                connection, name, manifest.get("charset", ""), manifest.get("collation", "")
            )
    except mysql.UnknownDatabase as error:
        raise mysql.MissingPrivilege(
            phrase(
                "The user {user} may not create the scratch database {name}.", user=server.user, name=name
            ),
            do=verify_place.how_to_allow(connection, database, name),
        ) from error
