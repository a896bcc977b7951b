"""The sides of a comparison as they stream by: a snapshot out of its repository, a dump of the live one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from backups import mysql, process, restic
from backups.actions.steps.dump_told import problem_told
from backups.actions.steps.opening import OpenedSnapshot
from backups.actions.steps.reading import damaged
from backups.actions.steps.sections import as_counted_then, differing_sections
from backups.catalog import made_here
from backups.differences.meeting import NotMet
from backups.differences.sifting import Sifter
from backups.differences.spooled import Spool
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.chosen_tables import chosen_tables
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.digesting import Digester
from backups.dumpfile.manifests import ManifestDamaged
from backups.dumpfile.ready import LoadOptions, Ready
from backups.dumping.mysqldump import widen
from backups.dumping.order import Order, Report
from backups.dumping.program import command
from backups.errors import Problem
from backups.loading.problems import LoadProblem, NotADump
from backups.loading.progress import Loading
from backups.loading.reading import digested, judged, unpacked
from backups.runs.progress import Progress
from backups.text.sentences import phrase

Read = Callable[[Iterator[bytes], Loading], None]
# In a sentence, the side that is no snapshot.
NOW = phrase("the live database")
# How long a dump program may take to end after its dump could not be read, and to tell why.
_LAST_WORDS_SECONDS = 10.0


class Taker(Protocol):
    """Takes in the statements of a dump."""

    def take(self, ready: Ready) -> None:
        """The next one."""

    def close(self) -> None:
        """There are no more."""


class EveryTable(Collection[str]):
    """As names of chosen tables: all there are."""

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True)
class Wish:
    """Which tables of a dump are read, by whom, and how the server that wrote it reads SQL."""

    tables: Collection[str]
    taker: Taker
    server: mysql.ServerInfo
    source: str
    # Is given the names of tables that are not read.
    unread: set[str]
    # In a sentence, the side that is read.
    side: str
    # What leaves out rows that the other side has as well, where both are read at once.
    sifter: Sifter | None = None
    # What keeps tables that a server is to compare, of a side that is read once.
    spool: Spool | None = None

    def read(self, chunks: Iterator[bytes], loading: Loading) -> None:
        """Read a dump to its end. Raises LoadProblem, Problem."""
        dialect = Dialect.of(is_mariadb=self.server.flavour == mysql.MARIADB, number=self.server.number)
        allowed = Allowed(dialect, LoadOptions(self.source, source=self.source))
        pieces = digested(chunks, loading)
        if self.sifter is not None:
            pieces = self.sifter.sifted(pieces)
        if self.spool is not None:
            pieces = self.spool.passing(pieces)
        chosen = (bytes(data) for data in chosen_tables(pieces, self.tables))
        try:
            for ready in judged(chosen, Loading(), allowed, dialect, is_ours=True):
                self.taker.take(ready)
        except NotADump as error:
            raise self._unreadable(error) from None
        self.taker.close()
        self.unread.update(each.name for each in allowed.found.left_out if each.kind == "table")

    def _unreadable(self, error: NotADump) -> LoadProblem:
        """The same without how the statement begins: there may be values of rows in it."""
        do = phrase("Choose other tables with --table. If it stays so, report it as a bug.")
        if "line" not in error.params:
            return LoadProblem(
                phrase(
                    "The dump of {side} cannot be compared: it holds what cannot be read.", side=self.side
                ),
                code="diff.not_readable",
                do=do,
            )
        return LoadProblem(
            phrase(
                "The dump of {side} cannot be compared: what begins near line {line} of what was read of it "
                "is nothing that Vedetta knows.",
                side=self.side,
                line=error.params["line"],
            ),
            code="diff.not_readable",
            do=do,
        )


def read_definitions(chunks: Iterator[bytes], loading: Loading) -> None:
    """Read a dump for what its digester keeps of it."""
    for _ in digested(chunks, loading):
        pass


def snapshot_read(
    stored: OpenedSnapshot, read: Read, progress: Progress, loading: Loading, beside: Beside | None = None
) -> Loading:
    """Read a whole snapshot, watched.

    Raises Problem unless it is what was backed up, what `beside` raises.
    """
    with _dumped(stored, loading, progress) as source:
        process.run_in_thread(
            lambda: read(_bytes_of(stored, source), loading),
            restic.with_outage_limit(source, stored.access, _tick(loading, progress, beside)),
            source.stop,
        )
    return loading


@contextmanager
def _dumped(stored: OpenedSnapshot, loading: Loading, progress: Progress) -> Iterator[process.Child]:
    """restic as it writes a snapshot, for a block that reads it to its end.

    Raises Problem as `snapshot_read`.
    """
    if stored.file is not None:
        with _file_read(stored.file, progress) as source:
            yield source
        return
    snapshot, access = stored.snapshot, stored.access

    def finished(source: process.Child) -> None:
        restic.finished(source, access, phrase("reading the snapshot"), progress.tick)

    with restic.dump(access, snapshot.snapshot_id, snapshot.path) as source:
        widen(source.stdout.fileno())
        try:
            yield source
        except LoadProblem:
            # Half a dump may be restic's fault, which is asked first how it went.
            if source.poll() not in (None, 0):
                finished(source)
            _refuse_unlike_manifest(stored, loading)
            raise
        finished(source)
    _refuse_unlike_manifest(stored, loading)


@contextmanager
def _file_read(file: int, progress: Progress) -> Iterator[process.Child]:
    """A program that writes a dump that lies here, for a block that reads it to its end. Raises Problem."""
    # By way of the kernel's name for it each program has a place of its own in the file.
    program = process.Program(
        ("cat", "--", f"/proc/self/fd/{file}"), process.base_environment(), pass_fds=[file]
    )
    with process.child(program, stdout=process.PIPE) as source:
        widen(source.stdout.fileno())
        yield source
        code = source.wait(progress.tick)
    if code != 0:
        raise Problem(
            phrase("The dump of the moment could not be read back."),
            code="diff.moment_not_read",
            do=phrase("Check the disk of DUMP_SPOOL_DIR, then compare again."),
        )


def _bytes_of(stored: OpenedSnapshot, source: process.Child) -> Iterator[bytes]:
    return unpacked(source.stdout, gzip=stored.snapshot.path.endswith(".gz"))


class Beside:
    """A snapshot that is read in a thread while the other side is."""

    def __init__(self, thread: process.InThread, loading: Loading, tick: process.Tick) -> None:
        self._thread, self.loading, self._tick = thread, loading, tick

    def tick(self) -> None:
        """Called several times a second. Raises Problem for a storage that goes on failing, NotMet."""
        self._tick()
        if self._thread.raised:
            raise NotMet  # what it really was is told where it was begun

    def wait_for(self, is_there: Callable[[], bool], progress: Progress) -> None:
        """Wait for something of its reading. Raises what `tick` does, Cancelled."""
        tick = _tick(Loading(), progress, self)
        while not is_there():
            process.sleep_tick()
            tick()


@contextmanager
def snapshot_beside(
    stored: OpenedSnapshot, read: Read, progress: Progress, call_off: Callable[[], None]
) -> Iterator[Beside]:
    """Read a whole snapshot in a thread, for a block that reads the other side, and after it to its end.

    `call_off` is called once where either fails. Raises what the block does, and Problem as `snapshot_read`.
    """
    loading = Loading(Digester(stored.snapshot.source))
    with _dumped(stored, loading, progress) as source:

        def work() -> None:
            try:
                read(_bytes_of(stored, source), loading)
            except BaseException:
                call_off()
                raise

        thread = process.InThread(work)
        beside = Beside(thread, loading, restic.with_outage_limit(source, stored.access, lambda: None))
        try:
            yield beside
            thread.join(_tick(Loading(), progress, beside))
        except BaseException as error:
            call_off()
            source.stop()
            thread.join()
            if isinstance(error, NotMet) and thread.raised and not isinstance(thread.raised, NotMet):
                raise thread.raised from None
            raise
        if thread.raised:
            raise thread.raised


def _refuse_unlike_manifest(stored: OpenedSnapshot, loading: Loading) -> None:
    """Raise Problem where a stream that was read to its end is not what its manifest, and its row, say."""
    snapshot = stored.snapshot
    if not loading.is_read:
        return
    try:
        manifest = loading.digester.manifest()
    except ManifestDamaged as error:
        raise damaged(snapshot) from error
    if manifest is None or not loading.digester.is_complete or made_here.is_of_another(snapshot, manifest):
        raise damaged(snapshot)
    found = as_counted_then(loading.digester.sections(manifest.get("collations", {})), manifest["sections"])
    if differing_sections(manifest["sections"], found, phrase("in the stream")):
        raise damaged(snapshot)


def live_dumped(
    order: Order, read: Read, progress: Progress, loading: Loading, beside: Beside | None = None
) -> dict[str, Any]:
    """Dump the live database as a backup does, into `read`; answers the dump's manifest.

    Raises Problem, what `beside` raises.
    """
    order_fd = process.secret_fd(order.as_json())
    report_fd = process.secret_fd(b"")
    report = Report(report_fd)
    program = process.Program(
        command(order_fd, report_fd, iter(())), process.base_environment(), pass_fds=[order_fd, report_fd]
    )
    watch = _tick(loading, progress, beside)

    def tick() -> None:
        watch()
        if doing := report.read().get("progress", {}).get("doing"):
            progress.detail(str(doing))

    try:
        with process.child(program, stdout=process.PIPE) as running:
            widen(running.stdout.fileno())
            try:
                process.run_in_thread(
                    lambda: read(unpacked(running.stdout, gzip=False), loading), tick, running.stop
                )
            except LoadProblem:
                # Half a dump is for its program to explain. Whose dump is not read any more never ends.
                if _ended(running, progress.tick) in (None, 0):
                    raise
            code = running.wait(progress.tick)
            said = running.stderr_tail()
        reported = report.read()
        for note in reported.get("notes", []):
            progress.log(note)
    finally:
        os.close(order_fd)
        os.close(report_fd)
    if code == 0 and "manifest" in reported:
        manifest: dict[str, Any] = reported["manifest"]
        return manifest
    raise problem_told(reported) or Problem(
        phrase("The dump of the live database was ended before it was whole."),
        code="dump.killed",
        do=phrase("See whether the machine ran out of memory, then try again. {said}", said=" ".join(said)),
    )


def _ended(running: process.Child, tick: process.Tick) -> int | None:
    """The exit status of a program that is about to end; None where it goes on."""
    until = time.monotonic() + _LAST_WORDS_SECONDS
    while (code := running.poll()) is None and time.monotonic() < until:
        process.sleep_tick()
        tick()
    return code


def _tick(loading: Loading, progress: Progress, beside: Beside | None = None) -> process.Tick:
    def tick() -> None:
        progress.bytes_done(loading.bytes_read + (beside.loading.bytes_read if beside else 0))
        progress.detail(loading.doing)
        progress.tick()
        if beside is not None:
            beside.tick()

    return tick
