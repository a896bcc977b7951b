"""What storing a binary log costs each minute, and a replay beside `mysqlbinlog --rewrite-db | client`."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backups import mysql
from backups.dumpfile.log_positions import Place
from backups.replaying.way import Route, replay
from bench.common import Options, find_restic, of_rounds, print_table, say, work_folder
from bench.peers import run_in_shell, with_connection, write_option_file
from bench.spread import figure, ratio
from tests.backups.worlds import Portal, Shop, make_shop
from tests.loading.loading import address
from tests.replaying.playing import end_of_log, parts_of_log
from tests.servers import FLAVOURS, DatabaseServer, Flavour

# Transactions a second, and for how many minutes each.
_RATES, _MINUTES = (0, 50, 300), 2
_GOAL = {"mariadb": 1.0, "mysql": 0.2}
_OPTIONS = {
    "mariadb": ["--log-bin=binlog", "--server-id=7", "--binlog-format=ROW"],
    "mysql": ["--log-bin=binlog", "--server-id=8"],
}
_TABLES = """
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, note VARCHAR(200), total DECIMAL(10, 2),
  taken DATETIME(6), KEY (customer)) ENGINE = InnoDB;
"""
# What the worker's own process does, without its start: a look each minute, and what each took.
_LOOKS = """
import json, os, time
from backups.shipping.minutes import Minutes
minutes = Minutes()
minutes._look()
print("ready", flush=True)
for _ in range({minutes}):
    time.sleep(60)
    began, before = time.monotonic(), sum(os.times()[:4])
    while minutes._look():
        pass
    print(json.dumps([time.monotonic() - began, sum(os.times()[:4]) - before]), flush=True)
minutes._close()
"""
_BY_HAND = (
    "{program} --rewrite-db='{shop}->by_hand' {more} --start-position={start} --stop-position={stop} {files}"
)


@dataclass(frozen=True)
class Minute:
    """What a minute of storing took: seconds, seconds of the processors, MB of log and of the repository."""

    seconds: float
    cpu: float
    log: float
    grew: float


@dataclass
class Subject:
    """A server with a database whose log is stored from an empty beginning on."""

    server: DatabaseServer
    folder: Path

    def __post_init__(self) -> None:
        self.shop: Shop = make_shop(self.server, _TABLES, name="shop", grants=["ALL ON *.*"])
        self.repository = self.folder / "repository"
        self.portal = Portal(self.folder / "portal", self.shop, find_restic(), str(self.repository))
        write_option_file(self.shop, self.folder)
        self.after = end_of_log(self.server)
        ran = self.portal.manage("bootstrap", deadline=600)
        assert ran.code == 0, ran.err
        self._begin_log()

    def _begin_log(self) -> None:
        """Have the log stored, from a backup on that is made here: the one that is queued is a worker's."""
        self._done("log_archive", "on")
        self.portal.shell("from backups.models import Run; Run.objects.filter(status='queued').delete()")
        self._done("backup")
        self._done("archive_logs", "--once")

    def _done(self, *arguments: str) -> None:
        ran = self.portal.manage(*arguments, deadline=600)
        assert ran.code == 0, ran.err

    def stored(self, rate: int) -> list[Minute]:
        """What each of some minutes took while an application makes so many transactions a second."""
        looking = self.portal.start("shell", "--no-imports", "-c", _LOOKS.format(minutes=_MINUTES))
        assert looking.stdout is not None
        assert looking.stdout.readline().strip() == "ready"
        found = []
        with self._written_to(rate):
            for _ in range(_MINUTES):
                log, size = self.log_bytes(), _bytes_in(self.repository)
                seconds, cpu = json.loads(looking.stdout.readline())
                grew = (_bytes_in(self.repository) - size) / 1e6
                found.append(Minute(seconds, cpu, (self.log_bytes() - log) / 1e6, grew))
        assert self.portal.finish(looking, 600).code == 0
        return found

    def log_bytes(self) -> int:
        """Of all its files."""
        return sum(path.stat().st_size for path in self._files(Place("", 0)))

    def _files(self, since: Place) -> list[Path]:
        return sorted(
            path for path in (self.server.folder / "data").glob("binlog.[0-9]*") if path.name >= since.file
        )

    @contextmanager
    def _written_to(self, rate: int) -> Iterator[None]:
        over = threading.Event()
        writer = threading.Thread(
            target=with_connection, args=(self.shop, lambda connection: _write(connection, rate, over))
        )
        writer.start()
        try:
            yield
        finally:
            over.set()
            writer.join()

    # ------------------------------------------------------------ Replay

    def replayed(self, until: Place) -> float:
        """Seconds of our replay of the server's own files into a new database."""
        self._begin("ours")
        place = address(self.server)
        with mysql.connect(place) as asking:
            info = mysql.probe(asking)
        route = Route(self.shop.name, "ours", self.after, until)
        began = time.monotonic()
        with mysql.loading_connections(place, "ours", 1) as (connection,):
            replay(connection, info, route, parts_of_log(self.server, self.after))
        return time.monotonic() - began

    def by_hand(self, until: Place) -> float:
        """Seconds of the server's own programs for the same."""
        self._begin("by_hand")
        is_mysql = self.server.flavour == "mysql"
        folder = self.server.client_dir
        read = _BY_HAND.format(
            program=folder / ("mysqlbinlog" if is_mysql else "mariadb-binlog"),
            more="--skip-gtids" if is_mysql else "",
            shop=self.shop.name,
            start=self.after.position,
            stop=until.position,
            files=" ".join(str(path) for path in self._files(self.after) if path.name <= until.file),
        )
        client = folder / ("mysql" if is_mysql else "mariadb")
        began = time.monotonic()
        command = f"{read} | {client} --defaults-file=client.cnf by_hand"
        run_in_shell(command, self.folder, self.repository, find_restic())
        return time.monotonic() - began

    def _begin(self, name: str) -> None:
        self.server.execute(f"DROP DATABASE IF EXISTS {name}")
        self.server.create_database(name)
        self.server.load(_TABLES, name)

    def refuse_differing(self) -> None:
        """Fail where not all three are alike."""
        names = ", ".join(f"{name}.orders" for name in (self.shop.name, "ours", "by_hand"))
        sums = {total for _, total in self.server.query(f"CHECKSUM TABLE {names}")}
        assert len(sums) == 1, sums


def _write(connection: Any, rate: int, over: threading.Event) -> None:
    """Six in ten transactions insert an order, three change one, and one deletes one."""
    chance = random.Random(rate)
    began, done, last = time.monotonic(), 0, 1
    with connection.cursor() as cursor:
        while rate and not over.is_set():
            dice = chance.random()
            if dice < 0.6:
                note = f"{chance.getrandbits(400):x}"
                cursor.execute(
                    "INSERT INTO orders (customer, note, total, taken) VALUES (%s, %s, %s, NOW(6))",
                    [chance.randrange(5000), note, chance.randrange(10**6) / 100],
                )
                last = cursor.lastrowid
            elif dice < 0.9:
                cursor.execute("UPDATE orders SET total = total + 1 WHERE id = %s", [chance.randint(1, last)])
            else:
                cursor.execute("DELETE FROM orders WHERE id = %s", [chance.randint(1, last)])
            connection.commit()
            done += 1
            over.wait(max(0.0, began + done / rate - time.monotonic()))


def measure(options: Options) -> None:
    """Print both tables."""
    minutes: list[list[str]] = []
    replays: list[list[str]] = []
    for flavour in FLAVOURS:
        with DatabaseServer(flavour, options=_OPTIONS[flavour]) as server, work_folder() as folder:
            subject = Subject(server, folder)
            for rate in _RATES:
                say(f"{flavour}: {rate} transactions a second, for {_MINUTES} minutes …")
                minutes.append(_minutes_row(flavour, rate, subject.stored(rate)))
            replays.append(_replay_row(flavour, subject, options.rounds))
    print_table(
        f"Storing a binary log, each minute (medians of n={_MINUTES}, least to most)",
        ["server", "transactions a second", "seconds", "seconds of the processors", "MB of log", "MB stored"],
        minutes,
        "Of the process that stores logs and what it starts, without the database server's own work. One row "
        "each: six in ten inserted, three changed, one deleted.",
    )
    print_table(
        f"Replay of that log ({of_rounds(options)})",
        ["server", "MB of log", "ours", "by hand", "ours / by hand", "wanted"],
        replays,
        "by hand: `mysqlbinlog --rewrite-db='shop->by_hand' … | mysql by_hand`, and MariaDB's. "
        "The rows are the same afterwards (CHECKSUM TABLE).",
    )


def _minutes_row(flavour: Flavour, rate: int, found: list[Minute]) -> list[str]:
    columns = ([getattr(each, name) for each in found] for name in ("seconds", "cpu", "log", "grew"))
    return [flavour, str(rate), *(figure(column, decimals=2) for column in columns)]


def _replay_row(flavour: Flavour, subject: Subject, rounds: int) -> list[str]:
    until = end_of_log(subject.server)
    size = subject.log_bytes() / 1e6
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        say(f"{flavour}: replay {number + 1} of {rounds} …")
        ways = [(ours, subject.replayed), (theirs, subject.by_hand)]
        for seconds, way in ways if number % 2 else reversed(ways):
            seconds.append(way(until))
        subject.refuse_differing()
    return [
        flavour, f"{size:.1f}", figure(ours, unit=" s"), figure(theirs, unit=" s"), ratio(ours, theirs),
        f"at most {_GOAL[flavour]:.1f}",
    ]  # fmt: skip


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
