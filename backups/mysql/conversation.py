"""What a server may take of us in a conversation: time for its answers, and room for each of them.

The driver's timeout begins anew with each byte that comes, and it keeps all that comes: a server that
means harm, or is in trouble, would keep a process waiting for ever, or take all its memory.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import MySQLdb

from backups.mysql.problems import MySQLProblem
from backups.mysql.server import Server
from backups.text.sentences import number, phrase

# Of what is kept of one answer. What Vedetta asks about 100,000 tables is answered in a twentieth of either.
MOST_ROWS = 2_000_000
MOST_BYTES = 256 << 20
_LOOK_SECONDS = 0.1
# What is asked of each object of a database is many questions, each of them quick: a quick answer gives back
# what it took, as long as all of them took no more than this.
_QUICK_SECONDS, _OF_QUICK_ONES_SECONDS = 0.05, 540.0
# A driver's own timeout comes first, which has a sentence of its own.
_AFTER_DRIVER_SECONDS = 5.0
# https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/include/uapi/linux/tcp.h
_RECEIVED_AT = 128


class TookTooLong(MySQLProblem):
    """The server's answers did not end in time."""

    code = "mysql.took_too_long"


class SaidTooMuch(MySQLProblem):
    """An answer was larger than any that a server has reason to give."""

    code = "mysql.said_too_much"


class Conversation:
    """The limits of one connection, kept by a thread beside whoever waits for the server.

    All questions together have `server.question_seconds`, which grow back while nothing is asked. Work has
    `work_seconds` for each statement, None for as long as it takes. Where a limit is passed the connection
    is cut, and `problem` says why.
    """

    def __init__(self, server: Server, work_seconds: float | None) -> None:
        self.server = server
        self._work_seconds = work_seconds
        self._left = server.question_seconds
        self._of_quick_ones = _OF_QUICK_ONES_SECONDS
        self._idle_since = time.monotonic()
        self._until: float | None = None
        self._received_before = 0
        self._wires: Callable[[], Collection[int]] = tuple
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.problem: MySQLProblem | None = None
        _UNDER_WAY.add(self)
        threading.Thread(target=self._watch, daemon=True).start()

    @contextmanager
    def connecting(self, reached: Server) -> Iterator[None]:
        """Connect within the block, the driver to `reached`; ends the conversation if that fails."""
        self._wires = _WiresTo(reached).found
        try:
            with self.waiting():
                yield
        except BaseException:
            self.end()
            raise

    def speaks_over(self, wire: int) -> None:
        """From now on by this file descriptor."""
        with self._lock:
            self._wires = lambda: [wire]
        _SPOKEN_OVER.add(wire)

    @contextmanager
    def waiting(self, *, for_work: bool = False) -> Iterator[None]:
        """Wait for the server within the block. Raises MySQLProblem where a limit is passed."""
        if self._until is not None:  # within another one
            yield
            return
        if self.problem is not None:
            raise self.problem
        began = self._begin(for_work=for_work)
        try:
            yield
        except MySQLdb.Error as error:
            if self.problem is not None:
                raise self.problem from error
            raise
        finally:
            self._until = None
            self._idle_since = time.monotonic()
            if not for_work:
                self._spend(self._idle_since - began)
        if self.problem is not None:
            raise self.problem

    def all_rows(self, fetch: Callable[[], Sequence[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        """What `fetch` gives until it gives nothing. Raises SaidTooMuch."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        while found := fetch():
            rows += found
            size += sum(sys.getsizeof(row) + sum(map(sys.getsizeof, row)) for row in found)
            if len(rows) > MOST_ROWS or size > MOST_BYTES:
                self.cut(self._too_much())
                raise self._too_much()
        return rows

    def end(self) -> None:
        """There is nothing to wait for any more, and the file descriptor may soon be somebody else's."""
        with self._lock:
            _SPOKEN_OVER.difference_update(self._wires())
            self._wires = tuple
        self._over.set()

    def _begin(self, *, for_work: bool) -> float:
        now = time.monotonic()
        idle = now - self._idle_since
        self._left = min(self._left + idle, self.server.question_seconds)
        self._of_quick_ones = min(self._of_quick_ones + idle, _OF_QUICK_ONES_SECONDS)
        self._received_before = self._received()
        seconds = self._left
        if for_work:
            of_driver = self._work_seconds
            seconds = float("inf") if of_driver is None else of_driver + _AFTER_DRIVER_SECONDS
        self._until = now + seconds
        return now

    def _spend(self, seconds: float) -> None:
        if seconds <= min(_QUICK_SECONDS, self._of_quick_ones):
            self._of_quick_ones -= seconds
        else:
            self._left -= seconds

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            until = self._until
            if until is None or self.problem is not None:
                continue
            if time.monotonic() > until:
                self.cut(self._too_slow())
            elif self._received() - self._received_before > MOST_BYTES:
                self.cut(self._too_much())

    def _received(self) -> int:
        """How many bytes came so far; nothing of a socket of this machine, of which nobody counts them."""
        count = 0
        with self._lock, suppress(OSError):
            for wire in self._wires():
                with socket.socket(fileno=os.dup(wire)) as duplicate:
                    tcp_info = duplicate.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED_AT + 8)
                    count += struct.unpack_from("@Q", tcp_info, _RECEIVED_AT)[0]
        return count

    def cut(self, problem: MySQLProblem) -> None:
        """Have whoever waits wait no more, for that reason."""
        with self._lock:
            self.problem = self.problem or problem
            for wire in self._wires():
                with suppress(OSError), socket.socket(fileno=os.dup(wire)) as duplicate:
                    duplicate.shutdown(socket.SHUT_RDWR)

    def _too_slow(self) -> TookTooLong:
        return TookTooLong(
            phrase(
                "The database server at {address} took more than {question_seconds} s to answer a "
                "question, so the connection was cut.",
                address=self.server.address,
                question_seconds=f"{self.server.question_seconds:g}",
            ),
            do=phrase(
                "See what it is busy with (SHOW PROCESSLIST), and whether something on the way delays "
                "its answers. If it always needs this long, raise {question_seconds_set_by}.",
                question_seconds_set_by=self.server.question_seconds_set_by,
            ),
        )

    def _too_much(self) -> SaidTooMuch:
        return SaidTooMuch(
            phrase(
                "The database server at {address} answered one question with more than {most_rows} rows "
                "or {megabytes} MB, so the connection was cut.",
                address=self.server.address,
                most_rows=number(MOST_ROWS),
                megabytes=MOST_BYTES >> 20,
            ),
            do=phrase(
                "Even a server with 100,000 tables says less. See whether it is the right server, and "
                "check {address_set_by}.",
                address_set_by=self.server.address_set_by,
            ),
        )


_UNDER_WAY: weakref.WeakSet[Conversation] = weakref.WeakSet()


def hang_up_on(server: Server) -> None:
    """Cut all connections of this process to a server, whoever waits for its answers."""
    ended = MySQLProblem(
        phrase(
            "The connection to the database server at {address} was cut on request.",
            address=server.address,
        ),
        code="mysql.cut_as_asked",
    )
    for conversation in [each for each in _UNDER_WAY if each.server == server]:
        conversation.cut(ended)


# The file descriptors of connections that stand.
_SPOKEN_OVER: set[int] = set()


class _WiresTo:
    """Sockets to a server that are made from now on, and of which the driver does not tell yet.

    It does once it is connected, and would hear a greeting for ever. One that another thread makes to the
    same server meanwhile may be among them.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known = {node for node, _ in _sockets()}
        self._addresses: set[str] = set()

    def found(self) -> list[int]:
        """Their file descriptors."""
        new = [wire for node, wire in _sockets() if node not in self._known and wire not in _SPOKEN_OVER]
        return [wire for wire in new if self._leads_there(wire)]

    def _leads_there(self, wire: int) -> bool:
        with suppress(OSError), socket.socket(fileno=os.dup(wire)) as duplicate:
            peer = duplicate.getpeername()
            if self._server.socket:
                return bool(peer == self._server.socket)
            return isinstance(peer, tuple) and peer[1] == self._server.port and peer[0] in self._resolved()
        return False

    def _resolved(self) -> set[str]:
        if not self._addresses:
            found = socket.getaddrinfo(self._server.tcp_host, self._server.port, type=socket.SOCK_STREAM)
            self._addresses = {str(address[0]) for *_, address in found}
        return self._addresses


def _sockets() -> Iterator[tuple[int, int]]:
    """The sockets of this process: the number of each, and its file descriptor."""
    # Asked at each connection: a process with a thousand files open is not to spend its time here.
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208  a path for each costs most of it
        try:
            found = os.fstat(descriptor)
        except OSError:
            continue
        if stat.S_ISSOCK(found.st_mode):
            yield found.st_ino, descriptor
