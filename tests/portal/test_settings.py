"""A wrong setting stops every way of starting, with one sentence and without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.commands import start_command

PROJECT = Path(__file__).resolve().parents[2]
WAYS = [
    ["manage.py", "check"],
    ["manage.py", "backup", "--json"],
    # On no port of its own choice: a portal may run on this machine.
    ["-m", "gunicorn", "--bind", "127.0.0.1:0", "portal.wsgi"],
]
WRONG = {
    "SECRET_KEY": "short",
    "DEBUG": "maybe",
    "CSRF_TRUSTED_ORIGINS": "backups.example.com",
    "DATABASE_URL": "oracle://portal:hunter2@db/portal",
    "PING_URL": "hc.example.com/ping/hunter2",
    "TRUSTED_PROXIES": "10.1.2.0/24 nginx",
    "TIME_ZONE": "Mars/Olympus",
    "MYSQL_PORT": "70000",
    "MYSQL_SSL_MODE": "SOMETIMES",
    "VERIFY_MYSQL_PORT": "0",
    "BACKUP_CRON": "0 0 31 2 *",
    "VERIFY_CRON": "R 3 * * *",
    "MAINTENANCE_CRON": "30 4 * *",
    "FORGET_AFTER": "lunch",
    "BACKUP_CHECK_INTERVAL": "often",
    "DUMP_CONNECTIONS": "0",
    "DUMP_SPOOL_MB": "-1",
    "RESTORE_CONNECTIONS": "0",
    "BACKUP_KEEP_DAILY": "-7",
    "BACKUP_KEEP_WEEKLY": "x",
    "BACKUP_KEEP_MONTHLY": "6.0",
    "BACKUP_CHECK_TABLES": "sometimes",
    "BACKUP_DUMP_FORMAT": "zip",
    "SENTINEL_THRESHOLD_SECONDS": "1d",
    "SENTINEL_BOOT_GRACE_SECONDS": "-1",
    "SENTINEL_VERIFIED_THRESHOLD_SECONDS": "never",
    "RESTIC_PASSWORD_FILE": "/nowhere/to/be/found",
    "RESTIC_REPOSITORY": "rest:https://user:secret@host/",
}


def start(way: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """How Python ends that is started so; a command is forked, which is to itself and others the same."""
    given = {**os.environ, **environment}
    if way[0] == "manage.py":
        command = start_command(tuple(way[1:]), given)
        out, err = command.communicate(timeout=60)
        return subprocess.CompletedProcess(way, command.returncode, out, err)
    return subprocess.run(
        [sys.executable, *way],
        cwd=PROJECT,
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# One of each kind of value, and all that hold a secret.
QUICK = (
    "SECRET_KEY", "CSRF_TRUSTED_ORIGINS", "DATABASE_URL", "PING_URL", "TIME_ZONE", "MYSQL_PORT",
    "BACKUP_CRON", "BACKUP_DUMP_FORMAT", "RESTIC_PASSWORD_FILE", "RESTIC_REPOSITORY",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.soak) for name in WRONG]
)
def test_wrong_value_stops_the_start_with_its_name(name: str) -> None:
    environment = {name: WRONG[name]}
    if name.endswith("_FILE"):
        environment |= {name.removesuffix("_FILE"): ""}

    ran = start(["manage.py", "check"], **environment)

    assert ran.returncode == 1
    assert name.removesuffix("_FILE") in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "hunter2" not in ran.stderr


@pytest.mark.parametrize("way", WAYS, ids=["check", "backup", "gunicorn"])
def test_one_sentence_is_all_that_is_said(way: list[str]) -> None:
    ran = start(way, TIME_ZONE="Mars/Olympus")

    assert ran.returncode != 0
    assert ran.stdout == ""
    (said,) = [line for line in ran.stderr.splitlines() if not line.startswith("[")]
    assert said == "vedetta: TIME_ZONE is 'Mars/Olympus', but must be a time zone such as Europe/Rome."


def test_check_passes_where_nothing_is_wrong() -> None:
    ran = start(["manage.py", "check"])

    assert ran.returncode == 0
    assert "Traceback" not in ran.stderr


def test_check_warns_of_programs_that_are_not_installed(tmp_path: Path) -> None:
    code = (
        "from backups import process\n"
        "process.find_program = lambda *names, folder='': None\n"
        "from django.core.management import execute_from_command_line as run\n"
        "run(['manage.py', 'check'])\n"
    )

    ran = start(["-c", code])

    assert ran.returncode == 0
    assert "backups.W001" in ran.stderr
    assert "backups.W002" in ran.stderr


def test_nothing_secret_has_a_usable_default() -> None:
    ran = start(["manage.py", "check"], SECRET_KEY="")

    assert ran.returncode == 1
    assert ran.stderr.startswith("vedetta: SECRET_KEY is not set")
