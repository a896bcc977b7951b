"""Names from outside, as hostile as they come: pages escape them, terminals and logs are not steered."""

from __future__ import annotations

import email
import json
import logging
import re
import socket
import threading
from datetime import timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db.models import CharField, Field, JSONField, Model, TextField
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from backups.alerting import delivery
from backups.choices import AlertState
from backups.gate import heartbeat_files
from backups.models import Alert, Database, Run, RunLine, Snapshot
from backups.text.logs import EscapingFormatter
from backups.text.terminal import escape_control_characters
from portal.settings import LOGGING
from sentinel import heartbeat
from sentinel.heartbeat import Override
from tests.admin.conftest import Login
from tests.backups.conftest import MakePortal, empty_repository, make_portal, migrated
from tests.backups.worlds import Portal, Shop, make_shop
from tests.security.test_roles import SUPERUSER, Rows, ask, rules, session_of, url_of
from tests.servers import DatabaseServer

__all__ = ["empty_repository", "make_portal", "migrated"]

HTML = "<vedetta-x onload=\"a('b')\">&lt;{{ 1 }}</title></script>"
ESCAPES = "\x1b[31mred\x1b]0;owned\x07\x9b2J\x7f\r\b\u202e"
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
# These are taken by their own checks only, and are not shown as they are.
CHECKED = {"snapshot_id", "backup_cron", "verify_cron", "flavour"}


def hostile_text(field: Field[Any, Any], number: int) -> str:
    """As much as the field takes, in a form of its own where it has to be unique."""
    text = f"{number}{HTML}{ESCAPES}"
    return text[: field.max_length or len(text)]


def make_hostile(model: type[Model]) -> None:
    """Fill every free text of every row, as nobody's form would let it through."""
    for row in model._default_manager.all():
        for field in model._meta.fields:
            free = isinstance(field, CharField | TextField) and not field.choices
            if free and field.name not in CHECKED and not field.primary_key:
                setattr(row, field.name, hostile_text(field, row.pk))
            elif isinstance(field, JSONField):
                setattr(row, field.name, hostile_json(getattr(row, field.name)))
        row.save()


def hostile_json(value: Any) -> Any:
    """The same with every text hostile that is not a time, a kind or a key."""
    if isinstance(value, dict):
        return {
            key: item if key in {"at", "kind", "sha256"} else hostile_json(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [hostile_json(item) for item in value]
    return f"{HTML}{ESCAPES}" if isinstance(value, str) else value


@pytest.fixture
def hostile(rows: Rows, status_folder: Path) -> Rows:
    """The portal, every text in it hostile."""
    RunLine.objects.create(run=Run.objects.filter(status="running")[0], at=timezone.now(), text="x")
    for model in apps.get_app_config("backups").get_models():
        make_hostile(model)
    until = timezone.now() + timedelta(hours=1)
    heartbeat.override_write(status_folder / "last_ok", Override(until=until, by=HTML, reason=HTML))
    return rows


def test_no_page_takes_a_name_for_markup(hostile: Rows, login: Login) -> None:
    session = session_of(login, SUPERUSER)
    told, seen = [], 0
    for route in rules():
        response = ask(session, "GET", url_of(route, hostile), confirmed=False)
        kind, text = response.headers.get("Content-Type", ""), response.content.decode()  # type: ignore[attr-defined]
        if response.status_code == 500:
            told.append(f"{route} fails")
        if kind.startswith("application/json"):
            text = json.loads(text).get("html", "")
        if "text/plain" not in kind and ("<vedetta-x" in text or "</script>&lt;{{" in text):
            told.append(route)
        if "text/plain" in kind and STEERING.search(text):
            told.append(f"{route} steers")
        seen += "&lt;vedetta-x" in text
    assert told == []
    assert seen > 20, "hardly a page shows a name, so nothing was tried"


def test_the_gates_details_are_no_page(hostile: Rows) -> None:
    """A browser that is led to them shows text, and who holds the gate open is none of it."""
    Database.objects.update(gates_app=True)
    heartbeat_files.write_gates()

    response = Client().get("/sentinel/status")

    assert any(HTML in each["name"] for each in response.json()["databases"])
    assert set(response.json()["override"]) == {"until"}
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_log_line_cannot_pass_for_two(rows: Rows, login: Login) -> None:
    run = Run.objects.filter(status="running")[0]
    RunLine.objects.create(run=run, at=timezone.now(), text="one\n2026-01-01 00:00:00 Info    all is well")
    log = login("Viewer").get(f"/admin/backups/run/{run.pk}/log.txt").content.decode()
    assert "\n    2026-01-01 00:00:00 Info    all is well\n" in log


# ---------------------------------------------------------------- Terminals


@pytest.mark.parametrize("text", ["", "plain", "tab\tand\nline", "ünïcode ☂ 漢字 🐘"])
def test_what_steers_nothing_stays_as_it_is(text: str) -> None:
    assert escape_control_characters(text) == text


def test_what_would_steer_a_terminal_is_written_out() -> None:
    assert escape_control_characters("\x1b[2J") == "\\x1b[2J"
    assert escape_control_characters("a\u202eb\x9b\r\ud800") == "a\\u202eb\\x9b\\r\\ud800"


def test_what_is_logged_is_written_out() -> None:
    configured = LOGGING["formatters"]["line"]  # type: ignore[index]
    assert configured["()"] == f"{EscapingFormatter.__module__}.{EscapingFormatter.__qualname__}"
    record = logging.LogRecord("x", logging.INFO, "x", 1, "of %s", (ESCAPES,), None)
    assert not STEERING.search(EscapingFormatter("{message}", style="{").format(record))


AWKWARD = "--help; <vedetta-x> '\"`$(id) [/red] %s"
TABLES = (
    f"CREATE TABLE `<vedetta-x>{ESCAPES[:16]}[/]` (id INT PRIMARY KEY)",
    "CREATE TABLE `--all-databases` (id INT PRIMARY KEY, note VARCHAR(90) CHARACTER SET utf8mb4)",
    f"INSERT INTO `--all-databases` VALUES (1, '{ESCAPES}')",
    "CREATE TABLE `../../etc/passwd` (id INT PRIMARY KEY)",
)
PAGES = """
from django.contrib.auth.models import User
from django.test import Client
from django.conf import settings
settings.ALLOWED_HOSTS = ["testserver"]
from backups.models import *
client = Client()
client.force_login(
    User.objects.create_superuser("r"), backend="django.contrib.auth.backends.ModelBackend"
)
pages = ["/admin/", "/admin/live/", "/admin/gate/"]
for model in (Run, Snapshot, Verification, Restore, Database, Repository):
    at = f"/admin/backups/{model._meta.model_name}/"
    pages += [at] + [f"{at}{row.pk}/change/" for row in model.objects.all()]
pages += [f"/admin/backups/snapshot/{row.pk}/restore/" for row in Snapshot.objects.all()]
for page in pages:
    answer = client.get(page)
    assert answer.status_code == 200, page
    text = answer.json()["html"] if page.endswith("live/") else answer.content.decode()
    assert "<vedetta-x>" not in text, page
print(len(pages))
"""


@pytest.fixture
def awkward_portal(db_server: DatabaseServer, make_portal: MakePortal) -> Portal:
    """A portal of a database whose own name, and whose tables' names, are as hostile as the servers allow."""
    name = f"{AWKWARD} {db_server.flavour}"
    db_server.query("DROP DATABASE IF EXISTS `" + name.replace("`", "``") + "`")
    shop = make_shop(db_server, "", name=name)
    for statement in TABLES:
        shop.query(statement)
    return make_portal(shop, BACKUP_HOST="--password-command=touch owned")


@pytest.mark.one_flavour("mariadb")
def test_a_database_named_like_an_attack_is_backed_up_shown_and_restored(
    awkward_portal: Portal, tmp_path: Path
) -> None:
    """On real servers with real restic: names reach SQL, argument lists, paths, pages and terminals."""
    portal = awkward_portal
    folder = tmp_path / "there" / "below"
    to_file = ("restore", "--snapshot", "latest", "--output", str(folder))
    told = [portal.manage("backup"), portal.manage("snapshots"), portal.manage("verify")]
    # What the product says must be granted is granted, word for word.
    needed = re.search(r"GRANT .*?@'%'(?=;)", told[2].err, re.S)
    assert needed, told[2].err
    portal.shop.server.query(needed[0])
    told += [
        portal.manage("verify"),
        portal.manage("preflight"),
        portal.manage(*to_file),
        portal.manage(*to_file, "--table=--all-databases"),
        portal.manage("restore", "--snapshot=--help", "--output", str(folder)),
        portal.manage(*to_file, f"--table={HTML}{ESCAPES[:16]}"),
    ]
    assert [ran.code for ran in told] == [0, 0, 1, 0, 0, 0, 0, 1, 1], [ran.err for ran in told]
    for ran in told:
        assert not STEERING.search(ran.out + ran.err), ran
    # Where it was to be, and nowhere else.
    written = list(folder.parent.rglob("*.sql"))
    assert {path.parent for path in written} == {folder}
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in written)
    assert not list(Path.cwd().glob("owned"))
    (row,) = portal.rows("SELECT tags FROM backups_snapshot")
    assert len(json.loads(row["tags"])) == 2
    assert int(portal.shell(PAGES)) > 10


def test_an_output_that_somebody_put_a_link_in_the_place_of_is_not_followed(
    shop_portal: Portal, tmp_path: Path
) -> None:
    """In a folder that others may write to, such as /tmp."""
    assert shop_portal.manage("backup").code == 0
    folder, victim = tmp_path / "shared", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("precious")
    assert shop_portal.manage("restore", "--snapshot", "latest", "--output", str(folder)).code == 0
    (written,) = folder.iterdir()
    assert written.stat().st_mode & 0o777 == 0o600
    (folder / f".{written.name}.partial").symlink_to(victim)
    assert shop_portal.manage("restore", "--snapshot", "latest", "--output", str(folder)).code == 0
    assert victim.read_text() == "precious"


@pytest.fixture
def shop_portal(mariadb_server: DatabaseServer, make_portal: MakePortal) -> Portal:
    """An ordinary one."""
    shop: Shop = make_shop(mariadb_server, "CREATE TABLE t (id INT PRIMARY KEY);")
    return make_portal(shop)


# ---------------------------------------------------------------- Mail


class Mailbox:
    """An SMTP server that takes one message."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = (
            f"mailto://127.0.0.1:{self.listener.getsockname()[1]}/?from=a@b.cd&to=e@f.gh&mode=insecure"
        )
        self._lines: list[bytes] = []
        self._done = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def message(self) -> Message:
        """What came."""
        assert self._done.wait(20)
        return email.message_from_bytes(b"".join(self._lines))

    def _serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rwb", buffering=0) as stream:
            stream.write(b"220 mailbox\r\n")
            while line := stream.readline():
                verb = line[:4].upper()
                stream.write(b"354 go on\r\n" if verb == b"DATA" else b"250 good\r\n")
                if verb == b"DATA":
                    while (line := stream.readline()) != b".\r\n":
                        self._lines.append(line)
                    stream.write(b"250 taken\r\n")
                    self._done.set()


def test_a_name_in_a_mail_is_text(db: None, settings: Settings) -> None:
    mailbox = Mailbox()
    settings.NOTIFY_URLS = [mailbox.address]
    Alert.objects.create(
        subject="x", state=AlertState.FAILED, since=timezone.now(), is_pending=True,
        title=f"Backup of {HTML}: failed\r\nBcc: evil@example.com", text=f"No database {HTML}.",
    )  # fmt: skip
    delivery.deliver()
    message = mailbox.message()
    assert message["Bcc"] is None
    for part in message.walk():
        text = part.get_payload(decode=True)
        if part.get_content_type() == "text/html" and isinstance(text, bytes):
            assert b"<vedetta-x" not in text
        if part.get_content_type() == "text/plain" and isinstance(text, bytes):
            assert b"<vedetta-x" in text
    assert Snapshot.objects.count() == 0
