"""What goes of scratch databases into their server's binary log, and so to other servers: told and noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from backups import mysql
from backups.endpoints import to_verify_at, verifies_elsewhere
from backups.models import Database
from backups.text.sentences import joined, phrase

# Of `mysql.InLog`, and one that comes of it where the right is taken away half-way.
_ONLY_ITS_DROP = "drop_written"
NOTED = "binary_log"


@dataclass(frozen=True)
class ScratchLog:
    """What becomes of scratch databases in a binary log: why, and what ends it, where they are in one."""

    state: str
    because: str = ""
    do: str = ""

    @property
    def words(self) -> str:
        """What a person should know of it; empty where they are in none."""
        return joined([self.because, self.do]) if self.because else ""

    @property
    def noted(self) -> dict[str, Any]:
        """For a run's result, and as JSON."""
        return {NOTED: asdict(self)}


def looked_at(connection: Any, database: Database, server: mysql.Server, scratch: str) -> ScratchLog:
    """What becomes of this scratch database there. What the connection does from now on goes the same way."""
    found = mysql.try_to_leave_out(connection, scratch)
    if found == mysql.InLog.CLUSTER:
        return _in_cluster(database, server, found)
    if found == mysql.InLog.WRITTEN:
        return _written(connection, database, server, found)
    return ScratchLog(str(found))


def as_noted(server: mysql.Server, result: Mapping[str, Any]) -> mysql.Server:
    """The server, for a run that is over: as it began to write there, so it goes on."""
    noted = result.get(NOTED)
    is_left_out = isinstance(noted, dict) and noted.get("state") == mysql.InLog.LEFT_OUT
    return replace(server, skips_binary_log=True) if is_left_out else server


def only_dropped(server: mysql.Server, scratch: str) -> ScratchLog:
    """The right was taken away in between. To a server without the database, its drop is nothing."""
    return ScratchLog(
        _ONLY_ITS_DROP,
        phrase(
            "The scratch database {scratch} was left out of the binary log of the server at {address}, but "
            "not its drop: {user} lost the right. Replicas never had it, so that does nothing there.",
            scratch=scratch,
            address=server.address,
            user=server.user,
        ),
    )


def _written(connection: Any, database: Database, server: mysql.Server, found: mysql.InLog) -> ScratchLog:
    grant = mysql.binary_log_grant(connection)
    if verifies_elsewhere(database):
        do = phrase("Run as an administrator: {grant} Or start that server with --skip-log-bin.", grant=grant)
    else:
        place = to_verify_at(database, phrase("a server without replicas"))
        do = phrase("Run as an administrator: {grant} Or {place}.", grant=grant, place=place)
    return ScratchLog(
        str(found),
        phrase(
            "Scratch databases of verifications are written to the binary log of the server at {address}, "
            "in full, and its replicas load them too: {user} may not leave them out.",
            address=server.address,
            user=server.user,
        ),
        do,
    )


def _in_cluster(database: Database, server: mysql.Server, found: mysql.InLog) -> ScratchLog:
    place = to_verify_at(database, phrase("a server outside of the cluster"))
    return ScratchLog(
        str(found),
        phrase(
            "The server at {address} is a node of a Galera cluster: all nodes, and what replicates from "
            "them, load the scratch databases of verifications too. No right changes that.",
            address=server.address,
        ),
        phrase("To end it, {place}.", place=place),
    )
