"""A port of our own before a server, for clients that go by what they should not, or not by what they should.

It changes what a greeting says, and lets nobody through to a server who does not ask for TLS first.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from MySQLdb.constants import ER

from backups.mysql.server import Server

_LOOPBACK = "127.0.0.1"
_CONNECT_SECONDS = 10
_PIECE = 1 << 18
# Of https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
_HANDSHAKE, _ERROR = b"\x0a", b"\xff"
_AFTER_VERSION = 4 + 8 + 1
_CLIENT_SSL = 0x800
# A client that asks for TLS says no more than what it can do, and nothing of who it is.
_ASKS_FOR_TLS = 32
# What clients are told, under a number of a server's: of others they believe no server a word.
NO_TLS, NO_ANSWER = "SSL is required, and the server offers none", "The server gives no answer"


class Rules(NamedTuple):
    """What a relay does: the version to greet with, where it is another one; whether TLS is demanded."""

    version: bytes = b""
    tls_only: bool = False


@contextmanager
def relayed(server: Server, rules: Rules) -> Iterator[Server]:
    """The server as clients are to be told of it, for the length of a block.

    Conversations that began within it go on after it, until one end hangs up.
    """
    folder = _private_folder() if server.socket else None
    listening = _listening(folder)
    threading.Thread(target=_serve_all, args=[listening, server, rules], daemon=True).start()
    try:
        if folder:
            yield replace(server, host=listening.getsockname())
        else:
            yield replace(server, host=_LOOPBACK, port=listening.getsockname()[1])
    finally:
        with suppress(OSError):  # alone wakes who waits in accept()
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _private_folder() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="vedetta-relay-"))


# By address: until when it is remembered, and whether TLS was offered there.
_OFFERS: dict[str, tuple[float, bool]] = {}
_REMEMBERED_SECONDS = 60.0


def is_looked_at(server: Server) -> bool:
    """Whether it is known of before whether a server offers TLS."""
    until, _ = _OFFERS.get(server.address, (0.0, True))
    return time.monotonic() < until


def as_offered(server: Server) -> Server:
    """The server, with PREFERRED in its TLS mode taken for DISABLED where it offers none.

    A look at its greeting tells, for a minute. It counts as a connection that was broken off.
    """
    if server.ssl_mode != "PREFERRED":
        return server
    if not is_looked_at(server):
        try:
            offers = _looked_at(server)
        except OSError:
            return server  # who connects is told why
        _OFFERS[server.address] = (time.monotonic() + _REMEMBERED_SECONDS, offers)
    _, offers = _OFFERS[server.address]
    return server if offers else replace(server, ssl_mode="DISABLED")


def _looked_at(server: Server) -> bool:
    """Whether a server's greeting offers TLS. Raises OSError, also for what is none."""
    until = time.monotonic() + _CONNECT_SECONDS
    with _connected(server) as there:
        _, said = _heard(there, until=until)
    if not _is_greeting(said):
        raise ConnectionError
    return _offers_tls(said)


def _is_greeting(said: bytes) -> bool:
    return said.startswith(_HANDSHAKE) and b"\0" in said


def _listening(folder: Path | None) -> socket.socket:
    if folder is None:
        return socket.create_server((_LOOPBACK, 0))
    # Others on this machine may be kept from the server's own socket.
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "server.sock"))
    listening.listen()
    return listening


def _serve_all(listening: socket.socket, server: Server, rules: Rules) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_serve, args=[client, server, rules], daemon=True).start()


def _serve(client: socket.socket, server: Server, rules: Rules) -> None:
    """One conversation. Where the server does not answer, the client is told as if it had tried itself."""
    with ExitStack() as stack, suppress(OSError):
        stack.enter_context(client)
        try:
            there = stack.enter_context(_connected(server))
        except OSError:
            client.sendall(_packet(0, _failure(NO_ANSWER)))
            return
        for end in (client, there):  # a question waits for its answer
            if end.family != socket.AF_UNIX:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not _introduced(client, there, rules):
            return
        for end in (client, there):
            end.settimeout(None)
        asking = threading.Thread(target=_pass_on, args=[client, there], daemon=True)
        asking.start()
        _pass_on(there, client)
        asking.join()


def _connected(server: Server) -> socket.socket:
    if not server.socket:
        return socket.create_connection((server.tcp_host, server.port), timeout=_CONNECT_SECONDS)
    there = socket.socket(socket.AF_UNIX)
    there.settimeout(_CONNECT_SECONDS)
    try:
        there.connect(server.socket)
    except OSError:
        there.close()
        raise
    return there


def _introduced(client: socket.socket, there: socket.socket, rules: Rules) -> bool:
    """Whether the two may go on, the greeting passed on and, where TLS is demanded, asked for."""
    until = time.monotonic() + _CONNECT_SECONDS
    try:
        number, said = _heard(there, until=until)
    except OSError:
        number, said = 0, _failure(NO_ANSWER)
    is_greeting = _is_greeting(said)
    if rules.tls_only and is_greeting and not _offers_tls(said):
        said, is_greeting = _failure(NO_TLS), False
    if rules.version and is_greeting:
        said = _HANDSHAKE + rules.version + said[said.index(b"\0") :]
    client.sendall(_packet(number, said))
    if not rules.tls_only:
        return True
    if not is_greeting:
        return False
    number, answer = _heard(client, most=_ASKS_FOR_TLS, until=until)
    if len(answer) != _ASKS_FOR_TLS or not int.from_bytes(answer[:4], "little") & _CLIENT_SSL:
        return False
    there.sendall(_packet(number, answer))
    return True


def _offers_tls(said: bytes) -> bool:
    at = said.index(b"\0") + 1 + _AFTER_VERSION
    return bool(int.from_bytes(said[at : at + 2], "little") & _CLIENT_SSL)


def _failure(text: str) -> bytes:
    return _ERROR + ER.HANDSHAKE_ERROR.to_bytes(2, "little") + text.encode()


def _packet(number: int, data: bytes) -> bytes:
    return len(data).to_bytes(3, "little") + bytes([number]) + data


def _heard(there: socket.socket, most: int = 1 << 16, *, until: float | None = None) -> tuple[int, bytes]:
    """The next packet with its number. Raises OSError for one that is longer than is any before a login."""
    header = _exactly(there, 4, until)
    length = int.from_bytes(header[:3], "little")
    if length > most:
        raise ConnectionError
    return header[3], _exactly(there, length, until)


def _exactly(there: socket.socket, count: int, until: float | None) -> bytes:
    data = bytearray()
    while len(data) < count:
        if until is not None:
            there.settimeout(max(0.01, until - time.monotonic()))
        piece = there.recv(count - len(data))
        if not piece or (until is not None and time.monotonic() > until):
            raise ConnectionError
        data += piece
    return bytes(data)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
