"""Definitions whose definer is a role that is not on the server any more (MariaDB)."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from backups.choices import Action, RestoreMode, Trigger
from backups.dumpfile.heads import role_of
from backups.models import Database, Run
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.worker import executor
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import log_of, restore, succeeded

BackUp = Callable[[Database], Run]


@pytest.mark.parametrize(
    ("definer", "role"),
    [
        (b"`boss`", b"boss"),
        (b"`a``b`", b"a`b"),
        (b"`a@b`", b"a@b"),
        (b"`boss`@`%`", b""),
        (b"CURRENT_USER", b""),
        (b"", b""),
    ],
)
def test_a_role_is_told_from_an_account(definer: bytes, role: bytes) -> None:
    assert role_of(definer) == role


def verify(database: Database) -> Run:
    queued = lifecycle.run_enqueue(Wanted(Action.VERIFY, database=database), Asker(Trigger.CLI), send=False)
    played = executor.execute(queued.pk, send_follow_ups=False)
    assert played is not None
    return played


# tests/restoring/test_unmade.py has a definer that is gone.
@pytest.mark.soak
def test_what_a_role_defined_that_is_gone_is_told_with_the_cure(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop, server, role = mariadb_shop, mariadb_shop.server, f"boss_{secrets.token_hex(3)}"
    server.execute(f"CREATE ROLE {role}; GRANT ALL ON `{shop.name}`.* TO {role}")
    server.execute(f"CREATE DEFINER={role} VIEW of_role AS SELECT id FROM orders", shop.name)
    server.execute(f"CREATE DEFINER={role} PROCEDURE by_role() SELECT 1", shop.name)
    database = make_database(shop)
    succeeded(back_up(database))
    server.execute(f"DROP ROLE {role}")
    cure = f"CREATE ROLE `{role}`"

    beside = succeeded(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))
    changed = [(each["kind"], each["name"], each["role"]) for each in beside.result["definers_changed"]]
    assert changed == [("procedure", "by_role", role), ("view", "of_role", role)]
    assert f"View of_role: its definer, the role {role}, is not on this server" in log_of(beside)
    assert cure in log_of(beside)
    assert "runs under another definer" in log_of(beside)
    assert succeeded(verify(database)).result["verdict"] == "identical"
