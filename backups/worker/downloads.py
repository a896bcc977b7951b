"""The worker's side of downloads: a server on a Unix socket, in threads of the worker's own process.

Only the portal's user may talk to it. Nothing is held in memory or on disk: what the browser does not take,
the portal does not take, and restic waits.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import stat
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from django.db import connection as database

from backups import process
from backups.actions.download import sql_stream
from backups.actions.kept_rows import answer as rows_answer
from backups.actions.log_search import answer as log_answer
from backups.actions.steps.dump_kept import kept_stream
from backups.downloads import tickets, wire
from backups.downloads.places import address_of, peer_is_us
from backups.errors import UNEXPECTED, Problem
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 4
# With those who are about to be told to wait.
_MOST_CONNECTIONS = 16
# Before they are taken, and told or closed at once.
_MOST_WAITING = 128
_TOKEN_SECONDS = 5.0
# A browser that takes nothing for so long has gone, or is no reason to keep a lock in the repository.
SLOWEST_SECONDS = 900.0
_AGAIN_SECONDS = 5.0
_LOOK_SECONDS = 0.5
# restic takes its lock away.
_END_SECONDS = 5.0


class _Gone(Problem):
    """The person who downloaded has gone."""

    code = "downloads.gone"


class DownloadServer:
    """Serves downloads at `path` for as long as `keep_serving` is called now and then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listening: _Listening | None = None
        self._not_before = 0.0
        self._told = ""

    def keep_serving(self) -> None:
        """Begin, or begin again where the socket was lost; what keeps it from that is logged, once."""
        if self._listening is not None and self._listening.is_reachable():
            return
        if time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + _AGAIN_SECONDS
        self.end()
        try:
            self._listening = _Listening(self._path)
            self._told = ""
        except OSError as error:
            self._tell(f"{error.strerror or error}")

    def break_off(self) -> None:
        """Take no more, and break off what is being sent; does not wait for its end."""
        self._not_before = float("inf")
        if self._listening is not None:
            self._listening.break_off()

    def end(self) -> None:
        """Break off what is being sent, and be gone."""
        if self._listening is not None:
            self._listening.end()
            self._listening = None

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            logger.error(
                "nothing can be downloaded through this worker, which goes on trying: %s: %s", self._path, why
            )


class _Listening:
    """A socket at `path` and who listens there. Raises OSError, also where another worker does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stopping = threading.Event()
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as held:
            self._lock = _locked(path.with_suffix(".lock"))
            held.callback(os.close, self._lock)
            self._socket = held.enter_context(_bound(path))
            self._inode = path.lstat().st_ino
            self._held = held.pop_all()
        self._thread = threading.Thread(target=self._accept, name="downloads", daemon=True)
        self._thread.start()

    def is_reachable(self) -> bool:
        """Whether it listens, at the path where the portal looks for it."""
        with suppress(OSError):
            return self._thread.is_alive() and self._path.lstat().st_ino == self._inode
        return False

    def break_off(self) -> None:
        """End all connections, and have what restic does for them end."""
        self._stopping.set()
        with self._guard:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Be gone; what takes too long to end ends with this process."""
        self.break_off()
        until = time.monotonic() + _END_SECONDS
        with self._guard:
            threads = [self._thread, *self._connections.values()]
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0))
        with suppress(OSError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
        self._held.close()

    def _accept(self) -> None:
        self._socket.settimeout(_LOOK_SECONDS)
        while not self._stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                # No file descriptor is left, which may pass.
                self._stopping.wait(_LOOK_SECONDS)
                continue
            self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        with self._guard:
            is_one_too_many = len(self._connections) >= _MOST_CONNECTIONS
            if is_one_too_many or self._stopping.is_set() or not peer_is_us(connection):
                connection.close()
                return
            thread = threading.Thread(target=self._answer, args=[connection], name="download", daemon=True)
            self._connections[connection] = thread
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            greeted = wire.read_greeting(connection, seconds=_TOKEN_SECONDS)
            sender = wire.Sender(connection, seconds=SLOWEST_SECONDS)
            if not self._slots.acquire(blocking=False):
                sender.failure(_busy())
                return
            try:
                self._serve(connection, sender, greeted)
            finally:
                self._slots.release()
        except wire.Unspoken:
            pass  # whoever it was has gone
        finally:
            with self._guard:
                self._connections.pop(connection)
            connection.close()

    def _serve(self, connection: socket.socket, sender: wire.Sender, greeted: wire.Greeted) -> None:
        what, is_a_dump = phrase("a download"), greeted.what in {wire.DOWNLOAD, wire.FILE}

        def tick() -> None:
            if self._stopping.is_set():
                raise Problem(phrase("The worker was told to stop."), code="downloads.worker_stops")
            if wire.hung_up(connection):
                raise _Gone(phrase("The person who downloaded has gone."))

        try:
            if greeted.what == wire.ROWS:
                what = phrase("rows that run {run} keeps", run=greeted.number)
                _serve_rows(connection, sender, greeted.token, greeted.number)
                return
            if greeted.what == wire.LOG:
                what = phrase("a search of the log of database {number}", number=greeted.number)
                _serve_log(connection, sender, greeted, tick)
                return
            is_file = greeted.what == wire.FILE
            purpose = tickets.of_file(greeted.number) if is_file else ""
            ticket = tickets.spend(greeted.token, purpose=purpose)
            what = phrase("the download of {ticket}", ticket=ticket)
            sender.accepted()
            if is_file:
                name, content = kept_stream(greeted.number, tick)
            else:
                name, content = sql_stream(ticket.snapshot, ticket.tables, tick)
            database.close()  # nobody knows for how long it will be sent
            with closing(content):  # type: ignore[type-var]
                sender.head(name)
                for piece in content:
                    sender.data(piece)
            sender.end()
        except (wire.Unspoken, _Gone):
            logger.info("%s was broken off by who asked for it", what)
        except Problem as problem:
            # A condition that cannot be read is quoted to who wrote it, and may hold what rows hold.
            logger.warning("%s broke off: %s", what, problem if is_a_dump else problem.code)
            sender.failure(problem)
        except Exception:
            logger.exception("%s broke off", what)
            sender.failure(
                Problem(phrase("Something unexpected happened; the worker's log says more."), code=UNEXPECTED)
            )
        finally:
            database.close()


def _serve_rows(connection: socket.socket, sender: wire.Sender, token: str, run_id: int) -> None:
    """Send what is wanted of the rows that a run keeps. Raises Problem, Unspoken."""
    tickets.spend(token, purpose=tickets.of_rows(run_id))
    sender.accepted()
    sender.data(rows_answer(run_id, _query(connection)))
    sender.end()


def _serve_log(
    connection: socket.socket, sender: wire.Sender, greeted: wire.Greeted, tick: process.Tick
) -> None:
    """Send what is found in the stored log of a database. Raises Problem, Unspoken."""
    tickets.spend(greeted.token, purpose=tickets.of_log(greeted.number))
    sender.accepted()
    sender.data(log_answer(greeted.number, _query(connection), tick))
    sender.end()


def _query(connection: socket.socket) -> dict[str, Any]:
    kind, content = wire.Receiver(connection, lambda: False).next(seconds=_TOKEN_SECONDS)
    if kind != wire.QUERY:
        raise wire.Unspoken
    return wire.read_json(content)


def _busy() -> Problem:
    return Problem(
        phrase(
            "{most_at_once} downloads are under way. The worker sends no more at once.",
            most_at_once=MOST_AT_ONCE,
        ),
        code="downloads.worker_is_busy",
        do=phrase("Try again when one of them is over."),
    )


def _locked(path: Path) -> int:
    """A file that one worker alone holds, for as long as it lives. Raises OSError."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise OSError("another worker on this machine serves them") from None
    except OSError:
        os.close(lock)
        raise
    return lock


def _bound(path: Path) -> socket.socket:
    """A socket that listens there, in the place of what a worker left that died. Raises OSError."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError("something else than a socket is there")
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address_of(path) as address:
            listening.bind(address)
        # Before anybody can connect.
        path.chmod(0o600)
        listening.listen(_MOST_WAITING)
    except OSError:
        listening.close()
        raise
    return listening
