"""By which methods a dump program may log in, where a password is not to be shown to whoever asks.

MariaDB's loads what a server asks for out of its folder of plug-ins, and has no list like the driver's. So it
is given a folder in which there is nothing else.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from backups import at_first_use, process
from backups.mysql.connection import VERIFYING, logs_in_by_what_is_built_in
from backups.mysql.programs import Clients, client_environment
from backups.mysql.relay import as_offered
from backups.mysql.server import MARIADB, Server

# As [proving] in driver.cnf; what is built in (mysql_native_password) needs no file.
METHODS = ("caching_sha2_password", "sha256_password", "client_ed25519", "parsec", "auth_gssapi_client")
_ASK_SECONDS = 10.0
# In which no file can be.
_NO_FOLDER = "/dev/null"
_LONGEST_ANSWER = 1 << 16
_NOBODYS = "vedetta_asks_where"
_ASKED_FOR = b"\xfe" + _NOBODYS.encode() + b"\0" + b"12345678901234567890\0"
_FOLDER = at_first_use.pattern(rf"(/[^\n:']*)/{_NOBODYS}\.so")
# https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
_GREETING = (
    b"\x0a10.11.0-MariaDB\0" + bytes(4) + b"12345678\0" + b"\xff\xf7\x21\2\0\xff\x80\x15" + bytes(10)
    + b"901234567890\0mysql_native_password\0"
)  # fmt: skip


def as_wished(server: Server, programs: Clients) -> Server:
    """The server, its PREFERRED taken for DISABLED where it offers no TLS and the program would not notice.

    It takes a wish for what it got, and shows within what it takes for TLS what it would hide elsewhere.
    """
    return server if _is_ours_to_know(server) or programs.flavour != MARIADB else as_offered(server)


def must_be_held_to_tls(server: Server, programs: Clients) -> bool:
    """Whether a dump program would go on without TLS where it is taken to be there, and show its password."""
    if programs.flavour != MARIADB:
        return False
    return server.ssl_mode == "REQUIRED" or (server.ssl_mode == "PREFERRED" and not server.socket)


@contextmanager
def folder_of_methods(server: Server, programs: Clients) -> Iterator[str]:
    """A folder of plug-ins for the length of a block; empty for a program that needs none of ours."""
    if _is_ours_to_know(server) or programs.flavour != MARIADB:
        yield ""
        return
    if logs_in_by_what_is_built_in(server):
        yield _NO_FOLDER
        return
    own = _own_folder(programs.dump)
    # Should we be killed it stays, with nothing in it but links.
    with tempfile.TemporaryDirectory(prefix="vedetta-methods-") as folder:
        for file in (f"{method}.so" for method in METHODS):
            if own and (Path(own) / file).is_file():
                (Path(folder) / file).symlink_to(Path(own) / file)
        yield folder


def _is_ours_to_know(server: Server) -> bool:
    """Whether the password may be shown: at a socket of this machine, or to a server that is verified."""
    return bool(server.socket) or server.ssl_mode in VERIFYING


@cache
def _own_folder(program: str) -> str:
    """Where a program looks for methods, by its own complaint of one that nobody has; else empty."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(_ASK_SECONDS)
        greeting = threading.Thread(target=_greet, args=[listening], daemon=True)
        greeting.start()
        args = (
            program, "--no-defaults", "--protocol=TCP", "--host=127.0.0.1", "--user=nobody", "--skip-ssl",
            f"--port={listening.getsockname()[1]}", "nothing",
        )  # fmt: skip
        try:
            said = process.run(process.Program(args, client_environment()), deadline=_ASK_SECONDS).stderr_tail
        except (process.NotInstalled, process.DeadlineExceeded):
            return ""
        finally:
            with suppress(OSError):  # alone wakes who waits in accept()
                listening.shutdown(socket.SHUT_RDWR)
            greeting.join()
    found = _FOLDER.search("\n".join(said))
    return found[1] if found else ""


def _greet(listening: socket.socket) -> None:
    """As a server that wants to be logged in to by a method of which nobody has heard."""
    with suppress(OSError):
        client, _ = listening.accept()
        with client:
            client.settimeout(_ASK_SECONDS)
            for number, said in ((0, _GREETING), (2, _ASKED_FOR)):
                client.sendall(len(said).to_bytes(3, "little") + bytes([number]) + said)
                client.recv(_LONGEST_ANSWER)
