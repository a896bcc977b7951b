"""A proof by replay: the stored log leads from one backup to the next, or people are told it does not."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import MySQLdb
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.choices import Action
from backups.gate import heartbeat_files
from backups.models import Alert, Database, LogArchive, ReplayProof, Run, Snapshot, Verification
from backups.worker import weekly_proofs
from tests.actions.tools import log_of, play, scratch_databases, shipped_grants, with_user
from tests.backups.worlds import Shop, make_shop
from tests.binlog import tables
from tests.binlog.workload import Names, Workload
from tests.management.called import called
from tests.servers import DatabaseServer
from tests.shipping.conftest import MAY_ASK, Ship, Shipped

MAY_REPLAY = {
    "mariadb": "BINLOG REPLAY, SET USER",
    "mysql": "REPLICATION_APPLIER, SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER, SYSTEM_USER",
}
TABLES = """
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200), total DECIMAL(10, 2),
  taken TIMESTAMP(6) NULL, UNIQUE KEY (note));
CREATE TABLE journal (what VARCHAR(100), at DATETIME(6));
CREATE TABLE emptied (id INT AUTO_INCREMENT PRIMARY KEY);
CREATE VIEW dear AS SELECT id, total FROM orders WHERE total > 50;
CREATE TRIGGER noted AFTER INSERT ON orders FOR EACH ROW INSERT INTO journal VALUES (NEW.note, NOW(6));
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DELETE FROM journal;
INSERT INTO orders (note, total) VALUES ('first', 1), ('second', 99);
INSERT INTO emptied VALUES (), (), ();
"""


@pytest.fixture(autouse=True)
def beside_live(settings: Settings) -> None:
    """Test restores go to the server of the database, where a MariaDB replays nothing unasked."""
    settings.REPLAY_ON_LIVE = True


def provable(server: DatabaseServer, script: str = TABLES) -> Shop:
    """A database whose log may be stored and replayed by a user who may do no more."""
    shop = make_shop(server, script)
    # As docs/operations.md says of a server with a log.
    server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    everywhere = f"REPLICATION SLAVE, {MAY_ASK[server.flavour]}, {MAY_REPLAY[server.flavour]} ON *.*"
    pattern = shop.name.replace("_", r"\_")
    grants = shipped_grants(server.flavour, shop.name, "dump", "verify")
    return with_user(shop, [*grants, everywhere, f"LOCK TABLES ON `{pattern}`.*"])


@dataclass
class Clients:
    """Sessions of an application, each with a transaction of its own."""

    shop: Shop
    _open: list[Any] = field(default_factory=list)

    def session(self) -> Any:
        """A new one."""
        at = self.shop.server
        connection = MySQLdb.connect(
            host=at.host, port=at.port, user=at.user, password=at.password, database=self.shop.name
        )
        self._open.append(connection)
        return connection

    def close(self) -> None:
        """End them all."""
        for each in self._open:
            each.close()


def run_all(connection: Any, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def work(shop: Shop, transactions: int = 120) -> None:
    """What a log tells, and what it does not: burnt numbers, and the order in which rows were written."""
    clients = Clients(shop)
    with closing(clients):
        one, other = clients.session(), clients.session()
        for number in range(transactions):
            run_all(one, f"INSERT INTO orders (note, total) VALUES ('note {number}', {number} / 3)")
            one.commit()
        run_all(one, "UPDATE orders SET total = total * 2, note = CONCAT(note, '!') WHERE id % 3 = 0")
        run_all(one, "DELETE FROM orders WHERE id % 10 = 0")
        one.commit()
        run_all(one, "INSERT INTO orders (note) VALUES ('burnt'), ('burnt too')")
        one.rollback()
        run_all(one, "INSERT IGNORE INTO orders (note) VALUES ('first')", "DELETE FROM emptied")
        one.commit()
        # The second to write is the first to commit, and the log has only that order.
        run_all(one, "INSERT INTO journal VALUES ('written first', NOW(6))")
        run_all(other, "INSERT INTO journal VALUES ('written second', NOW(6))")
        other.commit()
        one.commit()
    shop.execute("ALTER TABLE orders ADD COLUMN paid TINYINT NOT NULL DEFAULT 0; UPDATE orders SET paid = 1")
    shop.execute("CREATE TABLE later (id INT PRIMARY KEY); INSERT INTO later VALUES (1)")


def prove(shipped: Shipped) -> Run:
    """A proof by replay, however it ends. No scratch database may be left."""
    run = play(Action.REPLAY, database=shipped.database)
    assert "scratch" not in run.result
    assert scratch_databases(shipped.shop.server) == []
    return run


def found(run: Run) -> ReplayProof:
    """What it found; fails with its error where it came to no verdict."""
    proof = ReplayProof.objects.filter(run=run).first()
    assert proof is not None, f"{run.error}\n{log_of(run)}"
    return proof


def backups(database: Database) -> list[Snapshot]:
    """The oldest first."""
    return list(Snapshot.objects.filter(database=database).order_by("time"))


# tests/moments has MySQL's log lead to a moment.
@pytest.mark.one_flavour("mariadb")
def test_log_leads_from_one_backup_to_the_next(server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(provable(server))
    work(shipped.shop)
    shipped.base()
    first, second = backups(shipped.database)

    run = prove(shipped)

    proof = found(run)
    assert (proof.verdict, proof.differences) == ("identical", []), log_of(run)
    assert run.status == "succeeded", run.error
    assert (proof.base, proof.next) == (first, second)
    assert proof.transactions >= 120
    assert run.result["row_changes"] >= run.result["row_events"] == proof.row_changes >= 120
    assert proof.log_bytes > 10_000
    assert min(proof.load_seconds or 0, proof.replay_seconds or 0) > 0
    # Of journal the rows are the same, and not their order.
    told = "\n".join(map(str, proof.not_covered))
    assert "the order of the rows of journal" in told
    assert "AUTO_INCREMENT" in told
    assert "moments between" in told
    # The first backup is verified on the way, the newest is not.
    assert Verification.objects.get(run=run).snapshot == first
    assert Snapshot.objects.filter(verified_at__isnull=False).get() == first
    assert heartbeat_files.last_verified(shipped.database) == first.time.replace(microsecond=0)
    assert not Alert.objects.exclude(state="good").filter(subject__startswith="Proof by replay").exists()
    assert_live_is_as_it_was(shipped, second)


def assert_live_is_as_it_was(shipped: Shipped, second: Snapshot) -> None:
    """What was replayed went into no other database."""
    shipped.base()
    newest = backups(shipped.database)[-1]
    assert newest.dump_sha256 == second.dump_sha256


@pytest.mark.one_flavour("mariadb")
def test_change_past_the_log_is_found(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    shipped = ship(provable(shared_mariadb))
    work(shipped.shop)
    shipped.shop.execute("SET SESSION sql_log_bin = 0; UPDATE orders SET total = 7 WHERE note = 'first'")
    shipped.base()
    before = heartbeat_files.last_verified(shipped.database)

    run = prove(shipped)

    proof = found(run)
    assert (run.status, proof.verdict) == ("failed", "different")
    assert [str(each) for each in proof.differences] == ["rows orders differs after the replay"]
    assert run.error_code == "replay_proof.different"
    assert "sql_log_bin" in run.error
    assert "Do not rely on moments between" in run.error
    # It says nothing against whole backups, and moves no age.
    assert not Verification.objects.exists()
    assert heartbeat_files.last_verified(shipped.database) == before
    assert Alert.objects.get(subject__startswith="Proof by replay").state == "failed"


# Above, a change past the log is found by the same comparison.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_unlogged_row_that_the_log_then_changes_is_found(
    shared_mariadb: DatabaseServer,
    ship: Ship,
) -> None:
    shipped = ship(provable(shared_mariadb))
    work(shipped.shop)
    shipped.shop.execute("SET SESSION sql_log_bin = 0; INSERT INTO orders (note) VALUES ('unseen')")
    shipped.shop.execute("UPDATE orders SET note = 'seen' WHERE note = 'unseen'")
    shipped.base()

    run = prove(shipped)

    assert found(run).verdict == "different"
    assert not Verification.objects.exists()


# Above and below, what is news.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_nothing_to_prove_is_no_news(
    shared_mariadb: DatabaseServer,
    ship: Ship,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shipped = ship(provable(shared_mariadb))
    alone = prove(shipped)
    shipped.shop.execute("INSERT INTO orders (note) VALUES ('one')")
    shipped.back_up(shipped.database)
    first, second = backups(shipped.database)
    too_soon = prove(shipped)
    shipped.look()

    run = prove(shipped)
    said = called(capsys, "verify", "--replay", "--database", shipped.database.name)

    assert [found(each).verdict for each in (alone, run)] == ["nothing", "nothing"]
    assert found(alone).next is None
    # Of the backup of just now the log comes with the next minute.
    assert f"up to backup {second.short_id} is stored within a minute" in found(too_soon).reason
    assert (
        f"Only 1 transaction lies between backups {first.short_id} and {second.short_id}" in found(run).reason
    )
    assert run.status == "succeeded"
    assert not Alert.objects.filter(subject__startswith="Proof by replay").exists()
    assert not Verification.objects.exists()
    assert said.code == 0
    assert (said["verdict"], said["transactions"]) == ("nothing", 0)
    assert said.keys() >= {
        "run_id", "verdict", "base", "next", "transactions", "row_events", "row_changes", "log_bytes",
        "load_seconds", "replay_seconds", "differences", "not_covered", "reason",
    }  # fmt: skip


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_what_others_wrote_just_before_the_backup_is_no_gap(server: DatabaseServer, ship: Ship) -> None:
    shipped, other = ship(provable(server)), make_shop(server)
    work(shipped.shop)
    shipped.look()
    other.execute("CREATE TABLE more (id INT PRIMARY KEY) ENGINE = InnoDB; INSERT INTO more VALUES (1), (2)")
    # By a process that has nothing of the database to store.
    shipped.base()

    proof = found(prove(shipped))

    assert (proof.verdict, proof.differences) == ("identical", [])


@pytest.mark.one_flavour("mariadb")
def test_gap_moves_nothing(own_server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(provable(own_server))
    work(shipped.shop)
    shipped.base()
    assert found(prove(shipped)).verdict == "identical"
    proved = heartbeat_files.last_verified(shipped.database)
    shipped.shop.execute("INSERT INTO orders (note) VALUES ('lost')")
    own_server.execute("RESET MASTER" if own_server.flavour == "mariadb" else "RESET BINARY LOGS AND GTIDS")
    shipped.look()
    # A backup was asked for at once, which the test makes itself.
    Run.objects.filter(status="queued").delete()
    shipped.base()

    run = prove(shipped)

    proof = found(run)
    assert (run.status, proof.verdict, run.error_code) == ("failed", "gap", "replay_proof.gap")
    assert proof.reason
    assert heartbeat_files.last_verified(shipped.database) == proved
    assert Verification.objects.count() == 1
    assert Alert.objects.get(subject__startswith="Proof by replay").state == "failed"


@pytest.mark.one_flavour("mariadb")
def test_barrier_is_told(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    shipped = ship(provable(shared_mariadb))
    work(shipped.shop)
    shipped.shop.execute("SET SESSION binlog_format = 'STATEMENT'; INSERT INTO orders (note) VALUES ('said')")
    shipped.base()

    run = prove(shipped)

    assert (run.status, found(run).verdict) == ("failed", "barrier")
    assert not Verification.objects.exists()


@pytest.mark.one_flavour("mariadb")
def test_proofs_come_due_once_a_week(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    shipped = ship(provable(shared_mariadb))
    week = timezone.now() + timedelta(days=7)

    assert weekly_proofs.ask_due() == []
    (asked,) = weekly_proofs.ask_due(week)
    assert (asked.action, asked.database, asked.trigger) == (Action.REPLAY, shipped.database, "schedule")
    assert weekly_proofs.ask_due(week) == []

    Run.objects.filter(pk=asked.pk).delete()
    LogArchive.objects.update(state="off")
    assert weekly_proofs.ask_due(week) == []


@pytest.mark.soak
def test_rich_workload(server: DatabaseServer, ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    # What MariaDB logs as it was typed and no replay repeats.
    typed = ("SET STATEMENT", "DELETE HISTORY")
    repeated = [each for each in tables.DEFINITIONS_OF_MARIADB if not each.startswith(typed)]
    monkeypatch.setattr(tables, "DEFINITIONS_OF_MARIADB", repeated)
    names = Names(f"rich_{server.flavour}", f"beside_{server.flavour}")
    # Of these tables no dump has a position.
    rich = Workload(server, names, seed=11, without=("myisam", "aria"))
    rich.set_up()
    server.execute("DROP TABLE IF EXISTS old, aria", names.database)
    shipped = ship(Shop(server, names.database, server.user, server.password))
    for round_ in (1, 2):
        rich.run(300, writers=3)
        rich.define(round_)
    shipped.base()

    run = prove(shipped)

    proof = found(run)
    assert (proof.verdict, proof.differences) == ("identical", []), log_of(run)
    assert proof.transactions > 500
