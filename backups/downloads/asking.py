"""The portal's side of a download: ask the worker for it, and pass on what it sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import User

from backups.downloads import tickets, wire
from backups.downloads.places import address_of, peer_is_us
from backups.errors import Problem
from backups.installation import commands
from backups.models import Snapshot
from backups.text.sentences import phrase

# Of the requests that a portal's process works at, at the same time, the others are for everybody else:
# a storage that hangs holds each download's turn until the worker gives it up.
MOST_PER_PORTAL = 4
_slots = threading.BoundedSemaphore(MOST_PER_PORTAL)
# The worker looks at a ticket and begins.
_ANSWER_SECONDS = 15.0
# It looks through a log for twenty seconds, and gives a slow storage some more.
_SEARCH_SECONDS = 60.0
# A page of rows, or a script that gives many back.
_LONGEST_ANSWER = 600_000_000
# On top of what a storage is given to mend itself, after which the worker says so.
_MORE_SECONDS = 120.0


class NoWorker(Problem):
    """The worker does not run, or runs on another machine, so nothing can be downloaded."""

    code = "downloads.no_worker"


class Download(Iterator[memoryview]):
    """The bytes of a snapshot's SQL as they come from the worker, for a file of this `name`.

    To be closed in any case, which ends it in the worker too. The iterator raises Problem where what came
    is not whole.
    """

    def __init__(self, frames: wire.Receiver, name: str, patience: float, held: ExitStack) -> None:
        self.name = name
        self._frames = frames
        self._patience = patience
        self._held = held
        self._is_whole = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> memoryview:
        if self._is_whole:
            raise StopIteration
        kind, content = _answer(self._frames, self._patience)
        if kind == wire.DATA:
            return content
        self._is_whole = kind == wire.END
        if not self._is_whole:
            raise _broken_off()
        raise StopIteration

    def close(self) -> None:
        """Let the worker know that no more of it is wanted."""
        self._held.close()


def begin(
    person: User,
    snapshot: Snapshot,
    tables: Collection[str] = (),
    *,
    is_gone: Callable[[], bool] = lambda: False,
) -> Download:
    """A download whose first bytes are there, for somebody who may have it.

    `is_gone` is asked while nothing comes: whether that person has left. Raises Problem, NoWorker among them.
    """
    return _begun(lambda: wire.greeting(tickets.issue(person, snapshot, tables)), is_gone)


def begin_file(person: User, snapshot: Snapshot, run_id: int, is_gone: Callable[[], bool]) -> Download:
    """The same of the file that a restore of this snapshot made. Raises Problem, NoWorker among them."""

    def greeting() -> bytes:
        token = tickets.issue(person, snapshot, purpose=tickets.of_file(run_id))
        return wire.greeting_about(wire.FILE, token, run_id)

    return _begun(greeting, is_gone)


def _begun(greeting: Callable[[], bytes], is_gone: Callable[[], bool]) -> Download:
    patience = settings.STORAGE_PATIENCE_SECONDS + _MORE_SECONDS
    with ExitStack() as held:
        _, frames = _accepted(held, greeting, is_gone)
        name = str(wire.read_json(_expect(wire.HEAD, frames, patience)).get("name", ""))
        return Download(frames, name, patience, held.pop_all())


def ask_for_rows(person: User, snapshot: Snapshot, run_id: int, wanted: Mapping[str, Any]) -> bytes:
    """What the worker answers of the rows that a run keeps, which are of this snapshot. Raises Problem."""

    def greeting() -> bytes:
        token = tickets.issue(person, snapshot, purpose=tickets.of_rows(run_id))
        return wire.greeting_about(wire.ROWS, token, run_id)

    return _asked(greeting, wanted, _ANSWER_SECONDS)


def ask_for_log(person: User, snapshot: Snapshot, database_id: int, wanted: Mapping[str, Any]) -> bytes:
    """What the worker finds in the stored log of a database, one of whose snapshots this is.

    Raises Problem.
    """

    def greeting() -> bytes:
        token = tickets.issue(person, snapshot, purpose=tickets.of_log(database_id))
        return wire.greeting_about(wire.LOG, token, database_id)

    return _asked(greeting, wanted, _SEARCH_SECONDS)


def _asked(greeting: Callable[[], bytes], wanted: Mapping[str, Any], seconds: float) -> bytes:
    """The answer to what is wanted, which begins within so many seconds. Raises Problem."""
    answer = bytearray()
    with ExitStack() as held:
        connection, frames = _accepted(held, greeting, lambda: False)
        try:
            connection.sendall(wire.query(wanted))
        except OSError:
            raise _broken_off() from None
        while True:
            kind, content = _answer(frames, seconds)
            if kind == wire.END:
                return bytes(answer)
            if kind != wire.DATA or len(answer) > _LONGEST_ANSWER:
                raise _broken_off()
            answer += content


def _accepted(
    held: ExitStack, greeting: Callable[[], bytes], is_gone: Callable[[], bool]
) -> tuple[socket.socket, wire.Receiver]:
    """A connection over which the worker took the ticket, for as long as `held`. Raises Problem.

    The ticket in the `greeting` is issued once somebody listens.
    """
    if not _slots.acquire(blocking=False):
        raise Problem(
            phrase(
                "{most_per_portal} downloads are under way in this process of the portal. It "
                "serves no more at once.",
                most_per_portal=MOST_PER_PORTAL,
            ),
            code="downloads.portal_is_busy",
            do=phrase("Try again when one of them is over."),
        )
    held.callback(_slots.release)
    connection = held.enter_context(_connected(Path(settings.DOWNLOADS_SOCKET)))
    frames = wire.Receiver(connection, is_gone)
    try:
        connection.sendall(greeting())
    except OSError:
        raise _broken_off() from None
    _expect(wire.ACCEPTED, frames, _ANSWER_SECONDS)
    return connection, frames


def _expect(kind: bytes, frames: wire.Receiver, seconds: float) -> memoryview:
    found, content = _answer(frames, seconds)
    if found != kind:
        raise _broken_off()
    return content


def _answer(frames: wire.Receiver, seconds: float) -> tuple[bytes, memoryview]:
    try:
        kind, content = frames.next(seconds=seconds)
        failed = wire.problem_of(content) if kind == wire.FAILURE else None
    except wire.Unspoken:
        raise _broken_off() from None
    if failed:
        raise failed
    return kind, content


def _broken_off() -> Problem:
    return Problem(
        phrase("The worker broke the download off, or gave no answer."),
        code="downloads.broken_off",
        do=phrase("Try again; {worker_log} may say more.", worker_log=commands().worker_log),
    )


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_ANSWER_SECONDS)
    try:
        with address_of(path) as address:
            connection.connect(address)
    except (BlockingIOError, TimeoutError):  # so many wait already
        connection.close()
        raise _broken_off() from None
    except OSError:
        connection.close()
        raise NoWorker(
            phrase("The worker does not run, so nothing can be downloaded."),
            do=phrase(
                "Start it on the portal's own machine: {start_worker}. If it runs there, {worker_log} "
                "says why {path} cannot be reached.",
                start_worker=commands().start_worker,
                worker_log=commands().worker_log,
                path=path,
            ),
        ) from None
    if not peer_is_us(connection):
        connection.close()
        raise NoWorker(
            phrase("The worker runs as another user than the portal, so nothing can be downloaded."),
            code="downloads.other_user",
            do=phrase("Run both as the same user."),
        )
    return connection
