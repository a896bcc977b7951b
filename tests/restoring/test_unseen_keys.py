"""Foreign keys of other databases that the shipped grants do not let Vedetta see."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator

import pytest

from backups.choices import Action, RestoreMode
from backups.models import Database, Run
from backups.restoring.plan import Plan, plan
from tests.actions.tools import log_of, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import again, failed, restore, succeeded, undo


@pytest.fixture
def elsewhere(shop: Shop) -> Iterator[str]:
    """Another database of the server, whose table refers to one of the shop."""
    name = f"crm_{secrets.token_hex(4)}"
    shop.server.load(
        f"CREATE DATABASE {name}; CREATE TABLE {name}.calls (id INT PRIMARY KEY, customer INT NOT NULL, "
        f"CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES {shop.name}.customers (id))"
    )
    yield name
    shop.server.execute(f"DROP DATABASE {name}")


@pytest.mark.one_flavour("mariadb")
def test_a_replacement_tells_that_it_cannot_see_them_and_refuses_once_it_may(
    shop: Shop, elsewhere: str, make_database: MakeDatabase, back_up: Callable[[Database], Run]
) -> None:
    least = with_least(shop, "dump", "verify", "restore")
    database = make_database(least)
    snapshot = succeeded(back_up(database)).snapshot
    assert snapshot is not None

    def look() -> Plan:
        return plan(database, snapshot, mode=RestoreMode.REPLACE, target=shop.name)

    def refers_to() -> str:
        ((_, definition),) = shop.server.query(f"SHOW CREATE TABLE {elsewhere}.calls")
        (there,) = re.findall(r"REFERENCES `(\w+)`\.`customers`", str(definition))
        return str(there)

    told = look()
    assert told.obstacles == []
    (words,) = told.refers
    assert f"foreign keys to tables of {shop.name}, which {least.user} may not see" in words

    run = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert words in log_of(run)
    assert refers_to() == run.restore.kept_in
    succeeded(undo(run))
    assert refers_to() == shop.name

    shop.server.execute(f"GRANT PROCESS ON *.* TO '{least.user}'@'%'")
    told = look()
    assert told.refers == []
    (obstacle,) = told.obstacles
    assert obstacle.startswith(f"A foreign key of {elsewhere}.calls, in another database, refers to")
    assert failed(restore(database, RestoreMode.REPLACE, without_safety=True)) == obstacle

    # Who does without it is told by the server at the latest, when the tables of before should go.
    shop.server.execute(f"REVOKE PROCESS ON *.* FROM '{least.user}'@'%'")
    kept = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert failed(again(kept, Action.DROP_KEPT)).startswith(
        f"A table of another database refers to one in {kept.restore.kept_in} by a foreign key"
    )
