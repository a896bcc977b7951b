"""A database server that calls itself something else: a proxy on loopback in front of a true one."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Self

from tests.servers.database import DatabaseServer
from tools.ports import HOST

_PIECE = 1 << 16
_CLIENT_SSL = 0x0800
# Between the version and the flags: the connection's number, the first of its salt, a zero.
_BEFORE_FLAGS = 4 + 8 + 1


class Disguise:
    """Changes the version in what `server` greets with, answers with, or both.

    The rest of a conversation goes through as it is, TLS included, unless answers have to be read.
    """

    def __init__(
        self, server: DatabaseServer, version: str, *, greets: bool = True, answers: bool = False
    ) -> None:
        self.server = server
        self.flavour, self.client_dir = server.flavour, server.client_dir
        self.user, self.password = server.user, server.password
        self.host = HOST
        self.greetings = 0
        self._version = version.encode(errors="surrogateescape")
        self._true_version = b""
        self._greets, self._answers = greets, answers
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> Self:
        ((version,),) = self.server.query("SELECT VERSION()")
        self._true_version = str(version).encode()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # A thread that waits in accept() is woken by this alone.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection((HOST, self.server.port)) as server,
        ):
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            header, greeting = _packet(server)
            client.sendall(_with_length(header, self._disguised(greeting)))
            threading.Thread(target=_pump, args=[client, server], daemon=True).start()
            if self._answers:
                self._pump_answers(server, client)
            else:
                _pump(server, client)

    def _disguised(self, greeting: bytes) -> bytes:
        if greeting[:1] != b"\x0a":
            return greeting  # an error
        self.greetings += 1
        rest = greeting[greeting.index(b"\0") :]
        if self._answers:
            at = 1 + _BEFORE_FLAGS
            (flags,) = struct.unpack_from("<H", rest, at)
            rest = rest[:at] + struct.pack("<H", flags & ~_CLIENT_SSL) + rest[at + 2 :]
        version = self._version if self._greets else greeting[1 : greeting.index(b"\0")]
        return greeting[:1] + version + rest

    def _pump_answers(self, server: socket.socket, client: socket.socket) -> None:
        true, other = _counted(self._true_version), _counted(self._version)
        while True:
            header, payload = _packet(server)
            client.sendall(_with_length(header, payload.replace(true, other)))


def _packet(server: socket.socket) -> tuple[bytes, bytes]:
    header = _exactly(server, 4)
    return header, _exactly(server, int.from_bytes(header[:3], "little"))


def _exactly(server: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = server.recv(min(_PIECE, count - len(data)))
        if not piece:
            raise ConnectionError
        data += piece
    return bytes(data)


def _with_length(header: bytes, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + header[3:] + payload


def _counted(text: bytes) -> bytes:
    """A text as a row holds it. https://mariadb.com/kb/en/protocol-data-types/"""
    length = bytes([len(text)]) if len(text) < 251 else b"\xfc" + struct.pack("<H", len(text))
    return length + text


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
