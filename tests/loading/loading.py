"""Loading a dump's bytes as the product does, without a repository."""

from __future__ import annotations

from pathlib import Path

from backups import mysql, process
from backups.dumpfile.ready import LoadOptions
from backups.loading.loader import Destination, DumpStream, load
from backups.loading.progress import Loading
from tests.servers import DatabaseServer


def address(server: DatabaseServer) -> mysql.Server:
    """Where the product finds a server, as its administrator."""
    return mysql.Server(server.host, server.port, server.user, server.password)


def load_bytes(
    server: DatabaseServer,
    dump: bytes,
    folder: Path,
    loading: Loading,
    *,
    options: LoadOptions,
    gzip: bool = False,
    connections: int = 1,
) -> None:
    """Load a dump into a database that is there; `loading` tells what was found. Raises Problem."""
    place = address(server)
    with mysql.connect(place) as connection:
        info = mysql.probe(connection)
    file = folder / "dump"
    file.write_bytes(dump)
    with process.child(process.Program(["/bin/cat", str(file)], {}), stdout=process.PIPE) as source:
        load(
            DumpStream(source, gzip),
            Destination(place, info, options, connections),
            loading,
            tick=lambda: None,
        )
