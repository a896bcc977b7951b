"""What breaks the chain of a log is written down with its times, told once, and followed by a new base."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from django.utils import timezone

from backups.alerting import log_subjects
from backups.choices import Action
from backups.keeping import log_archives
from backups.models import Alert, LogArchive, LogGap, Run, RunLine
from backups.shipping import switching
from backups.shipping.minutes import Minutes
from tests.backups.worlds import wait_until
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, logging, ship_shop


def write(shipped: Shipped, number: int) -> None:
    shipped.shop.execute(f"INSERT INTO orders VALUES ({number}, REPEAT('x', 100))")


def rotated(server: DatabaseServer) -> None:
    server.execute("FLUSH BINARY LOGS")


def purge(server: DatabaseServer) -> None:
    for _ in range(3):
        rotated(server)
    newest = server.query("SHOW BINARY LOGS")[-1][0]

    def is_gone() -> bool:
        # MariaDB keeps what a checkpoint of its storage engine still needs, without a word.
        server.execute(f"PURGE BINARY LOGS TO '{newest}'")
        return len(server.query("SHOW BINARY LOGS")) == 1

    wait_until(is_gone, "the purge", 15)


def reset(server: DatabaseServer) -> None:
    is_mysql = server.flavour == "mysql"
    server.execute("RESET BINARY LOGS AND GTIDS" if is_mysql else "RESET MASTER")


def reset_and_grown(server: DatabaseServer) -> None:
    reset(server)
    server.execute("CREATE DATABASE IF NOT EXISTS noise; CREATE TABLE IF NOT EXISTS noise.n (b LONGTEXT)")
    for _ in range(5):
        server.execute("INSERT INTO noise.n VALUES (REPEAT('y', 500000))")


CODES: dict[Callable[[DatabaseServer], None], set[str]] = {
    purge: {"log.purged"},
    reset: {"log.purged", "log.shorter", "log.remade"},
    reset_and_grown: {"log.remade", "log.another", "log.purged"},
}


@pytest.mark.one_flavour("mysql")
@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(purge, id="purged", marks=pytest.mark.soak),
        pytest.param(reset, id="begun anew", marks=pytest.mark.soak),
        # Only the time at its head tells the file from the one before.
        pytest.param(reset_and_grown, id="begun anew and grown"),
    ],
)
def test_a_gap_has_its_times_is_told_once_and_ends_with_a_new_base(
    own_server: DatabaseServer, ship: Ship, happens: Callable[[DatabaseServer], None]
) -> None:
    shipped = ship(ship_shop(own_server))
    write(shipped, 1)
    shipped.look()
    until = shipped.archive.stored_until
    happens(own_server)
    write(shipped, 2)

    shipped.look()

    (gap,) = shipped.gaps
    assert gap.code in CODES[happens]
    assert (gap.begins, gap.ends) == (until, None)
    assert shipped.archive.state == "broken"
    assert Run.objects.filter(database=shipped.database, action=Action.BACKUP, status="queued").count() == 1
    (alert,) = Alert.objects.filter(subject=log_subjects.of_gap(shipped.database))
    assert alert.state == "failed"

    # Nothing is told twice, nor asked for twice.
    told = alert.since
    shipped.look()
    assert len(shipped.gaps) == 1
    assert Run.objects.filter(database=shipped.database, status="queued").count() == 1
    alert.refresh_from_db()
    assert alert.since == told

    Run.objects.filter(status="queued").delete()
    shipped.base()
    write(shipped, 3)
    shipped.look()
    (gap,) = shipped.gaps
    assert gap.ends is not None
    assert gap.ends > gap.begins
    assert shipped.archive.state == "following"
    alert.refresh_from_db()
    assert alert.state == "good"
    # What was lost was in no piece; what came after is.
    assert len(shipped.transactions()) == 2


@pytest.mark.soak
def test_an_old_data_folder_put_back_is_a_gap(ship: Ship) -> None:
    with logging("mariadb") as server:
        shipped = ship(ship_shop(server))
        server.stop()
        shutil.copytree(server.folder / "data", server.folder / "before")
        server.start()
        write(shipped, 1)
        shipped.look()

        server.stop()
        shutil.rmtree(server.folder / "data")
        (server.folder / "before").rename(server.folder / "data")
        server.start()
        write(shipped, 9)
        write(shipped, 10)
        shipped.look()

        assert [gap.code for gap in shipped.gaps] != []
        assert shipped.archive.state == "broken"


def test_switched_off_and_on_again_is_a_gap(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(shared_mariadb))
    write(shipped, 1)
    shipped.look()
    until = shipped.archive.stored_until
    log_archives.switch_off(shipped.database, "a test")
    write(shipped, 2)
    shipped.look()
    assert len(shipped.transactions()) == 1

    switching.switch_on(shipped.database, "a test")

    (gap,) = shipped.gaps
    assert (gap.code, gap.begins, gap.ends) == ("log.switched_off", until, None)
    Run.objects.filter(status="queued").delete()
    shipped.base()
    assert shipped.gaps[0].ends is not None


# Below, another server behind the same address.
@pytest.mark.soak
def test_an_edited_host_is_a_gap(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(shared_mariadb))
    row = shipped.database.server
    row.host = "localhost"
    row.save()

    shipped.look()

    assert [gap.code for gap in shipped.gaps] == ["log.address_changed"]


def test_another_server_behind_the_address_is_a_gap(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(shared_mariadb))
    # As of the one that was followed before a failover.
    LogArchive.objects.update(server_uuid="of the one before")

    shipped.look()

    assert [gap.code for gap in shipped.gaps] == ["log.another_server"]


@pytest.mark.one_flavour("mariadb")
def test_killed_between_the_gap_and_its_base_it_is_still_there(
    own_server: DatabaseServer, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = ship(ship_shop(own_server))
    purge(own_server)
    write(shipped, 1)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("backups.shipping.bases.ask_for_one", dies)
        with pytest.raises(KeyboardInterrupt):
            Minutes()._look()
    assert len(shipped.gaps) == 1

    shipped.look()

    assert len(shipped.gaps) == 1
    assert Run.objects.filter(database=shipped.database, status="queued").count() == 1


def test_gaps_are_acknowledged_up_to_what_was_seen(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(shared_mariadb))
    now = timezone.now()
    first, second = (
        LogGap.objects.create(
            database=shipped.database, begins=now, ends=now, code="log.purged", sentence="x"
        )
        for _ in range(2)
    )

    assert log_archives.acknowledge(shipped.database, first.pk, "ada") == 1

    second.refresh_from_db()
    assert second.acknowledged_at is None


# Above, what is stored behind a gap begins behind it.
@pytest.mark.soak
def test_a_piece_begins_behind_a_gap_in_its_file(shared_mariadb: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(shared_mariadb))
    write(shipped, 1)
    shipped.look()
    log_archives.switch_off(shipped.database, "a test")
    write(shipped, 2)
    switching.switch_on(shipped.database, "a test")
    Run.objects.filter(status="queued").delete()
    shipped.base()
    # Another process, which knows no more than the rows.
    write(shipped, 3)
    shipped.look()

    before, after = shipped.pieces
    assert before.end < after.start
    assert shipped.archive.gtids["from"]["position"] <= after.start
    assert len(shipped.transactions()) == 2


@pytest.mark.one_flavour("mariadb")
def test_a_backup_at_which_no_log_can_begin_says_why_in_its_log(server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(server))
    server.execute(f"REVOKE BINLOG MONITOR ON *.* FROM '{shipped.shop.user}'@'%'")

    run = shipped.back_up(shipped.database)

    assert run.result["log"]["exact"] is False
    said = "\n".join(RunLine.objects.filter(run=run).order_by("pk").values_list("text", flat=True))
    assert "No stored log can be replayed on it: it has no exact position" in said
