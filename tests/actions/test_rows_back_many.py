"""An UPDATE without WHERE on 200,000 rows: more than a script gives back, so the table is restored.

Where somebody raised the limit, a script gives them back.
"""

from __future__ import annotations

import pytest

from tests.actions.tools import shipped_grants
from tests.backups.worlds import Portal, Shop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.soak, pytest.mark.timeout(3 * 3600)]

ROWS = 200_000
RESTORED = ("restore", "--snapshot", "latest", "--replace", "--table", "prices")
ALL_BACK = ("rows_back", "latest", "--table", "prices", "--all", "--apply", "--yes", "--json")
# In seconds: each step may take minutes on a loaded machine.
DEADLINE = 3600


def fill(shop: Shop) -> None:
    shop.execute("CREATE TABLE prices (id INT PRIMARY KEY, cents INT, note VARCHAR(60)) ENGINE=InnoDB")
    for at in range(0, ROWS, 5000):
        rows = ",".join(f"({n},{n * 7 % 9973 + 1},'article number {n}')" for n in range(at, at + 5000))
        shop.execute(f"INSERT INTO prices VALUES {rows}")


@pytest.fixture
def filled(mariadb_portal: Portal) -> Portal:
    """A portal whose user may restore, with a backup of the table."""
    shop, server = mariadb_portal.shop, mariadb_portal.shop.server
    for grant in shipped_grants(server.flavour, shop.name, "verify", "restore"):
        server.execute(f"GRANT {grant} TO '{shop.user}'@'%'")
    fill(shop)
    assert mariadb_portal.backup().code == 0
    return mariadb_portal


def sums(shop: Shop) -> object:
    return shop.query("SELECT COUNT(*), SUM(cents), SUM(cents * id) FROM prices")


def test_more_rows_than_the_limit_are_refused_with_the_restore_of_the_table_which_brings_them_back(
    filled: Portal,
) -> None:
    portal, shop = filled, filled.shop
    then = sums(shop)
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


def test_with_a_raised_limit_all_are_given_back_by_one_proved_script_taken_back_and_given_back_again(
    filled: Portal,
) -> None:
    shop = filled.shop
    then = sums(shop)
    shop.execute("UPDATE prices SET cents = 0")
    shop.execute(f"INSERT INTO prices VALUES ({ROWS + 1}, 5, 'new since')")
    zeroed = sums(shop)

    def play(*words: str) -> int:
        """A command with the raised limit, well to its end; answers the run that changed the live rows."""
        ran = filled.manage(*words, "--yes", "--json", deadline=DEADLINE, ROWS_BACK_LIMIT=str(ROWS + 1))
        assert ran.code == 0, ran.err
        assert (ran.json["rows"], ran.json["proved"], ran.json["left_out"]) == (ROWS, True, [])
        print(f"{ROWS:,} rows: {' '.join(words[:2])} in {ran.seconds:.0f} s")
        return int(ran.json["applied_by"])

    given = play("rows_back", "latest", "--table", "prices", "--all", "--apply")
    assert shop.query(f"SELECT cents FROM prices WHERE id = {ROWS + 1}") == [(5,)]
    shop.execute(f"DELETE FROM prices WHERE id = {ROWS + 1}")
    assert sums(shop) == then

    shop.execute(f"INSERT INTO prices VALUES ({ROWS + 1}, 5, 'new since')")
    undone = play("rows_back", "--undo", str(given), "--apply")
    assert sums(shop) == zeroed

    play("rows_back", "--undo", str(undone), "--apply")
    shop.execute(f"DELETE FROM prices WHERE id = {ROWS + 1}")
    assert sums(shop) == then
