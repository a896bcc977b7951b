"""Private MariaDB and MySQL servers, each with a data folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import MySQLdb

from tests.servers.made_once import made_once
from tests.servers.processes import Server
from tests.servers.programs import mariadb_program, mysql_data, programs_of
from tools.ports import HOST, free_port

Flavour = Literal["mariadb", "mysql"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)
ROOT_PASSWORD = "root of the tests' servers"
# A lost machine may lose the data, a killed server may not: written at each commit, never synced.
FAST_OPTIONS = (
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-use-native-aio=0",
)
FLAVOUR_OPTIONS: dict[Flavour, tuple[str, ...]] = {
    "mariadb": ("--innodb-log-file-size=32M",),
    # Hardly anybody asks for what the performance schema counts; it takes a quarter of the server's time.
    "mysql": (
        "--innodb-redo-log-capacity=32M",
        "--mysqlx=OFF",
        "--sync-binlog=0",
        "--performance-schema=OFF",
    ),
}
ROOT_OVER_TCP = """\
DROP USER IF EXISTS 'root'@'127.0.0.1';
CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY '{password}';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;
ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';
"""


class DatabaseServer:
    """A database server on a free port of 127.0.0.1; as a context manager it removes its data.

    `options` are further ones for the server, such as `--log-bin=binlog`.
    """

    host = HOST
    user = "root"

    def __init__(self, flavour: Flavour, *, options: Sequence[str] = ()) -> None:
        self.flavour = flavour
        self.port = free_port()
        self.password = ROOT_PASSWORD.replace("'", "")
        self.folder = Path(tempfile.mkdtemp(prefix=f"vedetta-{flavour}-"))
        self.socket = self.folder / "server.sock"
        self.client_dir = programs_of(flavour)
        self._data = self.folder / "data"
        # Which MySQL wants to know when its data is made, and never takes otherwise again.
        self._at_first = [option for option in options if option.startswith("--lower-case-table-names")]
        self._server = Server(self._argv(options), log=self.folder / "server.log", ready=self._answers)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        return self._server.pid

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server.running

    def start(self) -> Self:
        """Start the server, on the data that it had when it was stopped or killed."""
        if not self._data.exists():
            self._make_data()
        self._server.start()
        return self

    def stop(self) -> None:
        """Shut the server down and keep its data."""
        self._server.stop()

    def kill(self) -> None:
        """End the server as a crash would, and keep its data."""
        self._server.kill()

    def restart(self) -> None:
        """Shut the server down and start it on the same port and data."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """End the server and delete its data, for which it need not be shut down."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, sql: str, database: str | None = None) -> None:
        """Run one or more statements as root. Statements that need DELIMITER go through `load`."""
        with self._connection(database) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset() is not None:
                pass

    def query(
        self, sql: str, database: str | None = None, arguments: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """The rows that one statement gives, read as root."""
        with self._connection(database) as connection, connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return list(cursor.fetchall())

    def load(self, source: Path | str, database: str | None = None) -> None:
        """Run a script, given as a file or as text, with the flavour's own client as root."""
        text = source.read_bytes() if isinstance(source, Path) else source.encode()
        self.client(*([database] if database else []), stdin=text)

    def client(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What the flavour's own client prints when run as root, comments in routines kept."""
        program = self.client_dir / self.flavour
        done = subprocess.run(
            [program, f"--defaults-file={self.defaults_file()}", "--comments", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.flavour}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def defaults_file(self) -> Path:
        """A file of options for clients that run as root, which keeps the password off the command line."""
        path = self.folder / "client.cnf"
        path.touch(mode=0o600)
        path.write_text(
            f'[client]\nhost={self.host}\nport={self.port}\nuser={self.user}\npassword="{self.password}"\n'
        )
        return path

    def create_database(self, name: str) -> None:
        """Make an empty database, in place of one of that name."""
        quoted = "`" + name.replace("`", "``") + "`"
        self.execute(f"DROP DATABASE IF EXISTS {quoted}; CREATE DATABASE {quoted}")

    def create_user(self, name: str, password: str, grants: Iterable[str] = ()) -> None:
        """Make a user, in place of one of that name; a grant reads "SELECT ON `shop`.*"."""
        user = f"'{name}'@'%'"
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP USER IF EXISTS {user}")
            cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", [name, password])
            for grant in grants:
                cursor.execute(f"GRANT {grant} TO {user}")

    def _argv(self, options: Sequence[str]) -> list[str | Path]:
        is_mariadb = self.flavour == "mariadb"
        return [
            mariadb_program("mariadbd") if is_mariadb else self.client_dir / "mysqld",
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'server.pid'}",
            # A server that starts sweeps what others keep in a folder for temporary files that it shares.
            f"--tmpdir={self.folder}",
            f"--init-file={self.folder / 'init.sql'}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            # So that 127.0.0.1 is an address on every machine and not the host "localhost".
            "--skip-name-resolve",
            *FAST_OPTIONS,
            *FLAVOUR_OPTIONS[self.flavour],
            *_as_root(),
            *options,
        ]

    def _make_data(self) -> None:
        (self.folder / "init.sql").write_text(ROOT_OVER_TCP.format(password=self.password))
        if self.flavour == "mysql" and self._at_first:
            program: list[str | Path] = [self.client_dir / "mysqld", "--no-defaults", "--initialize-insecure"]
            options = [*FAST_OPTIONS, *FLAVOUR_OPTIONS["mysql"], *self._at_first, *_as_root()]
            subprocess.run([*program, f"--datadir={self._data}", *options], check=True, capture_output=True)
            return
        if self.flavour == "mysql":
            shutil.copytree(mysql_data(), self._data)
            return
        shutil.copytree(made_once("mariadb", _empty_mariadb) / "data", self._data)

    def _connection(self, database: str | None = None) -> Any:
        return MySQLdb.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database or "",
            charset="utf8mb4",
            autocommit=True,
        )

    def _answers(self) -> bool:
        try:
            self._connection().close()
        except MySQLdb.OperationalError:
            return False
        return True


def _empty_mariadb(folder: Path) -> None:
    folder.mkdir()
    program = mariadb_program("mariadb-install-db")
    install = [program, "--no-defaults", f"--datadir={folder / 'data'}", *_as_root()]
    options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    # Beside others that begin it would lose its temporary tables, see _argv.
    server_options = [f"--tmpdir={folder}", "--skip-name-resolve"]
    server_options += [*FAST_OPTIONS[:2], *FLAVOUR_OPTIONS["mariadb"]]
    made = subprocess.run([*install, *options, *server_options], check=False, capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(f"mariadb-install-db: {made.stdout[-2000:]} {made.stderr[-2000:]}")


def _as_root() -> list[str]:
    """Either server refuses to run as root unless told so."""
    return ["--user=root"] if os.geteuid() == 0 else []
