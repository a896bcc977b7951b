"""An UPDATE without WHERE on 200,000 rows: more than a script gives back, so the table is restored."""

from __future__ import annotations

import pytest

from tests.actions.tools import shipped_grants
from tests.backups.worlds import Portal, Shop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.soak]

ROWS = 200_000
RESTORED = ("restore", "--snapshot", "latest", "--replace", "--table", "prices")
ALL_BACK = ("rows_back", "latest", "--table", "prices", "--all", "--apply", "--yes", "--json")


def fill(shop: Shop) -> None:
    shop.execute("CREATE TABLE prices (id INT PRIMARY KEY, cents INT, note VARCHAR(60)) ENGINE=InnoDB")
    for at in range(0, ROWS, 5000):
        rows = ",".join(f"({n},{n * 7 % 9973 + 1},'article number {n}')" for n in range(at, at + 5000))
        shop.execute(f"INSERT INTO prices VALUES {rows}")


def sums(shop: Shop) -> object:
    return shop.query("SELECT COUNT(*), SUM(cents), SUM(cents * id) FROM prices")


def test_more_rows_than_the_limit_are_refused_with_the_restore_of_the_table_which_brings_them_back(
    mariadb_portal: Portal,
) -> None:
    portal, shop, server = mariadb_portal, mariadb_portal.shop, mariadb_portal.shop.server
    for grant in shipped_grants(server.flavour, shop.name, "verify", "restore"):
        server.execute(f"GRANT {grant} TO '{shop.user}'@'%'")
    fill(shop)
    then = sums(shop)
    portal.backup()
    shop.execute("UPDATE prices SET cents = 0")

    refused = portal.manage(*ALL_BACK, deadline=600)

    assert refused.code == 1, refused.out
    assert refused.json["error_code"] == "rows.too_many"
    assert (
        "200,000 rows of prices differ, and 50,000 are kept: ROWS_BACK_LIMIT is 50,000."
        in refused.json["error"]
    )
    assert "manage.py restore --snapshot ID --replace --table T" in refused.json["error"]
    assert shop.query("SELECT DISTINCT cents FROM prices") == [(0,)]
    restored = portal.manage(*RESTORED, "--yes", "--json", deadline=600)
    assert (restored.code, sums(shop)) == (0, then), restored.err
    print(f"{ROWS:,} rows: refused after {refused.seconds:.0f} s, restored in {restored.seconds:.0f} s")
