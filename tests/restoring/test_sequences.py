"""MariaDB's sequences: a chosen table brings those that it draws from, and they can be chosen themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.choices import RestoreMode
from backups.models import Database, Run
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import content, drop_all, log_of, make_restorable, restore, succeeded, undo
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]
INVOICES = """
CREATE SEQUENCE numbers START WITH 100;
CREATE TABLE invoices (id BIGINT NOT NULL DEFAULT (NEXTVAL(numbers)) PRIMARY KEY, who VARCHAR(20));
INSERT INTO invoices (who) VALUES ('ann'), ('bob');
CREATE TABLE plain (id INT PRIMARY KEY);
"""


def invoiced(shop: Shop) -> list[tuple[object, ...]]:
    """A new invoice's number, last of all."""
    shop.execute("INSERT INTO invoices (who) VALUES ('new')")
    return shop.query("SELECT id FROM invoices ORDER BY id")


def test_a_table_alone_comes_with_a_sequence_that_is_gone_and_leaves_one_that_counts_on(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(mariadb_server, INVOICES)
    database = make_database(shop)
    snapshot = succeeded(back_up(database)).snapshot
    only = {"tables": ["invoices"], "snapshot": snapshot, "without_safety": True}
    was = content(mariadb_server, shop.name)

    shop.execute("INSERT INTO invoices (who) VALUES ('cid'); ALTER SEQUENCE numbers RESTART 5000")
    replaced = succeeded(restore(database, RestoreMode.REPLACE, **only))
    assert invoiced(shop) == [(100,), (101,), (5000,)]
    succeeded(undo(replaced))
    assert invoiced(shop) == [(100,), (101,), (102,), (5001,)]

    shop.execute("DROP TABLE invoices; DROP SEQUENCE numbers")
    without = content(mariadb_server, shop.name)
    replaced = succeeded(restore(database, RestoreMode.REPLACE, **only))
    assert f"These sequences, which {shop.name} lacks, come along: numbers." in log_of(replaced)
    assert content(mariadb_server, shop.name) == was
    succeeded(undo(replaced))
    assert content(mariadb_server, shop.name) == without
    drop_all(shop)


@pytest.mark.soak
def test_into_a_new_database_in_place_and_a_sequence_alone(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(mariadb_server, INVOICES)
    database = make_database(shop)
    snapshot = succeeded(back_up(database)).snapshot
    was = content(mariadb_server, shop.name)

    copy = f"{shop.name}_copy"
    succeeded(restore(database, RestoreMode.NEW, target=copy, tables=["invoices"]))
    assert {name for (name,) in mariadb_server.query("SHOW TABLES", copy)} == {"invoices", "numbers"}

    shop.execute("DROP TABLE invoices; DROP SEQUENCE numbers")
    succeeded(restore(database, RestoreMode.IN_PLACE, tables=["invoices"], snapshot=snapshot))
    assert content(mariadb_server, shop.name) == was
    shop.execute("ALTER SEQUENCE numbers RESTART 5000")
    succeeded(restore(database, RestoreMode.IN_PLACE, tables=["invoices"], snapshot=snapshot))
    assert invoiced(shop)[-1] == (5000,)

    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
        succeeded(restore(database, mode, tables=["numbers"], snapshot=snapshot, without_safety=True))
        assert invoiced(shop)[-1] == (5000,), "an invoice of before"
        shop.execute("DELETE FROM invoices WHERE id > 101 AND id < 5000")
    drop_all(shop)
