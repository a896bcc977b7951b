"""MariaDB's tables that are versioned by transactions: backed up without history, and said to be."""

from __future__ import annotations

import pytest

from backups.choices import RestoreMode
from backups.dumpfile.tally import Tally
from backups.restoring.plan import plan
from tests.actions.tools import back_up, verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.dumpfile.reading import judged
from tests.restoring.stories import drop_all, make_restorable, restore, succeeded, undo
from tests.servers import DatabaseServer

LEDGER = """
CREATE TABLE ledger (id INT PRIMARY KEY, n INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START INVISIBLE,
  e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e))
  WITH SYSTEM VERSIONING;
INSERT INTO ledger VALUES (1, 10), (2, 20);
UPDATE ledger SET n = 11 WHERE id = 1;
DELETE FROM ledger WHERE id = 2;
"""
ALL = "SELECT id, n FROM ledger FOR SYSTEM_TIME ALL ORDER BY id, n"


def test_they_verify_and_restore_without_their_history(
    mariadb_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_restorable(mariadb_server, LEDGER)
    database = make_database(shop)
    snapshot = back_up(database)

    assert [left["table"] for left in snapshot.not_in_backup] == ["ledger"]
    found = verdict(verify(database))
    assert (found.verdict, found.differences) == ("identical", [])
    assert found.not_compared[0] == "the transactions' numbers in ledger: they are given anew"
    told = plan(database, snapshot, mode=RestoreMode.REPLACE, target=shop.name)
    assert "The snapshot has no history of these tables, only rows: ledger." in told.warnings

    shop.execute("INSERT INTO ledger VALUES (7, 70)")
    replaced = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert shop.query(ALL) == [(1, 11)]
    succeeded(undo(replaced))
    assert shop.query(ALL) == [(1, 10), (1, 11), (2, 20), (7, 70)]
    drop_all(shop)


TABLE = (
    "CREATE TABLE `ledger` (`n` int,\n `s` bigint(20) unsigned GENERATED ALWAYS AS ROW START,\n"
    " `e` bigint(20) unsigned GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (`s`, `e`));\n"
    "CREATE TABLE `other` (`n` int);\nINSERT INTO `other` VALUES (1);\n"
)
LIVES = 18446744073709551615


@pytest.mark.parametrize(
    ("rows", "same"),
    [
        (f"(1,977,{LIVES})", True),
        (f"(2,977,{LIVES})", False),
        (f"(1,1170,{LIVES}),(1,1170,{LIVES})", False),
        ("(1,977,1170)", False),
    ],
)
def test_the_number_of_a_transaction_alone_does_not_count(rows: str, same: bool) -> None:
    tallies = []
    for values in (f"(1,1170,{LIVES})", rows):
        tally = Tally(only_numbered=True)
        for ready in judged(TABLE + f"INSERT INTO `ledger` VALUES {values};\n")[0]:
            tally.add(ready)
        tallies.append(tally.rows)
    assert (tallies[0] == tallies[1]) is same
    assert list(tallies[0]) == ["ledger"]
