"""The private MariaDB of `make run`, and a sample database in it."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import sample
from tools.private_server import PrivateServer, quoted
from tools.system import find_program

# What a dump needs, and a restore into a database of any name: nobody but this user has a
# password here, so what it may not do nobody could grant it.
PRIVILEGES = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, "
    "CREATE TEMPORARY TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, TRIGGER, EVENT"
    # To store its binary log, and to replay it; and to keep test restores out of it.
    ", REPLICATION SLAVE, BINLOG MONITOR, BINLOG REPLAY, SET USER, BINLOG ADMIN"
)


@dataclass(frozen=True)
class MariaDB(PrivateServer):
    """A MariaDB with no database yet."""

    flavour = "MariaDB"

    def program(self) -> str:
        """Debian's."""
        return find_program("mariadbd") or "mariadbd"

    def making(self, data: Path) -> Sequence[str | Path]:
        """Its own program for that."""
        install = find_program("mariadb-install-db") or "mariadb-install-db"
        options = ["--no-defaults", f"--datadir={data}", "--skip-test-db", "--skip-name-resolve"]
        return [install, *options, f"--auth-root-socket-user={getpass.getuser()}"]

    def statements(self, account: str) -> Sequence[str]:
        """None but for what a heir wants."""
        return ()


@dataclass(frozen=True)
class SampleMariaDB(MariaDB):
    """One with a database that is filled with a sample."""

    database: str

    def options(self) -> Sequence[str]:
        """With a binary log by rows, from which any moment can be restored."""
        return (
            *super().options(),
            "--log-bin=binlog",
            "--binlog-format=ROW",
            "--server-id=1",
            "--binlog-expire-logs-seconds=172800",
            "--log-bin-trust-function-creators=1",
        )

    def statements(self, account: str) -> Sequence[str]:
        """The database, and what a backup and a restore may need."""
        return (
            f"GRANT {PRIVILEGES} ON *.* TO {account}",
            f"CREATE DATABASE IF NOT EXISTS {quoted(self.database)} CHARACTER SET utf8mb4",
        )

    def load_sample(self, megabytes: float, announce: Callable[[], None]) -> None:
        """Fill the database with the sample, unless that was done; half a sample is begun again."""
        loaded = self.folder / f"{self.database.replace('/', '%2F')}.loaded"
        if loaded.exists():
            return
        announce()
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted(self.database)}")
            cursor.execute(f"CREATE DATABASE {quoted(self.database)} CHARACTER SET utf8mb4")
            connection.select_db(self.database)
            sample.load(connection, megabytes / sample.MEGABYTES_PER_SCALE)
        finally:
            connection.close()
        loaded.touch()
