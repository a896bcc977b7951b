"""A dump's bytes on their way: over one connection or several at once, as they came or rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from backups import mysql, process
from backups.dumpfile.digesting import Digester
from backups.dumpfile.sections import Piece
from backups.dumping import mysqldump, parallel
from backups.dumping.mysqldump import Listener, Source, with_views
from backups.dumping.order import Report
from backups.dumping.spool import Spool
from backups.errors import Problem
from backups.text.sentences import phrase

_CHUNK = 1 << 20
_SMALL = 1 << 14
# What may wait in memory for restic.
_AHEAD_BYTES = 4 << 20


def _write_pieces(pieces: Iterator[Piece], write: Callable[[bytes | memoryview], None]) -> None:
    """Write pieces, of which many are of one line, in larger ones."""
    small = bytearray()

    def flush() -> None:
        if small:
            write(bytes(small))
            small.clear()

    for piece in pieces:
        if len(small) > _CHUNK or len(piece.data) >= _SMALL:
            flush()
        if len(piece.data) >= _SMALL:
            write(piece.data)
        else:
            small += piece.data
    flush()


def stream_dump(
    server: mysql.Server,
    database: str,
    *,
    info: mysql.ServerInfo,
    programs: mysql.Clients,
    digester: Digester,
    write: Callable[[bytes | memoryview], None] = lambda _: None,
    take: Callable[[Piece], None] | None = None,
    tick: process.Tick | None = None,
    structure_only: bool = False,
    without_routines: bool = False,
    leave_out: Sequence[str] = (),
    listener: Listener | None = None,
) -> None:
    """Dump a database to `write`, digesting it. Raises Problem unless the dump program is content.

    `take` is given each piece of it; `leave_out` are tables and views; `listener` as `started` takes it.
    With `tick`, the dump runs beside it and in a process group of its own.
    """
    source = Source(server, database, info, programs)
    _refuse_before(source)
    _refuse_lookalikes(source, leave_out)
    views = _rewritten_views(source)
    with mysqldump.let_in(
        source,
        structure_only=structure_only,
        without_routines=without_routines,
        leave_out=leave_out,
        own_group=tick is not None,
        listener=listener,
    ) as running:
        if tick is None:
            spool = Spool(_AHEAD_BYTES)
            with mysqldump.read_into(spool, source, running):
                _pump(spool.taken(), digester, write, take, views)
        else:
            pump = partial(_pump, mysqldump.output(running), digester, write, take, views)
            process.run_in_thread(pump, tick, running.stop)
            mysqldump.refuse_bad_end(source, running, tick)


def _refuse_before(source: Source) -> None:
    """Raise Problem for what no dump program would tell."""
    mysqldump.refuse_what_cuts_dumps(source)
    # Also where no preflight went before, or an event was made since.
    with mysql.connect(source.server) as connection:
        mysql.refuse_what_hangs(connection, source.database)


def _refuse_lookalikes(source: Source, leave_out: Sequence[str]) -> None:
    """Raise Problem where the dump programs would leave out more than they are told to."""
    if not leave_out:
        return
    named = {mysql.loosely(name): name for name in leave_out}
    with mysql.connect(source.server) as connection:
        listed = mysql.listed_tables(connection, source.database)
    for table in listed:
        if table.name not in leave_out and (view := named.get(mysql.loosely(table.name))):
            raise Problem(
                phrase(
                    "The view {view} of {database} cannot be read any more, and cannot be left out "
                    "alone: to the dump program its name and {table} are the same.",
                    view=view,
                    database=source.database,
                    table=table.name,
                ),
                code="dump.view_unreadable",
                do=phrase(
                    "Copy what SHOW CREATE VIEW shows, so that it can be made again, drop it, then try again."
                ),
            )


def _rewritten_views(source: Source) -> dict[str, bytes]:
    """How the views are to be made that the dump program does not write as they are."""
    with mysql.connect(source.server, source.database) as connection:
        views = mysql.lossy_views(connection, source.database)
    return {view.name: view.statement for view in views if view.statement}


def _pump(
    chunks: Iterator[bytes],
    digester: Digester,
    write: Callable[[bytes | memoryview], None],
    take: Callable[[Piece], None] | None,
    views: Mapping[str, bytes],
) -> None:
    if views:
        _pump_with(views, chunks, digester, write, take)
        return
    for data in chunks:
        write(data)
        _exhaust(digester.feed(data), take)
    _exhaust(digester.close(), take)


def _pump_with(
    views: Mapping[str, bytes],
    chunks: Iterator[bytes],
    digester: Digester,
    write: Callable[[bytes | memoryview], None],
    take: Callable[[Piece], None] | None,
) -> None:
    def split() -> Iterator[Piece]:
        for data in chunks:
            yield from digester.splitter.feed(data)
        yield from digester.splitter.close()

    def taken(pieces: Iterator[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if take:
                take(piece)
            yield piece

    _write_pieces(taken(digester.digested(with_views(split(), views))), write)


def _exhaust(pieces: Iterator[Piece], take: Callable[[Piece], None] | None) -> None:
    for piece in pieces:
        if take:
            take(piece)


def stream(
    source: Source,
    options: parallel.ParallelOptions,
    digester: Digester,
    write: Callable[[bytes | memoryview], None],
    report: Report,
    leave_out: Sequence[str],
    listener: Listener,
) -> None:
    """Dump over as many connections as are wished for, if they can be had. Raises Problem."""
    if options.connections > 1 and not leave_out:
        try:
            _refuse_before(source)
            with parallel.begun(source, options, listener) as dumps:
                report.note(
                    phrase(
                        "Dumped over {connections} connections; no table could be written to for "
                        "{locked_seconds} s.",
                        connections=dumps.connections,
                        locked_seconds=f"{dumps.locked_seconds:.2f}",
                    )
                )
                pieces = with_views(dumps.pieces(digester.splitter), _rewritten_views(source))
                _write_pieces(digester.digested(pieces), write)
                return
        except parallel.ParallelDumpUnavailable as reason:
            report.note(phrase("Dumped over one connection: {reason}.", reason=reason))
    stream_dump(
        source.server,
        source.database,
        info=source.info,
        programs=source.programs,
        digester=digester,
        write=write,
        leave_out=leave_out,
        listener=listener,
    )
