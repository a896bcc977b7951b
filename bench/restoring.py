"""What a restore costs beside `restic dump | mariadb`, and a verification beside its parts."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.common import Options, find_restic, print_table, say, work_folder
from bench.peers import Cost, measured, run_in_shell, with_connection, write_option_file
from tests.backups.worlds import Portal, Shop, make_shop
from tests.servers import DatabaseServer
from tools import sample

_LOAD = "restic dump latest /mysql/orders_tracker.sql | mariadb --defaults-file=client.cnf by_hand"
_DUMP = (
    "mariadb-dump --defaults-file=client.cnf --single-transaction --quick --routines --triggers --events"
    " orders_tracker > /dev/null"
)
PEER, DUMP, NEW, REPLACE, VERIFY = "by hand", "dump", "new database", "replace", "verify"
RESTORE_LIMIT, VERIFY_LIMIT = 0.60, 1.15


@dataclass
class Subject:
    """A database with a snapshot of it, brought back in every way."""

    shop: Shop
    folder: Path
    restic: Path

    def __post_init__(self) -> None:
        self.repository = self.folder / "repository"
        self.portal = Portal(self.folder / "portal", self.shop, self.restic, str(self.repository))
        for command in ("bootstrap", "backup"):
            ran = self.portal.manage(command, deadline=3600)
            assert ran.code == 0, ran.err
        write_option_file(self.shop, self.folder)

    def ways(self) -> dict[str, Callable[[], Cost]]:
        """What is measured, by its name."""
        restore = ["restore", "--snapshot", "latest", "--yes", "--json"]
        return {
            PEER: lambda: self._shell(_LOAD, empty=f"{self.shop.name}_by_hand"),
            NEW: lambda: self._ours(*restore, "--into", f"{self.shop.name}_new"),
            REPLACE: lambda: self._ours(*restore, "--replace", "--without-safety-backup"),
            VERIFY: lambda: self._ours("verify", "--json"),
            DUMP: lambda: self._shell(_DUMP),
        }

    def clean(self) -> None:
        """Drop what the ways leave."""
        for (name,) in self.shop.server.query("SHOW DATABASES"):
            if str(name).startswith(f"{self.shop.name}_"):
                self.shop.server.execute(f"DROP DATABASE `{name}`")

    def _shell(self, command: str, empty: str = "") -> Cost:
        if empty:
            self.shop.server.create_database(empty)
            command = command.replace("by_hand", empty)
        with measured(self.shop, self.repository) as cost:
            run_in_shell(command, self.folder, self.repository, self.restic)
        return cost

    def _ours(self, *command: str) -> Cost:
        """A command, from its start to its end: Django's start included."""
        with measured(self.shop, self.repository) as cost:
            ran = self.portal.manage(*command, deadline=3600)
        assert ran.code == 0, ran.err
        assert json.loads(ran.out.splitlines()[-1])["status"] == "succeeded"
        return cost


def measure(options: Options) -> None:
    """Print the table."""
    costs: dict[str, list[Cost]] = {}
    with DatabaseServer("mariadb", options=["--innodb-buffer-pool-size=512M"]) as server:
        shop = make_shop(server, "", name="orders_tracker", grants=["ALL ON *.*"])
        say(f"filling a private MariaDB with a sample of {options.megabytes:g} MB …")
        with_connection(shop, lambda c: sample.load(c, options.megabytes / sample.MEGABYTES_PER_SCALE))
        with work_folder() as folder:
            subject = Subject(shop, folder, find_restic())
            for number in range(options.rounds):
                say(f"round {number + 1} of {options.rounds} …")
                _round(subject, costs, number)
    _print(options, costs)


def _round(subject: Subject, costs: dict[str, list[Cost]], turn: int) -> None:
    """Each way once, each turn beginning with another."""
    ways = list(subject.ways().items())
    for number in range(len(ways)):
        name, way = ways[(number + turn) % len(ways)]
        costs.setdefault(name, []).append(way())
        subject.clean()
        say(f"  {name} {costs[name][-1].seconds:.1f} s")


def _print(options: Options, costs: dict[str, list[Cost]]) -> None:
    seconds = {name: statistics.median(cost.seconds for cost in each) for name, each in costs.items()}
    cpu = {name: statistics.median(cost.cpu for cost in each) for name, each in costs.items()}
    parts = seconds[NEW] + seconds[DUMP]
    print_table(
        f"Restores beside the pipe ({options.megabytes:g} MB dump, medians of {options.rounds})",
        ["what", "time", "to the pipe", "seconds of the processors"],
        [
            [name, f"{seconds[name]:.1f} s", f"{seconds[name] / seconds[PEER]:.2f}", f"{cpu[name]:.1f}"]
            for name in (PEER, NEW, REPLACE, VERIFY, DUMP)
        ],
        f"{PEER}: `{_LOAD}`",
        f"{DUMP}: `{_DUMP}`",
        "The others are `manage.py restore` and `manage.py verify`, whole commands, Django's start "
        "included; replace without a safety backup before.",
        f"A restore into a new database takes {seconds[NEW] / seconds[PEER]:.2f} of the pipe; at most "
        f"{RESTORE_LIMIT:.2f} is wanted. A verification takes {seconds[VERIFY] / parts:.2f} of its restore "
        f"and a dump; at most {VERIFY_LIMIT:.2f} is wanted.",
    )
