"""A storage that takes what is sent and never answers: it keeps nobody waiting but its own databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.utils import timezone

from backups.alerting import log_subjects
from backups.choices import AlertState
from backups.models import Alert, LogArchive, Repository, Server
from backups.shipping import gaps, leases, minutes, patience, reading_back, storing
from backups.shipping.following import ServerFollower
from backups.shipping.minutes import Minutes
from backups.shipping.patience import Patience
from tests.backups.conftest import bucket, s3_repository
from tests.backups.worlds import wait_until
from tests.servers import DatabaseServer, S3Server
from tests.servers.faulty_s3 import Fault, FaultyS3, hang
from tests.shipping.conftest import Ship, Shipped, ship_shop

__all__ = ["bucket", "s3_repository"]
TO_STORE, TO_READ = "PUT .*/data/", "GET .*/data/"


@pytest.fixture
def storage(s3_server: S3Server) -> Iterator[FaultyS3]:
    """An S3 storage that hangs when it is told to."""
    with FaultyS3(s3_server) as storage:
        yield storage


@pytest.fixture
def beside_one_that_hangs(
    shared_mariadb: DatabaseServer,
    ship: Ship,
    storage: FaultyS3,
    s3_server: S3Server,
    s3_repository: str,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Shipped, Shipped]:
    """Two databases of one server: one in a folder, the other in a storage that may hang."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(patience, "BESIDE_SECONDS", 7.0)
    monkeypatch.setattr(patience, "QUICK_SECONDS", 6.0)
    monkeypatch.setattr(patience, "APART_SECONDS", 7.0)
    well, shop = ship(ship_shop(shared_mariadb)), ship_shop(shared_mariadb)
    shared_mariadb.execute(f"GRANT ALL ON {shop.name}.* TO '{well.shop.user}'@'%'")
    shop = replace(shop, user=well.shop.user, password=well.shop.password)
    away = Repository.objects.create(
        name="away",
        url=storage.in_front_of(s3_repository),
        password_ref=well.database.repository.password_ref,
    )
    return well, ship(shop, is_primary=False, server=well.database.server, repository=away)


def write(shipped: Shipped, number: int) -> None:
    shipped.shop.execute(f"INSERT INTO orders VALUES ({number}, REPEAT('x', 100))")


def is_quick(follower: ServerFollower) -> bool:
    return follower.is_quick


@pytest.mark.django_db
def test_it_is_followed_apart_and_told_until_it_answers_again(
    beside_one_that_hangs: tuple[Shipped, Shipped], storage: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, away = beside_one_that_hangs
    whole = ServerFollower(well.database.server, lambda: None)
    apart = ServerFollower(well.database.server, lambda: None, away.database.repository_id)
    write(well, 1)
    write(away, 1)

    with storage.failing(Fault(hang, TO_STORE)):
        began = time.monotonic()
        assert whole.minute()
        assert time.monotonic() - began < 120
        assert whole.slow == {away.database.repository_id}
        assert (well.rows_stored(), well.archive.problem) == (1, "")
        assert "cannot be reached" in away.archive.problem

        # From now on the others go on without it.
        asked = len(storage.requests)
        write(well, 2)
        write(away, 2)
        assert not whole.minute()
        assert (well.rows_stored(), len(storage.requests)) == (2, asked)

        assert not apart.minute()
        assert not is_quick(apart)
        monkeypatch.setattr(gaps, "LATE", timedelta(seconds=1))
        whole.minute()
        alert = Alert.objects.get(subject=str(log_subjects.of_lateness(away.database)))
        assert alert.state == AlertState.OVERDUE
        assert "Nothing is lost as long as the server keeps its log" in alert.text

    apart.minute()

    assert is_quick(apart)
    assert (away.rows_stored(), away.archive.problem) == (2, "")
    alert.refresh_from_db()
    assert alert.state == AlertState.GOOD
    whole.close()
    apart.close()


@pytest.mark.django_db
@pytest.mark.soak
def test_one_that_gives_nothing_back_is_not_waited_for(
    beside_one_that_hangs: tuple[Shipped, Shipped], storage: FaultyS3
) -> None:
    """As of what is stored is read, to prove it."""
    well, away = beside_one_that_hangs
    write(away, 1)
    whole = ServerFollower(well.database.server, lambda: None)
    whole.minute()
    away.pieces[0].__class__.objects.update(sealed=True, read_back_at=None)

    with storage.failing(Fault(hang, TO_READ)):
        began = time.monotonic()
        whole.minute()
        assert time.monotonic() - began < 120

    assert whole.slow == {away.database.repository_id}
    assert away.archive.problem == ""
    access = storing.access_to(away.database)
    found = reading_back.read_back(away.database, access, lambda: None)
    assert (found.read, found.wrong) == (len(away.pieces), ())
    whole.close()


def test_who_hangs_is_asked_once_in_a_look_however_many_databases_it_has() -> None:
    now = [0.0]
    of_look = Patience(is_apart=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: now[0])
        with of_look.waiting_for(1):
            of_look.stored()
            now[0] += 3
        with suppress(storing.InUse), of_look.waiting_for(2):
            raise storing.InUse("Somebody has it.")
        assert of_look.is_quick
        with suppress(storing.InUse), of_look.waiting_for(3):
            now[0] += patience.BESIDE_SECONDS
            raise storing.InUse("It did not answer.")

    assert [of_look.is_over(each) for each in (1, 2, 3)] == [False, False, True]
    assert str(of_look.problem_of(3)) == "It did not answer."
    assert of_look.slow == {3}
    assert not of_look.is_quick


def test_it_is_looked_after_beside_its_server_and_with_it_again_when_it_is_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(pk=1, name="main")
    looks: list[int | None] = []
    answers, is_well = threading.Event(), False

    def minute(follower: ServerFollower) -> bool:
        looks.append(follower._apart)
        if follower._apart is None and looks.count(None) == 1:
            follower.slow = frozenset({7})
        if follower._apart is not None:
            answers.wait(60)
        return False

    following = Minutes()
    found = Mock()
    found.filter.return_value.distinct.return_value = [server]
    monkeypatch.setattr(Server, "objects", found)
    monkeypatch.setattr(LogArchive.objects, "wanted", list)
    monkeypatch.setattr(ServerFollower, "minute", minute)
    monkeypatch.setattr(ServerFollower, "is_quick", property(lambda follower: is_well))
    monkeypatch.setattr(minutes, "MINUTE_SECONDS", 0.2)
    monkeypatch.setattr(minutes, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(minutes, "_LIST_SECONDS", 0.1)
    running = threading.Thread(target=following.run)
    running.start()
    try:
        wait_until(lambda: looks.count(None) > 3 and 7 in looks, "looks at the others", 20)
        assert looks.count(7) == 1
        is_well = True
        answers.set()
        wait_until(lambda: list(following._followers) == [(1, 0)], "it to go with the others", 20)
        assert not following._followers[1, 0].slow
    finally:
        answers.set()
        following.stop()
        running.join(20)
    assert not running.is_alive()


@pytest.mark.django_db
def test_the_lease_is_held_while_restic_works(
    shared_mariadb: DatabaseServer, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may take longer than a lease: no other host is to store the same meanwhile."""
    well = ship(ship_shop(shared_mariadb))
    archive = well.archive
    assert leases.take(archive)
    LogArchive.objects.filter(pk=archive.pk).update(lease_until=timezone.now())
    monkeypatch.setattr(leases, "_AGAIN_SECONDS", -1.0)

    leases.Holding([archive], lambda: None).tick()

    assert well.archive.lease_until > timezone.now()  # type: ignore[operator]
