"""What a backup costs beside the old scripts' pipeline and the bare pipe, and its memory."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.common import Options, find_restic, of_rounds, print_table, say, work_folder
from bench.peers import BARE_PIPE, OLD_SCRIPTS, Cost, Peer, measured, seconds_between, with_connection
from bench.spread import figure, ratio
from tests.backups.worlds import (
    Portal,
    Shop,
    all_routines,
    children_of,
    command_of,
    make_shop,
)
from tests.servers import DatabaseServer
from tools import sample

CHANGE_PERCENT = 1.0
MEMORY_LIMIT_MB = 150
OLD, BARE = OLD_SCRIPTS.name, BARE_PIPE.name
OURS, AT_ONCE = "our run", "our run, dumping at once"
# Two programs beside restic, on two cores; what waits for its turn lies in a folder.
AT_ONCE_ENVIRONMENT = {"DUMP_CONNECTIONS": "2", "DUMP_SPOOL_MB": "2000"}


@dataclass
class Peaks:
    """The most memory that our own processes of a backup held, in MB, restic's not among them."""

    command: float = 0
    dump: float = 0

    def watch(self, pid: int, ended: threading.Event) -> None:
        """Look at the command and the dump program that it leads to, until the event."""
        while not ended.wait(0.2):
            self.command = max(self.command, _peak_mb(pid))
            for child in children_of(pid):
                if _is_dump_program(command_of(child)):
                    self.dump = max(self.dump, _peak_mb(child))


def _is_dump_program(command: str) -> bool:
    words = command.split()
    return bool(words) and "python" in Path(words[0]).name and "backups.dumping.program" in words


@dataclass
class Times:
    """One kind of backup, of one size: what it cost each time, by who made it.

    `dump` and `command` are the seconds of our dump phase and of our whole command.
    """

    costs: dict[str, list[Cost]] = field(
        default_factory=lambda: {name: [] for name in (OLD, BARE, OURS, AT_ONCE)}
    )
    dump: dict[str, list[float]] = field(default_factory=lambda: {OURS: [], AT_ONCE: []})
    command: list[float] = field(default_factory=list)

    def of(self, name: str, what: str) -> list[float]:
        """One field of the costs, of each round."""
        return [getattr(cost, what) for cost in self.costs[name]]

    def fixed(self) -> float:
        """The seconds of a run besides its dump phase."""
        runs = (cost.seconds for cost in self.costs[OURS])
        return statistics.median(run - dump for run, dump in zip(runs, self.dump[OURS], strict=True))


@dataclass
class Subject:
    """What is backed up, in every way, in one round."""

    shop: Shop
    folder: Path
    restic: Path
    peaks: Peaks

    def __post_init__(self) -> None:
        self.peers = [
            Peer(tool, self.shop, self.folder / tool.name.replace(" ", "-"), self.restic)
            for tool in (OLD_SCRIPTS, BARE_PIPE)
        ]
        self.portals = {
            OURS: self._portal("serial", DUMP_CONNECTIONS="1"),
            AT_ONCE: self._portal("at-once", **AT_ONCE_ENVIRONMENT),
        }

    def _portal(self, name: str, **environment: str) -> Portal:
        folder = self.folder / f"portal-{name}"
        spool = folder / "spool"
        spool.mkdir(parents=True)
        environment["DUMP_SPOOL_DIR"] = str(spool)
        portal = Portal(folder, self.shop, self.restic, str(self.folder / f"repository-{name}"), environment)
        assert portal.manage("bootstrap").code == 0
        return portal

    def backups(self, times: Times, turn: int) -> None:
        """One backup in every way, each turn beginning with another."""
        ways: list[Peer | str] = [*self.peers, *self.portals]
        for number in range(len(ways)):
            way = ways[(number + turn) % len(ways)]
            if isinstance(way, str):
                self._ours(times, way)
            else:
                times.costs[way.name].append(way.backup())

    def _ours(self, times: Times, name: str) -> None:
        """`manage.py backup`, from its start to its end, follow-ups included."""
        portal, ended = self.portals[name], threading.Event()
        with measured(self.shop, Path(portal.repository)) as cost:
            process = portal.start("backup", "--json")
            watching = threading.Thread(target=self.peaks.watch, args=(process.pid, ended))
            watching.start()
            ran = portal.finish(process, deadline=3600)
            ended.set()
            watching.join()
        assert ran.code == 0, ran.err
        run = portal.run()
        if name == OURS:
            times.command.append(cost.seconds)
        else:
            assert "Dumped over 2 connections" in portal.log(), portal.log()
        cost.seconds = seconds_between(run["started_at"], run["finished_at"])
        times.costs[name].append(cost)
        dump = portal.rows(
            "SELECT json_extract(phases, '$[1].at') AS began, json_extract(phases, '$[2].at') AS ended,"
            " json_extract(phases, '$[1].name') AS name FROM backups_run WHERE id = ?",
            run["id"],
        )[0]
        assert dump["name"] == "dump"
        times.dump[name].append(seconds_between(dump["began"], dump["ended"]))


def measure(options: Options) -> None:
    """Print the table."""
    peaks = Peaks()
    measured_kinds: dict[str, Times] = {}
    for megabytes in options.sizes:
        first, again = Times(), Times()
        measured_kinds[f"{megabytes:g} MB, first"] = first
        measured_kinds[f"{megabytes:g} MB, {CHANGE_PERCENT:g} % changed"] = again
        with DatabaseServer("mariadb", options=["--innodb-buffer-pool-size=512M"]) as server:
            _measure_size(server, megabytes, options.rounds, (first, again), peaks)
    print_table(
        f"Backup beside the old scripts' pipeline and the bare pipe ({of_rounds(options)})",
        [
            "dump, backup", OLD, BARE, OURS, AT_ONCE, "ours / old", "ours / bare", "at once / old",
            "at once / bare", "dump phase: ours, at once", "whole command",
            "processor s: old, bare, ours, at once", "MB added: old, bare, ours, at once", "old / ours",
        ],
        [_row(name, times) for name, times in measured_kinds.items()],
        *_notes(list(measured_kinds.values()), peaks),
    )  # fmt: skip


def _notes(kinds: Sequence[Times], peaks: Peaks) -> list[str]:
    fixed = statistics.median(times.fixed() for times in kinds)
    ours = (
        f"{OURS}: `manage.py backup`, from the run's start to its end (preflight, dump, confirm, "
        f"heartbeat), of which {fixed:.1f} s before and after its dump phase, whatever the size; the whole "
        "command has Django's start and the follow-ups besides."
    )
    processor = (
        "Seconds of the processors are those of all programs, follow-ups and the database server "
        "included; other work on the machine disturbs them less than it does the time."
    )
    memory = (
        f"Peak memory: the dump program {peaks.dump:.0f} MB, the command {peaks.command:.0f} MB; at most "
        f"{MEMORY_LIMIT_MB} MB is wanted."
    )
    settings = " ".join(f"{name}={value}" for name, value in AT_ONCE_ENVIRONMENT.items())
    at_once = f"{AT_ONCE}: the same with {settings} and DUMP_SPOOL_DIR on the repository's disk."
    typed = (f"{tool.name}: `{tool.backup}`" for tool in (OLD_SCRIPTS, BARE_PIPE))
    return [*typed, ours, at_once, processor, memory]


def _measure_size(
    server: DatabaseServer, megabytes: float, rounds: int, kinds: Sequence[Times], peaks: Peaks
) -> None:
    # One of the sample's views calls a function, which a dump of the view then needs to do as well.
    grants = [r"ALL ON `orders\_tracker`.*", all_routines(server)]
    shop = make_shop(server, "", name="orders_tracker", grants=grants)
    say(f"filling a private MariaDB with a sample of {megabytes:g} MB …")
    with_connection(shop, lambda c: sample.load(c, megabytes / sample.MEGABYTES_PER_SCALE))
    for number in range(rounds):
        say(f"round {number + 1} of {rounds} …")
        with work_folder() as folder:
            subject = Subject(shop, folder, find_restic(), peaks)
            for turn, times in enumerate(kinds):
                if turn:
                    with_connection(shop, lambda connection: sample.change(connection, CHANGE_PERCENT))
                subject.backups(times, number)
                took = (f"{name} {costs[-1].seconds:.1f} s" for name, costs in times.costs.items())
                say(f"  {', '.join(took)}")


def _row(name: str, times: Times) -> list[str]:
    everyone = (OLD, BARE, OURS, AT_ONCE)
    seconds = {who: times.of(who, "seconds") for who in everyone}
    return [
        name,
        *(figure(seconds[who], unit=" s") for who in everyone),
        *(ratio(seconds[ours], seconds[peer]) for ours in (OURS, AT_ONCE) for peer in (OLD, BARE)),
        ", ".join(figure(times.dump[ours], unit=" s") for ours in (OURS, AT_ONCE)),
        figure(times.command, unit=" s"),
        ", ".join(figure(times.of(who, "cpu")) for who in everyone),
        ", ".join(figure(times.of(who, "grew")) for who in everyone),
        ratio(times.of(OLD, "grew"), times.of(OURS, "grew")),
    ]


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(peak.split()[1]) / 1000
