"""A moment as a side of a comparison: loaded and replayed where test restores go, and dumped from there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from backups import mysql
from backups.actions.steps.compared_sides import Side, held_of
from backups.actions.steps.findings import Scratch
from backups.actions.steps.log_replayed import Played, StoredLog, replay_stored
from backups.actions.steps.moment_file import dump_as, load_beside
from backups.actions.steps.moment_found import Way, found
from backups.actions.steps.moment_replay import cut_words, told_of
from backups.actions.steps.opening import OpenedSnapshot
from backups.actions.steps.replay_place import refuse_beside_live, replaying_place
from backups.actions.steps.scratch import scratch_database
from backups.choices import RestoreMode
from backups.dumpfile.digesting import Digester
from backups.endpoints import scratch_server
from backups.errors import Problem
from backups.models import Restore, Run, Snapshot
from backups.moments.rows import draft_of
from backups.moments.until import Until
from backups.replaying.way import Route
from backups.requests import DiffRequest
from backups.runs.progress import Progress
from backups.runs.subject import database_of
from backups.text import formatting
from backups.text.sentences import phrase


@contextmanager
def brought_back(
    run: Run, request: DiffRequest, base: OpenedSnapshot, until: Until, progress: Progress
) -> Iterator[Side]:
    """The database as it was at a moment, for a block that reads it as often as it likes.

    Its dump lies in a file without a name, which goes with this process. Raises Problem.
    """
    database = database_of(run)
    flavour = str((base.snapshot.manifest or {}).get("server", {}).get("flavour", ""))
    refuse_beside_live(database, scratch_server(database), flavour)
    draft = draft_of(database, until).from_base(base.snapshot.pk)
    progress.phase("find", expected=sum(piece.bytes for piece in draft.to_look_at()))
    way = found(draft, base.snapshot, base.access, progress.tick)
    progress.log(phrase("Brought back: {until}. {words}", until=until.told, words=cut_words(way.cut)))
    with _file(base.snapshot) as file:
        with scratch_database(run, base.snapshot, progress) as scratch:
            replaying = replaying_place(database, scratch.server, scratch.info, scratch.database)
            progress.mask_secrets([replaying.password])
            restore = _as_restore(run, base.snapshot, until)
            load_beside(restore, base.access, scratch, progress)
            _replay(base, way, scratch, replaying, progress)
            snapshot = _dumped(base.snapshot, scratch, file, progress)
        at = _at(until, way, base.snapshot)
        snapshot.time = at
        moment = {**until.stored(), **told_of(way.cut)}
        held = held_of(request, snapshot.manifest or {})
        yield Side(held, at, snapshot, moment=moment, file=file.fileno())


def _as_restore(run: Run, snapshot: Snapshot, until: Until) -> Restore:
    """What is loaded, and how, as a restore to a file has it. It is in no row."""
    return Restore(
        run=run,
        database=database_of(run),
        snapshot=snapshot,
        mode=RestoreMode.FILE,
        until=until.stored(),
    )


def _replay(
    base: OpenedSnapshot, way: Way, scratch: Scratch, replaying: mysql.Server, progress: Progress
) -> None:
    if not way.pieces:
        return
    played = Played()
    log = StoredLog(base.access, scratch.row.database, way.pieces)
    place = mysql.ProbedServer(replaying, scratch.info, scratch.programs)
    route = Route(base.snapshot.source, scratch.database, way.after, way.until)
    replay_stored(log, place, route, played, progress)


def _dumped(base: Snapshot, scratch: Scratch, file: IO[bytes], progress: Progress) -> Snapshot:
    """Dump it into the file, as of the database itself; answers what a snapshot of it would say."""
    progress.phase("dump of the moment", expected=base.total_bytes_processed)
    digester = Digester(base.source)

    def write(data: bytes | memoryview) -> None:
        file.write(data)
        for _ in digester.feed(bytes(data)):
            pass

    try:
        dump_as(base.source, scratch, write, progress.tick)
        file.flush()
    except OSError as error:
        raise _no_room(error) from error
    for _ in digester.close():
        pass
    with mysql.connect(scratch.server) as connection:
        collations = mysql.default_collations(connection, scratch.info)
    manifest = {
        "database": base.source,
        "server": _as_json(scratch.info),
        "collations": collations,
        "not_in_backup": (base.manifest or {}).get("not_in_backup", []),
        "sections": digester.sections(collations),
    }
    size = os.fstat(file.fileno()).st_size
    return Snapshot(
        database=scratch.row,
        repository=base.repository,
        path=f"/{base.file_stem}.sql",
        manifest=manifest,
        total_bytes_processed=size,
    )


def _as_json(info: mysql.ServerInfo) -> dict[str, Any]:
    return {"flavour": info.flavour, "version": info.version}


def _at(until: Until, way: Way, base: Snapshot) -> datetime:
    """Up to when it holds what was committed."""
    if until.moment is not None:
        return until.moment
    return way.cut.last.moment if way.cut.last is not None else base.time


@contextmanager
def _file(base: Snapshot) -> Iterator[IO[bytes]]:
    """A file with no name and room for a dump. Raises Problem."""
    folder = settings.DUMP_SPOOL_DIR or tempfile.gettempdir()
    wanted = base.total_bytes_processed or 0
    try:
        free = shutil.disk_usage(folder).free
        if wanted > free:
            raise Problem(
                phrase(
                    "A dump of the moment has about {wanted}, and in {folder} {free} are left.",
                    wanted=formatting.size(wanted),
                    folder=folder,
                    free=formatting.size(free),
                ),
                code="diff.no_room",
                safe=phrase("Nothing was done."),
                do=phrase("Make room there, or set DUMP_SPOOL_DIR to a folder on a larger disk."),
            )
        file = tempfile.TemporaryFile(dir=Path(folder))  # noqa: SIM115  closed below
    except OSError as error:
        raise _no_room(error) from error
    with file:
        yield file


def _no_room(error: OSError) -> Problem:
    return Problem(
        phrase("The dump of the moment cannot be written ({error}).", error=error.strerror or error),
        code="diff.no_room",
        safe=phrase("Nothing but a scratch database was touched."),
        do=phrase("Make room where DUMP_SPOOL_DIR is, then compare again."),
    )
