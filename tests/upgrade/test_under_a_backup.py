"""Code replaced under a running backup: it ends with its sentence, nothing is lost, the next one works."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import PROJECT, Portal, Shop, children_of, wait_until
from tests.run.test_worker import ENQUEUE
from tests.servers import Server

NEXT_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("backups", "{last}")]
    operations = [migrations.RunSQL("CREATE TABLE backups_next (id INTEGER PRIMARY KEY)")]
"""
NEXT = "9.9.9"


class Installation:
    """A portal whose code lies in a folder of its own, as that of an installation does."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.code = portal.folder / "code"
        for name in ("backups", "portal", "sentinel", "templates"):
            shutil.copytree(PROJECT / name, self.code / name)  # with what is compiled
        shutil.copy(PROJECT / "manage.py", self.code)

    def worker(self, name: str) -> Server:
        """Its worker, with a log by this name."""
        log = self.portal.folder / f"{name}.log"
        return Server(
            [sys.executable, "manage.py", "worker"],
            log=log, cwd=self.code, env=self.portal.environment,
            ready=lambda: "The worker is ready." in log.read_text(), stop_seconds=20,
        )  # fmt: skip

    def manage(self, *words: str) -> str:
        """What a command of it prints; it succeeds."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.code, env={**os.environ, **self.portal.environment}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def replace_code(self) -> None:
        """Put the next version in the place of this one: another version, and a migration more."""
        shutil.move(self.code / "backups", self.portal.folder / "backups-of-before")
        shutil.copytree(PROJECT / "backups", self.code / "backups")
        version = self.code / "backups" / "__init__.py"
        version.write_text(re.sub(r'(?<=__version__ = ")[^"]+', NEXT, version.read_text()))
        migrations = self.code / "backups" / "migrations"
        last = max(file.stem for file in migrations.glob("0*.py"))
        (migrations / "0999_next.py").write_text(NEXT_MIGRATION.format(last=last))


def set_up(installation: Installation) -> None:
    """What the units and the image run before the new worker starts."""
    installation.manage("migrate", "--no-input")
    installation.manage("bootstrap")


def stop(worker: Server) -> None:
    """It is told to stop, and given time for it."""
    os.kill(worker.pid, signal.SIGTERM)
    wait_until(lambda: not worker.running, "the worker's end", seconds=20)


def as_the_units_do(installation: Installation, worker: Server) -> None:
    """The worker stops first; then comes the set-up."""
    stop(worker)
    set_up(installation)


def set_up_first(installation: Installation, worker: Server) -> None:
    """As docs/install.md has it for any other supervisor: the worker of before goes on meanwhile."""
    set_up(installation)
    assert installation.portal.run()["status"] == "running"
    stop(worker)


def killed(installation: Installation, worker: Server) -> None:
    """As systemd and Docker do when the time to stop is over: all that is left of it is killed at once."""
    for pid in (worker.pid, *children_of(worker.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    set_up(installation)


@pytest.mark.parametrize(
    ("upgrade", "status", "sentence"),
    [
        # The next one stops the worker as well, and with the set-up behind it.
        pytest.param(as_the_units_do, "cancelled", "Cancelled.", marks=pytest.mark.soak),
        (set_up_first, "cancelled", "Cancelled."),
        # tests/actions/test_kills.py has a worker that is killed and replaced.
        pytest.param(killed, "lost", "The worker", marks=pytest.mark.soak),
    ],
)
def test_a_backup_that_an_upgrade_cuts_short_is_told_and_the_next_one_works(
    mariadb_shop: Shop,
    make_portal: MakePortal,
    upgrade: Callable[[Installation, Server], None],
    status: str,
    sentence: str,
) -> None:
    portal = make_portal(mariadb_shop)
    assert portal.backup().code == 0
    kept = {each["id"] for each in portal.snapshots()}
    before = portal.heartbeat()
    installation = Installation(portal)
    with mariadb_shop.held("orders"), installation.worker("before") as worker:
        portal.shell(ENQUEUE)
        mariadb_shop.wait_for_a_waiting_dump()
        cut_short = portal.run()
        installation.replace_code()
        upgrade(installation, worker)
    assert f"Vedetta {NEXT}" in installation.manage("version")

    with installation.worker("after"):
        wait_until(lambda: portal.run(cut_short["id"])["status"] == status, f"the {status} run", seconds=120)
        assert portal.run(cut_short["id"])["error"].startswith(sentence)
        assert {each["id"] for each in portal.snapshots()} == kept
        assert portal.heartbeat() == before, "a backup that did not end opens no gate"
        portal.shell(ENQUEUE)
        wait_until(lambda: portal.run()["status"] == "succeeded", "the next backup", seconds=120)

    assert kept < {each["id"] for each in portal.snapshots()}
    after = portal.heartbeat()
    assert before is not None
    assert after is not None
    assert after > before
    assert portal.rows("SELECT name FROM django_migrations WHERE name = '0999_next'")
    assert portal.leftovers() == []
