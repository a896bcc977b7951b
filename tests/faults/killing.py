"""Who is killed, in which run, with which signal and when: drawn by a seed, then done for real."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import MySQLdb

from tests.backups.worlds import PROJECT, Portal, Shop, children_of, command_of, wait_until
from tests.restoring.plays import Stage
from tests.servers import FLAVOURS, Flavour, Server
from tests.servers.processes import answers_http
from tools.ports import free_port

SEED = os.environ.get("VEDETTA_SEED") or "20261123"
# None: on each flavour what is killed at no exact moment elsewhere.
KILLS = int(os.environ.get("VEDETTA_KILLS") or 0)
# Of those who store, replay and prove binary logs, on each server.
KILLS_OF_LOGS = int(os.environ.get("VEDETTA_LOG_KILLS") or 10)
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
# How long a run of each kind takes, a backup being 1.
LENGTHS = {
    "backup": 1.0,
    "verify": 1.6,
    "forget": 0.15,
    "check": 0.9,
    "file": 0.7,
    "new": 1.1,
    "replace": 2.4,
    "in_place": 2.1,
}
# A program is there for a part of its run only, and early.
EARLY = 0.6


def program(command: str) -> str:
    """The name of the program that a command line runs, empty while it is about to be started."""
    first = Path(command.split(" ", 1)[0]).name
    return "" if first in ("setpriv", "env") else first


def is_restic(command: str) -> bool:
    return program(command) == "restic"


def is_dump_program(command: str) -> bool:
    return " -m backups.dumping.program " in command and program(command).startswith("python")


def is_dump_client(command: str) -> bool:
    return "--single-transaction" in command and program(command) not in ("", "restic")


PROGRAMS: dict[str, Callable[[str], bool]] = {
    "restic": is_restic,
    "dump program": is_dump_program,
    "dump client": is_dump_client,
}
Combination = tuple[Flavour, tuple[str, str], signal.Signals]
WEB = ("portal", "gate")
# Of those over which a dump is loaded; an administrator ends it.
CONNECTION = "connection"
_ANY = ("worker", "command", "restic")
VICTIMS: dict[str, tuple[str, ...]] = {
    "backup": (*_ANY, "dump program", "dump client", "server", *WEB),
    "verify": (*_ANY, CONNECTION, "dump client", "server"),
    "forget": _ANY,
    "check": _ANY,
    "file": _ANY,
    "new": (*_ANY, CONNECTION, "server"),
    "replace": (*_ANY, CONNECTION, "dump client", "server", *WEB),
    "in_place": (*_ANY, CONNECTION, "server"),
}


# Kinds of runs and victims. The others are killed at exact moments, in tests/actions/test_kills.py,
# tests/restoring/test_kills.py and tests/faults/test_kills.py; a check only reads, as a restore into a file
# does, and the portal is to a run what the gate is.
AT_RANDOM_ALONE = {"verify", "forget", "gate"}


def kill_connections(shop: Shop) -> bool:
    """End, in the server, the connections of the shop's user that load something; whether there were any."""
    running = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s AND INFO REGEXP %s"
    threads = shop.server.query(running, None, [shop.user, "^(INSERT|CREATE TABLE|DROP TABLE|ALTER TABLE) "])
    for (thread,) in threads:
        with suppress(MySQLdb.OperationalError):  # it has ended meanwhile
            shop.server.execute(f"KILL {thread}")
    return bool(threads)


@dataclass(frozen=True)
class Draw:
    """One experiment: this signal to this victim, after this share of a run's usual time."""

    number: int
    flavour: Flavour
    doing: str
    victim: str
    signal: signal.Signals
    moment: float

    def __str__(self) -> str:
        return f"{self.number}-{self.doing}-{self.victim.replace(' ', '_')}-{self.signal.name}"


def draws(count: int = KILLS, seed: str = SEED) -> list[Draw]:
    """As many experiments, every combination once before any comes twice, half on each flavour.

    Where no number is given, as few as have each of AT_RANDOM_ALONE in them, on each flavour.
    """
    chance = random.Random(seed)
    pairs = [(doing, victim) for doing, victims in VICTIMS.items() for victim in victims]
    combinations = list(itertools.product(FLAVOURS, pairs, SIGNALS))
    found: list[Draw] = []
    while len(found) < max(count, 1):
        chance.shuffle(combinations)
        for flavour, (doing, victim), number in combinations if count else _few(combinations):
            found.append(Draw(len(found), flavour, doing, victim, number, chance.random()))
    # One flavour after the other, since each needs its server.
    return sorted(found[: count or None], key=lambda draw: (FLAVOURS.index(draw.flavour), draw.number))


def _few(combinations: Sequence[Combination]) -> list[Combination]:
    """Of what was drawn, what has a kind of run or a victim of AT_RANDOM_ALONE that none before it had."""
    found: list[Combination] = []
    for flavour, pair, number in combinations:
        had = {name for other, names, _ in found if other == flavour for name in names}
        if AT_RANDOM_ALONE & set(pair) - had:
            found.append((flavour, pair, number))
    return found


@dataclass
class Tally:
    """How many kills hit what; those that came after the end are no proof and counted apart."""

    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    late: Counter[tuple[str, str]] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)

    def count(self, played: Played, end: str) -> None:
        """Take in one experiment, and the status with which its run ended."""
        draw = played.draw
        where = self.hits if played.hit else self.late
        where[draw.doing, draw.victim] += 1
        if played.hit:
            self.ends[end] += 1
            self.phases[played.phase] += 1

    def lines(self) -> Iterator[str]:
        """The figures, for a person."""
        if not self.hits and not self.late:
            return
        yield (
            f"seed {SEED}: {self.hits.total()} kills hit a run, {self.late.total()} more came after its end "
            "and prove nothing"
        )
        yield f"hit, by victim: {self._by(self.hits, 1)}; came too late: {self._by(self.late, 1) or 'none'}"
        yield f"hit, by run: {self._by(self.hits, 0)}; came too late: {self._by(self.late, 0) or 'none'}"
        yield f"hit, by phase: {_told(self.phases)}"
        yield f"the runs that were hit ended {_told(self.ends)}"

    @staticmethod
    def _by(counts: Counter[tuple[str, str]], part: int) -> str:
        sums: Counter[str] = Counter()
        for key, count in counts.items():
            sums[key[part]] += count
        return _told(sums)


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


TALLY = Tally()


@dataclass(frozen=True)
class Played:
    """A run that somebody was killed in, and where it was when that happened."""

    draw: Draw
    run_id: int
    phase: str

    @property
    def hit(self) -> bool:
        """Whether a run was under way when its victim was struck."""
        return bool(self.phase)


class Killing:
    """Plays a run on a stage and strikes."""

    def __init__(self, stage: Stage, draw: Draw) -> None:
        self.stage = stage
        self.portal = stage.portal
        self.draw = draw
        self.target = self._target()

    def _target(self) -> str:
        if self.draw.doing == "new":
            return f"{self.portal.shop.name}_new"
        if self.draw.doing == "file":
            return str(self.portal.folder / f"files{self.draw.number}")
        return self.portal.shop.name

    def play(self) -> Played:
        """Begin the run, strike, and wait until what is left of it has ended."""
        last = self._newest_id()
        with ExitStack() as stack:
            web = stack.enter_context(WebProcess(self.portal, self.draw.victim)) if self._is_web else None
            fork = self._begin()
            wait_until(lambda: self._begun(last) or not lives(fork), "the run to begin")
            share = self.draw.moment * (EARLY if self.draw.victim in (*PROGRAMS, CONNECTION) else 1)
            time.sleep(share * self._usual_seconds())
            phase = self._strike(fork, last, web)
            self.stage.end(fork)
            if self._takes_the_run_along and not self._under_way(last):
                phase = ""  # it came to its end between our last look and the signal
            # Nobody killed it where the run was over first.
            if web is not None and phase:
                web.come_back()
        return Played(self.draw, self._run_after(last)["id"], phase)

    @property
    def _takes_the_run_along(self) -> bool:
        return self.draw.victim in ("worker", "command") and self.draw.signal == signal.SIGKILL

    @property
    def _is_web(self) -> bool:
        return self.draw.victim in WEB

    def _begin(self) -> int:
        if self.draw.victim == "command":
            return self.stage.begin("command", arguments=self._arguments())
        return self.stage.begin(
            "play", doing=self.draw.doing, snapshot=self.stage.snapshot, target=self.target
        )

    def _arguments(self) -> Sequence[str]:
        snapshot = ("--snapshot", self.stage.snapshot)
        return {
            "backup": ("backup", "--json"),
            "verify": ("verify", "--json", *snapshot),
            "forget": ("repository", "forget", "--json"),
            "check": ("repository", "check", "--json"),
            "file": ("restore", "--json", *snapshot, "--output", self.target),
            "new": ("restore", "--json", *snapshot, "--into", self.target),
            "replace": ("restore", "--json", *snapshot, "--replace", "--yes"),
            "in_place": ("restore", "--json", *snapshot, "--in-place", "--yes"),
        }[self.draw.doing]

    def _strike(self, fork: int, last: int, web: WebProcess | None) -> str:
        """Send the signal once the victim is there; answers where the run was, empty for too late."""
        while lives(fork):
            if self.draw.victim == CONNECTION:
                doing = self._under_way(last)
                if doing and kill_connections(self.portal.shop):
                    return doing
                time.sleep(0.002)
                continue
            victim = web.server.pid if web else self._victim(fork)
            doing = self._under_way(last)
            if victim is not None and doing:
                return doing if _sent(victim, self.draw.signal) else ""
            time.sleep(0.002)
        return ""

    def _victim(self, fork: int) -> int | None:
        if self.draw.victim in ("worker", "command"):
            return fork
        if self.draw.victim == "server":
            return self.portal.shop.server.pid
        is_it = PROGRAMS[self.draw.victim]
        return next((child for child in children_of(fork) if is_it(command_of(child))), None)

    def _usual_seconds(self) -> float:
        """How long such a run takes on this machine now, by the last backup that went well."""
        sql = "SELECT * FROM backups_run WHERE action = 'backup' AND status = 'succeeded' ORDER BY id DESC"
        run = self.portal.rows(sql)[0]
        began, ended = (datetime.fromisoformat(run[name]) for name in ("started_at", "finished_at"))
        return LENGTHS[self.draw.doing] * (ended - began).total_seconds()

    def _newest_id(self) -> int:
        return int(self.portal.rows("SELECT COALESCE(MAX(id), 0) AS id FROM backups_run")[0]["id"])

    def _begun(self, last: int) -> bool:
        return bool(self.portal.rows("SELECT 1 FROM backups_run WHERE id > ? AND status != 'queued'", last))

    def _under_way(self, last: int) -> str:
        """The action and phase of what is running now: the run, or one that belongs to it."""
        sql = "SELECT action, phase FROM backups_run WHERE id > ? AND status = 'running' ORDER BY id DESC"
        rows = self.portal.rows(sql, last)
        return f"{rows[0]['action']} {rows[0]['phase']}".strip() if rows else ""

    def _run_after(self, last: int) -> dict[str, Any]:
        """The run that was played: the first one, the others being its children."""
        rows = self.portal.rows("SELECT * FROM backups_run WHERE id > ? ORDER BY id LIMIT 1", last)
        assert rows, "the run never began: " + self.stage.log.read_text()[-2000:]
        return rows[0]


class WebProcess:
    """The portal or the gate as deployed: killed, they disturb no run, and come back as they were."""

    def __init__(self, portal: Portal, name: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/sentinel/ok"
        package, bind = {"portal": ("portal", "PORTAL_BIND"), "gate": ("sentinel", "SENTINEL_BIND")}[name]
        configuration = f"{package}/gunicorn.conf.py"
        self.server = Server(
            [sys.executable, "-m", "gunicorn", "-c", configuration, f"{package}.wsgi"],
            log=portal.folder / f"{name}.log",
            cwd=PROJECT,
            env={**portal.environment, bind: f"127.0.0.1:{port}", "SENTINEL_BOOT_GRACE_SECONDS": "0"},
            ready=lambda: answers_http(self.url),
        )

    def __enter__(self) -> WebProcess:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def come_back(self) -> None:
        """Start it again, as its supervisor would, and have it say that the gate is open."""
        wait_until(lambda: not self.server.running, f"{self.server.name} to end")
        self.server.start()
        # A process of the one that was killed may still take a visitor, and end before it answers.
        wait_until(self._says_fresh, "the gate to say what it said before")

    def _says_fresh(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(self.url, timeout=10) as answer:
            return bool(answer.read().strip() == b"fresh")
        return False


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _sent(pid: int, number: signal.Signals) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
