"""Secrets on pages, in errors, in messages, in references and in what a crash leaves."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from pytest_django import Settings

from backups import secret_references
from backups.admin import gate
from backups.alerting import delivery
from backups.choices import Action, Trigger
from backups.errors import Problem
from backups.models import Alert, Database, Repository
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.validators import secret_reference
from tests.actions.test_kills import is_client, is_dump_program, is_restic
from tests.admin.conftest import Login
from tests.backups.conftest import MakePortal, empty_repository, make_portal, mariadb_shop, migrated
from tests.backups.worlds import PROJECT, Portal, Shop, the_child
from tests.security.test_roles import Rows
from tests.servers import Server
from tests.servers.processes import answers_http
from tools.ports import free_port

__all__ = ["empty_repository", "make_portal", "mariadb_shop", "migrated"]

# ---------------------------------------------------------------- Pages


def test_a_page_that_breaks_tells_nothing_and_mails_nobody(
    rows: Rows, login: Login, monkeypatch: pytest.MonkeyPatch, guarded: tuple[str, ...], settings: Settings
) -> None:
    def broken() -> None:
        password = guarded[0]
        raise RuntimeError(f"cannot log in with {password}")

    monkeypatch.setattr(gate, "look", broken)
    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    client = login("superuser")
    client.raise_request_exception = False
    response = client.get("/admin/gate/")
    assert response.status_code == 500
    text = response.content.decode()
    for told in (*guarded, "RuntimeError", "Traceback", "gate.py"):
        assert told not in text
    assert settings.ADMINS == []
    assert mail.outbox == []


def test_a_wrong_address_of_a_message_is_shown_nowhere(
    rows: Rows, login: Login, guarded: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Apprise's own address holds the password, and its libraries like to print it."""
    Alert.objects.update(is_pending=True, tried_at=None)
    delivery.deliver()
    alert = Alert.objects.get()
    assert alert.error
    kept = str(Alert.objects.values()) + caplog.text
    kept += login("Viewer").get("/admin/backups/alert/").content.decode()
    kept += login("Operator").post(
        "/admin/backups/alert/send_test/", {"_form_submitted": "on"}, follow=True
    ).content.decode()  # fmt: skip
    assert "NOTIFY_URLS" in kept
    for secret in guarded:
        assert secret not in kept


def test_what_runs_after_an_unexpected_error_says_no_secret(
    guarded: tuple[str, ...], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback goes to the run's log, the secrets that the run uses do not."""
    from backups.actions import check
    from backups.models import Run
    from backups.runs.progress import Progress
    from backups.worker import executor

    def broken(run: Run, progress: Progress) -> None:
        progress.mask_secrets(guarded)
        raise RuntimeError(f"unexpected: {guarded[1]}")

    monkeypatch.setitem(executor.ACTIONS, Action.CHECK, broken)
    assert check
    run = lifecycle.run_enqueue(
        Wanted(Action.CHECK, repository=database.repository), Asker(Trigger.CLI), send=False
    )
    executor.execute(run.pk)
    run.refresh_from_db()
    told = run.error + "".join(run.lines.values_list("text", flat=True))
    assert "unexpected: •••" in told
    assert guarded[1] not in told


# ---------------------------------------------------------------- Downloads


@pytest.mark.parametrize("role", ["", "nobody", "staff", "Viewer", "Operator"])
def test_a_snapshot_is_downloaded_by_restorers_alone(rows: Rows, login: Login, role: str) -> None:
    client = login(role) if role else Client()
    url = f"/admin/backups/snapshot/{rows['backups_snapshot'].pk}/restore/"
    asked = {"mode": "file", "reason": "curious", "definers": "keep", "start": "1"}
    for response in (client.get(url), client.post(url, asked)):
        assert response.status_code in {302, 403}
        assert "/login/" in response.headers.get("Location", "/login/")
        assert "Content-Disposition" not in response.headers


# ---------------------------------------------------------------- References


@pytest.mark.parametrize(
    "reference",
    ["env:SECRET_KEY", "env:DATABASE_URL", "env:METRICS_TOKEN", "env:NOTIFY_URLS", "env:SECRET_KEY_FILE"],
)
def test_the_portals_own_secrets_are_for_no_server(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets up a database chooses the server that is shown its password."""
    monkeypatch.setenv(reference.removeprefix("env:"), "hunter2")
    with pytest.raises(ValidationError):
        secret_reference(reference)
    with pytest.raises(Problem, match="the portal's own secret") as raised:
        secret_references.Secret(reference).resolve()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"SECRET_KEY=hunter2\nMYSQL_PASSWORD=hunter2\n", b"A=hunter2\0B=2\0", b"-----BEGIN\nhunter2\n"],
)
def test_a_file_that_is_no_password_is_sent_to_no_server(content: bytes, tmp_path: Path) -> None:
    """Neither a .env, nor a key, nor what /proc shows of a process."""
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(Problem, match="is not one line of text") as raised:
        secret_references.Secret(f"file:{tmp_path}/../{tmp_path.name}/file").resolve()
    assert "hunter2" not in str(raised.value)


def test_a_process_is_not_read_by_a_reference() -> None:
    with pytest.raises(Problem):
        secret_references.Secret("file:/proc/self/environ").resolve()


def test_a_repository_is_not_shown_the_portals_secrets_through_its_form(login: Login) -> None:
    page = login("Administrator").post(
        "/admin/backups/repository/add/",
        {"name": "x", "url": "rest:https://evil.example/", "check_interval": "1",
         "password_ref": "env:SECRET_KEY", "access_key_ref": "", "secret_key_ref": ""},
    )  # fmt: skip
    assert "the portal&#x27;s own secret" in page.content.decode()
    assert not Repository.objects.exists()


def test_in_compose_the_servers_administrator_is_the_servers_alone() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        said = service.get("environment", {})
        for variable in ("MYSQL_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD_FILE"):
            if name == "db":
                assert said[variable]
            elif "env_file" in service:
                assert said[variable] == "", name
            else:
                assert variable not in said, name


# ---------------------------------------------------------------- What a crash leaves


def core_limits(pid: int) -> list[str]:
    """The soft and the hard limit of a process's core dump."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    found = re.search(r"Max core file size\s+(\S+)\s+(\S+)", limits)
    assert found
    return list(found.groups())


def served_as_shipped(portal: Portal) -> Server:
    """The portal with the configuration of gunicorn that it comes with."""
    bind = f"127.0.0.1:{free_port()}"
    return Server(
        [sys.executable, "-m", "gunicorn", "-c", "portal/gunicorn.conf.py", "portal.wsgi"],
        log=portal.folder / "portal.log",
        cwd=PROJECT,
        env={**portal.environment, "PORTAL_BIND": bind, "WEB_CONCURRENCY": "1"},
        ready=lambda: answers_http(f"http://{bind}/sentinel/ok"),
    )


# tests/run/test_portal_alone.py has it of a backup that the worker plays.
@pytest.mark.soak
def test_no_process_that_holds_secrets_leaves_a_core_dump(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    portal: Portal = make_portal(mariadb_shop)
    with served_as_shipped(portal), portal.worker(), mariadb_shop.held("orders"):
        backup = portal.start("backup", "--json")
        mariadb_shop.wait_for_a_waiting_dump()
        assert_no_core_dumps(portal, backup.pid)
    assert portal.finish(backup).code == 0


def assert_no_core_dumps(portal: Portal, backs_up: int) -> None:
    """Of portal, worker, and what a process has started that is in the middle of a backup."""
    for is_it in (is_restic, is_dump_program, is_client):
        assert core_limits(the_child(backs_up, is_it)) == ["1", "1"]
    limits = [(command, core_limits(pid)) for pid, command in portal.processes().items()]
    assert sum("gunicorn" in command for command, _ in limits) >= 2
    assert sum("manage.py" in command for command, _ in limits) >= 4
    assert [command for command, limit in limits if limit != ["1", "1"]] == []


CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def test_a_crash_leaves_nothing(tmp_path: Path) -> None:
    """Seen from a shell, which says whether the kernel dumped."""
    found = []
    for program in (
        [sys.executable, "-c", CRASH],
        [sys.executable, str(PROJECT / "manage.py"), "shell", "-c", CRASH],
    ):
        ran = subprocess.run(
            ["bash", "-c", 'ulimit -c unlimited; "$@"; exit 0', "bash", *program],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        found.append("core dumped" in ran.stderr)
    if not found[0]:
        pytest.skip("this machine leaves no core dumps of anything")
    assert not found[1]
