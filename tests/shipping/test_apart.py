"""Who fails, or is slow, keeps nobody else from having its log stored."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from unittest.mock import Mock

import pytest

from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.models import Database, LogArchive, LogPiece, Repository, Server
from backups.shipping import minutes, reading_back, storing, stream
from backups.shipping.following import ServerFollower
from backups.shipping.minutes import Minutes
from backups.shipping.reading_back import Chain, Limits
from tests.backups.worlds import wait_until
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, ship_shop


@pytest.fixture
def beside_one_that_fails(shared_mariadb: DatabaseServer, ship: Ship) -> tuple[Shipped, Shipped]:
    """Two databases of one server; the repository of the second one is away."""
    well, shop = ship(ship_shop(shared_mariadb)), ship_shop(shared_mariadb)
    shared_mariadb.execute(f"GRANT ALL ON {shop.name}.* TO '{well.shop.user}'@'%'")
    shop = replace(shop, user=well.shop.user, password=well.shop.password)
    away = ship(shop, is_primary=False, server=well.database.server)
    away.database.repository = Repository.objects.create(
        name="away", url="/nowhere/that/is", password_ref=well.database.repository.password_ref
    )
    away.database.save()
    return well, away


@pytest.mark.django_db
def test_a_repository_that_is_away_keeps_no_other_log_waiting_and_has_nothing_fetched_again_at_once(
    beside_one_that_fails: tuple[Shipped, Shipped], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place stays where it is, which more than one fetch of the server's log lies behind soon."""
    well, away = beside_one_that_fails
    monkeypatch.setattr(stream, "MOST_BYTES", 1 << 16)
    away.shop.execute("INSERT INTO orders VALUES (1, 'never stored')")
    well.look()
    assert away.archive.problem_code

    for number in range(3):
        note = "REPEAT('x', 200)"
        values = ", ".join(f"({1000 * number + each}, {note})" for each in range(600))
        well.shop.execute(f"INSERT INTO orders VALUES {values}")
        well.look()
    well.look()

    assert well.rows_stored() >= 3
    assert well.archive.position > away.archive.position  # type: ignore[operator]
    assert well.archive.problem == ""
    assert well.archive.told_until > away.archive.told_until

    # What cannot be stored.
    monkeypatch.setattr(stream, "MOST_BYTES", 1 << 10)
    values = ", ".join(f"({each}, REPEAT('x', 200))" for each in range(100))
    for _ in range(3):
        away.shop.execute(f"REPLACE INTO orders VALUES {values}")
    follower = ServerFollower(well.database.server, lambda: None)

    while follower.minute():
        pass

    assert away.archive.problem_code
    assert well.archive.problem == ""
    follower.close()


def four(server: Server) -> list[LogArchive]:
    """Archives of a server's databases that are nowhere but here."""
    databases = [Database(pk=key, name=f"db{key}", server=server) for key in range(1, 5)]
    return [LogArchive(pk=each.pk, database=each) for each in databases]


def test_the_gate_is_told_of_each_database_before_the_next_ones_storage_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    server = Server(pk=1, name="main")
    follower = ServerFollower(server, lambda: None)

    def save(_: ServerFollower, archive: LogArchive, *_more: object) -> None:
        done.append(f"stored {archive}")
        if archive.pk == 2:
            raise Problem("Its storage is away.", code="restic.unreachable")

    monkeypatch.setattr(ServerFollower, "_save", save)
    monkeypatch.setattr(ServerFollower, "_failed", lambda *_: None)
    monkeypatch.setattr(heartbeat_files, "write_last_logged", lambda told: done.append(f"told {told[0]}"))
    follower._save_all(four(server)[:3], None)

    assert done == ["stored db1", "told db1", "stored db2", "stored db3", "told db3"]


def test_reading_back_takes_no_longer_however_many_databases_a_server_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whom one look does not come to, the next one begins with."""
    server = Server(pk=1, name="main")
    archives = four(server)
    archives[2].problem_code = "restic.unreachable"
    follower = ServerFollower(server, lambda: None)
    follower._followers = {each.pk: Mock() for each in archives}
    now = [100.0]
    asked: list[tuple[str, float]] = []

    def read(database: Database, access: object, tick: object, limits: Limits, *, cutter: object) -> Chain:
        assert limits.begin is not None
        asked.append((database.name, limits.begin))
        now[0] += 8
        return Chain(1, 1, ())

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(reading_back, "pieces_of", lambda database: [LogPiece(sealed=True)])
    monkeypatch.setattr(reading_back, "read_back", read)
    monkeypatch.setattr(storing, "access_to", Mock())
    looks = []
    for _ in range(3):
        asked.clear()
        follower._read_back_in_turn(archives)
        looks.append(list(asked))

    assert looks[0] == [("db1", 15.0), ("db2", 7.0)]
    assert looks[1] == [("db4", 15.0), ("db1", 7.0)]
    assert looks[2] == [("db2", 15.0), ("db4", 7.0)]


def test_a_server_whose_look_takes_long_keeps_no_other_server_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, quick = (Server(pk=key, name=name) for key, name in enumerate(("slow", "quick"), 1))
    looks: list[str] = []
    is_over = threading.Event()

    def minute(follower: ServerFollower) -> bool:
        looks.append(follower.server.name)
        if follower.server == slow:
            is_over.wait(60)
        return False

    following = Minutes()
    followers = {(each.pk, 0): ServerFollower(each, lambda: None) for each in (slow, quick)}
    following._followers = followers
    monkeypatch.setattr(ServerFollower, "minute", minute)
    monkeypatch.setattr(Minutes, "_wanted", lambda _: list(followers))
    monkeypatch.setattr(minutes, "MINUTE_SECONDS", 0.2)
    monkeypatch.setattr(minutes, "_POLL_SECONDS", 0.05)
    running = threading.Thread(target=following.run)
    running.start()
    try:
        wait_until(lambda: looks.count("quick") > 3, "looks at the other server", 20)
        assert looks.count("slow") == 1
    finally:
        is_over.set()
        following.stop()
        running.join(20)
    assert not running.is_alive()
