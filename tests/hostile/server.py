"""A server of MySQL's protocol that takes any password, and then answers as it was told to.

No real server can be made to do what these do; the protocol lets any.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.hostile.answers import Answer, nothing
from tests.hostile.greetings import Greeting
from tests.hostile.wire import OK, QUERY, QUIT, Wire, another_method, greeting, wants_tls

HOST = "127.0.0.1"


class HostileServer:
    """Listens on a free port, or at `socket_path`; whoever connects is asked for the password by `methods`.

    With `greets` it begins with that, which may never come to letting anybody in. With a `certificate`
    and its key it offers TLS. What it learnt: `heard`, all of it; `in_clear`, what
    came without TLS; `statements`; `connections`, how many came.
    """

    host = HOST

    def __init__(
        self,
        answer: Answer = nothing,
        *,
        methods: Sequence[str] = ("mysql_native_password",),
        certificate: tuple[Path, Path] | None = None,
        version: str = "8.0.30",
        socket_path: Path | None = None,
        greets: Greeting | None = None,
    ) -> None:
        self._answer = answer
        self._greets = greets
        self._methods = [method.encode() for method in methods]
        self._version = version.encode()
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self._wires: list[Wire] = []
        self._open: set[socket.socket] = set()
        self.statements: list[bytes] = []
        self._listener = _listening(socket_path)
        self.port = 0 if socket_path else int(self._listener.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many came."""
        return len(self._wires)

    @property
    def heard(self) -> bytes:
        """All that clients said, as it is within TLS."""
        return b"\n".join(bytes(wire.heard) for wire in self._wires)

    @property
    def in_clear(self) -> bytes:
        """What clients said without TLS, the wish for it included."""
        return b"\n".join(bytes(wire.in_clear) for wire in self._wires)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Or who waits in accept() may serve the next server's clients, which has the same file descriptor.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """End all conversations: a driver's that never reads to the end would not close before."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if connection.family == socket.AF_INET:
            # An answer is many small packets, of which each would wait for a word on the one before.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = Wire(connection)
        self._wires.append(wire)
        self._open.add(connection)
        with suppress(OSError), connection:
            if self._greets:
                self._greets(wire)
            self._let_in(wire)
            while True:
                command = wire.packet()
                if command[:1] == QUIT:
                    return
                if command[:1] != QUERY:
                    wire.send(OK)
                    continue
                self.statements.append(command[1:])
                self._answer(wire, command[1:])
        self._open.discard(connection)

    def _let_in(self, wire: Wire) -> None:
        wire.send(greeting(self._version, self._methods[0], offers_tls=self._tls is not None))
        if wants_tls(wire.packet()) and self._tls:
            wire.connection = self._tls.wrap_socket(wire.connection, server_side=True)
            wire.is_tls = True
            wire.packet()
        for method in self._methods[1:]:
            wire.send(another_method(method))
            wire.packet()
        wire.send(OK)


def _listening(path: Path | None) -> socket.socket:
    if path is None:
        return socket.create_server((HOST, 0))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener
