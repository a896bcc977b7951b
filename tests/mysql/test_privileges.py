"""What the dump's user may not see is named as the exact GRANT, and that GRANT is enough."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from backups.actions.preflight import checks
from backups.actions.steps.checks import Found
from backups.choices import Status
from backups.models import Database, Run
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import DUMP_PRIVILEGES, Shop, all_routines, make_awkward, make_shop
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]
ROUTINES = "routines"
WHAT = {
    "SELECT": "tables",
    "SHOW VIEW": "views",
    "TRIGGER": "triggers",
    "EVENT": "events",
    ROUTINES: "procedures and functions",
}


def grants_without(server: DatabaseServer, name: str, *missing: str) -> list[str]:
    held = [privilege for privilege in DUMP_PRIVILEGES if privilege not in missing]
    pattern = name.replace("_", r"\_")
    on_database = [f"{', '.join(held)} ON `{pattern}`.*"] if held else []
    return on_database + ([] if ROUTINES in missing else [all_routines(server)])


def named_grants(error: str) -> list[str]:
    """The statements that the sentence tells an administrator to run."""
    return re.findall(r"GRANT .*?;", error)


# Who may see a routine each server decides for itself. tests/actions/test_grants.py takes each grant away.
@pytest.mark.parametrize(
    "missing",
    [
        ROUTINES,
        pytest.param("SELECT", marks=pytest.mark.one_flavour("mariadb")),
        *(pytest.param(each, marks=pytest.mark.soak) for each in WHAT if each not in (ROUTINES, "SELECT")),
    ],
)
def test_missing_privilege_is_named_and_granting_it_is_enough(
    missing: str, db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_shop(db_server, name="priv_test")
    db_server.create_user(shop.user, shop.password, grants_without(db_server, "priv_test", missing))
    if missing == "SELECT":
        # Without any right on it the database cannot even be entered.
        db_server.execute(f"GRANT SELECT ON `priv_test`.`orders` TO '{shop.user}'@'%'")
    database = make_database(shop)

    failed = back_up(database)

    assert failed.status == Status.FAILED
    assert f"it cannot see all {WHAT[missing]}" in failed.error
    assert failed.snapshot is None
    (grant,) = named_grants(failed.error)
    db_server.execute(grant)
    assert back_up(database).status == Status.SUCCEEDED


@pytest.mark.one_flavour("mysql")
def test_views_whose_text_may_not_be_read_are_not_called_broken(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """Whoever reads that a view is to be made again or dropped, drops a good one."""
    shop = make_shop(db_server, name="priv_test")
    db_server.execute("CREATE VIEW `priv_test`.`one` AS SELECT 1 AS one")
    db_server.create_user(shop.user, shop.password, grants_without(db_server, "priv_test", "SHOW VIEW"))
    database = make_database(shop)

    (told,) = [check.detail for check in checks(database, Found()) if check.name == "views"]

    assert "Nothing is wrong with them, so drop none." in told
    (grant,) = named_grants(told)
    db_server.execute(grant)
    assert all(check.ok for check in checks(database, Found()) if check.name == "views")


@pytest.mark.one_flavour("mysql")
def test_all_that_is_missing_is_named_at_once(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_shop(db_server, grants=[])
    shop.server.execute(f"GRANT SELECT ON `{shop.name}`.`orders` TO '{shop.user}'@'%'")
    database = make_database(shop)

    failed = back_up(database)

    assert "it cannot see all tables, views, triggers, events, procedures and functions" in failed.error
    for grant in named_grants(failed.error):
        db_server.execute(grant)
    assert back_up(database).status == Status.SUCCEEDED


@pytest.mark.one_flavour("mysql")
def test_all_on_the_database_is_enough_for_who_made_the_routines(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """As the images' MYSQL_USER has it."""
    shop = make_shop(db_server, "CREATE TABLE t (n INT);")
    db_server.create_user(shop.user, shop.password, [f"ALL ON `{shop.name}`.*"])
    run_as(shop, "CREATE PROCEDURE own() SELECT 1")
    database = make_database(shop)

    assert back_up(database).status == Status.SUCCEEDED


@pytest.mark.one_flavour("mariadb")
def test_all_on_the_database_is_not_enough_for_routines_of_others(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_shop(db_server)
    db_server.create_user(shop.user, shop.password, [f"ALL ON `{shop.name}`.*"])
    database = make_database(shop)

    failed = back_up(database)

    assert "it cannot see all procedures and functions" in failed.error
    (grant,) = named_grants(failed.error)
    db_server.execute(grant)
    assert back_up(database).status == Status.SUCCEEDED


@pytest.mark.one_flavour("mariadb")
def test_privileges_may_come_from_a_role(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_shop(db_server, grants=[])
    role = f"role_{shop.user}"
    db_server.execute(f"CREATE ROLE {role}")
    for grant in grants_without(db_server, shop.name):
        db_server.execute(f"GRANT {grant} TO {role}")
    db_server.execute(f"GRANT {role} TO '{shop.user}'@'%'")
    to = "FOR" if db_server.flavour == "mariadb" else "TO"
    db_server.execute(f"SET DEFAULT ROLE {role} {to} '{shop.user}'@'%'")

    run = back_up(make_database(shop))

    assert run.status == Status.SUCCEEDED, run.error


@pytest.mark.one_flavour("mysql")
def test_grants_are_read_under_ansi_quotes(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """There SHOW GRANTS writes names in double quotes, and so do the dump's statements."""
    shop = make_shop(db_server)
    ((before,),) = db_server.query("SELECT @@GLOBAL.sql_mode")
    db_server.execute("SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
    try:
        run = back_up(make_database(shop))
    finally:
        db_server.execute(f"SET GLOBAL sql_mode = '{before}'")

    assert run.status == Status.SUCCEEDED, run.error


def test_function_in_a_view_needs_execute_on_mariadb(
    mariadb_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_awkward(mariadb_server, "exec_test")
    mariadb_server.execute(f"REVOKE EXECUTE ON *.* FROM '{shop.user}'@'%'")
    database = make_database(shop)

    failed = back_up(database)

    assert failed.status == Status.FAILED
    (grant,) = named_grants(failed.error)
    assert grant == f"GRANT EXECUTE ON `exec\\_test`.* TO '{shop.user}'@'%';"
    mariadb_server.execute(grant)
    run = back_up(database)
    assert run.status == Status.SUCCEEDED, run.error


def run_as(shop: Shop, statement: str) -> None:
    """Run a statement as the dump's user."""
    import MySQLdb

    server = shop.server
    connection = MySQLdb.connect(
        host=server.host, port=server.port, user=shop.user, password=shop.password, database=shop.name
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
