"""Test restores on another server: what is comparable is compared, the rest is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups.dumpfile.manifests import manifest_text
from backups.models import Database, Snapshot, Verification
from tests.actions.tools import back_up, dumped, log_of, meddling_clients, stored, verdict, verify, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, client_dir, make_shop, over_and_over
from tests.servers import DatabaseServer


@pytest.fixture(scope="module")
def other_mariadb() -> Iterator[DatabaseServer]:
    """Another server of MariaDB."""
    with DatabaseServer("mariadb") as server:
        yield server


@pytest.fixture(scope="module")
def other_mysql() -> Iterator[DatabaseServer]:
    """Another server of MySQL."""
    with DatabaseServer("mysql") as server:
        yield server


def elsewhere(settings: Settings, monkeypatch: pytest.MonkeyPatch, shop: Shop) -> Shop:
    """Verify on this shop's server, as a user who has nothing but the grants for that."""
    seen = with_least(shop, "verify")
    settings.VERIFY_MYSQL_HOST = seen.server.host
    settings.VERIFY_MYSQL_PORT = seen.server.port
    settings.VERIFY_MYSQL_USER = seen.user
    monkeypatch.setenv("VERIFY_MYSQL_PASSWORD", seen.password)
    return seen


# Below, each of two databases is verified on another server.
@pytest.mark.soak
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


def test_a_portal_with_both_kinds_verifies_each_on_a_server_of_its_own(
    mariadb_shop: Shop,
    mysql_server: DatabaseServer,
    other_mariadb: DatabaseServer,
    other_mysql: DatabaseServer,
    make_database: MakeDatabase,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One by VERIFY_MYSQL_HOST, one by its row; until that names one it is refused, and nothing is made."""
    mysql_shop = make_shop(mysql_server)
    first = make_database(mariadb_shop)
    elsewhere(settings, monkeypatch, Shop(other_mariadb, mariadb_shop.name, "", ""))
    monkeypatch.setenv("VERIFY_SECOND_LIVE", mysql_shop.password)
    second = make_database(mysql_shop, is_primary=False, password_ref="env:VERIFY_SECOND_LIVE")
    settings.MYSQL_CLIENT_DIR = f"{mariadb_shop.server.client_dir}:{mysql_server.client_dir}"
    monkeypatch.setenv("MYSQL_PASSWORD", mariadb_shop.password)
    for database in (first, second):
        back_up(database)

    with no_database_appears(mariadb_shop.server, mysql_server):
        with no_database_appears(other_mariadb, other_mysql):
            refused = verify(second)
        place = with_least(Shop(other_mysql, mysql_shop.name, "", ""), "verify")
        monkeypatch.setenv("VERIFY_SECOND", place.password)
        name_place(second, place, "env:VERIFY_SECOND")
        told = {database: verdict(verify(database)) for database in (first, second)}

    assert refused.status == "failed"
    assert "is of MySQL, and its test restores go to MariaDB 10.11" in refused.error
    assert (
        f"For a proof, name a server of MySQL for test restores of {second} in the portal." in refused.error
    )
    for database, server in ((first, other_mariadb), (second, other_mysql)):
        found = told[database]
        assert found.verdict == "identical", found.differences
        assert found.scratch_address == f"{server.host}:{server.port}"
        assert found.run.result["verified_on"]["address"] == found.scratch_address
    assert "VERIFY_MYSQL_HOST" in told[first].run.result["verified_on"]["set_by"]
    assert f"for test restores of {second} in the portal" in told[second].run.result["verified_on"]["set_by"]


def name_place(database: Database, place: Shop, reference: str) -> None:
    """As a person does it in the form."""
    database.verify_host, database.verify_port = place.server.host, place.server.port
    database.verify_user, database.verify_password_ref = place.user, reference
    database.full_clean()
    database.save()


@contextmanager
def no_database_appears(*servers: DatabaseServer) -> Iterator[None]:
    """Fail where one of the servers lists a database at any time in a block that it did not before it."""

    def listed() -> set[tuple[int, str]]:
        return {(each.port, str(name)) for each in servers for (name,) in each.query("SHOW DATABASES")}

    before, appeared = listed(), set[tuple[int, str]]()
    with over_and_over(lambda: appeared.update(listed() - before), pause=0.02):
        yield
    assert appeared == set()


# Below, another version, of which a row is otherwise.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
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
    copy = stored(snapshot, body + manifest_text(manifest))
    copy.manifest = manifest
    copy.save(update_fields=["manifest"])
    return copy


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
    """What the other flavour takes or not says nothing of the snapshot, so it is not even tried."""
    mariadb_shop.execute("CREATE SEQUENCE numbers")
    database = make_database(mariadb_shop)
    back_up(database)
    elsewhere(settings, monkeypatch, Shop(mysql_server, mariadb_shop.name, "", ""))
    settings.MYSQL_CLIENT_DIR = client_dir(mysql_server)

    run = verify(database)

    assert run.status == "failed"
    assert not Verification.objects.filter(run=run).exists()
    assert "Nothing was proved" in run.error
    assert "is of MariaDB, and its test restores go to MySQL" in run.error
    assert f"name a server of MariaDB for test restores of {database} in the portal" in run.error
    assert "or set VERIFY_MYSQL_HOST to a server of MariaDB." in run.error
