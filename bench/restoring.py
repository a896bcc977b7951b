"""What a restore costs beside `restic dump | mariadb` and other tools; a verification beside its parts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import brought_back
from bench.brought_back import BroughtBack
from bench.common import Options, find_restic, of_rounds, print_table, say, work_folder
from bench.others import NOT_INSTALLED, versions
from bench.peers import Cost, measured, run_in_shell, with_connection, write_option_file
from bench.spread import figure, ratio
from tests.backups.worlds import Portal, Shop, make_shop
from tests.servers import DatabaseServer
from tools import sample

_LOAD = "restic dump latest /mysql/orders_tracker.sql | mariadb --defaults-file=client.cnf by_hand"
_DUMP = (
    "mariadb-dump --defaults-file=client.cnf --single-transaction --quick --routines --triggers --events"
    " orders_tracker > /dev/null"
)
PEER, DUMP, NEW, REPLACE, VERIFY = "by hand", "dump", "new database", "replace", "verify"
VERIFY_BY_HAND = "verification by hand"
_CHECK = "restic check --quiet --read-data"
_SUMS = "mariadb --defaults-file=client.cnf --execute='CHECKSUM TABLE {tables}'"
_SEVERAL = "orders_tracker.…, by_hand.…"
_ORDER = (PEER, NEW, REPLACE, *brought_back.NAMES, VERIFY, VERIFY_BY_HAND, DUMP)
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
        self.others = BroughtBack(self.shop, self.folder / "others", self.restic)

    def ways(self) -> dict[str, Callable[[], Cost]]:
        """What is measured, by its name."""
        restore = ["restore", "--snapshot", "latest", "--yes", "--json"]
        return {
            PEER: lambda: self._shell(_LOAD, empty=f"{self.shop.name}_by_hand"),
            NEW: lambda: self._ours(*restore, "--into", f"{self.shop.name}_new"),
            REPLACE: lambda: self._ours(*restore, "--replace", "--without-safety-backup"),
            VERIFY: lambda: self._ours("verify", "--json"),
            VERIFY_BY_HAND: self._verified_by_hand,
            DUMP: lambda: self._shell(_DUMP),
            **self.others.ways(),
        }

    def clean(self) -> None:
        """Drop what the ways leave."""
        for (name,) in self.shop.server.query("SHOW DATABASES"):
            if str(name).startswith(f"{self.shop.name}_"):
                self.shop.server.execute(f"DROP DATABASE `{name}`")

    def _shell(self, command: str, empty: str = "") -> Cost:
        if empty:
            self.shop.server.create_database(empty)
            command = re.sub(r"\bby_hand\b", empty, command)
        with measured(self.shop, self.repository) as cost:
            run_in_shell(command, self.folder, self.repository, self.restic)
        return cost

    def _verified_by_hand(self) -> Cost:
        """All data read, all rows loaded, and a sum of each table on both sides."""
        name = f"{self.shop.name}_by_hand"
        tables = self.shop.query("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        both = ", ".join(f"{database}.{table}" for database in (self.shop.name, name) for table, _ in tables)
        return self._shell(f"{_CHECK} && {_LOAD} && {_SUMS.format(tables=both)}", empty=name)

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
    seconds = {name: [cost.seconds for cost in each] for name, each in costs.items()}
    parts = [new + dump for new, dump in zip(seconds[NEW], seconds[DUMP], strict=True)]
    by_hand = seconds[VERIFY_BY_HAND]
    print_table(
        f"Restores beside the pipe and other tools ({options.megabytes:g} MB dump, {of_rounds(options)})",
        ["what", "time", "to the pipe", "seconds of the processors"],
        [_row(name, costs) for name in _ORDER],
        f"{PEER}: `{_LOAD}`",
        *(f"{name}: {typed}" for name, typed in brought_back.TYPED.items()),
        f"{VERIFY_BY_HAND}: `{_CHECK} && {_LOAD} && {_SUMS.format(tables=_SEVERAL)}`, all tables of both. "
        "The sums are asked for, not compared.",
        f"{DUMP}: `{_DUMP}`",
        "The others are `manage.py restore` and `manage.py verify`, whole commands, Django's start "
        "included; replace without a safety backup before.",
        f"A restore into a new database takes {ratio(seconds[NEW], seconds[PEER])} of the pipe; at most "
        f"{RESTORE_LIMIT:.2f} is wanted. It takes {ratio(seconds[NEW], seconds[brought_back.LOAD_DATA])} of "
        f"{brought_back.LOAD_DATA}. A verification takes {ratio(seconds[VERIFY], parts)} of its restore "
        f"and a dump; at most {VERIFY_LIMIT:.2f} is wanted. It takes {ratio(seconds[VERIFY], by_hand)} of "
        "one by hand.",
        f"Versions: {versions()}.",
    )


def _row(name: str, costs: dict[str, list[Cost]]) -> list[str]:
    if name not in costs:
        return [name, *[NOT_INSTALLED] * 3]
    seconds, pipe = ([cost.seconds for cost in costs[each]] for each in (name, PEER))
    cpu = [cost.cpu for cost in costs[name]]
    return [name, figure(seconds, unit=" s"), ratio(seconds, pipe), figure(cpu)]
