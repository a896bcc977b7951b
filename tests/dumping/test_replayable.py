"""What a dump's manifest tells so that a log that is replayed on it can be proved."""

from __future__ import annotations

from typing import Any

import pytest

from backups.dumpfile.manifests import has_form
from tests.backups.worlds import Shop
from tests.dumping.test_dump import Manifest, changed, dumped


def section(manifest: Manifest, kind: str, name: str) -> dict[str, Any]:
    return next(each for each in manifest["sections"] if (each["kind"], each["name"]) == (kind, name))


@pytest.mark.one_flavour("mysql")
def test_counters_are_told_with_numbers_that_no_row_has(shop: Shop) -> None:
    shop.execute("BEGIN; INSERT INTO orders (customer) VALUES (1), (2); ROLLBACK")

    manifest = dumped(shop)

    # Three rows were there; two numbers were given and taken back.
    assert section(manifest, "table", "orders")["auto_increment"] == 6
    assert "auto_increment" not in section(manifest, "table", "customers")
    assert has_form(manifest)


@pytest.mark.one_flavour("mariadb")
def test_counter_is_in_the_digest_of_its_table(shop: Shop) -> None:
    before = dumped(shop)
    shop.execute("BEGIN; INSERT INTO orders (customer) VALUES (1); ROLLBACK")

    assert changed(before, dumped(shop)) == {("table", "orders")}


@pytest.mark.one_flavour("mariadb")
def test_rows_that_nothing_orders_are_told_by_a_sum(shop: Shop) -> None:
    shop.execute("DELETE FROM journal; INSERT INTO journal VALUES ('2026-01-01', 'a'), ('2026-01-02', 'b')")
    before = dumped(shop, sums_rows=True)
    shop.execute("DELETE FROM journal; INSERT INTO journal VALUES ('2026-01-02', 'b'), ('2026-01-01', 'a')")
    after = dumped(shop, sums_rows=True)

    assert changed(before, after) == {("rows", "journal")}
    first, then = (section(manifest, "rows", "journal")["rows"] for manifest in (before, after))
    assert first == then
    assert first["count"] == 2
    # Where a key orders them, the digest says all.
    assert "rows" not in section(after, "rows", "orders")

    shop.execute("UPDATE journal SET what = 'c' WHERE what = 'b'")
    assert section(dumped(shop, sums_rows=True), "rows", "journal")["rows"] != then


@pytest.mark.one_flavour("mariadb")
def test_what_a_copy_says_otherwise_is_told_as_it_is_there(shop: Shop) -> None:
    manifest = dumped(shop)

    for kind, name in (("view", "open_orders"), ("trigger", "orders_noted"), ("function", "twice")):
        told = section(manifest, kind, name)
        # Whoever restores it is who defines it there.
        assert told["elsewhere"]["sha256"] != told["sha256"]
    assert "elsewhere" not in section(manifest, "table", "orders")
