"""Secrets go where they are needed and nowhere else, seen from outside while a backup runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.actions.test_kills import is_client, is_dump_program, is_restic
from tests.backups.conftest import MakePortal
from tests.backups.worlds import (
    RESTIC_PASSWORD,
    Portal,
    Shop,
    children_of,
    client_dir,
    command_of,
    environment_of,
)
from tests.servers import S3Server

KEY = "the key of the tests' S3 server"
SECRET_KEY = "a secret key of the portal, of fifty characters or so"


@pytest.fixture
def guarded(shop: Shop, s3_server: S3Server, s3_repository: str, make_portal: MakePortal) -> Portal:
    """A portal whose every secret is a text that can be looked for."""
    return make_portal(
        shop,
        repository=s3_repository,
        SECRET_KEY=SECRET_KEY,
        AWS_ACCESS_KEY_ID="AKIA-of-the-tests",
        AWS_SECRET_ACCESS_KEY=KEY,
        AWS_DEFAULT_REGION=s3_server.region,
        PORTAL_ADMIN_PASSWORD="of the administrator alone",
    )


@pytest.mark.one_flavour("mariadb")
def test_secrets_are_seen_by_who_needs_them_alone(guarded: Portal) -> None:
    secrets = [guarded.shop.password, RESTIC_PASSWORD, KEY, SECRET_KEY, "of the administrator alone"]
    of_restic = [RESTIC_PASSWORD, KEY]
    with guarded.shop.held("orders"):
        backup = guarded.start("backup", "--json", real=True)
        guarded.shop.wait_for_a_waiting_dump()
        family = {pid: command_of(pid) for pid in children_of(backup.pid)}
        environments = {pid: environment_of(pid) for pid in family}
        own_command = command_of(backup.pid)
    ran = guarded.finish(backup)
    assert ran.code == 0, ran.err

    for is_it in (is_restic, is_dump_program, is_client):
        assert any(is_it(command) for command in family.values()), family
    for command in [own_command, *family.values()]:
        assert not [secret for secret in secrets if secret in command]
    for pid, environment in environments.items():
        seen = [secret for secret in secrets if secret in environment]
        assert seen == (of_restic if is_restic(family[pid]) else []), family[pid]


@pytest.mark.one_flavour("mariadb")
def test_secrets_are_in_no_log_row_or_output(guarded: Portal, tmp_path: Path) -> None:
    """Neither after a backup that went well nor after some that did not, one as a program told its own."""
    name = {"mariadb": "mariadb-dump", "mysql": "mysqldump"}[guarded.shop.server.flavour]
    real = shutil.which(name, path=client_dir(guarded.shop.server) or None)
    tells = tmp_path / "programs" / name
    tells.parent.mkdir()
    tells.write_text(
        f'#!/bin/sh\ncase "$*" in *--defaults*) ;; *) exec {real} "$@" ;; esac\n'
        'for each; do case "$each" in --defaults-file=*) cat "${each#*=}" >&2 ;; esac; done\nexit 2\n'
    )
    tells.chmod(0o755)
    outputs = [guarded.backup(), guarded.manage("preflight"), guarded.manage("backup")]
    wrong = "wrong but secret all the same"
    outputs += [
        guarded.backup(MYSQL_PASSWORD=wrong),
        guarded.backup(RESTIC_PASSWORD=wrong),
        guarded.manage("preflight", MYSQL_PASSWORD=wrong),
        guarded.backup(MYSQL_CLIENT_DIR=str(tells.parent)),
    ]
    assert [ran.code for ran in outputs] == [0, 0, 0, 1, 1, 1, 1]
    assert 'password="•••"' in outputs[-1].json["error"]

    secrets = [guarded.shop.password, RESTIC_PASSWORD, KEY, SECRET_KEY, "of the administrator alone", wrong]
    kept = b"".join(file.read_bytes() for file in guarded.folder.glob("portal.sqlite3*")) + b"".join(
        file.read_bytes() for file in (guarded.folder / "status").rglob("*") if file.is_file()
    )
    assert b"backups_runline" in kept
    for secret in secrets:
        # As an option file and JSON have it, and JSON of that.
        quoted = json.dumps(secret)[1:-1]
        for spelled in (secret, quoted, json.dumps(quoted)[1:-1]):
            is_kept = spelled.encode() in kept  # megabytes, of which nobody wants to be told
            assert not is_kept
            for ran in outputs:
                assert spelled not in ran.out + ran.err


def test_secret_that_a_program_prints_is_masked(db: None) -> None:
    from backups.choices import Action, Trigger
    from backups.models import RunLine
    from backups.runs import lifecycle
    from backups.runs.asked import Asker, Wanted
    from backups.runs.progress import Progress
    from tests.runs.test_services import add_database

    run = lifecycle.run_enqueue(
        Wanted(Action.BACKUP, database=add_database()), Asker(Trigger.CLI), send=False
    )
    progress = Progress(run)
    progress.mask_secrets(["hunter2", ""])

    progress.log("restic: cannot log in as ops:hunter2@host")
    progress.flush()

    assert RunLine.objects.get().text == "restic: cannot log in as ops:•••@host"
