"""A real server behind a hostile hand: honest until a certain statement comes."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import ExitStack, suppress
from typing import Self

from tests.hostile.answers import Answer
from tests.hostile.server import HOST
from tests.hostile.wire import QUERY, Wire, plainer

_PIECE = 1 << 16


class HostileRelay:
    """Passes on what the server at `host`:`port` and its clients say, without TLS.

    A statement in which `pattern` is found is answered by `answer` in the server's place, so that a
    client can be attacked at any point of its work. `attacked` counts them.
    """

    host = HOST

    def __init__(self, host: str, port: int, pattern: str, answer: Answer) -> None:
        self._there = (host, port)
        self._pattern = re.compile(pattern.encode(), re.I | re.S)
        self._answer = answer
        self.attacked = 0
        self._heard = bytearray()
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])

    @property
    def heard(self) -> bytes:
        """All that clients said."""
        return bytes(self._heard)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # See HostileServer.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with ExitStack() as stack, suppress(OSError):
            stack.enter_context(connection)
            there = stack.enter_context(socket.create_connection(self._there))
            stack.callback(_hang_up, there)
            client, server = Wire(connection, self._heard), Wire(there)
            client.send(plainer(server.packet()))
            threading.Thread(target=_pass_on, args=[there, connection], daemon=True).start()
            while True:
                said = client.packet()
                if client.number == 1 and said[:1] == QUERY and self._pattern.search(said[1:]):
                    self.attacked += 1
                    self._answer(client, said[1:])
                    continue
                server.number = client.number - 1
                server.send(said)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    _hang_up(target)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
