"""What a comparison costs beside reading both sides, and its memory at several sizes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.common import Options, find_restic, of_rounds, print_table, say, work_folder
from bench.memory import Watch, two_sizes
from bench.ours import Ours
from bench.peers import DUMP, Cost, measured, run_in_shell, with_connection, write_option_file
from bench.spread import figure, ratio
from tests.backups.worlds import Shop, make_shop
from tests.servers import DatabaseServer
from tools import sample

LIMIT = 1.2
CHANGE_PERCENT = 1.0
_READ = "restic dump {snapshot} /mysql/orders_tracker.sql > /dev/null"
_DUMP = f"{DUMP} orders_tracker > /dev/null"
READ_BOTH, SNAPSHOTS, SNAPSHOTS_KEPT = "both read", "two snapshots", "two snapshots, rows kept"
READ_AND_DUMP, NOW, NOW_KEPT = "read and dumped", "a snapshot and now", "a snapshot and now, rows kept"
LOAD_BOTH, BY_SERVER = "both loaded", "two snapshots, all tables altered between them"
_BESIDE = {
    SNAPSHOTS: READ_BOTH, SNAPSHOTS_KEPT: READ_BOTH, NOW: READ_AND_DUMP, NOW_KEPT: READ_AND_DUMP,
    BY_SERVER: LOAD_BOTH,
}  # fmt: skip
# Of these, memory is measured with very many small rows.
_OF_MEMORY = (SNAPSHOTS, NOW, BY_SERVER)
_CHANGED_OF = 500
_FILLED_AT_ONCE = 500_000
_CLIENT = "mariadb --defaults-file=client.cnf"
_LOAD = (
    f"{_CLIENT} -e 'DROP DATABASE IF EXISTS loaded; CREATE DATABASE loaded'"
    f" && restic dump {{snapshot}} /mysql/orders_tracker.sql | {_CLIENT} loaded"
    f" && {_CLIENT} -e 'DROP DATABASE loaded'"
)


@dataclass(frozen=True)
class Content:
    """What a database is filled with, and how its rows are changed."""

    called: str
    fill: Callable[[Any], None]
    change: Callable[[Any], None]

    @classmethod
    def sample(cls, megabytes: float) -> Content:
        """The sample database, whose dump has so many megabytes."""
        scale = megabytes / sample.MEGABYTES_PER_SCALE
        return cls(
            f"a sample of {megabytes:g} MB",
            lambda connection: sample.load(connection, scale),
            lambda connection: sample.change(connection, CHANGE_PERCENT),
        )

    @classmethod
    def small_rows(cls, rows: int) -> Content:
        """One table of so many rows of three short values."""
        return cls(
            f"{rows:,} small rows",
            lambda connection: _fill(connection, rows),
            lambda connection: _run(connection, f"UPDATE small SET v = v + 1 WHERE id % {_CHANGED_OF} = 0"),
        )


@dataclass
class Subject:
    """A database with a snapshot from before a change of its rows, and one from after it."""

    shop: Shop
    folder: Path
    restic: Path
    change: Callable[[Any], None]
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    most: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Pinned, as of several backups of one day not all are kept.
        self.ours = Ours("diff", self.shop, self.folder, self.restic, ("--pin", "measured"))
        write_option_file(self.shop, self.folder)
        with_connection(self.shop, lambda c: _alter(c, "ADD of_the_bench INT"))
        self.ours.backup()
        with_connection(self.shop, lambda c: _alter(c, "DROP of_the_bench"))
        self.ours.backup()
        with_connection(self.shop, self.change)
        self.ours.backup()
        rows = self.ours.portal.rows("SELECT snapshot_id FROM backups_snapshot ORDER BY time")
        self.altered, self.then, self.later = (str(row["snapshot_id"]) for row in rows)

    def ways(self) -> dict[str, Callable[[], Cost]]:
        """What is measured, by its name."""
        then, later = (_READ.format(snapshot=each) for each in (self.then, self.later))
        loaded = " && ".join(_LOAD.format(snapshot=each) for each in (self.altered, self.then))
        return {
            READ_BOTH: lambda: self._shell(f"{then} && {later}"),
            SNAPSHOTS: lambda: self._ours(SNAPSHOTS, self.then, self.later),
            SNAPSHOTS_KEPT: lambda: self._ours(SNAPSHOTS_KEPT, self.then, self.later, "--keep"),
            READ_AND_DUMP: lambda: self._shell(f"{then} && {_DUMP}"),
            NOW: lambda: self._ours(NOW, self.then),
            NOW_KEPT: lambda: self._ours(NOW_KEPT, self.then, "--keep"),
            LOAD_BOTH: lambda: self._shell(loaded),
            BY_SERVER: lambda: self._ours(BY_SERVER, self.altered, self.then),
        }

    def round(self, turn: int, names: Collection[str] = ()) -> None:
        """Each way once, or each of these names, each turn beginning with another."""
        ways = [(name, way) for name, way in self.ways().items() if not names or name in names]
        for number in range(len(ways)):
            name, way = ways[(number + turn) % len(ways)]
            self.costs.setdefault(name, []).append(way())
            say(f"  {name} {self.costs[name][-1].seconds:.1f} s")

    def _shell(self, command: str) -> Cost:
        repository = Path(self.ours.portal.repository)
        with measured(self.shop, repository) as cost:
            run_in_shell(command, self.folder, repository, self.restic)
        return cost

    def _ours(self, name: str, *words: str) -> Cost:
        """A command, from its start to its end, and the most memory of all its processes."""
        portal, watch = self.ours.portal, Watch()
        with measured(self.shop, Path(portal.repository)) as cost:
            process = portal.start("diff", *words, "--json")
            watching = threading.Thread(target=watch.until_over, args=[process.pid], daemon=True)
            watching.start()
            ran = portal.finish(process, 3600)
        watch.end()
        watching.join()
        assert ran.code == 0, ran.err
        self.most.setdefault(name, []).append(watch.most)
        return cost


def measure(options: Options) -> None:
    """Print the table."""
    sizes = [Content.sample(size) for size in two_sizes(options)]
    small, large = (_measured(content, options.rounds) for content in sizes)
    seconds = {name: [cost.seconds for cost in each] for name, each in large.costs.items()}
    rows = []
    for name, costs in large.costs.items():
        beside = _BESIDE.get(name)
        rows.append(
            [
                name,
                figure(seconds[name], unit=" s"),
                ratio(seconds[name], seconds[beside]) if beside else "1",
                figure([cost.cpu for cost in costs]),
                figure(small.most[name], 0) if beside else "",
                figure(large.most[name], 0) if beside else "",
            ]
        )
    of_memory = [f"MB of memory, {size:g} MB dump" for size in two_sizes(options)]
    print_table(
        f"Comparisons beside reading both sides ({max(options.sizes):g} MB dump, {CHANGE_PERCENT:g} % of "
        f"the rows changed, {of_rounds(options)})",
        ["what", "time", "to reading both", "seconds of the processors", *of_memory],
        rows,
        f"{READ_BOTH}: `{_READ.format(snapshot='A')} && {_READ.format(snapshot='B')}`",
        f"{READ_AND_DUMP}: `{_READ.format(snapshot='A')} && {_DUMP}`",
        f"{LOAD_BOTH}: `{_LOAD.format(snapshot='A')}`, and the same of the other one",
        f"The others are `manage.py diff A [B] [--keep]`, whole commands, Django's start included; at most "
        f"{LIMIT:.2f} is wanted. Memory is that of all processes of a command, restic's too, but not the "
        "database server's.",
    )
    if any(options.rows):
        _measure_memory(options)


def _measure_memory(options: Options) -> None:
    """Print how much a comparison holds at once, by the number of rows."""
    most = [_measured(Content.small_rows(rows), options.rounds, _OF_MEMORY).most for rows in options.rows]
    print_table(
        f"Memory of a comparison, in MB, by the number of rows ({of_rounds(options)})",
        ["what", *(f"{rows:,} rows" for rows in options.rows), "most to least rows"],
        [
            [name, *(figure(of[name], 0) for of in most), ratio(most[-1][name], most[0][name])]
            for name in _OF_MEMORY
        ],
        f"One table of three short values a row; one row of {_CHANGED_OF} is changed. Memory is as above.",
    )


def _run(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.commit()


def _fill(connection: Any, rows: int) -> None:
    _run(connection, "CREATE TABLE small (id INT PRIMARY KEY, v INT NOT NULL, w VARCHAR(20) NOT NULL)")
    for first in range(1, rows + 1, _FILLED_AT_ONCE):
        last = min(first + _FILLED_AT_ONCE - 1, rows)
        _run(
            connection,
            f"INSERT INTO small SELECT seq, seq % 1000, CONCAT('row ', seq) FROM seq_{first}_to_{last}",
        )


def _alter(connection: Any, change: str) -> None:
    """Alter each table, so that none is defined as it was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT TABLE_NAME FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE `{table}` {change}")


def _measured(content: Content, rounds: int, names: Collection[str] = ()) -> Subject:
    with DatabaseServer("mariadb", options=["--innodb-buffer-pool-size=512M"]) as server:
        shop = make_shop(server, "", name="orders_tracker", grants=["ALL ON *.*"])
        say(f"filling a private MariaDB with {content.called} …")
        with_connection(shop, content.fill)
        with work_folder() as folder:
            subject = Subject(shop, folder, find_restic(), content.change)
            for number in range(rounds):
                say(f"round {number + 1} of {rounds} …")
                subject.round(number, names)
    return subject
