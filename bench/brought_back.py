"""How other people's tools bring a database back, and how they would know that it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.bulk import CONNECTIONS, Bulk
from bench.others import BORGMATIC, MYDUMPER, PHYSICAL, peer_of
from bench.peers import Cost, Peer, measured, tree_cpu
from tests.backups.worlds import Shop
from tests.servers import DatabaseServer

LOAD_DATA, MYLOADER = f"LOAD DATA over {CONNECTIONS}", "restic + myloader"
SECOND_SERVER, BORGMATIC_RESTORE = "restic + mariadb-backup", "borgmatic restore"
NAMES = (LOAD_DATA, MYLOADER, SECOND_SERVER, BORGMATIC_RESTORE)
_MYLOADER = (
    "restic restore --quiet latest:/dump --target back"
    " && myloader --defaults-file client.cnf --directory back --database by_hand --overwrite-tables"
    " && rm -r back"
)
_UNPACK = (
    "mkdir data && restic dump latest /mysql/server.mbstream | mbstream -x -C data"
    " && mariadb-backup --prepare --target-dir=data 2> prepare.log"
)
_COPY_BACK = "mariadb-backup --copy-back --target-dir=data --datadir={target} 2> copy-back.log && rm -r data"
_BORGMATIC = "borgmatic --config borgmatic.json restore --archive latest"
TYPED = {
    MYLOADER: f"`{_MYLOADER}`",
    SECOND_SERVER: f"`{_UNPACK} && {_COPY_BACK.format(target='…')}`, then a second server started on these "
    "files, until it answers: the whole server, of the same version, by a user who may read and write the "
    "server's files",
    BORGMATIC_RESTORE: f"`{_BORGMATIC}`, which replaces the live database table by table",
    LOAD_DATA: "files that the server itself wrote, loaded by it over so many connections, keys made "
    "afterwards; no repository, no views and no programs: the server's own limit",
}


@dataclass
class BroughtBack:
    """Backups of the same database by other tools, and each of them brought back."""

    shop: Shop
    folder: Path
    restic: Path
    _peers: dict[str, Peer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self._bulk = Bulk(self.shop, self.folder / "bulk")
        for name, tool in {
            MYLOADER: MYDUMPER, SECOND_SERVER: PHYSICAL, BORGMATIC_RESTORE: BORGMATIC,
        }.items():  # fmt: skip
            peer = peer_of(tool, self.shop, self.folder, self.restic)
            if peer is not None:
                peer.backup()
                self._peers[name] = peer

    def ways(self) -> dict[str, Callable[[], Cost]]:
        """What is installed, by its name."""
        acts = {
            MYLOADER: self._myloader,
            SECOND_SERVER: self._second_server,
            BORGMATIC_RESTORE: lambda peer: peer.costs(_BORGMATIC),
        }
        able = {name: _of(acts[name], peer) for name, peer in self._peers.items()}
        return {LOAD_DATA: self._load_data, **able}

    def _load_data(self) -> Cost:
        name = f"{self.shop.name}_bulk"
        cost = self._bulk.load(name)
        self._has_all_rows(self.shop.server, name)
        return cost

    def _myloader(self, peer: Peer) -> Cost:
        name = f"{self.shop.name}_by_myloader"
        self.shop.server.create_database(name)
        cost = peer.costs(_MYLOADER.replace("by_hand", name))
        self._has_all_rows(self.shop.server, name)
        return cost

    def _second_server(self, peer: Peer) -> Cost:
        """The whole server beside the first, running and asked for its rows."""
        second = DatabaseServer("mariadb")
        try:
            # Users and passwords come with the data.
            (second.folder / "init.sql").write_text("")
            target = second.folder / "data"
            with measured(self.shop, peer.repository) as cost:
                peer.shell(f"{_UNPACK} && {_COPY_BACK.format(target=target)}")
                second.start()
            cost.cpu += tree_cpu(second.pid)
            self._has_all_rows(second, self.shop.name)
        finally:
            second.remove()
        return cost

    def _has_all_rows(self, server: DatabaseServer, database: str) -> None:
        """Raise RuntimeError where the largest table is not whole: such a restore is no measure."""
        rows = "SELECT COUNT(*) FROM order_events"
        if server.query(rows, database) != self.shop.query(rows):
            raise RuntimeError(f"{database} has not all rows")


def _of(act: Callable[[Peer], Cost], peer: Peer) -> Callable[[], Cost]:
    return lambda: act(peer)
