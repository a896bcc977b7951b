"""A night of many small databases: the worker's backups and maintenance beside the least shell loop."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.common import Options, find_restic, print_table, say, work_folder
from bench.forged import Repository, forge
from bench.peers import DUMP, children_cpu, run_in_shell, seconds_between, tree_cpu, write_option_file
from tests.backups.worlds import RESTIC_PASSWORD, Portal, make_shop
from tests.servers import DatabaseServer

_TABLES = 8
_ROWS = 20
# How many databases a repository has where forged snapshots are added to it.
_BESIDE_FORGED = 50
_PATIENCE_SECONDS = 4 * 3600
# As many as Vedetta keeps of each by default.
_KEEP = "--keep-daily 7 --keep-weekly 4 --keep-monthly 6"
_NAMES = "names"
BACKUPS = (
    f'while read -r name; do {DUMP} "$name" | restic backup --quiet --host loop --tag "$name"'
    ' --stdin --stdin-filename "/mysql/$name.sql" || exit; done < names'
)
MAINTENANCE = f"restic forget --quiet --host loop --group-by host,tags {_KEEP} && restic prune --quiet"
# As the schedules ask for it.
_ASK = (
    "from backups.choices import Trigger; from backups.models import Database, Repository;"
    " from backups.requests import Asker, BackupRequest, ForgetRequest;"
)
_ASK_BACKUPS = (
    _ASK + "[BackupRequest(each).submit(Asker(Trigger.SCHEDULE)) for each in Database.objects.all()]"
)
_ASK_MAINTENANCE = _ASK + "ForgetRequest(Repository.objects.get()).submit(Asker(Trigger.SCHEDULE))"
_ADD = """
from backups.models import Database
first = Database.objects.get()
Database.objects.update(backup_cron="", verify_cron="")
Database.objects.bulk_create(
    Database(
        name=name, database=name, server=first.server, repository=first.repository, backup_cron="",
        verify_cron="", gates_app=False,
    )
    for name in {names!r}
)
"""


@dataclass
class Cost:
    """Seconds of the processors, and on the clock."""

    cpu: float
    seconds: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu + other.cpu, self.seconds + other.seconds)


@dataclass
class Night:
    """What one night cost: the backups, and the maintenance after them."""

    backups: Cost
    maintenance: Cost

    @property
    def both(self) -> Cost:
        """The whole night."""
        return self.backups + self.maintenance


@dataclass
class Nights:
    """The nights of a fleet, in turn: ours and the loop's.

    `key` is what opening the repository takes: restic's choice at `init`, by how busy the machine is.
    """

    key: str = ""
    ours: list[Night] = field(default_factory=list)
    loop: list[Night] = field(default_factory=list)

    def ratio(self, what: Callable[[Night], float]) -> str:
        """The median of ours by the loop's of the same round, and how far the rounds are apart."""
        ratios = [what(ours) / what(loop) for ours, loop in zip(self.ours, self.loop, strict=True)]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    @staticmethod
    def median(nights: Sequence[Night], what: Callable[[Night], float]) -> float:
        """The median of something of these nights."""
        return statistics.median(what(night) for night in nights)


class _Fleet:
    """Databases on one server, a portal that backs them up, and the loop beside it."""

    def __init__(self, server: DatabaseServer, count: int, folder: Path) -> None:
        self._folder = folder / "loop"
        self._repository = self._folder / "repository"
        self._folder.mkdir()
        self._restic = find_restic()
        self._names = [f"fleet_{number:04}" for number in range(count)]
        shop = make_shop(server, _script(self._names[0]), name=self._names[0], grants=["ALL ON *.*"])
        for name in self._names[1:]:
            server.create_database(name)
            server.load(_script(name), name)
        self._shop = shop
        ours = folder / "repository"
        # The time of the maintenance is ours to choose.
        environment = {"MAINTENANCE_CRON": "0 0 1 1 *"}
        self.portal = Portal(folder / "portal", shop, self._restic, str(ours), environment)
        self._manage("bootstrap")
        self.portal.shell(_ADD.format(names=self._names[1:]))
        # The same key: how long it takes to derive is measured anew by each `restic init`.
        shutil.copytree(ours, self._repository)
        write_option_file(shop, self._folder)
        (self._folder / _NAMES).write_text("\n".join(self._names) + "\n")

    def forge(self, count: int) -> None:
        """Add snapshots of somebody else's databases to both repositories; the portal knows them."""
        for folder in (Path(self.portal.repository), self._repository):
            forge(Repository(folder, self._restic, {"RESTIC_PASSWORD": RESTIC_PASSWORD}), count)
        self._manage("snapshots", "--json")

    def change(self) -> None:
        """A day's work in each database."""
        for name in self._names:
            self._shop.server.execute("INSERT INTO t0 (note) VALUES (UUID())", name)

    def our_night(self, worker: int) -> Night:
        """Ours, played by a worker that runs already."""
        return Night(self._played(worker, _ASK_BACKUPS), self._played(worker, _ASK_MAINTENANCE))

    def loops_night(self) -> Night:
        """The loop's."""
        return Night(self._shell(BACKUPS), self._shell(MAINTENANCE))

    def key(self) -> str:
        """How restic derives the key from the password, in both repositories."""
        (path,) = (self._repository / "keys").iterdir()
        key = json.loads(path.read_text())
        return f"{key['N']}, {key['r']}, {key['p']}"

    def _shell(self, command: str) -> Cost:
        began, cpu = time.monotonic(), children_cpu()
        run_in_shell(command, self._folder, self._repository, self._restic)
        return Cost(children_cpu() - cpu, time.monotonic() - began)

    def _played(self, worker: int, ask: str) -> Cost:
        """What the worker and all that it starts take, from the first run's start to the last one's end."""
        before = self.portal.rows("SELECT COALESCE(MAX(id), 0) AS newest FROM backups_run")[0]["newest"]
        cpu = tree_cpu(worker)
        self.portal.shell(ask)
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._left():
            if time.monotonic() > until:
                raise RuntimeError("the worker does not come to an end")
            time.sleep(1)
        cpu = tree_cpu(worker) - cpu
        (ran,) = self.portal.rows(
            "SELECT SUM(status != 'succeeded') AS bad, MIN(started_at) AS began, MAX(finished_at) AS ended"
            " FROM backups_run WHERE id > ?",
            before,
        )
        if ran["bad"]:
            raise RuntimeError(f"{ran['bad']} runs did not succeed:\n{self.portal.log()[-2000:]}")
        return Cost(cpu, seconds_between(ran["began"], ran["ended"]))

    def _left(self) -> bool:
        waiting = "SELECT 1 FROM backups_run WHERE status IN ('queued', 'running')"
        return bool(self.portal.rows(waiting))

    def _manage(self, *args: str) -> None:
        ran = self.portal.manage(*args, deadline=600)
        if ran.code:
            raise RuntimeError(ran.err)


def _script(name: str) -> str:
    tables = [
        f"CREATE TABLE t{number} (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200));"
        f"INSERT INTO t{number} (note) VALUES {', '.join([f'(CONCAT({name!r}, UUID()))'] * _ROWS)};"
        for number in range(_TABLES)
    ]
    return "\n".join(tables)


def measure(options: Options) -> None:
    """Print the table."""
    kinds = [(count, 0) for count in options.databases]
    if options.forged:
        kinds.append((min(_BESIDE_FORGED, max(options.databases)), options.forged))
    rows = [_row(count, forged, _nights(count, forged, options.rounds)) for count, forged in kinds]
    print_table(
        f"A night of many small databases ({_TABLES} tables each), in {options.rounds} rounds",
        [
            "databases", "snapshots beside", "scrypt N, r, p", "processor s: loop, ours", "ours / loop",
            "seconds: loop, ours", "ours / loop", "maintenance, processor s: loop, ours", "ours / loop",
        ],
        rows,
        f"The loop: `{BACKUPS}`, then `{MAINTENANCE}`.",
        "Ours: one worker that runs already plays the backups as its schedules ask for them, with all that "
        "follows, then the maintenance of the repository. Processor seconds are those of all its processes.",
        "Ratios are medians of the rounds, with the least and the most. At most 2.0, 1.2 and 1.5 are wanted.",
    )  # fmt: skip


def _nights(count: int, forged: int, rounds: int) -> Nights:
    nights = Nights()
    with DatabaseServer("mariadb") as server, work_folder() as folder:
        say(f"{count} databases, {forged} forged snapshots …")
        fleet = _Fleet(server, count, folder)
        with fleet.portal.worker() as worker:
            # Not measured: the first night stores everything.
            fleet.our_night(worker.pid)
            fleet.loops_night()
            if forged:
                fleet.forge(forged)
            nights.key = fleet.key()
            for turn in range(rounds):
                fleet.change()
                if turn % 2:
                    nights.loop.append(fleet.loops_night())
                nights.ours.append(fleet.our_night(worker.pid))
                if not turn % 2:
                    nights.loop.append(fleet.loops_night())
                say(f"  ours {nights.ours[-1].both}, the loop {nights.loop[-1].both}")
    return nights


def _row(count: int, forged: int, nights: Nights) -> list[str]:
    cells = [str(count), str(forged), nights.key]
    measures: tuple[Callable[[Night], float], ...] = (
        lambda night: night.both.cpu,
        lambda night: night.both.seconds,
        lambda night: night.maintenance.cpu,
    )
    for what in measures:
        loop, ours = (Nights.median(each, what) for each in (nights.loop, nights.ours))
        cells += [f"{loop:.1f}, {ours:.1f}", nights.ratio(what)]
    return cells
