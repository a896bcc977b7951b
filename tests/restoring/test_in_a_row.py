"""Sound databases go through every step, time after time, whatever happens beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backups.choices import RestoreMode
from tests.actions.tools import back_up, scratch_databases, verdict, verify, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, make_awkward, over_and_over
from tests.restoring.stories import content, quoted, replace, restore, succeeded, undo, with_events_disabled
from tests.servers import DatabaseServer

TIMES = 20
# Elsewhere on the server and in the database itself: what people and their jobs do all day.
ELSEWHERE = (
    "CREATE TABLE made (id INT PRIMARY KEY, n INT)",
    "INSERT INTO made VALUES (1, 1)",
    "ALTER TABLE made ADD COLUMN more INT, ADD INDEX (n)",
    "RENAME TABLE made TO moved",
    "OPTIMIZE TABLE moved",
    "CREATE OR REPLACE VIEW seen AS SELECT n FROM moved",
    "CREATE TRIGGER counted BEFORE INSERT ON moved FOR EACH ROW SET NEW.n = 2",
    "TRUNCATE TABLE moved",
    "DROP VIEW seen",
    "DROP TABLE moved",
)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_twenty_times_in_a_row_while_definitions_change_beside(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_awkward(db_server, "awk `ward` in_a%row")
    database = make_database(with_least(shop, "dump", "verify", "restore"), name="awkward")
    was = content(db_server, shop.name)
    copy = f"{shop.name}__copy"

    for time in range(TIMES):
        with definitions_changing(shop):
            saved = back_up(database)
            found = verdict(verify(database, saved))
            succeeded(restore(database, RestoreMode.NEW, snapshot=saved, target=copy))
            replaced = replace(database, snapshot=saved)
            succeeded(undo(replaced))
        assert found.verdict == "identical", f"time {time}: {found.differences}"
        assert content(db_server, copy) == with_events_disabled(was), f"time {time}"
        assert content(db_server, shop.name) == was, f"time {time}"
        db_server.execute(f"DROP DATABASE {quoted(copy)}")

    assert scratch_databases(db_server) == []


@contextmanager
def definitions_changing(shop: Shop) -> Iterator[None]:
    """Tables of a neighbour are made, altered and dropped over and over; the shop's own are looked at."""
    neighbour = "neighbour_in_a_row"
    shop.server.create_database(neighbour)

    def change() -> None:
        for statement in ELSEWHERE:
            shop.server.execute(statement, neighbour)
        tables = shop.query("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        for name, _ in tables[:3]:
            shop.server.query(f"ANALYZE TABLE {quoted(name)}", shop.name)
            shop.server.query(f"CHECK TABLE {quoted(name)} QUICK", shop.name)

    try:
        with over_and_over(change, pause=0.1):
            yield
    finally:
        shop.server.execute(f"DROP DATABASE {neighbour}")
