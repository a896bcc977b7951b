"""What a backup is measured against: what an operator would type, and its cost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import MySQLdb

from tests.backups.worlds import RESTIC_PASSWORD, Shop, children_of
from tools.system import find_program

DUMP = "mariadb-dump --defaults-file=client.cnf --single-transaction --quick --routines --triggers --events"
# As many as Vedetta keeps by default.
KEEP = "--keep-daily 7 --keep-weekly 4 --keep-monthly 6"
RESTIC_INIT = "restic init --quiet"
# The same key in all: how long it takes to derive is measured anew by each `restic init`.
SAME_KEY = "cp -r ../empty repository"


@dataclass(frozen=True)
class Tool:
    """A way to back up: what is typed to begin a repository, for a backup, and once a night after it.

    `programs` are those that set-up may not have been able to install.
    """

    name: str
    backup: str
    night: str = f"restic forget --quiet --host shop {KEEP} --prune"
    begin: str = RESTIC_INIT
    programs: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether all of its programs are here."""
        return all(map(find_program, self.programs))


OLD_SCRIPTS = Tool(
    "old scripts",
    f"{DUMP} orders_tracker | gzip > orders_tracker.sql.gz"
    " && restic backup --quiet --host shop orders_tracker.sql.gz",
)
BARE_PIPE = Tool(
    "bare pipe",
    f"{DUMP} orders_tracker"
    " | restic backup --quiet --host shop --stdin --stdin-filename /mysql/orders_tracker.sql",
)
_HERTZ = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """What one backup took: seconds, seconds of the processors, MB that the repository grew by."""

    seconds: float = 0
    cpu: float = 0
    grew: float = 0


@dataclass
class Peer:
    """One of the tools, with a folder and a repository of its own."""

    tool: Tool
    shop: Shop
    folder: Path
    restic: Path
    repository: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.repository = self.folder / "repository"
        write_option_file(self.shop, self.folder)
        self.shell(self.tool.begin)

    @property
    def name(self) -> str:
        """The tool's."""
        return self.tool.name

    def backup(self) -> Cost:
        """Run the command as it is printed."""
        return self.costs(self.tool.backup)

    def night(self) -> Cost:
        """What is to be done once a night, however many backups there were."""
        return self.costs(self.tool.night)

    def costs(self, command: str) -> Cost:
        """Run a command, and say what it took."""
        with measured(self.shop, self.repository) as cost:
            self.shell(command)
        return cost

    def shell(self, command: str) -> None:
        """Run a command in the folder, unmeasured."""
        run_in_shell(command, self.folder, self.repository, self.restic)


def run_in_shell(command: str, folder: Path, repository: Path, restic: Path) -> None:
    """Run a command as an operator would, in a folder and with a repository.

    What it prints goes to standard error: standard output is for the tables.
    """
    environment = {
        **os.environ,
        "PATH": f"{restic.parent}:{os.environ['PATH']}",
        # Where programs keep caches and keys that know no other place.
        "HOME": str(folder),
        "BORG_PASSPHRASE": RESTIC_PASSWORD,
        "RESTIC_REPOSITORY": str(repository),
        "RESTIC_PASSWORD": RESTIC_PASSWORD,
        "RESTIC_CACHE_DIR": str(folder / "cache"),
    }
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=True,
    )


def write_option_file(shop: Shop, folder: Path) -> None:
    """What programs need to log in as the shop's user, and to find the server's files: client.cnf."""
    path = folder / "client.cnf"
    path.touch(mode=0o600)
    password = shop.password.replace("\\", "\\\\").replace('"', '\\"')
    server = shop.server
    ((data,),) = server.query("SELECT @@datadir")
    path.write_text(
        f'[client]\nhost={server.host}\nport={server.port}\nuser="{shop.user}"\npassword="{password}"\n'
        f"[mariadb-backup]\ndatadir={data}\n"
    )


@contextmanager
def measured(shop: Shop, repository: Path) -> Iterator[Cost]:
    """What the block costs, which starts and awaits the programs; the database server's work counts."""
    cost = Cost()
    began, cpu, size = time.monotonic(), _cpu(shop), _megabytes_in(repository)
    yield cost
    cost.seconds = time.monotonic() - began
    cost.cpu = _cpu(shop) - cpu
    cost.grew = _megabytes_in(repository) - size


def scrypt_of(repository: Path) -> str:
    """How restic derives the key from the password, its N, r and p: what each start of restic costs.

    `restic init` measures that anew, and takes less where the machine is busy.
    """
    (path,) = (repository / "keys").iterdir()
    key = json.loads(path.read_text())
    return f"{key['N']}, {key['r']}, {key['p']}"


def children_cpu() -> float:
    """Seconds of the processors that went to this process's children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def tree_cpu(pid: int) -> float:
    """Seconds of the processors that went to a process and all that it started, ended or not."""
    return sum(sum(_times(each)) for each in (pid, *children_of(pid)))


def _cpu(shop: Shop) -> float:
    return children_cpu() + sum(_times(shop.server.pid)[:2])


def _times(pid: int) -> list[float]:
    """Of a process in user and in system mode, then of its ended children; none where it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return [0, 0, 0, 0]
    # proc(5): fields 14 to 17, of which the second field, in brackets, may hold blanks.
    return [int(field) / _HERTZ for field in stat.rpartition(")")[2].split()[11:15]]


def _megabytes_in(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def with_connection(shop: Shop, work: Callable[[object], None]) -> None:
    """Do `work` with a connection of the shop's user."""
    server = shop.server
    connection = MySQLdb.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=shop.name,
        charset="utf8mb4",
    )
    try:
        work(connection)
    finally:
        connection.close()


def seconds_between(began: str, ended: str) -> float:
    """The seconds between two times of a run."""
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
