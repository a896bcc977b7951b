"""Servers that write a binary log, and a portal in this process that stores it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backups import binlog
from backups.binlog import Kind, Piece, Reading, Transaction
from backups.models import Database, LogArchive, LogGap, LogPiece, Run
from backups.shipping import switching
from backups.shipping.minutes import Minutes
from tests.backups.conftest import (
    MakeDatabase,
    back_up,
    empty_repository,
    make_database,
    make_portal,
    migrated,
    repository,
)
from tests.backups.worlds import RESTIC_PASSWORD, Shop, make_shop
from tests.servers import FLAVOURS, DatabaseServer, Flavour

__all__ = ["back_up", "empty_repository", "make_database", "make_portal", "migrated", "repository"]

MAY_ASK = {"mariadb": "BINLOG MONITOR", "mysql": "REPLICATION CLIENT"}
TABLES = "CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(200));"
OPTIONS: dict[Flavour, list[str]] = {
    "mariadb": ["--log-bin=binlog", "--server-id=7", "--binlog-format=ROW"],
    "mysql": ["--log-bin=binlog", "--server-id=8"],
}


def logging(flavour: Flavour, *more: str) -> DatabaseServer:
    """A server with a binary log, not started yet."""
    return DatabaseServer(flavour, options=[*OPTIONS[flavour], *more])


@pytest.fixture(scope="session")
def shared_mariadb() -> Iterator[DatabaseServer]:
    """A MariaDB with a log that tests share: nobody resets or purges it."""
    with logging("mariadb") as server:
        yield server


@pytest.fixture(scope="session")
def shared_mysql() -> Iterator[DatabaseServer]:
    """The same of MySQL."""
    with logging("mysql") as server:
        yield server


@pytest.fixture(params=FLAVOURS)
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Each in turn."""
    found: DatabaseServer = request.getfixturevalue(f"shared_{request.param}")
    return found


@pytest.fixture(scope="module", params=FLAVOURS)
def own_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """One whose log tests of a module may lose."""
    with logging(request.param) as server:
        yield server


def may_ship(shop: Shop) -> Shop:
    """Grant all that is needed to store the log of a shop."""
    rights = f"REPLICATION SLAVE, {MAY_ASK[shop.server.flavour]}"
    shop.server.execute(f"GRANT {rights} ON *.* TO '{shop.user}'@'%'")
    pattern = shop.name.replace("_", r"\_")
    shop.server.execute(f"GRANT LOCK TABLES ON `{pattern}`.* TO '{shop.user}'@'%'")
    return shop


def ship_shop(server: DatabaseServer, name: str = "") -> Shop:
    """A database whose log may be stored."""
    return may_ship(make_shop(server, TABLES, name=name))


@dataclass
class Shipped:
    """A database whose log is stored, in this process's portal."""

    shop: Shop
    database: Database
    back_up: Callable[[Database], Run]
    restic_path: Path

    def look(self) -> None:
        """A minute in a process of its own, so far as what it keeps in memory goes."""
        Minutes().once()

    def base(self) -> None:
        """Make the backup that is asked for, and look."""
        run = self.back_up(self.database)
        assert run.result["log"]["exact"], run.result["log"]
        self.look()

    @property
    def archive(self) -> LogArchive:
        """Its row."""
        return LogArchive.objects.get(database=self.database)

    @property
    def pieces(self) -> list[LogPiece]:
        """In the order of the log."""
        return list(LogPiece.objects.filter(database=self.database).order_by("file_made", "file", "start"))

    @property
    def gaps(self) -> list[LogGap]:
        """The oldest first."""
        return list(LogGap.objects.filter(database=self.database).order_by("pk"))

    def bytes_of(self, piece: LogPiece) -> bytes:
        """What the repository gives back of a piece."""
        named = Piece(self.database.database, piece.file, piece.file_made, piece.start, piece.end)
        of_storage = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        own = {"RESTIC_PASSWORD": RESTIC_PASSWORD, "RESTIC_CACHE_DIR": os.environ["RESTIC_CACHE_DIR"]}
        done = subprocess.run(
            [self.restic_path, "-r", self.database.repository.url, "dump", piece.snapshot_id, named.path],
            env={**own, **of_storage},
            capture_output=True,
            check=True,
        )
        return done.stdout

    def stored(self) -> bytes:
        """All that is stored of the log."""
        return b"".join(map(self.bytes_of, self.pieces))

    def transactions(self) -> list[Transaction]:
        """All transactions that are stored, each read by the reader."""
        found: list[Transaction] = []
        for row in self.pieces:
            named = Piece(self.database.database, row.file, row.file_made, row.start, row.end)
            read = binlog.read([self.bytes_of(row)], Reading(piece=named))
            found += [each for each in read if isinstance(each, Transaction)]
        return found

    def rows_stored(self) -> int:
        """How many rows' changes are stored."""
        return sum(
            sum(1 for event in each.events if event.kind in binlog.ROWS) for each in self.transactions()
        )


def databases_in(transactions: list[Transaction]) -> set[str]:
    """The databases whose rows are in them."""
    return {
        binlog.table_of(event)[0].decode()
        for each in transactions
        for event in each.events
        if event.kind == Kind.TABLE_MAP
    }


Ship = Callable[..., Shipped]


@pytest.fixture
def ship(make_database: MakeDatabase, back_up: Callable[[Database], Run], restic_path: Path) -> Ship:
    """Switches the log of a shop on, and makes the base that it begins at."""

    def begin(shop: Shop, **fields: object) -> Shipped:
        shipped = Shipped(shop, make_database(shop, **fields), back_up, restic_path)
        switching.switch_on(shipped.database, "a test")
        Run.objects.filter(database=shipped.database).delete()
        shipped.base()
        assert shipped.archive.problem == ""
        assert shipped.archive.state == "following"
        return shipped

    return begin
