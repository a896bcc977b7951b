"""A private MariaDB for `make run`: loopback only, its data kept in a folder, a sample database in it."""

from __future__ import annotations

import getpass
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import MySQLdb

from backups.process import Child, base_environment
from tools import sample
from tools.shell import run
from tools.system import find_program

HOST = "127.0.0.1"
START_SECONDS = 90
# A folder's path may be longer than a socket's may be; this counts from the data folder.
SOCKET = "server.sock"
# What a dump needs, and a restore into a database of any name: nobody but this user has a
# password here, so what it may not do nobody could grant it.
PRIVILEGES = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, "
    "CREATE TEMPORARY TABLES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, TRIGGER, EVENT"
)


class MariaDBError(Exception):
    """The server did not come up. Its text is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class MariaDB:
    """The server in `folder`, the database and the one user in it."""

    folder: Path
    port: int
    database: str
    user: str
    password: str

    def start(self, log: Path, *, pass_fds: Sequence[int]) -> Child:
        """Start it on the data that it has, made where there is none. Answers once it answers.

        Raises MariaDBError.
        """
        self._make_data()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            server = Child(
                self._argv(), env=base_environment(), stdout=output, stderr=output, pass_fds=pass_fds
            )
        try:
            self._wait(server, log)
        except BaseException:
            server.stop()
            raise
        finally:
            self._init_file.unlink(missing_ok=True)
        return server

    def load_sample(self, megabytes: float, announce: Callable[[], None]) -> None:
        """Fill the database with the sample, unless that was done; half a sample is begun again."""
        loaded = self.folder / f"{self.database.replace('/', '%2F')}.loaded"
        if loaded.exists():
            return
        announce()
        connection = self._connect()
        try:
            cursor = connection.cursor()
            cursor.execute(f"DROP DATABASE IF EXISTS {_quoted(self.database)}")
            cursor.execute(f"CREATE DATABASE {_quoted(self.database)} CHARACTER SET utf8mb4")
            connection.select_db(self.database)
            sample.load(connection, megabytes / sample.MEGABYTES_PER_SCALE)
        finally:
            connection.close()
        loaded.touch()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _init_file(self) -> Path:
        return self.folder / "init.sql"

    def _make_data(self) -> None:
        """Complete or not at all: an interrupted one is begun again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._data.exists():
            draft = self.folder / "data.draft"
            shutil.rmtree(draft, ignore_errors=True)
            install = find_program("mariadb-install-db") or "mariadb-install-db"
            options = ["--no-defaults", f"--datadir={draft}", "--skip-test-db", "--skip-name-resolve"]
            run([install, *options, f"--auth-root-socket-user={getpass.getuser()}", *_as_root()])
            draft.rename(self._data)
        self._init_file.unlink(missing_ok=True)
        self._init_file.touch(mode=0o600)
        self._init_file.write_text(self._init_sql())

    def _init_sql(self) -> str:
        """Run by the server itself at each start, so that the user is always as run.env says."""
        user = f"{_text(self.user)}@'{HOST}'"
        statements = (
            f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY {_text(self.password)}",
            f"ALTER USER {user} IDENTIFIED BY {_text(self.password)}",
            f"GRANT {PRIVILEGES} ON *.* TO {user}",
            f"CREATE DATABASE IF NOT EXISTS {_quoted(self.database)} CHARACTER SET utf8mb4",
        )
        return "".join(f"{statement};\n" for statement in statements)

    def _argv(self) -> list[str]:
        return [
            find_program("mariadbd") or "mariadbd",
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={SOCKET}",
            f"--pid-file={self.folder / 'server.pid'}",
            # A server that starts sweeps what others keep in a folder for temporary files that it shares.
            f"--tmpdir={self.folder}",
            f"--init-file={self._init_file}",
            f"--bind-address={HOST}",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=2",
            *_as_root(),
        ]

    def _wait(self, server: Child, log: Path) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            if server.poll() is not None:
                raise MariaDBError(f"The private MariaDB did not start; {log} says why.")
            try:
                self._connect().close()
            except MySQLdb.OperationalError:
                if time.monotonic() > until:
                    raise MariaDBError(f"The private MariaDB gives no answer; see {log}.") from None
                time.sleep(0.1)
            else:
                return

    def _connect(self) -> Any:
        return MySQLdb.connect(
            host=HOST,
            port=self.port,
            user=self.user,
            password=self.password,
            charset="utf8mb4",
            connect_timeout=5,
        )


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _as_root() -> list[str]:
    """The server refuses to run as root unless told so."""
    return ["--user=root"] if os.geteuid() == 0 else []
