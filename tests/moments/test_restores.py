"""The database as it was just before a mistake: into a new one, in its place, as a file, or a few tables."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups.choices import RestoreMode
from backups.models import LogTransaction, Restore
from backups.moments.until import Until, before_transaction
from tests.moments.conftest import To, now
from tests.restoring.stories import content, failed, restore, succeeded, with_events_disabled
from tests.shipping.conftest import Shipped

AFTERWARDS = """
INSERT INTO orders (customer, note) VALUES (3, 'after the backup'), (1, 'this one too');
UPDATE customers SET name = 'Ada Lovelace' WHERE id = 1;
ALTER TABLE journal ADD COLUMN at TIMESTAMP NULL;
CREATE TABLE parcels (id INT PRIMARY KEY, note TEXT);
INSERT INTO parcels VALUES (1, 'sent'), (2, NULL);
CREATE VIEW every_parcel AS SELECT id FROM parcels;
"""


def the_delete(shipped: Shipped) -> Until:
    """Everything is deleted by mistake; gives the moment just before it."""
    rows = ", ".join(f"({number}, 'x')" for number in range(100, 140))
    shipped.shop.execute(f"INSERT INTO customers VALUES {rows}")
    before = content(shipped.shop.server, shipped.shop.name)
    shipped.shop.execute("DELETE FROM customers WHERE id > 1")
    shipped.shop.execute("INSERT INTO journal (what) VALUES ('after the mistake')")
    shipped.look()
    listed = LogTransaction.objects.filter(piece__database=shipped.database).order_by("position")
    delete = next(each for each in listed if "delete" in each.tables.get("customers", {}))
    shipped.before = before  # type: ignore[attr-defined]
    return before_transaction(f"{delete.piece.file}:{delete.position}")


def test_just_before_the_delete_into_a_new_database(shipped: Shipped, to_moment: To) -> None:
    shop = shipped.shop
    shop.server.load(AFTERWARDS, shop.name)
    until = the_delete(shipped)
    live = content(shop.server, shop.name)

    run = succeeded(to_moment(shipped, until, RestoreMode.NEW, f"{shop.name}__then"))

    assert content(shop.server, f"{shop.name}__then") == with_events_disabled(shipped.before)  # type: ignore[attr-defined]
    assert content(shop.server, shop.name) == live
    told = run.result["moment"]
    assert f"{told['file']}:{told['position']}" == until.before
    assert told["transactions"] >= 4
    assert run.restore.until["before"] == until.before
