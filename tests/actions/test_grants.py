"""The grants of deploy/mysql are enough, and each of them is needed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from backups.actions import preflight
from backups.actions.steps import checks
from backups.choices import Action
from backups.models import Verification
from tests.actions.tools import GRANTS, back_up, play, shipped_grants, verdict, verify, with_user
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.servers import DatabaseServer


def all_grants(shop: Shop) -> list[str]:
    return shipped_grants(shop.server.flavour, shop.name, "dump", "verify")


@pytest.mark.one_flavour("mysql")
def test_each_grant_for_the_dump_is_needed_and_named(shop: Shop, make_database: MakeDatabase) -> None:
    shop.server.load("CREATE VIEW doubled AS SELECT twice(id) AS n FROM customers;", shop.name)
    for grant in shipped_grants(shop.server.flavour, shop.name, "dump"):
        others = [other for other in all_grants(shop) if other != grant]
        database = make_database(with_user(shop, others), name=grant[:40].replace("`", ""), is_primary=False)

        run = play(Action.BACKUP, database=database)

        privilege = grant.partition(" ON ")[0]
        assert run.status == "failed", grant
        assert f"GRANT {privilege} ON " in run.error, run.error


@pytest.mark.one_flavour("mariadb")
def test_each_grant_for_the_verification_is_needed_and_named(shop: Shop, make_database: MakeDatabase) -> None:
    needed = [
        g
        for g in shipped_grants(shop.server.flavour, shop.name, "verify")
        if g not in shipped_grants(shop.server.flavour, shop.name, "dump")
    ]
    assert needed
    for grant in needed:
        others = [other for other in all_grants(shop) if other != grant]
        database = make_database(with_user(shop, others), name=grant[:40].replace("`", ""), is_primary=False)
        back_up(database)

        run = verify(database)

        privilege = grant.partition(" ON ")[0]
        assert run.status == "failed", grant
        assert privilege in run.error, run.error
        assert not Verification.objects.filter(run=run).exists()


@pytest.mark.one_flavour("mariadb")
def test_what_others_defined_needs_no_right_to_define_for_others(
    least_shop: Shop, make_database: MakeDatabase
) -> None:
    """Not even where they are gone; and what makes such things belongs to a restore alone."""
    server = least_shop.server
    server.create_user("leaver", "x", [f"ALL ON `{least_shop.name}`.*"])
    server.load(
        "CREATE DEFINER=leaver@'%' PROCEDURE left_behind() SELECT 1;"
        "CREATE DEFINER=leaver@'%' VIEW seen AS SELECT id FROM orders;",
        least_shop.name,
    )
    server.execute("DROP USER leaver@'%'")
    database = make_database(least_shop)
    back_up(database)

    run = verify(database)

    found = verdict(run)
    assert (found.verdict, found.not_compared) == ("identical", []), found.differences
    told = [check.detail for check in preflight.checks(database, checks.Found()) if check.warning]
    assert not [words for words in told if "could not verify" in words or "could not restore" in words]


@pytest.mark.one_flavour("mysql")
def test_a_user_who_may_make_no_views_is_told_so_and_the_backup_is_not_blamed(
    shop: Shop, make_database: MakeDatabase
) -> None:
    grants = shipped_grants(shop.server.flavour, shop.name, "dump")
    (scratch,) = set(shipped_grants(shop.server.flavour, shop.name, "verify"))
    less = (
        "SELECT, INSERT, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, SHOW VIEW, TRIGGER, EVENT, "
        "CREATE ROUTINE, ALTER ROUTINE, EXECUTE"
    )
    database = make_database(with_user(shop, [*grants, scratch.replace("ALL", less)]))
    back_up(database)

    run = verify(database)

    assert "may not make all in the scratch database" in run.error
    assert "it lacks CREATE VIEW" in run.error
    assert f"GRANT {scratch} TO" in run.error
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
