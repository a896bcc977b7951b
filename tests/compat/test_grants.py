"""The grants of deploy/mysql are enough for all three: dump, verification and every restore."""

from __future__ import annotations

import pytest

from backups.actions import preflight
from backups.actions.steps.checks import Found
from backups.choices import RestoreMode
from tests.actions.tools import back_up, shipped_grants, verdict, verify, with_least, with_user
from tests.backups.conftest import MakeDatabase
from tests.restoring.stories import content, drop_all, make_restorable, restore
from tests.servers import DatabaseServer


def test_shipped_grants_are_enough(db_server: DatabaseServer, make_database: MakeDatabase) -> None:
    shop = with_least(make_restorable(db_server), "dump", "verify", "restore")
    database = make_database(shop)
    was = content(db_server, shop.name)

    snapshot = back_up(database)
    found = verdict(verify(database))

    assert found.verdict == "identical", found.differences
    for mode, target in (
        (RestoreMode.NEW, f"{shop.name}__new"),
        (RestoreMode.REPLACE, None),
        (RestoreMode.IN_PLACE, None),
    ):
        run = restore(database, mode, snapshot=snapshot, target=target, without_safety=True)
        assert run.status == "succeeded", f"{mode}: {run.error}"
        assert content(db_server, target or shop.name) == was, mode
    drop_all(shop)


@pytest.mark.parametrize(
    "privilege",
    [
        *(
            pytest.param(each, marks=pytest.mark.one_flavour("mysql"))
            for each in ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
        ),
        "routines",
    ],
)
def test_one_grant_less_is_named_before_the_dump(
    db_server: DatabaseServer, make_database: MakeDatabase, privilege: str
) -> None:
    shop = make_restorable(db_server)
    grants = shipped_grants(db_server.flavour, shop.name, "dump")
    routines = "SELECT ON mysql.proc" if db_server.flavour == "mariadb" else "SHOW_ROUTINE ON *.*"
    # Whoever may run routines sees their names, and the server hides the bodies.
    left = [
        grant for grant in grants
        if grant != routines and not grant.startswith(f"{privilege} ON `")
    ] + [routines] * (privilege != "routines")  # fmt: skip
    less = with_user(shop, left)

    checks = {check.name: check for check in preflight.checks(make_database(less), Found())}

    assert not checks["privileges"].ok
    wanted = routines.partition(" ON ")[0] if privilege == "routines" else privilege
    assert f"Run as an administrator: GRANT {wanted} ON" in checks["privileges"].detail
    drop_all(shop)


@pytest.mark.one_flavour("mysql")
def test_live_database_that_may_not_be_written_is_told(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    full = with_least(make_restorable(db_server), "dump", "verify", "restore")
    snapshot = back_up(make_database(full, name="full"))
    was = content(db_server, full.name)
    grants = shipped_grants(db_server.flavour, full.name, "dump", "verify", "restore")
    less = with_user(full, [g for g in grants if not (g.startswith("ALL ON") and "\\_\\_" not in g)])
    database = make_database(less, name="less")

    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
        run = restore(database, mode, snapshot=snapshot, without_safety=True)

        assert run.status == "failed"
        assert f"may not replace {full.name} (it lacks " in run.error
        assert f"administrator: GRANT ALL ON `{full.name}".replace("_", "\\_") in run.error
        assert content(db_server, full.name) == was
    drop_all(full)
