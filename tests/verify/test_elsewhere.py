"""Test restores on another server: what is comparable is compared, the rest is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups.models import Snapshot, Verification
from backups.stream import manifest_text
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, client_dir
from tests.servers import DatabaseServer
from tests.verify.tools import back_up, dumped, log_of, meddling_clients, stored, verdict, verify, with_least


@pytest.fixture
def other_mariadb() -> Iterator[DatabaseServer]:
    """Another server of the same kind."""
    with DatabaseServer("mariadb") as server:
        yield server


def elsewhere(settings: Settings, monkeypatch: pytest.MonkeyPatch, shop: Shop) -> Shop:
    """Verify on this shop's server, as a user who has nothing but the grants for that."""
    seen = with_least(shop, "verify")
    settings.VERIFY_MYSQL_HOST = seen.server.host
    settings.VERIFY_MYSQL_PORT = seen.server.port
    settings.VERIFY_MYSQL_USER = seen.user
    monkeypatch.setenv("VERIFY_MYSQL_PASSWORD", seen.password)
    return seen


def test_scratch_database_on_another_server(
    mariadb_shop: Shop,
    other_mariadb: DatabaseServer,
    make_database: MakeDatabase,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = make_database(mariadb_shop)
    back_up(database)
    other = elsewhere(settings, monkeypatch, Shop(other_mariadb, mariadb_shop.name, "", ""))

    run = verify(database)

    assert verdict(run).verdict == "identical", verdict(run).differences
    assert verdict(run).not_compared == []
    assert f"at {other.server.host}:{other.server.port}" in log_of(run)


def test_another_patch_version_is_told_and_rows_are_compared(
    least_shop: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(least_shop)

    run = verify(database, with_server(back_up(database), "8.0.1-older"))

    found = verdict(run)
    assert found.verdict == "identical", found.differences
    assert "8.0.1" in found.source_version
    assert found.source_version != found.scratch_version


def with_server(snapshot: Snapshot, version: str) -> Snapshot:
    """The same snapshot, said to be of a server of another version."""
    assert snapshot.manifest is not None
    manifest = {**snapshot.manifest, "server": {**snapshot.manifest["server"], "version": version}}
    body, _, _ = dumped(snapshot).partition(b"\n-- Vedetta manifest ")
    return stored(snapshot, body + manifest_text(manifest))


def test_changed_row_is_found_also_from_another_version(
    mariadb_least_shop: Shop, make_database: MakeDatabase, tmp_path: Path, settings: Settings
) -> None:
    database = make_database(mariadb_least_shop)
    snapshot = with_server(back_up(database), "10.6.1-MariaDB")
    settings.MYSQL_CLIENT_DIR = meddling_clients(
        mariadb_least_shop,
        tmp_path / "clients",
        "UPDATE customers SET name = 'Eve' WHERE id = 1; ALTER TABLE orders ADD KEY note (note)",
    )

    found = verdict(verify(database, snapshot))

    assert found.verdict == "different"
    assert found.differences == ["rows customers differs after the restore"]
    (not_compared,) = found.not_compared
    assert not_compared.startswith("table orders differs after the restore (from MariaDB 10.6.1, compared on")


def test_dump_of_mariadb_on_mysql(
    mariadb_shop: Shop,
    mysql_server: DatabaseServer,
    make_database: MakeDatabase,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other flavour may not take the dump, which says nothing against the snapshot."""
    mariadb_shop.execute("CREATE SEQUENCE numbers")
    database = make_database(mariadb_shop)
    back_up(database)
    elsewhere(settings, monkeypatch, Shop(mysql_server, mariadb_shop.name, "", ""))
    settings.MYSQL_CLIENT_DIR = client_dir(mysql_server)

    run = verify(database)

    assert run.status == "failed"
    assert not Verification.objects.filter(run=run).exists()
    assert "Nothing was proved" in run.error
    assert "was dumped from MariaDB 10.11" in run.error
    assert "Set VERIFY_MYSQL_HOST to a server of the same kind and release." in run.error
