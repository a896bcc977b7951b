"""Whoever stores a binary log, replays it or proves it is killed, at a random moment; then all is looked at.

VEDETTA_SEED draws who and when; VEDETTA_LOG_KILLS says how many on each server (`make soak` makes it fifty).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import Popen
from typing import Any

import pytest

from backups.binlog import Piece
from backups.shipping.program import refuse_unlike
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, children_of, command_of, make_shop
from tests.faults import promises
from tests.faults.killing import KILLS_OF_LOGS, SEED, is_restic
from tests.moments.conftest import MAY_REPLAY
from tests.restoring.stories import content, databases_of, may_restore
from tests.servers import FLAVOURS, DatabaseServer, Flavour
from tests.shipping.conftest import logging, may_ship
from tests.shipping.test_processes import begun, chain, is_contiguous, transactions

STORING = ("shipping", "restic", "server")
VICTIMS = (*STORING, "replay", "proof")
# As a server begins, and with a new file every few dozen transactions and the other way to name them.
LOGS: dict[Flavour, tuple[tuple[str, ...], ...]] = {
    "mariadb": ((), ("--max-binlog-size=16384",)),
    "mysql": ((), ("--max-binlog-size=16384", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")),
}
# Of one portal; the next one has a server and a repository of its own.
AT_ONCE = 10
TABLES = """
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200)) ENGINE = InnoDB;
CREATE TABLE journal (what VARCHAR(100)) ENGINE = InnoDB;
CREATE TRIGGER noted AFTER INSERT ON orders FOR EACH ROW INSERT INTO journal VALUES (NEW.note);
"""
# From so many on a transaction is listed, to be found again.
_MANY = 25


@dataclass(frozen=True)
class Draw:
    """Who is killed, at which share of the time that it usually takes."""

    number: int
    victim: str
    moment: float

    def __str__(self) -> str:
        return f"kill {self.number}: {self.victim} at {self.moment:.2f}"


def draws(flavour: str, portal: int) -> list[Draw]:
    """Those of one portal: each victim as often as the others, in an order of its own."""
    chance = random.Random(f"{SEED} {flavour} {portal}")
    count = min(AT_ONCE, KILLS_OF_LOGS - portal * AT_ONCE)
    victims = list(itertools.islice(itertools.cycle(VICTIMS), count))
    chance.shuffle(victims)
    return [
        Draw(portal * AT_ONCE + number, victim, chance.uniform(0.1, 0.95))
        for number, victim in enumerate(victims)
    ]


@dataclass
class Archive:
    """A shop that is written to, its neighbour, and the portal that stores the log of one of them."""

    portal: Portal
    neighbour: Shop
    # Transactions since the archive began, what each command usually takes, and pieces that were looked at.
    committed: int = 0
    usual: dict[str, float] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    # What the shop held before the newest of its listed transactions.
    before: list[bytes] = field(default_factory=list)

    @property
    def shop(self) -> Shop:
        return self.portal.shop

    @property
    def server(self) -> DatabaseServer:
        return self.shop.server

    @property
    def copy(self) -> str:
        """Into which a moment is restored."""
        return f"{self.shop.name}__then"

    def work(self) -> None:
        """What an application does meanwhile, and its neighbour."""
        first = self.committed
        for number in range(first, first + 60):
            self._commit(f"INSERT INTO orders (note) VALUES ('note {number}')")
        self._commit(f"UPDATE orders SET note = CONCAT(note, '!') WHERE id % 7 = {first % 7}")
        self._commit("DELETE FROM orders WHERE id % 11 = 3")
        self.neighbour.execute(f"INSERT INTO orders (note) VALUES ('of another {first}')")
        self.before = self.live()
        rows = ", ".join(f"('many {first} {number}')" for number in range(_MANY))
        self._commit(f"INSERT INTO orders (note) VALUES {rows}")

    def _commit(self, statement: str) -> None:
        self.shop.execute(statement)
        self.committed += 1

    def live(self) -> list[bytes]:
        return content(self.server, self.shop.name)

    def seen(self) -> tuple[list[bytes], list[bytes], list[str]]:
        """What nobody but the copy may change."""
        names = [name for name in databases_of(self.shop) if name != self.copy]
        return self.live(), content(self.server, self.neighbour.name), names

    def ship(self) -> None:
        """A minute that nobody disturbs."""
        self.timed("ship", "archive_logs", "--once")

    def timed(self, what: str, *command: str) -> dict[str, Any]:
        ran = self.portal.manage(*command, deadline=900)
        assert ran.code == 0, f"{ran.out}\n{ran.err}"
        self.usual[what] = ran.seconds
        return dict(ran.json) if "--json" in command else {}

    def restoring(self) -> tuple[str, ...]:
        """The command that restores the moment before the newest listed transaction."""
        (newest,) = self.portal.rows(
            "SELECT p.file, t.position FROM backups_logtransaction t "
            "JOIN backups_logpiece p ON p.id = t.piece_id ORDER BY t.moment DESC, t.id DESC LIMIT 1"
        )
        place = f"{newest['file']}:{newest['position']}"
        return ("restore", "--before-transaction", place, "--into", self.copy, "--yes", "--json")

    def pieces_are_right(self) -> None:
        """Each piece that a row tells of is a log of this database alone, and as it was stored."""
        for row in self.portal.rows("SELECT * FROM backups_logpiece"):
            key = f"{row['snapshot_id']} {row['end']}"
            if key in self.known:
                continue
            piece = Piece(self.shop.name, row["file"], row["file_made"], row["start"], row["end"])
            data = self.portal.restic("dump", "--no-lock", row["snapshot_id"], piece.path)
            assert hashlib.sha256(data).hexdigest() == row["sha256"], f"{piece.path} is not what was stored"
            assert refuse_unlike([data], piece, 0) == row["transactions"]
            self.known.add(key)
        assert is_contiguous(chain(self.portal))

    def has_all(self) -> None:
        """No transaction is missing, none is there twice, and nothing is told that went wrong."""
        assert transactions(self.portal) == self.committed
        assert self.portal.rows("SELECT sentence FROM backups_loggap") == []
        assert self.portal.rows("SELECT problem FROM backups_logarchive WHERE problem != ''") == []

    def is_restored(self) -> bool:
        return self.copy in databases_of(self.shop)

    def drop_copy(self) -> None:
        self.server.execute(f"DROP DATABASE IF EXISTS `{self.copy}`")


@pytest.fixture
def archive(request: pytest.FixtureRequest, make_portal: MakePortal) -> Iterator[Archive]:
    """An archive with two exact backups, and what an undisturbed command of each kind takes."""
    flavour, options = request.param
    with logging(flavour, "--log-bin-trust-function-creators=1", *options) as server:
        shop = made(server, "shop")
        portal = make_portal(shop, REPLAY_ON_LIVE="true")
        found = Archive(begun(portal), made(server, "neighbour"))
        for _ in range(2):
            found.work()
            found.ship()
            assert portal.backup().code == 0
        found.work()
        found.ship()
        found.timed("replay", *found.restoring())
        assert content(server, found.copy) == found.before
        found.drop_copy()
        # Which wants a hundred transactions between two backups.
        assert found.timed("proof", "verify", "--replay", "--json")["verdict"] == "identical"
        yield found


def made(server: DatabaseServer, name: str) -> Shop:
    """A database whose user may store its log, restore it, and replay."""
    shop = make_shop(server, TABLES, name=name, grants=may_restore(server, name))
    server.execute(f"GRANT {MAY_REPLAY[server.flavour]} ON *.* TO '{shop.user}'@'%'")
    return may_ship(shop)


def portals() -> list[Any]:
    """One for each ten kills on each server."""
    count = -(-KILLS_OF_LOGS // AT_ONCE)
    return [
        pytest.param((flavour, LOGS[flavour][portal % 2]), portal, id=f"{flavour}-{portal}")
        for flavour in FLAVOURS
        for portal in range(count)
    ]


@pytest.mark.soak
@pytest.mark.parametrize(("archive", "portal"), portals(), indirect=["archive"])
def test_no_wrong_piece_is_kept_and_nothing_but_the_copy_is_touched(archive: Archive, portal: int) -> None:
    """Shipping goes on by itself after each kill, and in the end no transaction is missing."""
    hits = 0
    for draw in draws(archive.server.flavour, portal):
        stores = draw.victim in STORING
        if stores:
            archive.work()
        before = archive.seen()
        hit = KILLS[draw.victim](archive, draw)
        hits += hit
        print(f"seed {SEED}, {archive.server.flavour}, {draw}: {'hit' if hit else 'too late'}")
        if not archive.server.running:
            archive.server.start()

        assert archive.seen() == before, draw
        archive.pieces_are_right()
        if stores:
            archive.ship()
        archive.has_all()
    all_is_there(archive)
    assert hits > AT_ONCE // 2 or hits >= KILLS_OF_LOGS // 2


def all_is_there(archive: Archive) -> None:
    """What was stored in spite of it all leads to what the database holds, and to the next backup."""
    archive.timed("replay", *archive.restoring())
    assert content(archive.server, archive.copy) == archive.before
    archive.drop_copy()
    assert archive.portal.backup().code == 0
    archive.ship()
    proof = archive.timed("proof", "verify", "--replay", "--json")
    assert proof["verdict"] == "identical", proof
    promises.reap(archive.portal)
    promises.no_run_left(archive.portal)
    promises.no_lock_left(archive.portal)
    promises.no_database_left(archive.shop)


# ---------------------------------------------------------------- Who is killed


def kill_shipping(archive: Archive, draw: Draw) -> int:
    """What stores the log, with all that it started."""
    running = archive.portal.start("archive_logs", "--once")
    time.sleep(draw.moment * archive.usual["ship"])
    return struck(archive.portal, running)


def kill_restic(archive: Archive, draw: Draw) -> int:
    """Only restic, while it stores a piece; what started it goes on."""
    running = archive.portal.start("archive_logs", "--once")
    hit = 0
    while running.poll() is None and not hit:
        for child in children_of(running.pid):
            if is_restic(command_of(child)) and "--stdin-from-command" in command_of(child):
                time.sleep(draw.moment * 0.4)
                hit = killed(child)
        time.sleep(0.005)
    assert archive.portal.finish(running, 300).code == 0
    return hit


def kill_server(archive: Archive, draw: Draw) -> int:
    """The database server, while its log is fetched."""
    running = archive.portal.start("archive_logs", "--once")
    time.sleep(draw.moment * archive.usual["ship"])
    hit = int(running.poll() is None)
    archive.server.kill()
    archive.portal.finish(running, 300)
    return hit


def kill_replay(archive: Archive, draw: Draw) -> int:
    """A restore to a moment: two in three while it replays."""
    hit = kill_in_phase(archive, draw, "replay", archive.restoring())
    if archive.is_restored():
        # All was done but for saying so.
        assert content(archive.server, archive.copy) == archive.before, draw
    archive.drop_copy()
    return hit


def kill_proof(archive: Archive, draw: Draw) -> int:
    """A proof by replay: two in three while it replays."""
    hit = kill_in_phase(archive, draw, "proof", ("verify", "--replay", "--json"))
    wrong = archive.portal.rows("SELECT verdict FROM backups_replayproof WHERE verdict != 'identical'")
    assert wrong == [], draw
    return hit


KILLS: dict[str, Callable[[Archive, Draw], int]] = {
    "shipping": kill_shipping,
    "restic": kill_restic,
    "server": kill_server,
    "replay": kill_replay,
    "proof": kill_proof,
}


def kill_in_phase(archive: Archive, draw: Draw, what: str, command: tuple[str, ...]) -> int:
    """Start a run as a command and kill it; then clear up as the worker does every minute."""
    portal = archive.portal
    last = portal.rows("SELECT COALESCE(MAX(id), 0) AS id FROM backups_run")[0]["id"]
    running = portal.start(*command)
    if draw.number % 3:
        replaying = "SELECT 1 FROM backups_run WHERE id > ? AND phase = 'replay' AND status = 'running'"
        while running.poll() is None and not portal.rows(replaying, last):
            time.sleep(0.005)
        time.sleep(draw.moment * 0.3)
    else:
        time.sleep(draw.moment * archive.usual[what])
    hit = struck(portal, running)
    promises.reap(portal)
    promises.no_run_left(portal)
    promises.no_database_left(archive.shop)
    return hit


def struck(portal: Portal, running: Popen[str]) -> int:
    """Kill a command and all that it started; whether it was there to be killed."""
    family = [running.pid, *children_of(running.pid)]
    hit = int(running.poll() is None)
    for pid in family:
        killed(pid)
    portal.finish(running)
    promises.no_process_left(portal)
    return hit


def killed(pid: int) -> int:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return 1
    return 0
