"""What a proof is good for: the gate, and the order of snapshots."""

from __future__ import annotations

from datetime import datetime, timedelta

from pytest_django.fixtures import Settings

from backups.models import Database
from sentinel import heartbeat
from tests.actions.tools import back_up, verdict, verify
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Shop


def last_verified(settings: Settings, database: Database) -> datetime | None:
    name = None if database.is_primary else database.name
    path = heartbeat.last_verified_path(settings.SENTINEL.heartbeat_path, name)
    return heartbeat.stamp_read(path).time


def near(time: datetime | None, other: datetime) -> bool:
    return time is not None and abs(time - other) < timedelta(seconds=1)


def test_proof_bears_the_snapshots_time(
    mariadb_least_shop: Shop, make_database: MakeDatabase, settings: Settings
) -> None:
    database = make_database(mariadb_least_shop)
    old = back_up(database)
    old.time -= timedelta(days=2)
    old.save()
    assert last_verified(settings, database) is None

    verify(database)
    assert near(last_verified(settings, database), old.time)

    newer = back_up(database)
    verify(database)
    assert near(last_verified(settings, database), newer.time)

    # An older one that is verified later turns nothing back.
    assert verdict(verify(database, old)).verdict == "identical"
    assert near(last_verified(settings, database), newer.time)


def test_each_database_has_a_proof_of_its_own(
    mariadb_least_shop: Shop, make_database: MakeDatabase, settings: Settings
) -> None:
    make_database(mariadb_least_shop, name="first", database="not there")
    second = make_database(mariadb_least_shop, name="second", is_primary=False)

    snapshot = back_up(second)
    verify(second)

    assert near(last_verified(settings, second), snapshot.time)
    assert not heartbeat.last_verified_path(settings.SENTINEL.heartbeat_path, None).exists()


def test_gate_wants_a_proof_where_it_is_told_to(mariadb_least_shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(
        mariadb_least_shop, SENTINEL_VERIFIED_THRESHOLD_SECONDS="3600", SENTINEL_BOOT_GRACE_SECONDS="1"
    )
    ask = (
        "from django.test import Client; r = Client(HTTP_HOST='localhost').get('/sentinel/ok');"
        "print(r.status_code, r['X-Backup-Status'])"
    )
    assert portal.backup().code == 0
    assert portal.shell(ask) == "503 unverified"

    assert portal.manage("verify").code == 0
    assert portal.shell(ask) == "200 fresh"

    old = datetime.now().astimezone() - timedelta(hours=2)
    heartbeat.stamp_write(portal.folder / "status" / "last_verified", old)
    assert portal.shell(ask) == "503 unverified"
