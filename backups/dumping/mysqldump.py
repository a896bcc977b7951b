"""One run of the server's own dump program, of which a dump may need several at once."""

from __future__ import annotations

import fcntl
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec, TypeAlias

from backups import at_first_use, mysql, process
from backups.dumpfile.narration import Narrator
from backups.dumpfile.sections import Kind, Piece
from backups.dumping.spool import Spool
from backups.errors import Problem
from backups.text.sentences import phrase

PIPE_BYTES = 1 << 20
# Of a size that stays in the cache of a core.
_READ_BYTES = 1 << 18
# A program that is turned away has ended by then.
_LET_IN_SECONDS = 1.0
_VIEW_BEGINS = b"/*!50001 CREATE ALGORITHM="
_AFTER_VIEW = at_first_use.pattern(rb"/\*!50001 SET character_set_client\s*= @")
_CLIENT_OF_VIEW = at_first_use.pattern(rb"(/\*!50001 SET character_set_(?:client|results)\s*= )\w+( \*/;)")


def with_history(source: mysql.DumpSource) -> bool:
    """Whether a dump holds what system-versioned tables held before."""
    if not mysql.keeps_history(source.info, source.programs):
        return False
    with mysql.connect(source.server) as connection:
        return not mysql.versioned_by_transactions(connection, source.database)


def refuse_what_cuts_dumps(source: mysql.DumpSource) -> None:
    """Raise OfTheServer where the dump program would see a part of the rows, and cannot be told otherwise."""
    if not source.programs.takes_init_command:
        mysql.refuse_what_cuts_dumps(source.server, with_history=with_history(source))


_Wishes = ParamSpec("_Wishes")
_Start: TypeAlias = Callable[Concatenate[mysql.DumpSource, _Wishes], Iterator[process.Child]]


def _under_its_own_version(start: _Start[_Wishes]) -> _Start[_Wishes]:
    """Start dump programs with a server whose greeting is put right, see `mysql.corrected`.

    Those that would do without TLS where it is demanded, or take it to be there, are let through to no server
    that offers none.
    """

    @wraps(start)
    def started(
        source: mysql.DumpSource, *args: _Wishes.args, **wishes: _Wishes.kwargs
    ) -> Iterator[process.Child]:
        wished = mysql.as_wished(source.server, source.programs)
        tls_only = mysql.must_be_held_to_tls(wished, source.programs)
        with mysql.corrected(wished, source.info, tls_only=tls_only) as server:
            yield from start(replace(source, server=server), *args, **wishes)

    return started


class Listener(NamedTuple):
    """Who wants to know where dump programs are. `names` as `Narrator` takes them."""

    names: Sequence[str]
    is_read: Callable[[str], None]

    def heed(self) -> Callable[[str], bool]:
        """Takes in the lines of one program; answers whether a line is but narration."""
        narrator = Narrator(self.names)

        def heed(line: str) -> bool:
            heard = narrator.told(line)
            if heard.table:
                self.is_read(heard.table)
            return heard.is_narration

        return heed


@contextmanager
@_under_its_own_version
def started(
    source: mysql.DumpSource, *, own_group: bool = False, listener: Listener | None = None
) -> Iterator[process.Child]:
    """The dump program, for the length of a block; its output is to be read. See `mysql.dump_args`.

    `listener` is told of each table as its rows begin to be read.
    """
    option_fd = process.secret_fd(mysql.option_file(source.server))
    try:
        with mysql.folder_of_methods(source.server, source.programs) as methods:
            args = mysql.dump_args(
                source,
                option_file_path=f"/dev/fd/{option_fd}",
                with_history=with_history(source),
                aloud=listener is not None,
                methods=methods,
            )
            program = process.Program(
                args, mysql.client_environment(), pass_fds=[option_fd], own_group=own_group
            )
            heed = listener.heed() if listener else None
            with process.child(program, stdout=process.PIPE, heed=heed) as running:
                widen(running.stdout.fileno())
                yield running
    finally:
        os.close(option_fd)


@contextmanager
def let_in(
    source: mysql.DumpSource, *, own_group: bool = False, listener: Listener | None = None
) -> Iterator[process.Child]:
    """As `started`, tried again where our own connection of just before may still count for the user."""
    for _ in range(mysql.TRIES_AT_A_LIMIT - 1):
        with started(source, own_group=own_group, listener=listener) as running:
            if not _is_turned_away(source, running):
                yield running
                return
        time.sleep(mysql.MOMENT_SECONDS)
    with started(source, own_group=own_group, listener=listener) as running:
        yield running


def _is_turned_away(source: mysql.DumpSource, running: process.Child) -> bool:
    """Whether it ended without a word on standard output, as the server takes no more connections."""
    output = select.poll()
    output.register(running.stdout, select.POLLIN)
    events = output.poll(_LET_IN_SECONDS * 1000)
    if not events or events[0][1] & select.POLLIN:
        return False
    code = running.wait()
    problem = mysql.dump_problem(running.stderr_tail(), code, source.server, source.database)
    return code != 0 and isinstance(problem, mysql.NoMoreConnections)


@contextmanager
def read_into(
    spool: Spool,
    source: mysql.DumpSource,
    running: process.Child,
    look: Callable[[bytes], None] = lambda _: None,
) -> Iterator[None]:
    """Read what the program writes in a thread, whatever keeps the one who wants it.

    `look` is shown each piece. The spool ends with what was wrong with the program's end.
    """

    def read() -> None:
        try:
            for data in output(running):
                spool.put(data)
                look(data)
            refuse_bad_end(source, running)
        except BaseException as error:  # noqa: BLE001  raised again where it is taken
            spool.end(error)
        else:
            spool.end()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        spool.close()
        running.stop()
        reader.join()


def output(running: process.Child) -> Iterator[bytes]:
    """What the program writes, as it comes."""
    while data := os.read(running.stdout.fileno(), _READ_BYTES):
        yield data


def refuse_bad_end(
    source: mysql.DumpSource, running: process.Child, tick: process.Tick | None = None
) -> None:
    """Wait for the program's end. Raises Problem unless it is content."""
    code = running.wait(tick)
    stderr = running.stderr_tail()
    if code != 0:
        raise mysql.dump_problem(stderr, code, source.server, source.database)
    _refuse_complaints(stderr, source.database)


def _refuse_complaints(stderr: tuple[str, ...], database: str) -> None:
    """A dump program may leave things out, say so on standard error and exit with 0."""
    for line in stderr:
        if mysql.means_nothing(line):
            continue
        # Said of a table whose remote server is away: nothing is left out for it, as only rows are sorted.
        if "records are NOT sorted" in line:
            continue
        if "error" in line.lower() or "insufficient privileg" in line.lower():
            raise Problem(
                phrase(
                    "The dump program left something of {database} out: {line}.",
                    database=database,
                    line=line.strip(),
                ),
                code="dump.left_out",
                do=phrase(
                    "Grant what is missing, which Test connection and `manage.py preflight` show. Then back "
                    "up again."
                ),
            )


def widen(pipe: int) -> None:
    """A larger pipe saves context switches; where the kernel refuses, the usual one does."""
    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def with_views(pieces: Iterable[Piece], statements: Mapping[str, bytes]) -> Iterator[Piece]:
    """The pieces of a dump, with these statements for views of these names, made as by clients of utf8mb4.

    Its program does not write them as they are.
    """
    is_within = False
    for piece in pieces:
        section = piece.section
        if section.kind != Kind.VIEW or section.name not in statements or piece.is_comment:
            yield piece
            continue
        line = bytes(piece.data)
        if line.startswith(_VIEW_BEGINS):
            is_within = True
            yield piece._replace(data=statements[section.name])
        elif _AFTER_VIEW.match(line):
            is_within = False
        if not is_within and not line.startswith(_VIEW_BEGINS):
            yield piece._replace(data=_CLIENT_OF_VIEW.sub(rb"\1utf8mb4\2", line))
