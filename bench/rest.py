"""What worker, portal and gate take while nothing happens."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.common import PROJECT, Options, find_restic, print_table, say, work_folder
from tests.backups.worlds import Portal, children_of, make_shop
from tests.servers import DatabaseServer
from tests.servers.processes import Server, answers_tcp
from tools.ports import HOST, free_port

_SETTLE_SECONDS = 30
_SECONDS = 120
_CPU_WANTED_PERCENT, _MEMORY_WANTED_MB = 1, 350
_HERTZ = os.sysconf("SC_CLK_TCK")
_GUNICORN = (sys.executable, "-m", "gunicorn", "-c")


@dataclass(frozen=True)
class Taken:
    """What a process and all its children have taken: seconds of a processor, MB of memory."""

    cpu: float
    memory: float


def measure(_options: Options) -> None:
    """Print the table."""
    with work_folder() as folder, DatabaseServer("mariadb") as server, ExitStack() as running:
        shop = make_shop(server)
        portal = Portal(folder / "portal", shop, find_restic(), str(folder / "repository"))
        for command in ("bootstrap", "backup"):
            assert portal.manage(command).code == 0
        processes = {name: running.enter_context(one).pid for name, one in _servers(portal).items()}
        say(f"waiting {_SETTLE_SECONDS} s, then looking for {_SECONDS} s …")
        time.sleep(_SETTLE_SECONDS)
        before = {name: _taken(pid) for name, pid in processes.items()}
        time.sleep(_SECONDS)
        after = {name: _taken(pid) for name, pid in processes.items()}
    _print({name: Taken(after[name].cpu - before[name].cpu, after[name].memory) for name in processes})


def _servers(portal: Portal) -> dict[str, Server]:
    """The three as a service manager starts them."""
    web, gate = free_port(), free_port()

    def server(name: str, argv: Sequence[str], ready: Callable[[], bool]) -> Server:
        environment = {"PORTAL_BIND": f"{HOST}:{web}", "SENTINEL_BIND": f"{HOST}:{gate}"}
        log = portal.folder / f"{name}.log"
        return Server(argv, log=log, cwd=PROJECT, env=portal.environment | environment, ready=ready)

    return {
        "worker": server("worker", (sys.executable, "manage.py", "worker"), lambda: True),
        "portal": server(
            "portal", (*_GUNICORN, "portal/gunicorn.conf.py", "portal.wsgi"), lambda: answers_tcp(web)
        ),
        "gate": server(
            "gate", (*_GUNICORN, "sentinel/gunicorn.conf.py", "sentinel.wsgi"), lambda: answers_tcp(gate)
        ),
    }


def _taken(pid: int) -> Taken:
    return Taken(sum(map(_cpu_seconds, [pid, *children_of(pid)])), family_memory_mb(pid))


def family_memory_mb(pid: int) -> float:
    """What a process and its children take in MB, each with its part of what they share."""
    return sum(map(memory_mb, [pid, *children_of(pid)]))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / _HERTZ


def memory_mb(pid: int) -> float:
    """The proportional set size: what processes share is divided among them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def _print(taken: dict[str, Taken]) -> None:
    total = Taken(sum(one.cpu for one in taken.values()), sum(one.memory for one in taken.values()))
    print_table(
        f"At rest, over {_SECONDS} seconds",
        ["process", "of a core", "memory"],
        [
            [name, f"{one.cpu / _SECONDS * 100:.2f} %", f"{one.memory:.0f} MB"]
            for name, one in {**taken, "together": total}.items()
        ],
        f"Each with its children; memory that processes share is divided among them. Wanted: below "
        f"{_CPU_WANTED_PERCENT} % of a core and {_MEMORY_WANTED_MB} MB together.",
    )
