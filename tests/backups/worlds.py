"""What a test of backups stands on: a small shop on a real server, and a portal that backs it up."""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import MySQLdb
import psycopg

from backups import process
from portal import servers_secrets
from sentinel import heartbeat
from tests.servers import DatabaseServer, Server
from tests.servers.commands import CommandServer, start_command
from tests.servers.processes import answers_http
from tools.ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
RESTIC_PASSWORD = "opens the tests' repositories"
AWKWARD = Path(__file__).with_name("databases")
# Each kind of thing that a dump may leave out, and a second of a restic's work to store.
SHOP = """
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(100) NOT NULL);
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, note VARCHAR(200) DEFAULT '',
  FOREIGN KEY (customer) REFERENCES customers (id));
CREATE TABLE journal (at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), what VARCHAR(200));
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace; -- \\'quoted\\''), (3, 'Edsger');
INSERT INTO orders (customer, note) VALUES (1, 'a'), (2, 'b\\nc'), (2, NULL);
CREATE VIEW open_orders AS SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer;
DELIMITER ;;
CREATE TRIGGER orders_noted AFTER INSERT ON orders FOR EACH ROW
BEGIN
  -- kept for the auditors
  INSERT INTO journal (what) VALUES (NEW.note);
END;;
CREATE PROCEDURE close_orders(IN who INT)
BEGIN
  -- the first comment
  DELETE FROM orders WHERE customer = who;
END;;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC NO SQL
BEGIN
  RETURN 2 * n;
END;;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO DELETE FROM journal;;
DELIMITER ;
"""
DUMP_PRIVILEGES = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")


@dataclass(frozen=True)
class Shop:
    """A database on a real server, and the user who may dump it."""

    server: DatabaseServer
    name: str
    user: str
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """How a portal is told of it."""
        return {
            "MYSQL_HOST": self.server.host,
            "MYSQL_PORT": str(self.server.port),
            "MYSQL_DATABASE": self.name,
            "MYSQL_USER": self.user,
            "MYSQL_PASSWORD": self.password,
            "MYSQL_CLIENT_DIR": client_dir(self.server),
        }

    def execute(self, sql: str) -> None:
        """Change it as the administrator."""
        self.server.execute(sql, self.name)

    def query(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Look at it as the administrator."""
        return self.server.query(sql, self.name, arguments)

    @contextmanager
    def held(self, table: str, lock: str = "WRITE") -> Iterator[None]:
        """Keep every dump waiting at this table, which makes "in the middle of a dump" exact.

        With a READ lock dumps pass, and a load waits.
        """
        server = self.server
        connection = MySQLdb.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, database=self.name
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES `{table}` {lock}")
            yield
            # A server that was killed meanwhile has let go by itself.

    def wait_for_a_waiting_dump(self) -> None:
        """Return once the dump's (or load's) user waits for the table that is held."""
        wait_until(
            lambda: self.query(
                "SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = %s AND STATE LIKE %s",
                [self.user, "Waiting for table%"],
            ),
            "a dump that waits for the held table",
        )

    def connections(self) -> int:
        """How many connections the dump's user has."""
        ((count,),) = self.query(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = %s", [self.user]
        )
        return int(count)


def client_dir(server: DatabaseServer) -> str:
    """MYSQL_CLIENT_DIR for this server: MariaDB's client is on the PATH."""
    return str(server.client_dir) if server.flavour == "mysql" else ""


def all_routines(server: DatabaseServer) -> str:
    """The grant that lets a user see every routine."""
    return "SELECT ON mysql.proc" if server.flavour == "mariadb" else "SHOW_ROUTINE ON *.*"


def make_shop(
    server: DatabaseServer, script: str = SHOP, *, grants: Sequence[str] | None = None, name: str = ""
) -> Shop:
    """A database made by `script`, and a user with `grants`, by default all that a dump needs."""
    suffix = secrets.token_hex(4)
    shop = Shop(server, name or f"shop_{suffix}", f"dump_{suffix}", f"p'w\"\\ #{suffix}")
    server.create_database(shop.name)
    if script:
        server.load(script, shop.name)
    pattern = shop.name.replace("_", r"\_").replace("%", r"\%").replace("`", "``")
    if grants is None:
        grants = [f"{', '.join(DUMP_PRIVILEGES)} ON `{pattern}`.*", all_routines(server)]
    server.create_user(shop.user, shop.password, grants)
    return shop


def make_awkward(server: DatabaseServer, name: str) -> Shop:
    """The database of all names, bytes and bodies that a dump has to survive."""
    shop = make_shop(server, "", name=name)
    for part in ("common", server.flavour):
        text = (AWKWARD / f"awkward_{part}.sql").read_bytes()
        server.client("--binary-mode", "--default-character-set=utf8mb4", name, stdin=text)
    # MariaDB asks it of who looks at a view that calls a function.
    server.execute(f"GRANT EXECUTE ON *.* TO '{shop.user}'@'%'")
    return shop


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> dict[str, Any]:
        """The object that `--json` prints as the last line."""
        told = json.loads(self.out.splitlines()[-1])
        assert isinstance(told, dict)
        return told


@dataclass
class Portal:
    """An installation in a folder of its own, used through its real processes."""

    folder: Path
    shop: Shop
    restic_path: Path
    repository: str
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("tmp", "status"):
            (self.folder / name).mkdir(parents=True)
        self.environment = {
            "RESTIC_REPOSITORY": self.repository,
            "RESTIC_PASSWORD": RESTIC_PASSWORD,
            "RESTIC_CACHE_DIR": str(self.folder / "cache"),
            "DATABASE_URL": f"sqlite:///{self.database_file}",
            "SENTINEL_HEARTBEAT_PATH": str(self.heartbeat_path),
            "VEDETTA_KEY_MADE": str(self.folder / "vedetta_key"),
            "TMPDIR": str(self.folder / "tmp"),
            "BACKUP_CHECK_INTERVAL": "0",
            **self.shop.environment,
            **self.environment,
        }

    @property
    def database_file(self) -> Path:
        """The portal's own database."""
        return self.folder / "portal.sqlite3"

    @property
    def heartbeat_path(self) -> Path:
        """The file that the gate reads."""
        return self.folder / "status" / "last_ok"

    def manage(self, *args: str, deadline: float = 90, real: bool = False, **environment: str) -> Ran:
        """Run a command to its end, in the portal's environment with `environment` on top."""
        return self.finish(self.start(*args, real=real, **environment), deadline)

    def start(self, *args: str, real: bool = False, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own; for `real` see start_command."""
        return start_command(args, {**os.environ, **self.environment, **environment}, real=real)

    @staticmethod
    def finish(process: subprocess.Popen[str], deadline: float = 90) -> Ran:
        """Wait for a started command; one that takes too long is ended and fails the test."""
        began = time.monotonic()
        try:
            out, err = process.communicate(timeout=deadline)
        finally:
            with_group_killed(process.pid)
        return Ran(process.returncode, out, err, time.monotonic() - began)

    def backup(self, **environment: str) -> Ran:
        """`manage.py backup --json`."""
        return self.manage("backup", "--json", **environment)  # type: ignore[arg-type]

    def shell(self, code: str) -> str:
        """What Python code prints inside the portal."""
        ran = self.manage("shell", "--no-imports", "-c", code)
        assert ran.code == 0, ran.err
        return ran.out.strip()

    def rows(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """Rows of the portal's own database, with ? for each argument, on whichever server it is."""
        address = urlsplit(self.environment["DATABASE_URL"])
        if address.scheme != "sqlite":
            return _rows_of_a_server(address, sql.replace("?", "%s"), arguments)
        with closing(sqlite3.connect(self.database_file, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, arguments)]

    def run(self, run_id: int | None = None) -> dict[str, Any]:
        """A run's row, by default the newest backup's."""
        if run_id is None:
            return self.rows("SELECT * FROM backups_run WHERE action = 'backup' ORDER BY id DESC LIMIT 1")[0]
        return self.rows("SELECT * FROM backups_run WHERE id = ?", run_id)[0]

    def cancel(self, action: str) -> None:
        """Cancel the one run of this action, as its page does."""
        self.shell(
            "from backups.models import Run; from backups.runs import lifecycle; "
            f"lifecycle.run_cancel(Run.objects.get(action={action!r}))"
        )

    def log(self) -> str:
        """The logs of all runs."""
        return "\n".join(row["text"] for row in self.rows("SELECT text FROM backups_runline ORDER BY id"))

    def restic(self, *args: str) -> bytes:
        """What restic itself says of the repository."""
        own = {
            name: self.environment[name] for name in self.environment if name.startswith(("RESTIC", "AWS"))
        }
        done = subprocess.run(
            [self.restic_path, *args], env={**os.environ, **own}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def snapshots(self) -> list[dict[str, Any]]:
        """The snapshots that the repository holds."""
        listed = json.loads(self.restic("snapshots", "--json", "--no-lock"))
        assert isinstance(listed, list)
        return listed

    def heartbeat(self) -> datetime | None:
        """The time in the heartbeat file."""
        return heartbeat.stamp_read(self.heartbeat_path).time

    def leftovers(self) -> list[str]:
        """Temporary files, processes, locks and connections that a run should not leave."""
        left = [str(path) for path in (self.folder / "tmp").iterdir()]
        hidden = (path.name for path in (self.folder / "status").glob(".*"))
        left += [name for name in hidden if name != ".gates.lock"]
        left += [f"process {name}" for name in self.processes().values()]
        if Path(self.repository).is_dir():
            left += [f"lock {path.name}" for path in (Path(self.repository) / "locks").iterdir()]
        return left

    def processes(self) -> dict[int, str]:
        """All processes that know this portal's folder, by their environment or command line."""
        mark = str(self.folder).encode()
        found = {}
        for pid in all_processes():
            words = _of_process(pid, "cmdline")
            if words and pid != os.getpid() and (mark in words or mark in _of_process(pid, "environ")):
                found[pid] = words.replace(b"\0", b" ").decode(errors="replace")
        return found

    @contextmanager
    def worker(self) -> Iterator[Server]:
        """A real `manage.py worker`, for the length of a block."""
        log = self.folder / "worker.log"
        server = CommandServer(
            [sys.executable, "manage.py", "worker"],
            log=log,
            cwd=PROJECT,
            env=self.environment,
            ready=lambda: self._pulse_since_start(began),
            stop_seconds=10,
        )
        began = time.time()
        with server:
            yield server

    def _pulse_since_start(self, began: float) -> bool:
        rows = self.rows("SELECT seen_at FROM backups_workerpulse")
        return any(_seconds(row["seen_at"]) >= int(began) for row in rows)

    @contextmanager
    def served(self, *options: str, **environment: str) -> Iterator[str]:
        """The portal under gunicorn, with further `options`, for the length of a block; gives its address."""
        where = f"127.0.0.1:{free_port()}"
        url = f"http://{where}"
        server = Server(
            [sys.executable, "-m", "gunicorn", "--bind", where, *options, "portal.wsgi"],
            log=self.folder / "portal.log",
            cwd=PROJECT,
            env=servers_secrets.without({**self.environment, **environment}),
            ready=lambda: answers_http(f"{url}/sentinel/ok"),
        )
        with server:
            yield url


def _rows_of_a_server(address: SplitResult, sql: str, arguments: Sequence[object]) -> list[dict[str, Any]]:
    there = {"host": address.hostname, "port": address.port, "user": address.username}
    name, password = address.path[1:], address.password
    connection: Any
    if address.scheme == "postgres":
        connection = psycopg.connect(**there, password=password, dbname=name)  # type: ignore[arg-type]
    else:
        connection = MySQLdb.connect(**there, password=password, database=name, charset="utf8mb4")
    with closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute(sql, tuple(arguments) or None)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _seconds(at: str | datetime) -> float:
    """A time of a row as seconds since 1970: SQLite and MySQL keep it in UTC without saying so."""
    told = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()


def with_group_killed(pid: int) -> None:
    """End what is left of a process group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def all_processes() -> list[int]:
    """The ids of all processes of this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208  hundreds, often


def _of_process(pid: int, file: str) -> bytes:
    """What the kernel tells of a process there; nothing once it is gone."""
    try:
        with open(f"/proc/{pid}/{file}", "rb", buffering=0) as told:  # noqa: PTH123  as above
            return told.read()
    except OSError:
        return b""


def children_of(pid: int) -> list[int]:
    """The ids of all living descendants of a process, nearest first."""
    parents: dict[int, list[int]] = {}
    for each in all_processes():
        fields = _of_process(each, "stat").rpartition(b")")[2].split()
        if fields and fields[0] != b"Z":
            parents.setdefault(int(fields[1]), []).append(each)
    found = list(parents.get(pid, []))
    for child in found:
        found += parents.get(child, [])
    return found


def command_of(pid: int) -> str:
    """A process's command line, empty when it is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    # A fork of a warm process has room for more.
    return (words.rstrip(b"\0") + b"\0").replace(b"\0", b" ").decode(errors="replace") if words else ""


def environment_of(pid: int) -> str:
    """A process's environment as it was started with."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def the_child(pid: int, is_it: Callable[[str], bool]) -> int:
    """The descendant of `pid` whose command line fits."""

    def found() -> int | None:
        return next((child for child in children_of(pid) if is_it(command_of(child))), None)

    return wait_until(found, "the process to be there")


@contextmanager
def orphans_come_to_us() -> Iterator[None]:
    """Wait for what a killed process leaves, as a machine's first process should, and some do late:
    restic takes the lock of an ended process that nobody waited for to be a living one's.
    """
    process.become_subreaper()
    try:
        yield
    finally:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def is_buried(pid: int) -> bool:
    """Whether a process that came to us has ended and was waited for."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not Path(f"/proc/{pid}").exists()


@contextmanager
def over_and_over(act: Callable[[], object], *, pause: float) -> Iterator[None]:
    """Something done again and again, seconds apart, for a block; what it raises is raised after that."""
    over = threading.Event()
    raised: list[BaseException] = []

    def go_on() -> None:
        try:
            while not over.wait(pause):
                act()
        except BaseException as error:  # noqa: BLE001  raised again below
            raised.append(error)

    going_on = threading.Thread(target=go_on)
    going_on.start()
    try:
        yield
    finally:
        over.set()
        going_on.join()
    if raised:
        raise raised[0]


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60, every: float = 0.05) -> Any:
    """The first true answer of `condition`, asked every so many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} seconds"
        time.sleep(every)
    return answer


def copy_repository(template: Path, to: Path) -> str:
    """A new repository, without the seconds that restic takes to make one."""
    shutil.copytree(template, to)
    return str(to)


def is_named_as_usual(shop: Shop) -> bool:
    """Whether nothing about a shop's names is what a test may be about."""
    return re.fullmatch(r"shop_[0-9a-f]{8} dump_[0-9a-f]{8}", f"{shop.name} {shop.user}") is not None


def is_due(portal: Portal) -> bool:
    """Whether something of a portal's schedule is due that was not when it was set up."""
    due = "SELECT 1 FROM django_q_schedule WHERE schedule_type = 'C' AND next_run <= datetime('now')"
    return bool(portal.rows(due))


def copy_set_up(template: Portal, portal: Portal) -> None:
    """Make `portal` what `manage.py bootstrap` makes of it, without the second that this takes."""
    shop = portal.shop
    shutil.copy(template.database_file, portal.database_file)
    with closing(sqlite3.connect(portal.database_file)) as connection, connection:
        connection.execute("UPDATE backups_repository SET url = ?", [portal.repository])
        for told in ("backups_runline SET text = replace(text", "backups_run SET result = replace(result"):
            connection.execute(f"UPDATE {told}, ?, ?)", [template.repository, portal.repository])
        connection.execute("UPDATE backups_database SET name = ?, database = ?", [shop.name, shop.name])
        there = (shop.server.host, shop.server.port, shop.user)
        connection.execute(
            "UPDATE backups_server SET name = ?, host = ?, port = ?, user = ?",
            [f"{there[0]}:{there[1]}", *there],
        )
    for file in (template.folder / "status").iterdir():
        told = file.read_text().replace(f'"{template.shop.name}"', f'"{shop.name}"')
        (portal.folder / "status" / file.name).write_text(told)
    heartbeat.stamp_write(heartbeat.first_boot_path(portal.heartbeat_path), datetime.now(UTC))
    shutil.copytree(template.folder / "cache", portal.folder / "cache", dirs_exist_ok=True)
