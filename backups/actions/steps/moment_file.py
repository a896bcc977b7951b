"""A moment as an SQL file: loaded and replayed where test restores go, and dumped from there."""

from __future__ import annotations

from collections.abc import Callable

from backups import mysql, process, restic
from backups.actions.steps.dump_kept import keep, refuse_without_room
from backups.actions.steps.dumped_ahead import source_of
from backups.actions.steps.findings import Scratch
from backups.actions.steps.load_connections import load_connections
from backups.actions.steps.loaded import tell_what_is_left_out
from backups.actions.steps.loading import load_snapshot
from backups.actions.steps.moment_replay import ToMoment
from backups.actions.steps.opening import OpenedSnapshot
from backups.actions.steps.reading import load_options, refuse_damaged
from backups.actions.steps.refusing import refuse_other_engine, refuse_other_spelling
from backups.actions.steps.restore_file import Write, to_file
from backups.actions.steps.scratch import scratch_database
from backups.choices import TO_DOWNLOAD
from backups.dumpfile.digesting import Digester
from backups.dumpfile.rewriting import with_database, with_sequences
from backups.dumpfile.sections import Kind, Piece
from backups.dumping.streaming import Outlet, stream_dump
from backups.errors import Problem
from backups.loading.loader import Destination
from backups.loading.progress import Loading
from backups.models import Restore
from backups.runs import notes
from backups.runs.progress import Progress
from backups.text.kinds import of_kind
from backups.text.sentences import joined, phrase


def moment_to_file(restore: Restore, access: restic.Access, moment: ToMoment, progress: Progress) -> None:
    """Write the database as it was at the moment. Raises Problem; then there is no file."""
    is_kept = restore.target == TO_DOWNLOAD
    if is_kept:
        refuse_without_room(restore)
    with scratch_database(restore.run, restore.snapshot, progress) as scratch:
        moment.prepare(scratch, scratch.database)
        loading = load_beside(restore, access, scratch, progress)
        moment.replay(scratch, scratch.database, loading)
        _tell_events(restore, loading, progress)
        written = keep if is_kept else to_file
        source = restore.snapshot.source
        written(restore, progress, lambda write: dump_as(source, scratch, write, progress.tick))


def load_beside(restore: Restore, access: restic.Access, scratch: Scratch, progress: Progress) -> Loading:
    """Load what the moment begins with into the scratch database. Raises Problem unless all was made."""
    snapshot = restore.snapshot
    progress.phase("load", expected=snapshot.total_bytes_processed)
    loading = Loading()
    options = load_options(restore, scratch.database, restore.tables_to_load)
    connections = load_connections(snapshot, scratch.server, progress)
    load_snapshot(
        OpenedSnapshot(snapshot, access),
        Destination(scratch.server, scratch.info, options, connections),
        loading,
        progress,
        refuse=lambda loading: refuse_damaged(restore, loading),
    )
    refuse_other_spelling(snapshot, scratch, sorted(loading.found.respelled.values()))
    refuse_other_engine(scratch, loading)
    tell_what_is_left_out(restore, loading, progress)
    _refuse_unmade(loading, scratch)
    return loading


def _refuse_unmade(loading: Loading, scratch: Scratch) -> None:
    """Raise Problem where the server did not make all: it would be missing in the file without a word."""
    if not loading.found.unmade:
        return
    named = joined((of_kind(each.ready.kind, each.ready.name) for each in loading.found.unmade[:5]), ", ")
    raise Problem(
        phrase(
            "The server at {address}, where the moment is brought back, cannot make all of the backup: "
            "{named}.",
            address=scratch.server.address,
            named=named,
        ),
        code="moment.not_all_made",
        safe=phrase("Nothing but a scratch database was touched."),
        do=phrase("See the run's log for why, or restore the moment into a new database."),
    )


def _tell_events(restore: Restore, loading: Loading, progress: Progress) -> None:
    """Nothing runs by itself where the file is made, so that all events are disabled in it."""
    ran = sorted(event.name for event in loading.found.events if event.state == b"ENABLE")
    if ran:
        notes.run_update(restore.run_id, result={"events_disabled": ran})
        progress.warn(
            phrase(
                "These events are disabled in the file: {ran}. They were enabled when the backup was made.",
                ran=", ".join(ran),
            )
        )


def dump_as(source: str, scratch: Scratch, write: Write, tick: process.Tick) -> None:
    """Dump what was made as of the database `source`. Raises Problem unless the dump is whole."""
    digester = Digester(scratch.database)
    outlet = Outlet(digester, take=_written(scratch.database, source, write))
    stream_dump(source_of(scratch), outlet, tick=tick)
    if not digester.is_complete:
        raise mysql.OfTheServer(
            phrase("The dump of the moment stopped before its closing line."),
            code="dump.no_closing_line",
            do=phrase("Try again."),
        )


def _written(scratch: str, source: str, write: Write) -> Callable[[Piece], None]:
    """Writes pieces of a dump of the scratch database as if they were of the database itself."""

    def take(piece: Piece) -> None:
        data = bytes(piece.data)
        if piece.section.kind == Kind.TABLE:
            data = with_sequences(data, scratch, source)
        elif piece.alters_database:
            data = with_database(data, source)
        elif piece.is_comment:
            data = data.replace(scratch.encode(), source.encode())
        write(data)

    return take
