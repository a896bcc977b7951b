"""A server whose greeting says what it is, for dump programs, which go by nothing else.

Under a greeting that is none of a version, or of an older one, they leave out routines, triggers,
events and sequences in silence (seen with both flavours' own).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

from backups.mysql.connection import VERIFYING
from backups.mysql.problems import MySQLProblem
from backups.mysql.server import MARIADB, Server, ServerInfo, shown, version_number

_LOOPBACK = "127.0.0.1"
_CONNECT_SECONDS = 10
_PIECE = 1 << 18
# Of https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
_HANDSHAKE = b"\x0a"


def refuse_uncorrectable(server: Server, info: ServerInfo) -> None:
    """Raise MySQLProblem where a greeting misleads the dump program and nothing can be done about it."""
    if info.greeting is None or _may_correct(server) or not _is_older(info):
        return
    why = "over the server's own socket" if server.ssl_mode not in VERIFYING else (
        f"where the server's name is verified ({server.ssl_mode_set_by} is {server.ssl_mode})"
    )  # fmt: skip
    raise MySQLProblem(
        f"The server at {server.address} is {info} and greets as {shown(info.greeting)}, for which its dump "
        f"program would leave things out in silence. Vedetta cannot put that right {why}.",
        do="Have it say its version: `version` in the server's own configuration, mysql-server_version in "
        "ProxySQL's; or name its host in the place of the socket, "
        f"or set {server.ssl_mode_set_by} to REQUIRED.",
    )


def _may_correct(server: Server) -> bool:
    """Whether we may stand between: not at a socket, and some clients look at the host's name."""
    return not server.socket and server.ssl_mode not in VERIFYING


def _is_older(info: ServerInfo) -> bool:
    return version_number(info.greeting or "")[:2] < info.number[:2]


@contextmanager
def corrected(server: Server, info: ServerInfo) -> Iterator[Server]:
    """The server as a dump program is to be told of it, for the length of a block. Raises MySQLProblem.

    Where its greeting does not fit, through a port of our own that changes it and passes on all else,
    encrypted or not.
    """
    refuse_uncorrectable(server, info)
    if info.greeting is None or not _may_correct(server):
        yield server
        return
    version = ".".join(map(str, info.number)) + ("-MariaDB" if info.flavour == MARIADB else "")
    with socket.create_server((_LOOPBACK, 0)) as listening:
        threading.Thread(target=_serve_all, args=[listening, server, version.encode()], daemon=True).start()
        try:
            yield replace(server, host=_LOOPBACK, port=listening.getsockname()[1])
        finally:
            with suppress(OSError):  # alone wakes who waits in accept()
                listening.shutdown(socket.SHUT_RDWR)


def _serve_all(listening: socket.socket, server: Server, version: bytes) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_serve, args=[client, server, version], daemon=True).start()


def _serve(client: socket.socket, server: Server, version: bytes) -> None:
    """One conversation. Where the server does not answer, the client is hung up on and says so."""
    with ExitStack() as stack, suppress(OSError):
        stack.enter_context(client)
        there = stack.enter_context(
            socket.create_connection((server.tcp_host, server.port), timeout=_CONNECT_SECONDS)
        )
        for end in (client, there):  # a question waits for its answer
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(_greeting(there, version))
        there.settimeout(None)
        asking = threading.Thread(target=_pass_on, args=[client, there], daemon=True)
        asking.start()
        _pass_on(there, client)
        asking.join()


def _greeting(there: socket.socket, version: bytes) -> bytes:
    """The server's first packet, with this version in it; an error stays as it is."""
    header = _exactly(there, 4)
    said = _exactly(there, int.from_bytes(header[:3], "little"))
    if said.startswith(_HANDSHAKE) and b"\0" in said:
        said = _HANDSHAKE + version + said[said.index(b"\0") :]
    return len(said).to_bytes(3, "little") + header[3:] + said


def _exactly(there: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = there.recv(count - len(data))
        if not piece:
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
