"""A private PostgreSQL server, on which a portal may keep its own database."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.servers.commands import start_command
from tests.servers.made_once import made_once
from tests.servers.processes import Server
from tools.ports import HOST, free_port
from tools.system import postgresql_programs

# A lost machine may lose the data, a killed server may not.
_FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=60")
_MIGRATED = "migrated"
# The server refuses to run as root.
_UNPRIVILEGED = "nobody"
_PASSWORD = "administers-the-tests-servers"


class PostgreSQLServer:
    """A server on a free port of 127.0.0.1; as a context manager it removes its data."""

    host = HOST
    user = "admin"

    def __init__(self) -> None:
        self.port = free_port()
        self.password = _PASSWORD
        self.folder = Path(tempfile.mkdtemp(prefix="vedetta-postgresql-"))
        programs = postgresql_programs()
        assert programs is not None, "PostgreSQL is missing: run `python3 -m tools.setup test`"
        self._programs = programs
        self._data = self.folder / "data"
        self._server = Server(self._argv(), log=self.folder / "server.log", ready=self._answers)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> Self:
        """Start the server, on the data that it had when it was stopped or killed."""
        if not self._data.exists():
            self._make_data()
        # Of one that was killed, whose number another process may have by now.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self._server.start()
        return self

    def stop(self) -> None:
        """Shut the server down at once, whoever is connected, and keep its data."""
        if self._server.running:
            with suppress(ProcessLookupError):
                os.kill(self._server.pid, signal.SIGINT)
        self._server.stop()

    def remove(self) -> None:
        """Shut the server down and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run one statement as the administrator."""
        with self._connection(database) as connection:
            connection.execute(sql)

    def new_database(self, *, migrated: bool = False) -> str:
        """A new database of a user of its own, empty or with a portal's tables; gives its DATABASE_URL."""
        name = f"portal_{secrets.token_hex(4)}"
        self.execute(f"CREATE USER {name} PASSWORD 'opens'")
        template = _MIGRATED if migrated else "template0"
        self.execute(f"CREATE DATABASE {name} OWNER {name} TEMPLATE {template}")
        if migrated:
            self.execute(f"REASSIGN OWNED BY {_MIGRATED} TO {name}", name)
        return self.address(name)

    def address(self, name: str) -> str:
        """DATABASE_URL for a database and the user of the same name."""
        return f"postgres://{name}:opens@{self.host}:{self.port}/{name}"

    def _make_template(self) -> None:
        self.execute(f"CREATE USER {_MIGRATED} PASSWORD 'opens'")
        self.execute(f"CREATE DATABASE {_MIGRATED} OWNER {_MIGRATED} TEMPLATE template0")
        migrating = start_command(("migrate", "-v0"), {**os.environ, "DATABASE_URL": self.address(_MIGRATED)})
        _, said = migrating.communicate()
        if migrating.returncode:
            raise RuntimeError(f"migrate: {said.strip()}")

    def _make_data(self) -> None:
        """Data with a portal's tables in it, which take seconds to make."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, _UNPRIVILEGED)
        # Which leaves it its owner.
        subprocess.run(["cp", "--archive", made_once("postgresql", _prepare), self._data], check=True)

    def _make_first_data(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password)
        if os.geteuid() == 0:
            for path in (self.folder, password):
                shutil.chown(path, _UNPRIVILEGED)
        making: list[str | Path] = [
            self._programs / "initdb", "--pgdata", self._data, "--username", self.user, "--pwfile", password,
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
        ]  # fmt: skip
        made = subprocess.run(
            [*_unprivileged(), *making], check=False, capture_output=True, text=True, cwd=self.folder
        )
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stdout[-2000:]} {made.stderr[-2000:]}")

    def _argv(self) -> list[str | Path]:
        options = [f"listen_addresses={self.host}", "unix_socket_directories=", *_FAST]
        argv: list[str | Path] = [self._programs / "postgres", "-D", self._data, "-p", str(self.port)]
        return [*_unprivileged(), *argv, *(part for option in options for part in ("-c", option))]

    def _connection(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, dbname=database,
            autocommit=True,
        )  # fmt: skip

    def _answers(self) -> bool:
        try:
            self._connection("postgres").close()
        except psycopg.OperationalError:
            return False
        return True


def _prepare(data: Path) -> None:
    server = PostgreSQLServer()
    try:
        server._make_first_data()
        server.start()
        server._make_template()
        server.stop()
        shutil.move(server._data, data)
    finally:
        server.remove()


def _unprivileged() -> Sequence[str]:
    """Another user, whose process also ends with ours: who changes a user has to ask for that anew."""
    if os.geteuid() != 0:
        return ()
    group = f"--regid={_UNPRIVILEGED_GROUP}"
    return ("setpriv", f"--reuid={_UNPRIVILEGED}", group, "--clear-groups", "--pdeathsig=INT", "--")


_UNPRIVILEGED_GROUP = "nogroup"
