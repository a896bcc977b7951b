"""A dump's bytes on their way: over one connection or several at once, as they came or rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from backups import mysql, process
from backups.dumpfile.digesting import Digester
from backups.dumpfile.sections import Piece
from backups.dumping import mysqldump, parallel
from backups.dumping.log_position import LogPosition
from backups.dumping.mysqldump import Listener, with_views
from backups.dumping.order import Report
from backups.dumping.positioned import PositionedDump
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


def _nowhere(_: bytes | memoryview) -> None:
    """Where a dump goes that is read for its digests or pieces alone."""


class Outlet(NamedTuple):
    """What a dump flows into: it is digested, written as it comes, and `take` is given each piece of it."""

    digester: Digester
    write: Callable[[bytes | memoryview], None] = _nowhere
    take: Callable[[Piece], None] | None = None


def stream_dump(
    source: mysql.DumpSource,
    outlet: Outlet,
    *,
    tick: process.Tick | None = None,
    listener: Listener | None = None,
) -> None:
    """Dump a database. Raises Problem unless the dump program is content.

    `listener` as `started` takes it. With `tick`, the dump runs beside it and in a process group of its own.
    """
    _refuse_before(source)
    _refuse_lookalikes(source)
    views = _rewritten_views(source)
    with mysqldump.let_in(source, own_group=tick is not None, listener=listener) as running:
        if tick is None:
            spool = Spool(_AHEAD_BYTES)
            with mysqldump.read_into(spool, source, running):
                _pump(spool.taken(), outlet, views)
        else:
            pump = partial(_pump, mysqldump.output(running), outlet, views)
            process.run_in_thread(pump, tick, running.stop)
            mysqldump.refuse_bad_end(source, running, tick)


def _refuse_before(source: mysql.DumpSource) -> None:
    """Raise Problem for what no dump program would tell."""
    mysqldump.refuse_what_cuts_dumps(source)
    # Also where no preflight went before, or an event was made since.
    with mysql.connect(source.server) as connection:
        mysql.refuse_what_hangs(connection, source.database)


def _refuse_lookalikes(source: mysql.DumpSource) -> None:
    """Raise Problem where the dump programs would leave out more than they are told to."""
    if not source.leave_out:
        return
    named = {mysql.loosely(name): name for name in source.leave_out}
    with mysql.connect(source.server) as connection:
        listed = mysql.listed_tables(connection, source.database)
    for table in listed:
        if table.name not in source.leave_out and (view := named.get(mysql.loosely(table.name))):
            raise Problem(
                phrase(
                    "The view {view} of {database} cannot be read any more. It cannot be left out "
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


def _rewritten_views(source: mysql.DumpSource) -> dict[str, bytes]:
    """How the views are to be made that the dump program does not write as they are."""
    with mysql.connect(source.server, source.database) as connection:
        views = mysql.lossy_views(connection, source.database)
    return {view.name: view.statement for view in views if view.statement}


def _pump(chunks: Iterator[bytes], outlet: Outlet, views: Mapping[str, bytes]) -> None:
    if views:
        _pump_with(views, chunks, outlet)
        return
    for data in chunks:
        outlet.write(data)
        _exhaust(outlet.digester.feed(data), outlet.take)
    _exhaust(outlet.digester.close(), outlet.take)


def _pump_with(views: Mapping[str, bytes], chunks: Iterator[bytes], outlet: Outlet) -> None:
    splitter = outlet.digester.splitter

    def split() -> Iterator[Piece]:
        for data in chunks:
            yield from splitter.feed(data)
        yield from splitter.close()

    def taken(pieces: Iterator[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if outlet.take:
                outlet.take(piece)
            yield piece

    _write_pieces(taken(outlet.digester.digested(with_views(split(), views))), outlet.write)


def _exhaust(pieces: Iterator[Piece], take: Callable[[Piece], None] | None) -> None:
    for piece in pieces:
        if take:
            take(piece)


class Attendants(NamedTuple):
    """Who is told of a dump while it runs."""

    report: Report
    listener: Listener
    position: LogPosition


def stream(
    source: mysql.DumpSource, options: parallel.ParallelOptions, outlet: Outlet, attendants: Attendants
) -> None:
    """Dump over as many connections as are wished for, if they can be had. Raises Problem."""
    report, listener, position = attendants
    if options.connections > 1:
        try:
            _stream_at_once(source, options, outlet, attendants)
        except parallel.ParallelDumpUnavailable as reason:
            report.note(phrase("Dumped over one connection: {reason}.", reason=reason))
            report.connections(1, str(reason))
            position.forget()
        else:
            return
    if _stream_with_position(source, outlet, attendants):
        return
    stream_dump(source, outlet, listener=listener)


def _stream_at_once(
    source: mysql.DumpSource, options: parallel.ParallelOptions, outlet: Outlet, attendants: Attendants
) -> None:
    """Raises ParallelDumpUnavailable before anything is dumped; Problem."""
    report, listener, position = attendants
    if source.leave_out:
        raise parallel.ParallelDumpUnavailable(phrase("views that cannot be read are left out"))
    _refuse_before(source)
    # Before the programs take the connections that the user may have.
    views = _rewritten_views(source)
    with parallel.begun(source, options, listener, position.ask) as dumps:
        report.note(
            phrase(
                "Dumped over {connections} connections; no table could be written to for {locked_seconds} s.",
                connections=dumps.connections,
                locked_seconds=f"{dumps.locked_seconds:.2f}",
            )
        )
        report.connections(dumps.connections)
        pieces = with_views(dumps.pieces(outlet.digester.splitter), views)
        _write_pieces(outlet.digester.digested(pieces), outlet.write)


def _stream_with_position(source: mysql.DumpSource, outlet: Outlet, attendants: Attendants) -> bool:
    """Dump over one connection in such a way that the position in the binary log can be had.

    Answers whether that was done. Where it was not, nothing was dumped yet. Raises Problem.
    """
    position = attendants.position
    if not position.is_told_by_program() and not position.to_lock():
        return False
    _refuse_before(source)
    _refuse_lookalikes(source)
    views = _rewritten_views(source)
    dump = PositionedDump(source, attendants.listener, position)
    with dump.running() as chunks:
        if chunks is None:
            return False
        if dump.locked_seconds:
            attendants.report.note(
                phrase(
                    "To know the position in the binary log, no table could be written to for "
                    "{locked_seconds} s.",
                    locked_seconds=f"{dump.locked_seconds:.2f}",
                )
            )
        _pump(chunks, outlet, views)
    return True
