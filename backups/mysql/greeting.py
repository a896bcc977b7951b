"""A server whose greeting says what it is, for dump programs, which go by nothing else.

Under a greeting that is none of a version, or of an older one, they leave out routines, triggers,
events and sequences in silence (seen with both flavours' own).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backups.mysql.connection import VERIFYING
from backups.mysql.problems import MySQLProblem
from backups.mysql.relay import Rules, relayed
from backups.mysql.server import MARIADB, Server, ServerInfo, shown, version_number
from backups.text.sentences import phrase


def refuse_uncorrectable(server: Server, info: ServerInfo) -> None:
    """Raise MySQLProblem where a greeting misleads the dump program and nothing can be done about it."""
    if info.greeting is None or _may_correct(server) or not _is_older(info):
        return
    why = (
        phrase("over the server's own socket")
        if server.ssl_mode not in VERIFYING
        else (
            phrase(
                "where the server's name is verified ({ssl_mode_set_by} is {ssl_mode})",
                ssl_mode_set_by=server.ssl_mode_set_by,
                ssl_mode=server.ssl_mode,
            )
        )
    )
    raise MySQLProblem(
        phrase(
            "The server at {address} is {info} and greets as {shown}. The dump program would silently "
            "leave things out because of that. Vedetta cannot correct it {why}.",
            address=server.address,
            info=info,
            shown=shown(info.greeting),
            why=why,
        ),
        code="mysql.greets_as_another",
        do=phrase(
            "Let it say its version: set `version` in the server's own configuration, or "
            "mysql-server_version in ProxySQL's. Or give its host instead of the socket, or set "
            "{ssl_mode_set_by} to REQUIRED.",
            ssl_mode_set_by=server.ssl_mode_set_by,
        ),
    )


def _may_correct(server: Server) -> bool:
    """Whether we may stand between: not at a socket, and some clients look at the host's name."""
    return not server.socket and server.ssl_mode not in VERIFYING


def _is_older(info: ServerInfo) -> bool:
    return version_number(info.greeting or "")[:2] < info.number[:2]


@contextmanager
def corrected(server: Server, info: ServerInfo, *, tls_only: bool = False) -> Iterator[Server]:
    """The server as a dump program is to be told of it, for the length of a block. Raises MySQLProblem.

    Where its greeting does not fit, through a port of our own that changes it and passes on all else,
    encrypted or not; with `tls_only` through one that passes on nothing that is not.
    """
    refuse_uncorrectable(server, info)
    rules = Rules(tls_only=tls_only)
    if info.greeting is not None and _may_correct(server):
        version = ".".join(map(str, info.number)) + ("-MariaDB" if info.flavour == MARIADB else "")
        rules = Rules(version.encode(), tls_only)
    if rules == Rules():
        yield server
        return
    with relayed(server, rules) as reached:
        yield reached
