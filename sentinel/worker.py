"""gunicorn's threads, of which no client can take all: the worker of gate and portal.

gunicorn's own gthread waits without end for the rest of a request, gives each new connection a thread
for five seconds in which to say anything, and waits in the loop that serves everybody for clients to
take the end of their connection. Here

- a connection has a thread only once its client has said something;
- a request has to be there, head and body, `READ_SECONDS` after its first byte, however it drips, and of one
  that is not nothing is made; its head has `MOST_HEAD_BYTES`;
- threads that wait for a client do not count among those that work at once, which are few;
- where all threads or connections are taken, whoever has kept one waiting for longest is let go, after
  `PATIENCE_SECONDS`;
- the end of a connection is waited for in the thread that it had.

So hundreds that are slow cost a thread each, which takes some kB, and thousands a moment.
"""

from __future__ import annotations

import errno
import math
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

# A megabyte of a form, by way of a telephone; nginx hands over what it has whole.
READ_SECONDS = 20.0
# What an honest client needs for the next bytes of what it has begun, when others wait for its thread.
PATIENCE_SECONDS = 0.25
# Twice what nginx lets through. Each piece has gunicorn look through all of the head that came before.
MOST_HEAD_BYTES = 65536
# Besides connections: what answering a request opens, and what the process has.
_OTHER_FILES = 500
# For whom there is room at once when those come who wait already.
_MORE = 200


class Client(socket.socket):
    """A client's connection, which knows since when somebody waits for it.

    `waited_since` is a time of `time.monotonic()`, infinite while nobody does. For what is read it is the
    request's beginning, for what is written that of the piece being written. Who waits has no turn in
    the meantime.
    """

    waited_since = math.inf
    _begun = 0.0
    _head_bytes_left = math.inf
    _let_go = False
    _turns: threading.Semaphore

    @classmethod
    def of(cls, taken: socket.socket, turns: threading.Semaphore) -> Client:
        """The same connection; whoever reads and writes has to have one of the `turns`."""
        client = cls(fileno=taken.detach())
        client._turns = turns
        return client

    def begin(self) -> None:
        """A request begins, and with it the time for reading it."""
        self._begun = time.monotonic()
        self._head_bytes_left = MOST_HEAD_BYTES

    def head_is_read(self) -> None:
        """What comes from here on is the request's body."""
        self._head_bytes_left = math.inf

    def let_go(self) -> None:
        """End the connection under whoever waits for it, in whichever thread."""
        self._let_go = True
        with suppress(OSError):  # the client may be faster
            self.shutdown(socket.SHUT_RDWR)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As a socket does. Raises ConnectionResetError when the request's time is up or it is let go.

        An end of the bytes would be taken for the end of the request, and what came of it carried out.
        """
        left = self._begun + READ_SECONDS - time.monotonic()
        if left <= 0:
            raise _reset("the request took too long to arrive")
        before = self.gettimeout()
        is_the_callers = before is not None and before <= left
        try:
            self.settimeout(0)
            with suppress(BlockingIOError):
                return self._not_cut_off(super().recv(size, flags))
            self.settimeout(before if is_the_callers else left)
            with self._waiting(self._begun):
                return self._not_cut_off(super().recv(size, flags))
        except TimeoutError:
            if is_the_callers:
                raise
            raise _reset("the request took too long to arrive") from None
        finally:
            self.settimeout(before)

    def _not_cut_off(self, data: bytes) -> bytes:
        if not data and self._let_go:
            raise _reset("let go, for it kept others waiting")
        self._head_bytes_left -= len(data)
        if self._head_bytes_left < 0:
            raise _reset("the request's head is too long")
        return data

    def send(self, data: Any, flags: int = 0, /) -> int:
        """All of it, as `sendall`: gunicorn says 100 Continue by this, for which it may wait as long."""
        self.sendall(data, flags)
        return len(data)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As a socket does, for as long as there are threads."""
        view = memoryview(data)
        sent = 0
        with suppress(BlockingIOError):
            sent = super().send(view, flags | socket.MSG_DONTWAIT)
        if sent < len(view):
            with self._waiting(time.monotonic()):
                super().sendall(view[sent:], flags)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """As a socket does, for as long as there are threads."""
        with self._waiting(time.monotonic()):
            return super().sendfile(file, offset, count)

    @contextmanager
    def _waiting(self, since: float) -> Iterator[None]:
        if self._let_go:
            raise BrokenPipeError(errno.EPIPE, "let go, for it kept others waiting")
        self.waited_since = since
        self._turns.release()
        try:
            yield
        finally:
            self._turns.acquire()
            self.waited_since = math.inf


def _reset(why: str) -> ConnectionResetError:
    """What gunicorn and Django take for a client that has gone: no answer, and nothing in the log."""
    return ConnectionResetError(errno.ECONNRESET, why)


class PatientWorker(ThreadWorker):
    """gthread, with the rules above. Follows gunicorn's own methods, so their version is pinned."""

    # How many requests a process works at, at the same time.
    at_once = 8

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._with_threads: set[TConn] = set()
        self._turns = threading.Semaphore(self.at_once)

    def init_process(self) -> None:
        """Allow this process the open files that its connections take, or it fewer connections."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        connections: int = self.cfg.worker_connections
        wanted = connections + _OTHER_FILES
        if 0 <= soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            # One connection too many would end the process.
            self.worker_connections = min(connections, max(soft - _OTHER_FILES, 1))
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Give it a thread, a new connection when it has said something."""
        if self.cfg.is_ssl:  # gunicorn's own way: the socket is one of OpenSSL's
            super().enqueue_req(conn)
        elif isinstance(conn.sock, Client):
            self._with_threads.add(conn)
            super().enqueue_req(conn)
        else:
            conn.sock = Client.of(conn.sock, self._turns)
            self._wait_for_a_word(conn)

    def _wait_for_a_word(self, conn: TConn) -> None:
        """As gunicorn does, after five seconds and for `keepalive` more."""
        nothing: futures.Future[object] = futures.Future()
        nothing.set_result(_DEFER)
        super().finish_request(conn, nothing)

    def handle(self, conn: TConn) -> Any:
        """Answer one request; runs in the connection's thread."""
        if not isinstance(conn.sock, Client):
            return super().handle(conn)
        with self._turns:
            conn.sock.begin()
            # Nobody honest has sent the next request before the answer to this one: it costs its connection.
            goes_on = super().handle(conn) and not conn.parser.unreader.buf.getvalue()
            if not goes_on:
                util.close_graceful(conn.sock)
        return goes_on

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose head is there."""
        if isinstance(conn.sock, Client):
            conn.sock.head_is_read()
        return super().handle_request(req, conn)

    def finish_request(self, conn: TConn, fs: futures.Future[Any]) -> None:
        """Take the thread back; runs in the worker's loop, where nobody must be waited for."""
        self._with_threads.discard(conn)
        if conn.sock.fileno() == -1:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """The loop's one turn, and an eye on those for whom others wait."""
        lacking = max(len(self._with_threads) - self.cfg.threads, self.nr_conns - self.worker_connections)
        super().wait_for_and_dispatch_events(timeout if lacking < 0 else 0.1)
        if lacking >= 0:
            self._make_room(lacking + _MORE)

    def _make_room(self, number: int) -> None:
        """Let go of so many who have kept a thread waiting, and so many who say nothing."""
        before = time.monotonic() - PATIENCE_SECONDS
        for silent in (self.pending_conns, self.keepalived_conns):
            for conn in islice(silent, number):
                if conn.timeout - self.cfg.keepalive < before:
                    conn.timeout = 0
        clients: list[Client] = [conn.sock for conn in self._with_threads]
        slow = sorted((one for one in clients if one.waited_since < before), key=lambda one: one.waited_since)
        for client in slow[:number]:
            client.let_go()
