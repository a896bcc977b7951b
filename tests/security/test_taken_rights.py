"""What somebody asked for, and may no more, is not played; what nobody asked for is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from backups.choices import Action, RestoreMode, Trigger
from backups.models import Database, Repository, Run, Snapshot
from backups.requests import RestoreRequest
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.runs.outcome import Outcome
from backups.worker import executor
from tests.rows import a_server

Ask = Callable[..., Run]

TAKEN: dict[str, tuple[Callable[[User], object], str]] = {
    "the account is inactive": (
        lambda person: User.objects.filter(pk=person.pk).update(is_active=False), "is no longer active"
    ),
    "the account is deleted": (lambda person: person.delete(), "was deleted"),
    "and many with it": (lambda person: User.objects.all().delete(), "was deleted"),
    "out of the group": (lambda person: person.groups.clear(), "may not start such a run any more"),
    "the group is gone": (lambda person: Group.objects.all().delete(), "may not start such a run any more"),
    "the group may it no more": (
        lambda person: Group.objects.get(name="Restorer").permissions.clear(),
        "may not start such a run any more",
    ),
    "not let in any more": (
        lambda person: User.objects.filter(pk=person.pk).update(is_staff=False),
        "may not start such a run any more",
    ),
}  # fmt: skip


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs whose action a worker began."""
    begun: list[Run] = []

    def plays(run: Run, _progress: object) -> Outcome:
        begun.append(run)
        return Outcome()

    for action in Action:
        monkeypatch.setitem(executor.ACTIONS, action, plays)
    return begun


@pytest.fixture
def ask(db: None) -> Ask:
    """Queues a run as the portal does."""
    repository = Repository.objects.create(name="main", url="/nowhere")
    shop = Database.objects.create(name="shop", server=a_server("h"), database="shop", repository=repository)
    snapshot = Snapshot.objects.create(
        repository=repository,
        database=shop,
        snapshot_id="a" * 64,
        time=timezone.now(),
        path="/mysql/shop.sql",
    )

    def ask(
        action: Action,
        person: User | None,
        trigger: Trigger | None = None,
        parent: Run | None = None,
        options: dict[str, Any] | None = None,
    ) -> Run:
        asker = Asker(trigger or (Trigger.ADMIN if person else Trigger.SCHEDULE), person, parent)
        if action == Action.RESTORE:
            wanted = RestoreRequest(shop, snapshot, RestoreMode.NEW, "shop_copy")
            return wanted.submit(asker, send=False)
        return lifecycle.run_enqueue(Wanted(action, shop, options=options or {}), asker, send=False)

    return ask


@pytest.mark.parametrize("how", TAKEN)
def test_a_restore_of_whom_the_right_was_taken_is_not_played(
    ask: Ask, person: Callable[[str], User], played: list[Run], caplog: pytest.LogCaptureFixture, how: str
) -> None:
    caplog.set_level(logging.WARNING, "backups")  # a command within this process lowers it
    take, why = TAKEN[how]
    restorer = person("Restorer")
    run = ask(Action.RESTORE, restorer)
    scheduled = ask(Action.BACKUP, None)

    take(restorer)
    for queued in (run, scheduled):
        executor.execute(queued.pk)

    run.refresh_from_db()
    assert [each.pk for each in played] == [scheduled.pk]
    assert run.status == "cancelled"
    assert run.error.startswith("Cancelled before it started: ")
    assert why in run.error
    assert "restorer" in run.error
    assert run.error.endswith("Anybody who may start such a run can start it again.")
    assert run.error in caplog.text
    assert run.finished_at


ROLES = {
    ("Operator", Action.BACKUP): True,
    ("Operator", Action.VERIFY): True,
    ("Operator", Action.PRUNE): True,
    ("Operator", Action.RESTORE): False,
    ("Restorer", Action.RESTORE): True,
    ("Viewer", Action.BACKUP): False,
    ("Viewer", Action.SNAPSHOTS): False,
    ("superuser", Action.RESTORE): True,
}


@pytest.mark.parametrize(("role", "action"), ROLES)
def test_a_role_that_may_less_takes_with_it_what_it_may_not(
    ask: Ask, person: Callable[[str], User], played: list[Run], role: str, action: Action
) -> None:
    run = ask(action, person(role))

    executor.execute(run.pk)

    assert bool(played) == ROLES[role, action]


def test_a_drill_needs_the_right_to_hold_the_gate(
    ask: Ask, person: Callable[[str], User], played: list[Run]
) -> None:
    for role, is_played in (("Operator", False), ("Administrator", True)):
        run = ask(Action.PREFLIGHT, person(role), options={"gate": "http://shop"})
        executor.execute(run.pk)
        assert bool(played) == is_played


def test_what_is_under_way_keeps_its_parts(ask: Ask, person: Callable[[str], User]) -> None:
    """The backup before a restore, whose person goes in the middle of it."""
    restorer = person("Restorer")
    restore = ask(Action.RESTORE, restorer)
    assert lifecycle.run_claim(restore.pk, worker="w")
    safety = ask(Action.BACKUP, restorer, parent=restore, trigger=Trigger.RESTORE)
    restorer.groups.clear()

    assert lifecycle.run_claim(safety.pk, worker="w")
    restorer.delete()
    restore.refresh_from_db()
    assert restore.status == "running"
