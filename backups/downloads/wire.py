"""What is said on the socket of downloads.

The portal sends one line: `vedetta-downloads 1`, a blank, the ticket's token. The worker answers in frames:
each is a letter, the length of what follows as four bytes, and that. A: the ticket is accepted, and restic
begins. H: what is to come, as JSON. D: bytes of it. E: that was all of it. F: why there is nothing, or no
more, as JSON. Without an E at the end what came is not whole.

Who wants rows that a run keeps says `vedetta-rows 1`, a blank, the token, a blank, the run's number. Once
that is accepted, he sends a frame Q: what is wanted of them, as JSON. The answer comes as above. In the same
way `vedetta-log 1` asks for transactions of the stored log, with a database's number. `vedetta-file 1`, with
a run's number, is for the file that a restore made, which comes as a download does.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from backups.errors import Problem

ACCEPTED, HEAD, DATA, END, FAILURE, QUERY = b"A", b"H", b"D", b"E", b"F", b"Q"
DOWNLOAD, ROWS, LOG, FILE = "downloads", "rows", "log", "file"
_DOWNLOAD_GREETING = re.compile(r"vedetta-(downloads) 1 (.*)")
_GREETING_ABOUT = re.compile(r"vedetta-(rows|log|file) 1 ([^ ]*) ([0-9]{1,18})")
_LONGEST_LINE = 200
_FRAME = struct.Struct("!cI")
_MOST_DATA, _MOST_JSON = 1 << 20, 1 << 16
_TICK_SECONDS = 0.25


class Unspoken(Exception):
    """The other end has gone, is silent for too long, or says what is none of this."""


def hung_up(connection: socket.socket) -> bool:
    """Whether the other end has closed the connection; does not wait, and reads nothing."""
    looking = select.poll()
    looking.register(connection, select.POLLRDHUP)
    return bool(looking.poll(0))


# ---------------------------------------------------------------- The worker's side


class Greeted(NamedTuple):
    """What the portal's line says: what is wanted, a token, and of which run or database, by its number."""

    what: str
    token: str
    number: int = 0


def read_greeting(connection: socket.socket, *, seconds: float) -> Greeted:
    """The portal's line, which has to be there within so many seconds. Raises Unspoken."""
    until, line = time.monotonic() + seconds, b""
    while not line.endswith(b"\n"):
        connection.settimeout(max(until - time.monotonic(), 0.001))
        try:
            more = connection.recv(_LONGEST_LINE - len(line))
        except OSError as error:
            raise Unspoken from error
        line += more
        if not more or len(line) >= _LONGEST_LINE or time.monotonic() > until:
            raise Unspoken
    said = line.decode(errors="replace").rstrip("\n")
    if found := _DOWNLOAD_GREETING.fullmatch(said):
        return Greeted(found[1], found[2])
    if found := _GREETING_ABOUT.fullmatch(said):
        return Greeted(found[1], found[2], int(found[3]))
    raise Unspoken


class Sender:
    """Sends frames, each within `seconds`. All raise Unspoken once nobody takes them."""

    def __init__(self, connection: socket.socket, *, seconds: float) -> None:
        self._connection = connection
        connection.settimeout(seconds)

    def accepted(self) -> None:
        """The ticket is good."""
        self._send(ACCEPTED, b"")

    def head(self, name: str) -> None:
        """What the file is called."""
        self._send(HEAD, json.dumps({"name": name}).encode())

    def data(self, piece: bytes | memoryview) -> None:
        """Bytes of the file."""
        view = memoryview(piece)
        for begin in range(0, len(view), _MOST_DATA):
            self._send(DATA, view[begin : begin + _MOST_DATA])

    def end(self) -> None:
        """The file is whole."""
        self._send(END, b"")

    def failure(self, problem: Problem) -> None:
        """There is nothing, or no more."""
        told = {name: getattr(problem, name)[:10_000] for name in ("what", "code", "do", "safe")}
        self._send(FAILURE, json.dumps(told).encode())

    def _send(self, kind: bytes, content: bytes | memoryview) -> None:
        try:
            self._connection.sendall(_FRAME.pack(kind, len(content)))
            self._connection.sendall(content)
        except OSError as error:
            raise Unspoken from error


# ---------------------------------------------------------------- The portal's side


def greeting(token: str) -> bytes:
    """The portal's line for a download."""
    return f"vedetta-{DOWNLOAD} 1 {token}\n".encode()


def greeting_about(what: str, token: str, number: int) -> bytes:
    """The portal's line for ROWS that a run keeps, the FILE that one made, or for the LOG of a database."""
    return f"vedetta-{what} 1 {token} {number}\n".encode()


def query(wanted: Mapping[str, Any]) -> bytes:
    """The frame that says what is wanted of a run's rows or of a log.

    Raises ValueError for more than one takes.
    """
    content = json.dumps(wanted).encode()
    if len(content) > _MOST_JSON:
        raise ValueError
    return _FRAME.pack(QUERY, len(content)) + content


class Receiver:
    """Receives frames. `is_gone` says whether the one for whom they are has left, so that nobody waits."""

    def __init__(self, connection: socket.socket, is_gone: Callable[[], bool]) -> None:
        self._connection = connection
        self._is_gone = is_gone
        connection.settimeout(_TICK_SECONDS)

    def next(self, *, seconds: float) -> tuple[bytes, memoryview]:
        """The next frame, waited for as long as bytes of it come every so many seconds. Raises Unspoken."""
        kind, length = _FRAME.unpack(self._exactly(_FRAME.size, seconds))
        if length > (_MOST_DATA if kind == DATA else _MOST_JSON):
            raise Unspoken
        return kind, self._exactly(length, seconds)

    def _exactly(self, count: int, seconds: float) -> memoryview:
        view = memoryview(bytearray(count))
        done, until = 0, time.monotonic() + seconds
        while done < count:
            came = 0
            with suppress(TimeoutError):
                came = self._received(view[done:])
                done, until = done + came, time.monotonic() + seconds
            if not came and (self._is_gone() or time.monotonic() > until):
                raise Unspoken
        return view

    def _received(self, into: memoryview) -> int:
        try:
            came = self._connection.recv_into(into)
        except TimeoutError:
            raise
        except OSError as error:
            raise Unspoken from error
        if not came:
            raise Unspoken
        return came


def read_json(content: memoryview) -> dict[str, Any]:
    """What a head or a failure says. Raises Unspoken."""
    try:
        told = json.loads(bytes(content))
    except ValueError as error:
        raise Unspoken from error
    if not isinstance(told, dict):
        raise Unspoken
    return told


def problem_of(content: memoryview) -> Problem:
    """The failure that the worker tells of. Raises Unspoken."""
    told = {name: str(text) for name, text in read_json(content).items()}
    code, do, safe = (told.get(name, "") for name in ("code", "do", "safe"))
    return Problem(told.get("what", ""), code=code, do=do, safe=safe)
