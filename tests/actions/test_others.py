"""Snapshots that the old shell scripts made: adopted, verified, and what was not compared is named."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from backups import mysql
from backups.models import Database, Snapshot
from tests.actions.tools import back_up, log_of, restic, sync, verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, make_shop
from tests.servers import DatabaseServer


def shell_dump(shop: Shop, *options: str) -> bytes:
    """What the scripts' `mysqldump --single-transaction --routines --triggers --events` writes."""
    name = "mariadb-dump" if shop.server.flavour == "mariadb" else "mysqldump"
    done = subprocess.run(
        [
            shop.server.client_dir / name, f"--host={shop.server.host}", f"--port={shop.server.port}",
            f"--user={shop.server.user}", "--single-transaction", "--routines", "--triggers", "--events",
            *([] if shop.server.flavour == "mariadb" else ["--no-tablespaces", "--set-gtid-purged=ON"]),
            *options,
        ],
        env={**os.environ, "MYSQL_PWD": shop.server.password}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def adopted(database: Database, content: bytes, ending: str) -> Snapshot:
    """The snapshot as `… | restic backup --stdin` made it in a container, found by `snapshots`."""
    restic(
        database.repository, "backup", "--host", "3f1c2a9b7d4e", "--tag", "mysql", "--tag", "auto",
        "--stdin", "--stdin-filename", f"/mysql/{database.database}{ending}", stdin=content,
    )  # fmt: skip
    Snapshot.objects.all().delete()
    sync(database.repository)
    (snapshot,) = database.snapshots.all()
    assert snapshot.manifest is None
    assert snapshot.host == "3f1c2a9b7d4e"
    return snapshot


def checksum(shop: Shop) -> list[tuple[object, ...]]:
    """What the live database holds, definitions included."""
    return [
        *shop.query("CHECKSUM TABLE customers, orders, journal"),
        *shop.query(
            "SELECT ROUTINE_NAME, ROUTINE_DEFINITION, LAST_ALTERED FROM information_schema.ROUTINES"
            " WHERE ROUTINE_SCHEMA = %s ORDER BY 1",
            [shop.name],
        ),
        *shop.query(
            "SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
            " ORDER BY 1",
            [shop.name],
        ),
    ]


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        pytest.param(".sql.gz", (), marks=pytest.mark.soak),
        pytest.param(".sql", (), marks=pytest.mark.one_flavour("mariadb")),
        pytest.param(".sql.gz", ("--databases",), marks=pytest.mark.one_flavour("mysql")),
    ],
    ids=str,
)
def test_snapshot_of_the_old_scripts(
    least_shop: Shop, make_database: MakeDatabase, ending: str, options: tuple[str, ...]
) -> None:
    database = make_database(least_shop, name="orders")
    content = shell_dump(least_shop, *options, least_shop.name)
    assert (b"CREATE DATABASE" in content) == bool(options)
    snapshot = adopted(database, gzip.compress(content) if ending == ".sql.gz" else content, ending)
    before = checksum(least_shop)

    run = verify(database)

    found = verdict(run)
    assert found.verdict == "identical", found.differences
    assert found.snapshot == snapshot
    assert (found.tables, found.rows) == (3, 6)
    assert found.source_version == "unknown"
    assert "stream digest and manifest: the snapshot has none" in found.not_compared[0]
    assert "the dump's closing line" in found.compared
    assert "the inventory of tables, views, triggers, routines and events" in found.compared
    assert "Not compared: stream digest and manifest" in log_of(run)
    assert checksum(least_shop) == before


def test_half_a_dump_of_the_old_scripts(mariadb_least_shop: Shop, make_database: MakeDatabase) -> None:
    """The scripts stored whatever came through the pipe."""
    database = make_database(mariadb_least_shop)
    content = shell_dump(mariadb_least_shop, mariadb_least_shop.name)
    adopted(database, gzip.compress(content[:3000]), ".sql.gz")

    assert verdict(verify(database)).verdict == "unreadable"


def test_dump_of_the_old_scripts_that_lost_a_trigger_on_the_way(
    mariadb_least_shop: Shop, make_database: MakeDatabase, tmp_path: Path, settings: object
) -> None:
    from pytest_django.fixtures import Settings

    from tests.actions.tools import meddling_clients

    assert isinstance(settings, Settings)
    database = make_database(mariadb_least_shop)
    adopted(database, shell_dump(mariadb_least_shop, mariadb_least_shop.name), ".sql")
    settings.MYSQL_CLIENT_DIR = meddling_clients(
        mariadb_least_shop, tmp_path / "clients", "DROP TRIGGER orders_noted"
    )

    found = verdict(verify(database))

    assert found.verdict == "different"
    assert found.differences == ["a trigger of table orders is missing after the restore"]


# A trigger under another collation between two under the database's own, and a name for each.
OTHER_COLLATIONS = """
CREATE TABLE copies (what VARCHAR(20));
ALTER DATABASE {name} COLLATE latin1_german2_ci;
DELIMITER ;;
CREATE TRIGGER {name}.copied BEFORE INSERT ON {name}.copies FOR EACH ROW
BEGIN
  SET NEW.what = UPPER(NEW.what);
END;;
CREATE TRIGGER copied_too BEFORE UPDATE ON copies FOR EACH ROW SET NEW.what = LOWER(NEW.what);;
CREATE PROCEDURE older() SELECT 'made under another collation';;
CREATE EVENT older ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;;
DELIMITER ;
ALTER DATABASE {name} COLLATE utf8mb4_unicode_ci;
CREATE TRIGGER copied_last AFTER UPDATE ON copies FOR EACH ROW SET @last = 1;
"""
SEQUENCE = """
CREATE SEQUENCE numbers;
CREATE TABLE numbered (id BIGINT DEFAULT nextval(numbers) PRIMARY KEY, what VARCHAR(20));
INSERT INTO numbered (what) VALUES ('a'), ('b');
"""


def collations(shop: Shop) -> list[tuple[object, ...]]:
    """What each trigger, routine and event of a database was made under."""
    return [
        row
        for table, schema, name in (
            ("TRIGGERS", "TRIGGER_SCHEMA", "TRIGGER_NAME"),
            ("ROUTINES", "ROUTINE_SCHEMA", "ROUTINE_NAME"),
            ("EVENTS", "EVENT_SCHEMA", "EVENT_NAME"),
        )
        for row in shop.query(
            f"SELECT {name}, DATABASE_COLLATION FROM information_schema.{table}"
            f" WHERE {schema} = %s ORDER BY 1",
            [shop.name],
        )
    ]


@pytest.mark.parametrize(
    "is_awkward", [pytest.param(False, marks=pytest.mark.soak), True], ids=["plain", "awkward"]
)
@pytest.mark.one_flavour("mariadb")
def test_live_database_is_not_reached_by_what_names_it(
    db_server: DatabaseServer, make_database: MakeDatabase, is_awkward: bool
) -> None:
    """Qualified triggers, sequences in defaults, ALTER DATABASE around bodies; by one who may do all."""
    # mariadb-dump itself is lost where a name with a newline meets another collation.
    newline = "\n" if db_server.flavour == "mysql" else ""
    shop = make_shop(db_server, name=f"li{newline}`ve trigger x" if is_awkward else "")
    script = OTHER_COLLATIONS + (SEQUENCE if db_server.flavour == "mariadb" else "")
    db_server.load(script.format(name=mysql.quote(shop.name)), shop.name)
    db_server.execute(f"GRANT ALL ON *.* TO '{shop.user}'@'%'")
    database = make_database(shop, name="live")
    back_up(database)
    before = collations(shop)
    db_server.execute(
        "SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = ON"
    )
    try:
        run = verify(database)
    finally:
        db_server.execute("SET GLOBAL general_log = OFF")

    found = verdict(run)
    assert found.verdict == "identical", found.differences
    said = [
        bytes(text).decode(errors="replace") if isinstance(text, bytes) else text
        for (text,) in db_server.query(
            "SELECT argument FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')"
            " AND user_host LIKE %s",
            None,
            [f"{shop.user}%"],
        )
    ]
    assert len(said) > 100
    # Its own dump program asks for the scratch database only, so no statement has the live name.
    assert [text for text in said if mysql.quote(shop.name) in text or f"{shop.name}." in text] == []
    assert collations(shop) == before
    assert len({collation for _, collation in before}) == 3
    ((collation,),) = shop.query("SELECT @@collation_database")
    assert collation == "utf8mb4_unicode_ci"
