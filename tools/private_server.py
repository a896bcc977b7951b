"""A private database server for `make run`: loopback only, its data kept in a folder, one user in it."""

from __future__ import annotations

import abc
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import MySQLdb

from backups.process import Child, Program, base_environment
from tools.ports import HOST
from tools.shell import run

START_SECONDS = 90
# A folder's path may be longer than a socket's may be; this counts from the data folder.
SOCKET = "server.sock"


class PrivateServerError(Exception):
    """The server did not come up. Its text is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class PrivateServer(abc.ABC):
    """The server in `folder` and the one user in it who has a password."""

    folder: Path
    port: int
    user: str
    password: str

    flavour: ClassVar[str]

    def start(self, log: Path, *, pass_fds: Sequence[int]) -> Child:
        """Start it on the data that it has, made where there is none. Answers once it answers.

        Raises PrivateServerError.
        """
        self._make_data()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            server = Child(
                Program(self._argv(), base_environment(), pass_fds=pass_fds), stdout=output, stderr=output
            )
        try:
            self._wait(server, log)
        except BaseException:
            server.stop()
            raise
        finally:
            self._init_file.unlink(missing_ok=True)
        return server

    @abc.abstractmethod
    def program(self) -> str:
        """The server's own program. Raises PrivateServerError where there is none."""

    @abc.abstractmethod
    def making(self, data: Path) -> Sequence[str | Path]:
        """The program with its arguments that makes new data there."""

    @abc.abstractmethod
    def statements(self, account: str) -> Sequence[str]:
        """What it is to run at each start once the account is there, a statement each."""

    def options(self) -> Sequence[str]:
        """What it is started with besides."""
        return ("--innodb-flush-log-at-trx-commit=2",)

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
            run([*self.making(draft), *_as_root()])
            draft.rename(self._data)
        self._init_file.unlink(missing_ok=True)
        self._init_file.touch(mode=0o600)
        self._init_file.write_text(self._init_sql())

    def _init_sql(self) -> str:
        """Run by the server itself at each start, so that the user is always as run.env says."""
        account = f"{quoted_text(self.user)}@'{HOST}'"
        statements = (
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {quoted_text(self.password)}",
            f"ALTER USER {account} IDENTIFIED BY {quoted_text(self.password)}",
            *self.statements(account),
        )
        return "".join(f"{statement};\n" for statement in statements)

    def _argv(self) -> list[str]:
        return [
            self.program(),
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
            *self.options(),
            *_as_root(),
        ]

    def _wait(self, server: Child, log: Path) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            if server.poll() is not None:
                raise PrivateServerError(f"The private {self.flavour} did not start; {log} says why.")
            try:
                self.connect().close()
            except MySQLdb.OperationalError:
                if time.monotonic() > until:
                    raise PrivateServerError(
                        f"The private {self.flavour} gives no answer; see {log}."
                    ) from None
                time.sleep(0.1)
            else:
                return

    def connect(self) -> Any:
        """A connection as its user."""
        return MySQLdb.connect(
            host=HOST,
            port=self.port,
            user=self.user,
            password=self.password,
            charset="utf8mb4",
            connect_timeout=5,
        )


def quoted(name: str) -> str:
    """A name in SQL."""
    return "`" + name.replace("`", "``") + "`"


def quoted_text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _as_root() -> list[str]:
    """The server refuses to run as root unless told so."""
    return ["--user=root"] if os.geteuid() == 0 else []
