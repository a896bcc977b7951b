"""Statements of which a log tells too little: the server is asked, or they are what no replay goes past."""

from __future__ import annotations

from typing import Any

import pytest

from backups import binlog
from backups.binlog import Kind, Marker, Piece, Reading
from backups.choices import Action
from backups.models import Run
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, ship_shop


def barriers(shipped: Shipped) -> list[tuple[str, Any, Any]]:
    """Code, setting and name of each."""
    found = [each for piece in shipped.pieces for each in piece.barriers]
    return [(each["code"], each["params"].get("setting"), each["params"].get("name")) for each in found]


def incidents(shipped: Shipped) -> int:
    """How often a replay of the stored log alone, without any row of ours, would stop."""
    count = 0
    for row in shipped.pieces:
        named = Piece(shipped.database.database, row.file, row.file_made, row.start, row.end)
        for each in binlog.read([shipped.bytes_of(row)], Reading(piece=named)):
            count += isinstance(each, Marker) and each.event.kind == Kind.INCIDENT
    return count


@pytest.mark.one_flavour("mysql")
def test_a_table_of_the_sessions_own_engine_ends_the_moments_and_a_backup_is_made(
    server: DatabaseServer, ship: Ship
) -> None:
    shipped = ship(ship_shop(server))
    shipped.shop.execute("CREATE TABLE usual (id INT PRIMARY KEY)")
    shipped.shop.execute(
        "CREATE TABLE told (id INT PRIMARY KEY) ENGINE = MyISAM; CREATE TABLE alike LIKE told"
    )
    shipped.look()
    assert barriers(shipped) == []

    shipped.shop.execute("SET default_storage_engine = 'MyISAM'; CREATE TABLE odd (id INT PRIMARY KEY)")
    shipped.look()

    assert barriers(shipped) == [("log.setting_untold", "default_storage_engine", "odd")]
    # Whoever has lost the portal's rows is stopped as well.
    assert incidents(shipped) == 1
    assert Run.objects.filter(database=shipped.database, action=Action.BACKUP, status="queued").count() == 1


def test_of_a_table_that_is_gone_again_mysql_tells_the_engine_and_mariadb_nothing(
    server: DatabaseServer, ship: Ship
) -> None:
    shipped = ship(ship_shop(server))
    shipped.shop.execute("CREATE TABLE gone (id INT PRIMARY KEY); DROP TABLE gone")

    shipped.look()

    untold = [("log.setting_untold", "default_storage_engine", "gone")]
    assert barriers(shipped) == (untold if server.flavour == "mariadb" else [])


@pytest.mark.one_flavour("mariadb")
def test_rows_without_a_primary_key_that_get_numbers_end_the_moments(
    server: DatabaseServer, ship: Ship
) -> None:
    shipped = ship(ship_shop(server))
    shipped.shop.execute(
        "ALTER TABLE orders MODIFY id BIGINT NOT NULL AUTO_INCREMENT; "
        "CREATE TABLE loose (id INT, KEY (id)); INSERT INTO loose VALUES (0), (0)"
    )
    shipped.look()
    assert barriers(shipped) == []

    shipped.shop.execute("ALTER TABLE loose MODIFY id INT NOT NULL AUTO_INCREMENT")
    shipped.shop.execute("CREATE TABLE bare (a INT); ALTER TABLE bare ADD id INT AUTO_INCREMENT PRIMARY KEY")
    shipped.look()

    assert barriers(shipped) == [("log.row_order", None, "loose"), ("log.row_order", None, "bare")]


@pytest.mark.parametrize(
    ("statement", "setting"),
    [
        ("SET old_mode = ''; CREATE TABLE odd (id INT, a CHAR(9) CHARACTER SET utf8)", "old_mode"),
        pytest.param(
            "SET innodb_compression_default = ON; CREATE TABLE odd (id INT)",
            "innodb_compression_default",
            marks=pytest.mark.soak,
        ),
        pytest.param(
            "SET innodb_default_encryption_key_id = 2; CREATE TABLE odd (id INT)",
            "innodb_default_encryption_key_id",
            marks=pytest.mark.soak,
        ),
        pytest.param("CREATE TABLE odd (id INT) ENGINE = Aria", "aria_page_checksum", marks=pytest.mark.soak),
    ],
)
def test_what_only_mariadbs_sessions_decide_is_seen_on_the_server(
    shared_mariadb: DatabaseServer, ship: Ship, statement: str, setting: str
) -> None:
    shipped = ship(ship_shop(shared_mariadb))
    shipped.shop.execute("CREATE TABLE usual (id INT, a CHAR(9) CHARACTER SET utf8) CHARACTER SET utf8")
    shipped.shop.execute(statement)

    shipped.look()

    assert barriers(shipped) == [("log.setting_untold", setting, "odd")]


@pytest.mark.one_flavour("mariadb")
def test_an_alter_that_may_have_computed_stored_columns_anew_ends_the_moments(
    server: DatabaseServer, ship: Ship
) -> None:
    shipped = ship(ship_shop(server))
    shipped.shop.execute("CREATE TABLE parts (a INT, b INT, path CHAR(9) AS (CONCAT(a, '/', b)) STORED)")
    shipped.shop.execute("CREATE TABLE shares (a INT, b INT, share DECIMAL(9, 6) AS (a / b) STORED)")
    for table in ("parts", "shares"):
        shipped.shop.execute(f"ALTER TABLE {table} MODIFY a BIGINT")

    shipped.look()

    assert barriers(shipped) == [("log.setting_untold", "div_precision_increment", "shares")]


@pytest.mark.one_flavour("mysql")
def test_a_fetch_is_not_held_up_by_a_database_that_is_gone(server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(server))
    name = shipped.shop.name
    shipped.shop.execute(
        f"SET default_storage_engine = 'MyISAM'; CREATE TABLE odd (i INT); DROP DATABASE {name}"
    )

    shipped.look()

    assert [code for code, *_ in barriers(shipped)] == ["log.setting_untold", "log.database_replaced"]
