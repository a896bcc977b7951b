"""A night of many small databases: the worker's beside the least shell loop, and beside other tools."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.common import Options, find_restic, of_rounds, print_table, say, work_folder
from bench.fleet_others import TOOLS, peers_of
from bench.forged import Repository, forge
from bench.others import NOT_INSTALLED, versions
from bench.peers import (
    DUMP,
    KEEP,
    Peer,
    children_cpu,
    run_in_shell,
    scrypt_of,
    seconds_between,
    tree_cpu,
    write_option_file,
)
from bench.spread import figure, ratio
from tests.backups.worlds import RESTIC_PASSWORD, Portal, make_shop
from tests.servers import DatabaseServer

_TABLES = 8
_ROWS = 20
_COUNTS = (1, 50, 200)
# How many databases a repository has where forged snapshots are added to it.
_BESIDE_FORGED = 50
_PATIENCE_SECONDS = 4 * 3600
_NAMES = "names"
BACKUPS = (
    f'while read -r name; do {DUMP} "$name" | restic backup --quiet --host loop --tag "$name"'
    ' --stdin --stdin-filename "/mysql/$name.sql" || exit; done < names'
)
MAINTENANCE = f"restic forget --quiet --host loop --group-by host,tags {KEEP} && restic prune --quiet"
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
    # Empty where one is not installed.
    others: dict[str, list[Night]] = field(default_factory=lambda: {tool.name: [] for tool in TOOLS})


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
        self._others = peers_of(shop, self._names, folder, self._restic)
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

    def others_nights(self) -> dict[str, Night]:
        """Those of the other tools that are installed; the server's own work does not count, as for ours."""
        return {
            name: Night(self._costs(peer, peer.tool.backup), self._costs(peer, peer.tool.night))
            for name, peer in self._others.items()
            if peer is not None
        }

    @staticmethod
    def _costs(peer: Peer, command: str) -> Cost:
        began, cpu = time.monotonic(), children_cpu()
        peer.shell(command)
        return Cost(children_cpu() - cpu, time.monotonic() - began)

    def key(self) -> str:
        """How restic derives the key from the password, in both repositories."""
        return scrypt_of(self._repository)

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
    counts = options.databases or _COUNTS
    kinds = [(count, 0) for count in counts]
    if options.forged:
        kinds.append((min(_BESIDE_FORGED, max(counts)), options.forged))
    measured = {(count, forged): _nights(count, forged, options.rounds) for count, forged in kinds}
    print_table(
        f"A night of many small databases, {_TABLES} tables each ({of_rounds(options)})",
        [
            "databases", "snapshots beside", "scrypt N, r, p", "processor s: loop, ours", "ours / loop",
            "seconds: loop, ours", "ours / loop", "maintenance, processor s: loop, ours", "ours / loop",
        ],
        [_row(count, forged, nights) for (count, forged), nights in measured.items()],
        f"The loop: `{BACKUPS}`, then `{MAINTENANCE}`.",
        "Ours: one worker that runs already plays the backups as its schedules ask for them, with all that "
        "follows, then the maintenance of the repository. Processor seconds are those of all its processes.",
        "Ratios are medians of the rounds, with the least and the most. At most 2.0, 1.2 and 1.5 are wanted.",
    )  # fmt: skip
    print_table(
        f"The same nights beside other tools ({of_rounds(options)})",
        ["databases", "how", "processor s", "ours / theirs", "seconds", "ours / theirs"],
        [row for (count, forged), nights in measured.items() if not forged for row in _others(count, nights)],
        *(f"{tool.name}: `{tool.backup}`, then `{tool.night}`" for tool in TOOLS),
        f"Versions: {versions()}.",
    )


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
            else:
                fleet.others_nights()
            nights.key = fleet.key()
            for turn in range(rounds):
                fleet.change()
                if turn % 2:
                    nights.loop.append(fleet.loops_night())
                nights.ours.append(fleet.our_night(worker.pid))
                if not turn % 2:
                    nights.loop.append(fleet.loops_night())
                for name, night in ({} if forged else fleet.others_nights()).items():
                    nights.others[name].append(night)
                    say(f"  {name} {night.both}")
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
        loop, ours = ([what(night) for night in each] for each in (nights.loop, nights.ours))
        cells += [f"{figure(loop)}, {figure(ours)}", ratio(ours, loop)]
    return cells


def _others(count: int, nights: Nights) -> list[list[str]]:
    """A row for each other tool, also for one that is not installed."""
    return [
        [str(count), name, *(_beside(nights.ours, theirs) if theirs else [NOT_INSTALLED] * 4)]
        for name, theirs in nights.others.items()
    ]


def _beside(ours: Sequence[Night], theirs: Sequence[Night]) -> list[str]:
    cells = []
    measures: tuple[Callable[[Night], float], ...] = (
        lambda night: night.both.cpu,
        lambda night: night.both.seconds,
    )
    for what in measures:
        our, their = ([what(night) for night in each] for each in (ours, theirs))
        cells += [figure(their), ratio(our, their)]
    return cells
