"""Copies of the portal that lie in a repository: ours come back unasked, others only for who says yes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.backups.conftest import (
    MakePortal,
    empty_repository,
    make_portal,
    mariadb_shop,
    migrated,
)
from tests.backups.worlds import Portal, Ran, Shop

__all__ = ["empty_repository", "make_portal", "mariadb_shop", "migrated"]

OURS = base64.b64encode(bytes(range(32))).decode()
THEIRS = base64.b64encode(bytes(range(1, 33))).decode()
# A superuser, a database that would be backed up every minute, a server of theirs to restore ours into,
# things to delete, our database once more in a repository of theirs that is shown our secrets, and a swap
# that is to be ended with definitions of theirs.
MALLORY = """
from django.contrib.auth.models import User
from backups.requests import Asker, VerifyRequest
from backups.choices import Trigger
from backups.models import Database, Repository, Restore, Run, Server, Snapshot
from django.utils import timezone
User.objects.create_superuser("mallory", "", "a password of mine")
rogue = Server.objects.create(name="rogue", host="rogue.example", user="u")
other = Database.objects.create(name="evil", server=rogue, database="evil",
    backup_cron="* * * * *", repository=Repository.objects.get())
Database.objects.filter(is_primary=True).update(verify_host="verify.example", verify_user="u",
    verify_password_ref="env:MYSQL_PASSWORD")
for action, left in (("verify", {"scratch": "payroll"}), ("restore", {"partial": "PRECIOUS"})):
    run = VerifyRequest(other).submit(Asker(Trigger.CLI), send=False)
    Run.objects.filter(pk=run.pk).update(action=action, status="lost", result=left)
shop = Database.objects.get(is_primary=True)
theirs = Repository.objects.create(name="theirs", url="rest:http://rogue.example/",
    secret_key_ref="file:/etc/passwd")
beside = Server.objects.create(name="beside", host=shop.server.host, port=shop.server.port, user="u",
    password_ref="env:HOME")
Database.objects.create(name="twin", server=beside, database=shop.database,
    backup_cron="* * * * *", repository=theirs)
Database.objects.filter(pk=shop.pk).update(gates_app=False, heartbeat_threshold=10**9, keep_daily=1)
run = VerifyRequest(other).submit(Asker(Trigger.CLI), send=False)
Run.objects.filter(pk=run.pk).update(action="restore", status="lost")
snapshot = Snapshot.objects.create(repository=shop.repository, snapshot_id="ab" * 32, time=timezone.now(),
    path="/mysql/x.sql", verified_at=timezone.now(), verdict="identical")
Restore.objects.create(run_id=run.pk, database=shop, snapshot=snapshot, mode="replace", target=shop.database,
    incoming="x__restore_1", kept_in="x__before_1", swap="renamed", definitions_after=b"theirs")
"""
STATE = """
import json
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from backups.models import Database, Repository, Restore, Run, Snapshot
print(json.dumps({
    "people": [[u.username, u.is_active] for u in User.objects.order_by("username")],
    "schedules": {d.name: [d.backup_cron, d.verify_cron] for d in Database.objects.all()},
    "left": [r.pk for r in Run.objects.all() if {"scratch", "partial"} & r.result.keys()],
    "runs": Run.objects.exclude(trigger="recovered").filter(action="backup").count(),
    "made here": [s.made_here for s in Snapshot.objects.filter(forgotten_at=None)],
    "gate": [[d.gates_app, d.heartbeat_threshold, d.keep_daily]
        for d in Database.objects.filter(is_primary=True)],
    "shown": {r.name: r.references() for r in Repository.objects.all()},
    "shown to servers": {d.name: d.server.references() for d in Database.objects.all()},
    "swaps": [[r.swap, r.kept_in, bool(r.definitions_after)] for r in Restore.objects.all()],
    "proved": Snapshot.objects.exclude(verified_at=None).count(),
    "admin": bool(User.objects.filter(username="root-of-env").first()),
}))
"""


@pytest.fixture
def lost(make_portal: MakePortal, mariadb_shop: Shop) -> Portal:
    """A portal that backed up once, itself included; its machine is gone."""
    portal = make_portal(mariadb_shop, BACKUP_PORTAL="true", VEDETTA_KEY=OURS)
    assert portal.manage("backup").code == 0
    return portal


@pytest.fixture
def lost_with_mallory(make_portal: MakePortal, mariadb_shop: Shop, tmp_path: Path) -> Portal:
    """As `lost`, but its newest copy holds what a stranger wants."""
    portal = make_portal(mariadb_shop, BACKUP_PORTAL="true", VEDETTA_KEY=THEIRS)
    portal.shell(MALLORY.replace("PRECIOUS", str(tmp_path / "precious.txt")))
    assert portal.manage("backup", "--database", portal.shop.name).code == 0
    return portal


def recovered(make_portal: MakePortal, lost: Portal, *options: str, key: str = OURS) -> tuple[Portal, Ran]:
    """What `recover` makes of the repository on a new machine."""
    machine = make_portal(
        lost.shop, repository=lost.repository, set_up=False, VEDETTA_KEY=key,
        PORTAL_ADMIN_USER="root-of-env", PORTAL_ADMIN_PASSWORD="of the environment",
    )  # fmt: skip
    return machine, machine.manage("recover", "--history-only", *options)


def state_of(portal: Portal) -> dict[str, Any]:
    """Who may do what, and what is there."""
    return dict(json.loads(portal.shell(STATE)))


# Below, beside a stranger's copy.
@pytest.mark.soak
def test_a_copy_of_ours_comes_back_without_a_question(make_portal: MakePortal, lost: Portal) -> None:
    machine, ran = recovered(make_portal, lost)

    assert ran.code == 0, ran.err
    assert "was restored" in ran.out
    state = state_of(machine)
    assert state["runs"] == 1
    assert state["made here"] == [True]


def test_of_a_strangers_copy_nothing_is_taken_unasked_and_of_who_says_yes_no_harm(
    make_portal: MakePortal, lost_with_mallory: Portal, tmp_path: Path
) -> None:
    assert_nothing_is_taken(make_portal, lost_with_mallory)
    assert_rows_are_taken_without_what_they_could_do(make_portal, lost_with_mallory, tmp_path)


def assert_nothing_is_taken(make_portal: MakePortal, lost_with_mallory: Portal) -> None:
    """As at a container's start: nobody is there to ask, and the history comes from the snapshots."""
    machine, ran = recovered(make_portal, lost_with_mallory)

    assert ran.code == 0, ran.err
    assert ran.out.count("did not sign it, and nobody vouched for it") == 1, "said once, after it was asked"
    assert "recover --trust-copy" in ran.out
    assert "mallory (superuser)" in ran.out
    assert "rogue.example" in ran.out
    assert "on verify.example:3306 as u" in ran.out
    state = state_of(machine)
    assert [name for name, _ in state["people"]] == ["root-of-env"]
    assert list(state["schedules"]) == [machine.shop.name]
    assert state["made here"] == [False]


def assert_rows_are_taken_without_what_they_could_do(
    make_portal: MakePortal, lost_with_mallory: Portal, tmp_path: Path
) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("of somebody else")
    machine, ran = recovered(make_portal, lost_with_mallory, "--trust-copy")

    assert ran.code == 0, ran.err
    assert "was restored" in ran.out
    assert "cannot sign in until an administrator lets them: mallory" in ran.out
    assert "Database evil has no schedules" in ran.out
    assert f"Test restores of {machine.shop.name} do not go to verify.example:3306 until" in ran.out
    state = state_of(machine)
    assert ["mallory", False] in state["people"]
    assert ["root-of-env", True] in state["people"]
    assert state["schedules"]["evil"] == ["", ""]
    assert state["schedules"]["twin"] == ["", ""]
    assert state["schedules"][machine.shop.name][0]
    assert state["gate"] == [[True, None, 7]]
    assert f"Database {machine.shop.name} follows .env, not the copy, in these: gates_app" in ran.out
    assert state["shown"]["theirs"] == []
    assert state["shown"]["main"][0] == "env:RESTIC_PASSWORD"
    assert "Repository theirs (rest:http://rogue.example/) is not used until somebody says again" in ran.out
    assert state["shown to servers"]["twin"] == []
    assert state["shown to servers"][machine.shop.name] == ["env:MYSQL_PASSWORD"]
    assert state["swaps"] == [["", "", False]]
    assert state["proved"] == 0
    assert state["left"] == []
    machine.shell("from backups.worker import reaper; reaper.run()")
    assert precious.exists()


def test_a_strangers_newer_copy_does_not_hide_ours(
    make_portal: MakePortal, lost: Portal, mariadb_shop: Shop
) -> None:
    stranger = make_portal(mariadb_shop, repository=lost.repository, BACKUP_PORTAL="true", VEDETTA_KEY=THEIRS)
    assert stranger.manage("backup").code == 0

    machine, ran = recovered(make_portal, lost)

    assert ran.code == 0, ran.err
    assert ran.out.index("was not taken over") < ran.out.index("was restored")
    state = state_of(machine)
    assert state["runs"] == 1
    assert sorted(state["made here"]) == [False, True]


@pytest.mark.parametrize(
    "left",
    [
        "/srv/.precious.sql.partial",
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("/srv/precious.txt", 5)),
    ],
)
def test_no_row_has_a_file_deleted_that_no_run_could_have_written(
    make_portal: MakePortal, mariadb_shop: Shop, tmp_path: Path, left: object
) -> None:
    portal = make_portal(mariadb_shop)
    file = tmp_path / Path(str(left)).name
    file.touch()
    portal.shell(
        "from backups.requests import Asker, VerifyRequest\n"
        "from backups.worker import reaper\n"
        "from backups.models import Database, Run\n"
        "shop = Database.objects.get()\n"
        "run = VerifyRequest(shop).submit(Asker('cli'), send=False)\n"
        f"Run.objects.filter(pk=run.pk).update(status='lost', result={{'partial': {str(file)!r}}})\n"
        "reaper.run()\n"
        "assert 'partial' not in Run.objects.get(pk=run.pk).result\n"
    )

    assert file.exists()
