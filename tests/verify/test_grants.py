"""The grants of deploy/mysql are enough, and each of them is needed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from backups.choices import Action
from backups.models import Verification
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, make_shop
from tests.servers import DatabaseServer
from tests.verify.tools import GRANTS, back_up, play, shipped_grants, verdict, verify, with_user


def all_grants(shop: Shop) -> list[str]:
    return shipped_grants(shop.server.flavour, shop.name, "dump", "verify")


def test_each_grant_for_the_dump_is_needed_and_named(shop: Shop, make_database: MakeDatabase) -> None:
    shop.server.load("CREATE VIEW doubled AS SELECT twice(id) AS n FROM customers;", shop.name)
    for grant in shipped_grants(shop.server.flavour, shop.name, "dump"):
        others = [other for other in all_grants(shop) if other != grant]
        database = make_database(with_user(shop, others), name=grant[:40].replace("`", ""), is_primary=False)

        run = play(Action.BACKUP, database=database)

        privilege = grant.partition(" ON ")[0]
        assert run.status == "failed", grant
        assert f"GRANT {privilege} ON " in run.error, run.error


def test_each_grant_for_the_verification_is_needed_and_named(shop: Shop, make_database: MakeDatabase) -> None:
    needed = [
        g
        for g in shipped_grants(shop.server.flavour, shop.name, "verify")
        if g not in shipped_grants(shop.server.flavour, shop.name, "dump")
    ]
    for grant in needed:
        if grant.startswith("ALLOW_NONEXISTENT_DEFINER"):
            continue  # no object of the shop is of a user who is gone
        others = [other for other in all_grants(shop) if other != grant]
        database = make_database(with_user(shop, others), name=grant[:40].replace("`", ""), is_primary=False)
        back_up(database)

        run = verify(database)

        privilege = grant.partition(" ON ")[0]
        assert run.status == "failed", grant
        assert privilege in run.error, run.error
        assert not Verification.objects.filter(run=run).exists()


def test_definer_who_is_gone(mysql_server: DatabaseServer, make_database: MakeDatabase) -> None:
    shop = make_shop(mysql_server)
    mysql_server.create_user("leaver", "x", [f"ALL ON `{shop.name}`.*"])
    shop.server.load("CREATE DEFINER=leaver@'%' PROCEDURE left_behind() SELECT 1;", shop.name)
    mysql_server.execute("DROP USER leaver@'%'")
    needed = shipped_grants("mysql", shop.name, "dump", "verify")
    database = make_database(with_user(shop, needed))
    back_up(database)
    assert verdict(verify(database)).verdict == "identical"

    less = with_user(shop, [grant for grant in needed if not grant.startswith("ALLOW_NONEXISTENT")])
    another = make_database(less, name="less", is_primary=False)
    back_up(another)
    run = verify(another)

    assert run.status == "failed"
    assert "ALLOW_NONEXISTENT_DEFINER" in run.error
    assert not Verification.objects.filter(run=run).exists()


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_each_grant_is_explained(flavour: str) -> None:
    lines = (GRANTS / f"grants-{flavour}.sql").read_text().splitlines()
    for before, line in pairwise(lines):
        if line.startswith("GRANT "):
            assert before.startswith("--"), line
            assert line.endswith("TO 'vedetta'@'%';")


def test_file_runs_as_it_is(db_server: DatabaseServer) -> None:
    text = (GRANTS / f"grants-{db_server.flavour}.sql").read_text()
    for name, other in (("change-me", "p4ssword"), (r"orders\_tracker", "shop"), ("'vedetta'", "'sedded'")):
        text = text.replace(name, other)

    db_server.load(text)

    ((count,),) = db_server.query("SELECT COUNT(*) FROM mysql.user WHERE user = 'sedded'")
    assert count == 1
    db_server.execute("DROP USER sedded@'%'")
