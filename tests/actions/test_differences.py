"""What does not come back as it was is found, and named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups import mysql
from backups.models import Run, Snapshot
from sentinel import heartbeat
from tests.actions.tools import back_up, dumped, meddling_clients, stored, verdict, verify, with_least
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Shop

Meddled = Callable[[str], str]
# What someone else does to the scratch database once all is loaded, and what is then found.
MEDDLING = {
    "UPDATE customers SET name = 'Eve' WHERE id = 1": ["rows customers differs after the restore"],
    "DELETE FROM orders WHERE id = 3; DROP TRIGGER orders_noted; DROP TABLE journal;"
    " CREATE TABLE extra (id INT); DROP VIEW open_orders; DROP EVENT nightly; DROP FUNCTION twice;"
    " ALTER TABLE customers ADD KEY name (name)": [
        "event nightly is missing after the restore",
        "function twice is missing after the restore",
        "table extra is there after the restore, but not in the dump",
        "table journal is missing after the restore",
        "a trigger of table orders is missing after the restore",
        "view open_orders is missing after the restore",
        "table customers differs after the restore",
        "rows orders differs after the restore",
        "trigger orders_noted is missing after the restore",
    ],
}


@pytest.fixture
def meddled(least_shop: Shop, tmp_path: Path) -> Meddled:
    """A MYSQL_CLIENT_DIR with which a statement more is run in what was loaded."""
    return lambda statement: meddling_clients(least_shop, tmp_path / "clients", statement)


def assert_found(run: Run, *expected: str) -> None:
    """The run failed for these differences, which the gate does not take for a proof."""
    found = verdict(run)
    assert found.verdict == "different"
    assert set(expected) <= set(found.differences), found.differences
    assert run.status == "failed"
    assert found.differences[0] in run.error
    assert "The live database was not touched." in run.error
    assert run.result["differences"] == found.differences
    found.snapshot.refresh_from_db()
    assert found.snapshot.verified_at is None


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(each, marks=pytest.mark.one_flavour(flavour))
        for each, flavour in zip(MEDDLING, ("mariadb", "mysql"), strict=True)
    ],
)
def test_what_changed_on_the_scratch_server_is_named(
    least_shop: Shop, make_database: MakeDatabase, meddled: Meddled, settings: Settings, statement: str
) -> None:
    database = make_database(least_shop)
    back_up(database)
    settings.MYSQL_CLIENT_DIR = meddled(statement)

    run = verify(database)

    assert_found(run, *MEDDLING[statement])
    path = settings.SENTINEL.heartbeat_path
    assert not heartbeat.last_verified_path(path, None).exists()


@pytest.mark.one_flavour("mysql")
def test_routine_and_trigger_that_lost_their_comments(
    least_shop: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a client does that is not told to keep them."""
    database = make_database(least_shop)
    back_up(database)
    run_whole = mysql.LoadingConnection.run

    def run_without_comments(connection: mysql.LoadingConnection, statement: bytes) -> None:
        run_whole(connection, re.sub(rb"(?m)^\s*-- .*\n", b"", statement))

    monkeypatch.setattr(mysql.LoadingConnection, "run", run_without_comments)

    run = verify(database)

    assert_found(
        run,
        "procedure close_orders differs after the restore",
        "trigger orders_noted differs after the restore",
    )
    assert len(verdict(run).differences) == 2


def changed_row(text: bytes) -> bytes:
    return text.replace(b"'Edsger'", b"'Eve'")


def without_trigger(text: bytes) -> bytes:
    return re.sub(
        rb"(?s)/\*!50003 SET @saved_cs_client .*?orders_noted.*?\n/\*!50003 SET collation_con[^\n]*\n",
        b"",
        text,
    )


def without_table(text: bytes) -> bytes:
    return re.sub(rb"(?s)--\n-- Table structure for table `journal`.*?(?=--\n-- Table structure)", b"", text)


def with_table(text: bytes) -> bytes:
    added = b"--\n-- Table structure for table `extra`\n--\n\nCREATE TABLE `extra` (`id` int);\n\n"
    return text.replace(
        b"--\n-- Table structure for table `journal`", added + b"--\n-- Table structure for table `journal`"
    )


def without_comment(text: bytes) -> bytes:
    return text.replace(b"-- the first comment\n", b"\n")


def of_another_definer(text: bytes) -> bytes:
    return text.replace(b"DEFINER=`root`@`%`", b"DEFINER=`someone`@`else`")


# Below, a row that was altered there.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_each_definer_that_was_altered_in_the_repository(
    least_shop: Shop, make_database: MakeDatabase
) -> None:
    """Though all is loaded as the verifying user's own, and compared whoever defines it."""
    database = make_database(least_shop)
    good = back_up(database)

    run = verify(database, stored(good, of_another_definer(dumped(good))))

    defined = ("view open_orders", "trigger orders_noted", "procedure close_orders", "function twice")
    assert_found(run, *(f"{each} differs in the stream" for each in (*defined, "event nightly")))
    assert len(verdict(run).differences) == 5


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (changed_row, "rows customers differs in the stream"),
        pytest.param(
            without_trigger, "trigger orders_noted is missing in the stream", marks=pytest.mark.soak
        ),
        pytest.param(without_table, "table journal is missing in the stream", marks=pytest.mark.soak),
        pytest.param(with_table, "table extra was added in the stream", marks=pytest.mark.soak),
        pytest.param(without_comment, "procedure close_orders differs in the stream", marks=pytest.mark.soak),
    ],
)
def test_dump_that_was_altered_in_the_repository(
    mariadb_least_shop: Shop, make_database: MakeDatabase, alter: Callable[[bytes], bytes], expected: str
) -> None:
    database = make_database(mariadb_least_shop)
    good = back_up(database)
    content = dumped(good)
    assert alter(content) != content

    run = verify(database, stored(good, alter(content)))

    assert_found(run, expected)
    assert len([d for d in verdict(run).differences if "header" in d or "footer" in d]) == 0


def other_manifest(text: bytes) -> bytes:
    return text.replace(b'"binary_log"', b'"binary_lag"')


def test_manifest_that_was_altered(mariadb_least_shop: Shop, make_database: MakeDatabase) -> None:
    database = make_database(mariadb_least_shop)
    good = back_up(database)

    run = verify(database, stored(good, other_manifest(dumped(good))))

    assert_found(run, "the manifest in the snapshot is not what was written")


def test_whole_dump_of_another_moment_under_this_ones_row(
    mariadb_least_shop: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(mariadb_least_shop)
    first = back_up(database)
    mariadb_least_shop.execute("INSERT INTO customers VALUES (4, 'Barbara')")
    second = back_up(database)
    # The manifest alone is signed: whoever writes rows may leave the digest out, or give it as it is.
    for digest in (first.dump_sha256, "", second.dump_sha256):
        Snapshot.objects.filter(pk=second.pk).update(
            manifest=first.manifest, signature=first.signature, dump_sha256=digest
        )
        second.refresh_from_db()

        assert_found(verify(database, second), "the manifest is not the one that the backup recorded")


# Above, other rows that come back otherwise.
@pytest.mark.soak
def test_json_column_that_gives_back_other_numbers(mysql_server: object, make_database: MakeDatabase) -> None:
    """MySQL's decimals in JSON are dumped as text and read back as doubles; that is worth knowing."""
    from tests.backups.worlds import make_shop
    from tests.servers import DatabaseServer

    assert isinstance(mysql_server, DatabaseServer)
    shop = make_shop(
        mysql_server,
        "CREATE TABLE t (id INT PRIMARY KEY, j JSON);"
        " INSERT INTO t SELECT 1, JSON_OBJECT('total', CAST(12.50 AS DECIMAL(10,2)));",
    )
    database = make_database(with_least(shop, "dump", "verify"))
    back_up(database)

    run = verify(database)

    (difference,) = verdict(run).differences
    assert_found(run, difference)
    assert difference.startswith("rows t differs after the restore (it has JSON columns")


def test_command_fails_and_says_what_differs(
    mariadb_least_shop: Shop, make_portal: MakePortal, tmp_path: Path
) -> None:
    portal = make_portal(mariadb_least_shop)
    assert portal.backup().code == 0
    meddled = meddling_clients(mariadb_least_shop, tmp_path / "clients", "DROP TRIGGER orders_noted")

    ran = portal.manage("verify", "--json", MYSQL_CLIENT_DIR=meddled)

    assert ran.code == 1
    assert ran.json["status"] == "failed"
    assert ran.json["verdict"] == "different"
    assert ran.json["snapshot_id"] == portal.snapshots()[0]["id"]
    assert "trigger orders_noted is missing after the restore" in ran.json["differences"]
    assert "trigger orders_noted is missing after the restore" in ran.json["error"]
    assert not (portal.folder / "status" / "last_verified").exists()
    assert portal.leftovers() == []

    again = portal.manage("verify", "--json")

    assert again.code == 0
    assert again.json["verdict"] == "identical"
    assert again.json["differences"] == []
    assert (again.json["tables"], again.json["rows"]) == (3, 6)
    assert (portal.folder / "status" / "last_verified").exists()
