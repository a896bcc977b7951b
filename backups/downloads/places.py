"""Where portal and worker meet: a Unix socket that both find, and that nobody else may open."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What the kernel takes, whose last byte is a zero.
_MOST_BYTES = 107
_CREDENTIALS = struct.Struct("3i")


@contextmanager
def address_of(path: Path) -> Iterator[str]:
    """How the kernel is told of a socket: by its path, or by way of its folder where that is too long."""
    if len(os.fsencode(path)) <= _MOST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def peer_is_us(connection: socket.socket) -> bool:
    """Whether the process at the other end belongs to the user of this one."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(told)
    return bool(user == os.geteuid())
