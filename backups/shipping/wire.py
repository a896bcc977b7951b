"""A connection over which a server sends its binary log, which the usual driver cannot ask for.

PyMySQL's, encrypted as the server's row says. What comes is a stranger's: each packet has a limit in size and
in time, and no password is shown to who asks for it in clear.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from MySQLdb.constants import CR

from backups import mysql
from backups.mysql.connection import VERIFYING, refuse_missing_authority
from backups.mysql.error_numbers import problem_from_number
from backups.text.sentences import phrase

_CONNECT_SECONDS = 10
# For one packet, the first one too: a server that is asked not to wait sends at once.
READ_SECONDS = 20.0
_LOOK_SECONDS = 0.5
_CHUNK = 0xFFFFFF
# An event is no longer than the largest max_allowed_packet that a server takes.
MOST_BYTES = (1 << 30) + (1 << 20)
_OK, _ERROR, _EOF = 0x00, 0xFF, 0xFE
_SHORT = 9


class NotSent(mysql.MySQLProblem):
    """The server sends nothing of its log, for a reason of its own: `number` and `text` are its words."""

    code = "log.refused"

    def __init__(self, number: int, text: str, server: mysql.Server) -> None:
        self.number, self.text = number, text
        super().__init__(
            phrase(
                "The database server at {address} does not send its binary log ({text}).",
                address=server.address,
                text=text,
            ),
            do=phrase("See its error log. It is asked again each minute."),
        )


class Silent(mysql.ServerUnreachable):
    """The server stopped in the middle of what it sent."""

    code = "log.silent"


class Wire:
    """Packets from a server, each whole within READ_SECONDS. Raises MySQLProblem."""

    def __init__(self, server: mysql.Server, connection: Any) -> None:
        self._server = server
        self._connection = connection
        opened = _opened(server)
        # The driver puts another one into its place where it encrypts.
        self._end = socket.socket(fileno=os.dup(opened.fileno()))
        self._heard = time.monotonic()
        self._over = threading.Event()
        self._was_cut = False
        threading.Thread(target=self._watch, daemon=True).start()
        with self._translated():
            self._log_in(opened)

    def _log_in(self, opened: socket.socket) -> None:
        try:
            self._connection._secure = bool(self._server.socket)
            self._connection.connect(opened)
        except BaseException:
            self.close()
            opened.close()
            raise

    def execute(self, statement: str) -> None:
        """Run a statement that answers no rows."""
        self._heard = time.monotonic()
        with self._translated():
            self._connection.query(statement)

    def ask(self, command: int, body: bytes) -> None:
        """Send a command of the protocol's."""
        packet = bytes([command]) + body
        with self._translated():
            self._connection._next_seq_id = 0
            self._connection.write_packet(packet)
        self._heard = time.monotonic()

    def packets(self) -> Iterator[bytes]:
        """What follows, each packet without its first byte, to the end that the server names."""
        while True:
            with self._translated():
                packet = self._packet()
            self._heard = time.monotonic()
            kind = packet[0] if packet else _ERROR
            if kind == _EOF and len(packet) < _SHORT:
                return
            if kind != _OK:
                raise self._refused(packet)
            yield packet[1:]

    def _packet(self) -> bytes:
        """One packet of any number of parts; see "Sending More Than 16Mb" in MySQL's protocol."""
        parts: list[bytes] = []
        size = 0
        while True:
            header = self._connection._read_bytes(4)
            length = int.from_bytes(header[:3], "little")
            size += length
            if size > MOST_BYTES:
                raise Silent(
                    phrase(
                        "The database server at {address} sent an event of its binary log that is longer "
                        "than any can be.",
                        address=self._server.address,
                    ),
                    do=phrase("See whether it is the right server."),
                )
            parts.append(self._connection._read_bytes(length))
            if length < _CHUNK:
                return b"".join(parts)

    def _refused(self, packet: bytes) -> mysql.MySQLProblem:
        # ERR_Packet: the number, then # and five characters of SQLSTATE.
        number = struct.unpack_from("<H", packet, 1)[0] if len(packet) >= 3 else 0
        text = packet[9:] if packet[3:4] == b"#" else packet[3:]
        told = text[:300].decode("utf-8", "replace")
        if number != _REPLICATION_ERROR:
            return problem_from_number(number, told, self._server)
        return NotSent(number, told, self._server)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with _translated(self._server):
            try:
                yield
            except Exception:
                if self._was_cut:
                    raise self._silent() from None
                raise

    def _silent(self) -> Silent:
        return Silent(
            phrase(
                "The database server at {address} sent nothing of its binary log for {seconds} s, so the "
                "connection was cut.",
                address=self._server.address,
                seconds=int(READ_SECONDS),
            ),
            do=phrase(
                "It is asked again each minute. If it stays so, see what stands between here and the server."
            ),
        )

    def _watch(self) -> None:
        """The driver's own timeout begins anew with each byte that comes."""
        while not self._over.wait(_LOOK_SECONDS):
            if time.monotonic() - self._heard > READ_SECONDS:
                self._was_cut = True
                self.close()

    def close(self) -> None:
        """Hang up, whoever reads."""
        self._over.set()
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()


# ER_MASTER_FATAL_ERROR_READING_BINLOG: each reason not to send a log has this number, and words.
_REPLICATION_ERROR = 1236


@contextmanager
def connected(server: mysql.Server) -> Iterator[Wire]:
    """A wire for the length of a block. Raises MySQLProblem."""
    import pymysql

    refuse_missing_authority(server)
    with _translated(server):
        connection = pymysql.connect(**_options(server), defer_connect=True)
        wire = Wire(server, connection)
    try:
        yield wire
    finally:
        wire.close()
        with suppress(pymysql.Error, OSError, ValueError):
            connection._force_close()  # no QUIT: the server may still be sending


def _opened(server: mysql.Server) -> socket.socket:
    try:
        if not server.socket:
            return socket.create_connection((server.tcp_host, server.port), _CONNECT_SECONDS)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.settimeout(_CONNECT_SECONDS)
        opened.connect(server.socket)
    except OSError as error:
        raise problem_from_number(CR.CONN_HOST_ERROR, error.strerror or "", server) from None
    return opened


def _options(server: mysql.Server) -> dict[str, Any]:
    return {
        "host": server.tcp_host,
        "port": server.port,
        "user": server.user,
        # The driver would take a text for latin1.
        "password": server.password.encode(),
        "charset": "utf8mb4",
        "connect_timeout": _CONNECT_SECONDS,
        # Ours is over before, and tells why.
        "read_timeout": 2 * READ_SECONDS,
        "write_timeout": 2 * READ_SECONDS,
        "autocommit": True,
        "auth_plugin_map": {"mysql_clear_password": _ShowsNothing, "dialog": _ShowsNothing},
        **_tls(server),
    }


def _tls(server: mysql.Server) -> dict[str, Any]:
    if server.ssl_mode == "DISABLED" or (server.socket and server.ssl_mode == "PREFERRED"):
        return {"ssl_disabled": True}
    if server.ssl_mode == "PREFERRED":
        return {}
    context = ssl.create_default_context(cafile=server.ssl_ca if server.ssl_mode in VERIFYING else None)
    # Of authorities that servers make for themselves.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = server.ssl_mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_REQUIRED if server.ssl_mode in VERIFYING else ssl.CERT_NONE
    return {"ssl": context}


class _ShowsNothing:
    """For methods of logging in that would show the password to whoever asks."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, _packet: Any) -> Any:
        """Raise the error that a client has which does not know the method."""
        import pymysql

        raise pymysql.OperationalError(2059, "the account logs in by a method that shows its password")


@contextmanager
def _translated(server: mysql.Server) -> Iterator[None]:
    import pymysql

    try:
        yield
    except pymysql.Error as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[1]) if len(error.args) > 1 else type(error).__name__
        raise problem_from_number(number, text, server) from None
    except (OSError, ValueError, AttributeError, struct.error) as error:
        # A connection that was cut is, to the driver, a file that is closed.
        raise problem_from_number(CR.SERVER_LOST, type(error).__name__, server) from None
