"""Whether the servers on which a log is replayed take its largest rows in one statement: said beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from backups import mysql
from backups.endpoints import database_server, restoring_server, scratch_server
from backups.errors import Problem
from backups.models import Database, LogPiece
from backups.moments.large_rows import LargeRow, largest
from backups.mysql.answers import as_number, fetch_one
from backups.replaying.rows import fits, packet_for
from backups.text.sentences import phrase

_MEGABYTE = 1 << 20


class Packets(NamedTuple):
    """What a server takes in one statement, and in how many of them an event may come to it."""

    server: mysql.Server
    limit: int
    fragments: int

    def takes(self, size: int) -> bool:
        """Whether an event of so many bytes can be replayed there."""
        return size <= fits(self.limit, fragments=self.fragments)

    def needed(self, size: int) -> int:
        """The max_allowed_packet with which it could, in bytes."""
        return packet_for(size, fragments=self.fragments)


def of_server(server: mysql.Server) -> Packets:
    """Ask one. Raises MySQLProblem."""
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        (limit,) = fetch_one(connection, "SELECT @@max_allowed_packet", as_number)
    return Packets(server, limit, 2 if info.flavour == mysql.MARIADB else 1)


class TooLarge(Problem):
    """A row of the log that the server does not take."""

    code = "replay.packet_too_small"


def refuse_too_large(place: mysql.Server, row: LargeRow | None) -> None:
    """Raise TooLarge where a server does not take the largest row that is to be replayed there.

    Asked before anything is made. Raises MySQLProblem where it cannot be asked.
    """
    if row is not None and not (packets := of_server(place)).takes(row.bytes):
        raise _too_large(packets, row)


def _too_large(packets: Packets, row: LargeRow) -> TooLarge:
    needed = packets.needed(row.bytes)
    return TooLarge(
        phrase(
            "The log holds a row at {place} that does not go into one packet: the server at {address} takes "
            "{limit} MB (max_allowed_packet), and {needed} MB are needed.",
            place=f"{row.place.file}:{row.place.position}",
            address=packets.server.address,
            limit=packets.limit // _MEGABYTE,
            needed=needed // _MEGABYTE,
        ),
        safe=phrase("Nothing was touched."),
        do=phrase(
            "Run as an administrator: SET GLOBAL max_allowed_packet = {bytes}; write it into the server's "
            "configuration as well, then try again.",
            bytes=needed,
        ),
        params={"needed": needed},
    )


def warnings(database: Database) -> Iterator[str]:
    """A sentence for each server where a proof or a restore may fail of it; none of one that says nothing.

    By the rows that are stored, and by what the database's own server lets others store.
    """
    row = largest(LogPiece.objects.filter(database=database, forgotten_at=None).only("file", "barriers"))
    with suppress(Problem):
        source = of_server(database_server(database))
        for place in _places(database):
            with suppress(Problem):
                packets = of_server(place)
                if row is not None and not packets.takes(row.bytes):
                    yield _too_large(packets, row).sentence()
                elif packets.limit < source.limit:
                    yield _smaller(packets, source)


def _places(database: Database) -> list[mysql.Server]:
    """Where proofs are made, and where restores go, each server once."""
    found: list[mysql.Server] = []
    for of in (scratch_server, restoring_server):
        with suppress(Problem):
            place = of(database)
            at = (place.host, place.port)
            if not any(mysql.same_address((each.host, each.port), at) for each in found):
                found.append(place)
    return found


def _smaller(packets: Packets, source: Packets) -> str:
    return phrase(
        "The log is replayed at {place}, which takes {limit} MB in one statement (max_allowed_packet), while "
        "the database's own server takes {more} MB: a row that needs more than the former cannot be "
        "replayed. Run there as an administrator: SET GLOBAL max_allowed_packet = {bytes}; write it into its "
        "configuration as well.",
        place=packets.server.address,
        limit=packets.limit // _MEGABYTE,
        more=source.limit // _MEGABYTE,
        bytes=source.limit,
    )
