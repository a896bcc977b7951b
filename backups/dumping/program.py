"""The dump program that restic runs: `python -m backups.dumping.program ORDER_FD REPORT_FD`.

It reads its order (server, database, password) from a file descriptor, runs the server's own dump
program, passes the stream on to standard output, digests it on the way and appends the manifest.
It exits with 0 only when the dump is known to be whole; any other end makes restic store nothing.
It needs neither Django nor the repository's secrets, which its caller keeps from it.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    gc.disable()  # else a tenth of the time that loading takes; see main

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from backups import mysql, process
from backups.dumpfile.digesting import Digester
from backups.dumpfile.log_positions import WhyNot
from backups.dumpfile.manifests import FOR_REPLAY, manifest_of, manifest_text, objects_in
from backups.dumping import connections, mysqldump
from backups.dumping.log_position import LogPosition
from backups.dumping.moment import Content, Unlike, altered, altered_defaults, differing, refuse_two_moments
from backups.dumping.mysqldump import Listener
from backups.dumping.order import Order, Report
from backups.dumping.streaming import Attendants, Outlet, stream, stream_dump
from backups.errors import Problem
from backups.text.kinds import of_kind
from backups.text.sentences import parts_of, phrase

_PROJECT = Path(__file__).resolve().parents[2]
_PROGRESS_SECONDS = 1.0
_ORPHAN_SECONDS = 0.5
_QUIET_SECONDS = 3.0


def command(order_fd: int, report_fd: int, secret_names: Iterator[str]) -> tuple[str, ...]:
    """The command for restic to run, without `secret_names` in its environment.

    It finds this package whatever folder it is started in, and nothing in that folder.
    """
    without = [argument for name in secret_names for argument in ("-u", name)]
    python = (f"PYTHONPATH={_PROJECT}", sys.executable, "-P", "-m", "backups.dumping.program")
    return ("env", *without, *python, str(order_fd), str(report_fd))


def main(arguments: list[str]) -> int:
    """Dump to standard output; the exit status is 0 when the dump is whole."""
    # What is loaded stays, so that from here on only what comes later is looked at.
    gc.freeze()
    gc.enable()
    order_fd, report_fd = map(int, arguments)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    report = Report(report_fd)
    with open(order_fd, "rb") as file:  # noqa: PTH123  a descriptor, not a path
        order = Order.from_json(file.read())
    try:
        report.write(manifest=dump(order, sys.stdout.fileno(), report))
    except Problem as problem:
        report.write(problem=_told(problem))
        return 1
    except BrokenPipeError:
        return 1  # restic is gone and has said why
    return 0


def _end_with(parent: int) -> None:
    """Do not outlive restic, which may be killed while the server keeps us waiting for a lock.

    The kernel then ends the client, which is told to die with us.
    """
    while os.getppid() == parent:
        time.sleep(_ORPHAN_SECONDS)
    os._exit(1)


def dump(order: Order, out_fd: int, report: Report) -> dict[str, Any]:
    """Stream the dump and its manifest to `out_fd`; answers the manifest. Raises Problem."""
    with mysql.connect(order.server, order.database) as connection:
        info = mysql.probe(connection)
        programs = mysql.clients(info, order.client_dir, order.notes)
        broken = _broken_views(connection, order)
        without = [view.name for view in broken]
        before = Content.of(connection, order.database, without).of_tables(order.only)
        position = mysql.binary_log_position(connection)
        charset, collation = mysql.database_defaults(connection, order.database)
        made_under = mysql.made_under(connection, order.database)
        collations = mysql.default_collations(connection, info)
        definers = mysql.definers(connection, order.database)
        left_out = mysql.not_in_backup(connection, order.database)
        space_used = mysql.space_used(connection, order.database)
    left_out += [
        mysql.LeftOut(
            view.name, phrase("view: {why}; it was: {statement}", why=view.why, statement=view.statement)
        )
        for view in broken
    ]
    chosen = connections.looked_at(order.server, order.database, order.at_once)
    report.connections(*chosen)
    at_once = order.at_once._replace(connections=chosen.number)
    digester = Digester(order.database, sums_rows=order.sums_rows)
    reported_at = 0.0
    mysqldump.widen(out_fd)
    flowed = time.monotonic()

    def tell_wait(wait: str) -> None:
        report.write(
            progress={
                **_progress(digester),
                "doing": phrase("waiting for another session ({wait})", wait=wait),
            }
        )

    with (
        mysql.watched_tables(order.server, order.database, info, besides=chosen.number) as watch,
        mysql.computed_beside(order.server, order.database) as computed,
        _output(out_fd, gzip=order.gzip) as out,
    ):

        def write(data: bytes | memoryview) -> None:
            nonlocal reported_at, flowed
            refuse_altered(watch, order.database)
            _write(out, data)
            flowed = time.monotonic()
            if time.monotonic() > reported_at + _PROGRESS_SECONDS:
                reported_at = time.monotonic()
                report.write(progress=_progress(digester))

        with _looking_for_locks(order, lambda: flowed, tell_wait):
            source = mysql.DumpSource(
                order.server, info, programs, order.database, leave_out=without, only=order.only
            )

            log = LogPosition(
                source,
                watch.tables,
                before.inventory.get("sequence", []),
                # With DUMP_CONNECTIONS=1 no table is ever locked.
                may_lock=order.at_once.connections != 1 or bool(order.at_once.because),
            )
            # What is not kept, or not whole, is nothing that a log could be replayed on.
            if not order.to_compare and not order.only:
                log.begin()

            def is_read(table: str) -> None:
                watch.is_read(table)
                log.is_read()
                # The dump's moment has come, and is hardly gone.
                if not order.to_compare:
                    computed.begin()

            outlet = Outlet(digester, write)
            listener = Listener(before.names, is_read)
            stream(source, at_once, outlet, Attendants(report, listener, log))
        told_of = [] if order.to_compare else _computed(computed, report, digester)
        watch.look_at_the_rest()
        refuse_altered(watch, order.database)
        unlike = Unlike(digester, before)
        with mysql.connect(order.server, order.database) as connection:
            after = Content.of(connection, order.database, without, unlike.look).of_tables(order.only)
            if words := altered_defaults(connection, order.database, (charset, collation), made_under):
                report.note(words)
                log.cannot(WhyNot.CHANGED)
        # Also what was dropped and made again as it was: at the position it may not have been there.
        if any(after.definitions.get(key) != seen for key, seen in before.definitions.items()):
            log.cannot(WhyNot.CHANGED)
        sections = digester.told(collations)
        _make_sure_it_is_whole(digester, sections, before, after, order.database)
        _refuse_unlike(digester, unlike, source)
        inventory = objects_in(sections)
        place = log.told(inventory.get("table", []), inventory.get("sequence", []))
        if log.failed and not place["exact"]:
            report.note(
                phrase(
                    "Where in its binary log this is, the server did not say: {problem}", problem=log.failed
                )
            )
        manifest = manifest_of(
            sections,
            database=order.database,
            charset=charset,
            collation=collation,
            collations=collations,
            definers=definers,
            views_of_others=digester.views_of_others(),
            routines_of_others=digester.routines_of_others(),
            not_in_backup=[left._asdict() for left in left_out],
            space_used=space_used,
            server={"flavour": info.flavour, "version": info.version},
            client={"flavour": programs.flavour, "version": programs.version},
            inventory=inventory,
            computed=told_of,
            binary_log=position,
            for_replay=FOR_REPLAY,
            log=place,
        )
        _write(out, manifest_text(manifest))
    return manifest


def _computed(reading: mysql.ComputedReading, report: Report, digester: Digester) -> list[dict[str, Any]]:
    """What generated columns that are stored held, for the manifest; they may take longer than the dump."""
    report.write(progress={**_progress(digester), "doing": reading.doing})
    return [each._asdict() for each in reading.told()]


def _broken_views(connection: Any, order: Order) -> list[mysql.BrokenView]:
    """The views that are left out. Raises Problem where there are some, and none may be left out."""
    broken = mysql.broken_views(connection, order.database)
    if not order.without_broken_views:
        mysql.refuse_broken_views(connection, broken, order.database)
    return broken


@contextmanager
def _looking_for_locks(
    order: Order, flowed: Callable[[], float], tell: Callable[[str], None]
) -> Iterator[None]:
    """Where nothing came for a while, ask the server whether the dump waits for a lock, and `tell`.

    Else nobody would know why: the dump programs wait in silence, for up to a year.
    """
    over = threading.Event()

    def look() -> None:
        while not over.wait(_QUIET_SECONDS):
            if time.monotonic() - flowed() < _QUIET_SECONDS:
                continue
            with suppress(Problem), mysql.connect(order.server) as connection:
                if (wait := mysql.lock_wait(connection, order.database)) and not over.is_set():
                    tell(wait)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


def _told(problem: Problem) -> dict[str, Any]:
    return {
        "what": problem.what,
        "do": problem.do,
        "code": problem.code,
        "made_of": [parts_of(problem.what), parts_of(problem.do)],
    }


def _progress(digester: Digester) -> dict[str, Any]:
    section = digester.section
    return {"tables": digester.tables_begun, "doing": f"{section.kind} {section.name}".strip()}


def _make_sure_it_is_whole(
    digester: Digester,
    sections: list[dict[str, Any]],
    before: Content,
    after: Content,
    database: str,
) -> None:
    """Raise Problem unless the dump ended as it should and holds all that the database holds."""
    if not digester.is_complete:
        section = digester.section
        where = of_kind(section.kind, section.name)
        raise Problem(
            phrase(
                "The dump of {database} stopped before its closing line, in {where}.",
                database=database,
                where=where,
            ),
            code="dump.no_closing_line",
            do=phrase(
                "Try again. If it stops there again, look for a NUL byte in what that is defined as: "
                "the dump programs stop at one; or for a character of sjis, gbk or big5 that ends in a "
                "backslash (0x5C): it leaves a text open, and no client could load the dump. Define it "
                "under utf8mb4."
            ),
        )
    refuse_two_moments(objects_in(sections), before, after, database)


def _refuse_unlike(digester: Digester, unlike: Unlike, source: mysql.DumpSource) -> None:
    """Raise Problem where a definition is as before the dump, but was not when that read it.

    Where that is not sure, all is read again, and compared.
    """
    if not unlike.found:
        return
    again = Digester(source.database)
    stream_dump(replace(source, structure_only=True), Outlet(again))
    for kind, name in differing(digester, again):
        raise altered(kind, name, source.database)


def refuse_altered(watch: mysql.TableWatch, database: str) -> None:
    """Raise Problem where a table was found to be altered before it was dumped."""
    if watch.altered:
        which = ": ".join(filter(None, watch.altered))
        raise Problem(
            phrase(
                "A table of {database} was altered while the dump ran ({which}), so the dump is not of "
                "one moment.",
                database=database,
                which=which,
            ),
            code="dump.changed_meanwhile",
            do=phrase("Back up again when the change is done."),
        )


@contextmanager
def _output(out_fd: int, *, gzip: bool) -> Iterator[int]:
    """Where the dump is written: standard output, or a gzip before it."""
    if not gzip:
        yield out_fd
        return
    gzip_program = process.find_program("gzip")
    if gzip_program is None:
        raise Problem(
            phrase("gzip is not installed."),
            code="gzip.not_installed",
            do=phrase("Install it, or set BACKUP_DUMP_FORMAT=sql."),
        )
    packing = process.Program(
        [gzip_program, "--rsyncable", "--no-name"], process.base_environment(), own_group=False
    )
    with process.child(packing, stdin=process.PIPE, stdout=out_fd) as running:
        mysqldump.widen(running.stdin.fileno())
        yield running.stdin.fileno()
        running.stdin.close()
        code = running.wait()
        if code != 0:
            raise Problem(
                phrase("gzip failed: {code}.", code=" ".join(running.stderr_tail()) or code),
                code="gzip.failed",
            )


def _write(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


if __name__ == "__main__":
    # All is written. To take apart what was loaded is a tenth of what a small dump costs.
    os._exit(main(sys.argv[1:]))
