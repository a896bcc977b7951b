"""Packets of MySQL's protocol, as far as a server that means harm needs them.

https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

OK = b"\0\0\0\2\0\0\0"
# End of what is told of columns, and of rows.
EOF = b"\xfe\0\0\2\0"
QUERY, QUIT = b"\x03", b"\x01"
NULL = b"\xfb"
# Kinds of columns.
TEXT, NUMBER, DECIMAL, TIME = 0xFD, 0x08, 0xF6, 0x0C
CLIENT_SSL = 0x800
# Neither compression nor an end of rows that is written otherwise.
_CAPABILITIES = 0xFFFFFFFF & ~(0x20 | 0x1000000)
_SALT = b"12345678" + b"901234567890"
_LONGEST = 0xFFFFFF


class Gone(OSError):
    """The client has hung up."""


@dataclass
class Wire:
    """A connection in packets. `heard` is all that came from the client, `in_clear` what came without TLS."""

    connection: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    in_clear: bytearray = field(default_factory=bytearray)
    is_tls: bool = False
    number: int = 0

    def send(self, data: bytes) -> None:
        """Answer with one packet."""
        self.connection.sendall(len(data).to_bytes(3, "little") + bytes([self.number % 256]) + data)
        self.number += 1

    def packet(self) -> bytes:
        """What the client says next. Raises Gone."""
        head = self._exactly(4)
        self.number = head[3] + 1
        data = self._exactly(int.from_bytes(head[:3], "little"))
        self.heard += data
        if not self.is_tls:
            self.in_clear += data
        return data

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise Gone
            data += piece
        return bytes(data)


def greeting(version: bytes, method: bytes, *, offers_tls: bool) -> bytes:
    """The first packet of a server: what it calls itself, and by which method it wants a password."""
    capabilities = _CAPABILITIES if offers_tls else _CAPABILITIES & ~CLIENT_SSL
    low, high = capabilities.to_bytes(4, "little")[:2], capabilities.to_bytes(4, "little")[2:]
    return (
        b"\x0a" + version + b"\0" + (7).to_bytes(4, "little") + _SALT[:8] + b"\0" + low + b"\x21\2\0" + high
        + b"\x15" + bytes(10) + _SALT[8:] + b"\0" + method + b"\0"
    )  # fmt: skip


def plainer(said: bytes) -> bytes:
    """The greeting of another server, without TLS and with answers in the form that is written here."""
    low = said.index(b"\0", 1) + 1 + 4 + 8 + 1
    high, of_mariadb = low + 5, low + 14
    offered = said[low : low + 2] + said[high : high + 2]
    kept = int.from_bytes(offered, "little") & _CAPABILITIES & ~CLIENT_SSL
    new = kept.to_bytes(4, "little")
    return (
        said[:low] + new[:2] + said[low + 2 : high] + new[2:] + said[high + 2 : of_mariadb]
        + bytes(4) + said[of_mariadb + 4 :]
    )  # fmt: skip


def wants_tls(answer: bytes) -> bool:
    """Whether a client answers a greeting by asking for TLS first, and says nothing else."""
    return len(answer) == 32 and bool(int.from_bytes(answer[:4], "little") & CLIENT_SSL)


def another_method(method: bytes) -> bytes:
    """The packet that asks for the password by another method."""
    return b"\xfe" + method + b"\0" + _SALT + b"\0"


def counted(value: bytes) -> bytes:
    """A text with its length before it."""
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size <= 0xFFFF:
        return b"\xfc" + size.to_bytes(2, "little") + value
    return b"\xfd" + size.to_bytes(3, "little") + value


def column(name: bytes, kind: int = TEXT) -> bytes:
    """What is told of a column: of this kind, in utf8mb4."""
    names = b"".join(map(counted, (b"def", b"", b"t", b"t", name, name)))
    return names + b"\x0c\x2d\0\xff\xff\xff\0" + bytes([kind]) + b"\0\0\0\0\0"


def failure(code: int, text: bytes) -> bytes:
    """The packet of an error."""
    return b"\xff" + code.to_bytes(2, "little") + b"#HY000" + text
