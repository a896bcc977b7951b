"""The guides "Someone deleted rows" and "Someone updated too much", each command as it is written there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.actions.tools import back_up, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import PROJECT, Shop
from tests.management.called import called

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_flavour("mariadb")]

TABLES = """
DROP TRIGGER orders_noted;
CREATE TABLE order_items (id INT PRIMARY KEY, whose INT, FOREIGN KEY (whose) REFERENCES orders (id)
  ON DELETE CASCADE) ENGINE=InnoDB;
INSERT INTO order_items SELECT id, id FROM orders;
CREATE TABLE products (id INT PRIMARY KEY, price INT) ENGINE=InnoDB;
INSERT INTO products VALUES (1, 990), (2, 1990), (3, 0);
"""
ACCIDENT = """
DELETE FROM orders;
UPDATE products SET price = 0;
INSERT INTO products VALUES (4, 500);
"""


def commands(guide: str) -> Iterator[list[str]]:
    """What the guide has people run."""
    for block in re.findall(r"^```console\n(.*?)^```", (PROJECT / "docs" / guide).read_text(), re.M | re.S):
        for line in block.splitlines():
            assert line.startswith("manage.py ")
            yield shlex.split(line)[1:]


def rows(shop: Shop) -> list[list[tuple[object, ...]]]:
    return [
        shop.query(f"SELECT * FROM {table} ORDER BY id") for table in ("orders", "order_items", "products")
    ]


# tests/actions/test_rows_back.py gives rows back in the same way.
@pytest.mark.soak
@pytest.mark.parametrize(
    ("guide", "comes_back"),
    [("rows-deleted.md", slice(0, 2)), pytest.param("rows-changed.md", slice(2, 3), marks=pytest.mark.soak)],
)
def test_a_guide_gives_back_what_was_lost_and_leaves_what_came_since(
    guide: str, comes_back: slice, shop: Shop, make_database: MakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.execute(TABLES)
    back_up(make_database(with_least(shop, "dump", "verify", "restore")))
    then = rows(shop)
    then[2].append((4, 500))
    shop.execute(ACCIDENT)
    now = rows(shop)
    wanted = list(now)
    wanted[comes_back] = then[comes_back]

    for args in commands(guide):
        assert rows(shop) == now
        said = called(capsys, *args)
        assert said.code == 0, said.err

    assert rows(shop) == wanted
    # What keys of other databases do is nothing that this user may see.
    undo = ("rows_back", "--undo", str(said["applied_by"]), "--apply", "--yes", "--knows-triggers")
    undone = called(capsys, *undo)
    assert undone.code == 0, undone.err
    assert rows(shop) == now
