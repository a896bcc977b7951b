"""Secrets are changed under a worker that runs, as docs/operations.md says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.actions.test_kills import queue_a_backup
from tests.backups.conftest import MakePortal
from tests.backups.worlds import RESTIC_PASSWORD, Portal, Shop, wait_until

pytestmark = pytest.mark.soak


def ended(portal: Portal, run_id: int) -> tuple[str, str]:
    """How a run that the worker plays ends."""
    wait_until(lambda: portal.run(run_id)["status"] not in ("queued", "running"), "the backup", 120)
    run = portal.run(run_id)
    return run["status"], run["error"]


@pytest.fixture
def in_files(mariadb_shop: Shop, make_portal: MakePortal, tmp_path: Path) -> tuple[Portal, Path, Path]:
    """A portal whose two passwords come from files."""
    of_database, of_repository = tmp_path / "mysql password", tmp_path / "restic password"
    of_database.write_text(f"{mariadb_shop.password}\n")
    of_repository.write_text(f"{RESTIC_PASSWORD}\n")
    portal = make_portal(mariadb_shop)
    for name, file in (("MYSQL_PASSWORD", of_database), ("RESTIC_PASSWORD", of_repository)):
        portal.environment[name] = ""
        portal.environment[f"{name}_FILE"] = str(file)
    return portal, of_database, of_repository


def test_passwords_in_files_change_under_a_worker_that_runs(
    in_files: tuple[Portal, Path, Path], tmp_path: Path
) -> None:
    portal, of_database, of_repository = in_files
    shop = portal.shop
    with portal.worker():
        assert ended(portal, queue_a_backup(portal)) == ("succeeded", "")

        shop.server.execute(f"ALTER USER '{shop.user}'@'%' IDENTIFIED BY 'another one'")
        status, error = ended(portal, queue_a_backup(portal))
        assert (status, "MYSQL_PASSWORD" in error) == ("failed", True)
        of_database.write_text("another one\n")
        assert ended(portal, queue_a_backup(portal)) == ("succeeded", "")

        # restic itself reads RESTIC_PASSWORD_FILE too.
        new = tmp_path / "new password"
        new.write_text("of the repository from now on\n")
        portal.restic("key", "add", "--new-password-file", str(new))
        new.replace(of_repository)
        assert ended(portal, queue_a_backup(portal)) == ("succeeded", "")
        keys = json.loads(portal.restic("key", "list", "--json"))
        (old,) = [key["id"] for key in keys if not key["current"]]
        portal.restic("key", "remove", old)
        assert ended(portal, queue_a_backup(portal)) == ("succeeded", "")
    assert portal.snapshots(), "which the new password opens"


def test_another_secret_key_loses_no_run_that_was_queued(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    run_id = queue_a_backup(portal)
    portal.environment["SECRET_KEY"] = "the next one, of as many characters as it takes"
    # As if it had waited for some minutes by the time that the worker is started again.
    portal.shell(
        "from datetime import timedelta; from django.db.models import F; from backups.models import Run;"
        "Run.objects.update(queued_at=F('queued_at') - timedelta(minutes=6))"
    )
    with portal.worker():
        assert ended(portal, run_id) == ("succeeded", "")


def test_with_the_old_secret_key_beside_the_new_one_a_queued_run_is_played_at_once(
    mariadb_portal: Portal,
) -> None:
    portal = mariadb_portal
    run_id = queue_a_backup(portal)
    old = portal.environment.get("SECRET_KEY") or os.environ["SECRET_KEY"]
    made = subprocess.run(
        [sys.executable, "-c", "import secrets; print(secrets.token_urlsafe(50))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    portal.environment |= {"SECRET_KEY": made.stdout.strip(), "SECRET_KEY_FALLBACKS": old}
    with portal.worker():
        assert ended(portal, run_id) == ("succeeded", "")
    told = [row["text"] for row in portal.rows("SELECT text FROM backups_runline WHERE run_id = ?", run_id)]
    assert not [text for text in told if "sent again" in text]
