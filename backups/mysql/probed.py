"""A server that was asked what it is."""

from __future__ import annotations

from dataclasses import dataclass

from backups.mysql.programs import Clients
from backups.mysql.server import Server, ServerInfo


@dataclass(frozen=True)
class ProbedServer:
    """A server, what it said of itself, and the client programs that fit it."""

    server: Server
    info: ServerInfo
    programs: Clients
