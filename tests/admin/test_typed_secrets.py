"""Secrets that are typed into forms: sealed at once, never shown again, and tried before they are saved."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import endpoints
from backups.admin.base import page_url
from backups.alerting import gate_process, watching
from backups.catalog import made_here
from backups.keys import InstallationKey
from backups.models import Database, PublicKey, Question, Repository, Run, Server
from backups.requests import questions
from tests.admin.conftest import Login
from tests.admin.test_set_up import form_of, form_of_server
from tests.backups.light_key import make_light
from tests.backups.worlds import RESTIC_PASSWORD
from tests.rows import a_server

TYPED = "hunter2 & correct horse"
ADD_SERVER, TRY_SERVER = "admin:backups_server_add", "admin:backups_server_test"
ADD_REPOSITORY, TRY_REPOSITORY = "admin:backups_repository_add", "admin:backups_repository_test"
CaptureCallbacks = Callable[..., AbstractContextManager[object]]


@pytest.fixture(autouse=True)
def key(settings: Settings, tmp_path: Path, db: None) -> InstallationKey:
    """An installation whose worker has begun once, and whose key is kept elsewhere."""
    made = InstallationKey(bytes(range(32)))
    settings.VEDETTA_KEY, settings.VEDETTA_KEY_MADE = made.text, str(tmp_path / "none")
    made_here.key_in_use()
    return made


def typed_server(**changes: object) -> dict[str, object]:
    """A server's form with a password that was typed."""
    there = Server(name="new", host="new.example", user="u", password_ref="")
    return form_of_server(there, password_typed=TYPED) | changes


def text_of(client: Client, url: str) -> str:
    """A page, its quotes as people see them."""
    return html.unescape(client.get(url).content.decode())


def password_of(server: Server) -> str:
    """What the worker reads."""
    repository = Repository(name="r", url="/nowhere")
    return endpoints.database_server(Database(name="d", server=server, repository=repository)).password


def a_repository(**changes: object) -> dict[str, object]:
    """A repository's form, filled in but for its secrets."""
    return {"name": "offsite", "url": "s3:https://storage/bucket", "check_interval": "6"} | changes


def test_a_password_is_typed_and_never_shown_again(
    login: Login, django_capture_on_commit_callbacks: CaptureCallbacks, caplog: pytest.LogCaptureFixture
) -> None:
    client = login("Administrator")
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(reverse(ADD_SERVER), typed_server()).status_code == 302

    server = Server.objects.get()
    assert password_of(server) == TYPED
    pages = [text_of(each, page_url(server)) for each in (client, login("Viewer"))]
    for page in pages:
        assert re.search(r"Typed on 20\d\d-\d\d-\d\d \d\d:\d\d", page)
        assert "sealed:1:" not in page
    told = [*pages, caplog.text, *(entry.change_message for entry in LogEntry.objects.all())]
    assert not [each for each in told if "hunter2" in each]

    client.post(page_url(server), typed_server(name="renamed", password_typed=""))
    server.refresh_from_db()
    assert (server.name, password_of(server)) == ("renamed", TYPED)
    client.post(page_url(server), typed_server(password_typed="another"))
    server.refresh_from_db()
    assert password_of(server) == "another"
    changes = [entry.get_change_message() for entry in LogEntry.objects.all()]
    assert "Name from renamed to new. Password changed." in changes
    client.post(page_url(server), typed_server(password_typed="", password_ref="env:MYSQL_NEW"))
    server.refresh_from_db()
    assert server.password_ref == "env:MYSQL_NEW"


def test_a_new_address_wants_its_password_typed_again(login: Login) -> None:
    client = login("Administrator")
    client.post(reverse(ADD_SERVER), typed_server())
    page = page_url(Server.objects.get())

    refused = client.post(page, typed_server(host="evil.example", password_typed=""))
    assert "Type it again: it was typed for another address or other TLS" in html.unescape(
        refused.content.decode()
    )
    weaker = client.post(page, typed_server(ssl_mode="DISABLED", password_typed=""))
    assert "Type it again" in html.unescape(weaker.content.decode())
    assert client.post(page, typed_server(host="other.example")).status_code == 302
    assert password_of(Server.objects.get()) == TYPED


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password_typed": ""}, "Type it, or say where it is found."),
        ({"password_ref": "env:MYSQL_X"}, "Type it, or say where it is found, but not both."),
        ({"password_typed": "x" * 501}, "It is longer than 500 bytes."),
        ({"password_typed": "a\tb"}, "Type one line, without control characters."),
        ({"password_typed": "", "password_ref": "sealed:1:x"}, "Write env:NAME or file:/path"),
        ({"name": ""}, "Type it again: no page gives back what was typed here."),
    ],
)
def test_what_cannot_be_sealed_is_a_sentence(login: Login, changes: dict[str, object], told: str) -> None:
    answer = login("Administrator").post(reverse(ADD_SERVER), typed_server(**changes))

    assert told in html.unescape(answer.content.decode())
    assert "hunter2" not in answer.content.decode()
    assert not Server.objects.exists()


def test_the_form_says_what_would_be_lost_with_the_machine(login: Login) -> None:
    client = login("Administrator")
    assert "lost with this machine" not in text_of(client, reverse(ADD_SERVER))
    PublicKey.objects.update(copied_at=None)

    for page in (reverse(ADD_SERVER), reverse(ADD_REPOSITORY), reverse("admin:backups_database_add")):
        assert text_of(client, page).count("what you type here is lost with this machine") == 1


def test_another_key_is_said_beside_what_has_to_be_typed_again(login: Login, settings: Settings) -> None:
    client = login("Administrator")
    client.post(reverse(ADD_SERVER), typed_server())
    settings.VEDETTA_KEY = InstallationKey(bytes(32)).text
    made_here.key_in_use()

    page = text_of(client, page_url(Server.objects.get()))

    assert re.search(r"Typed on [-\d: ]+, for another VEDETTA_KEY: type it again\.", page)


def test_keys_of_a_storage_go_with_it(login: Login, database: Database) -> None:
    client = login("Administrator")
    secrets = {f"{name}_typed": f"{name} {TYPED}" for name in ("password", "access_key", "secret_key")}
    client.post(reverse(ADD_REPOSITORY), a_repository(**secrets))
    row = Repository.objects.get(name="offsite")
    access = endpoints.repository_access(row)
    assert access.password == secrets["password_typed"]
    assert access.secrets["AWS_SECRET_ACCESS_KEY"] == secrets["secret_key_typed"]

    moved = client.post(page_url(row), a_repository(url="s3:https://evil/bucket"))
    assert html.unescape(moved.content.decode()).count("is given to no other") == 2
    no_keys = {"access_key_ref": "", "secret_key_ref": ""}
    # A folder needs none, and the password encrypts wherever the data lies.
    assert client.post(page_url(row), a_repository(url="/srv/offsite") | no_keys).status_code == 302
    row.refresh_from_db()
    assert (row.access_key_ref, row.secret_key_ref) == ("", "")
    assert endpoints.repository_access(row).password == secrets["password_typed"]

    place = {"verify_host": "v", "verify_user": "u", "verify_password_typed": TYPED}
    assert client.post(page_url(database), form_of(database, **place)).status_code == 302
    database.refresh_from_db()
    assert endpoints.scratch_server(database).password == TYPED


# ---------------------------------------------------------------- Tests before saving


def test_what_is_tried_holds_no_secret_and_is_gone_with_the_answer(
    login: Login, nobody_answers: None
) -> None:
    client = login("Administrator")
    answer = client.post(reverse(TRY_SERVER), typed_server(), headers={"HX-Request": "true"})
    assert "The worker does not answer. Nothing was touched." in html.unescape(answer.content.decode())
    row = Question.objects.get()
    assert row.asked["place"]["password_ref"].startswith("sealed:1:")
    assert "hunter2" not in str(row.asked) + answer.content.decode()

    asked = questions.read(row)
    questions.answer(row, {"anything": "else"})
    row.refresh_from_db()
    assert row.asked == {}
    assert asked.asked()["place"]["host"] == "new.example"
    # An answer of another version is said, not shown.
    strange = client.get(reverse("question-tried", args=[row.pk]))
    assert "does not know the worker" in strange.content.decode()


def test_what_nobody_answers_goes_after_a_minute(
    login: Login, nobody_answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The portal itself sees to that once a minute, as a worker that is away removes nothing."""
    # The thread's own connection is this test's.
    monkeypatch.setattr(watching, "connection", SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(gate_process, "look", lambda: None)
    login("Administrator").post(reverse(TRY_SERVER), typed_server())

    watching.look()
    assert Question.objects.exists()
    Question.objects.update(asked_at=timezone.now() - timedelta(seconds=61))
    watching.look()
    assert not Question.objects.exists()


def test_a_form_that_cannot_be_tried_says_why_and_asks_nobody(login: Login) -> None:
    client = login("Administrator")
    wrong = client.post(reverse(TRY_SERVER), typed_server(host="a;b", password_typed=""))
    told = html.unescape(wrong.content.decode())

    assert "Host: A host is one name" in told
    assert "Password: Type it, or say where it is found." in told
    assert not Question.objects.exists()
    assert client.post(reverse(TRY_SERVER), typed_server(tested_row="77")).status_code == 404


def test_no_reference_that_is_not_declared_is_tried(login: Login) -> None:
    """Neither by the form nor, whatever a row asks, by the worker."""
    client = login("Administrator")
    undeclared = typed_server(password_typed="", password_ref="env:OF_SOMEBODY")
    assert "is not declared" in html.unescape(client.post(reverse(TRY_SERVER), undeclared).content.decode())

    client.post(reverse(TRY_SERVER), typed_server(host="127.0.0.1", port="1"))
    row = Question.objects.get()
    assert "127.0.0.1:1" in row.answer["problem"]
    assert "Nothing was stored." in row.answer["problem"]
    assert "the host and port of the form" in row.answer["problem"]


def test_a_new_repository_is_told_and_made_once_it_is_saved(
    login: Login, tmp_path: Path, restic_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(restic_path.parent), prepend=":")
    client, folder = login("Administrator"), tmp_path / "repository"
    filled = a_repository(url=str(folder), password_typed=TYPED)

    page = text_of(client, reverse(ADD_REPOSITORY))
    assert "Keep it elsewhere as well: without it nobody reads the backups." in page
    asked = client.post(reverse(TRY_REPOSITORY), filled, headers={"HX-Request": "true"})
    tried = text_of(client, reverse("question-tried", args=[Question.objects.get().pk]))
    for told in (asked.content.decode(), tried):
        assert "no repository is there yet" in told
        assert 'name="_initialise"' in told
    saved = client.post(reverse(ADD_REPOSITORY), filled | {"_initialise": "1"})

    run = Run.objects.get()
    assert (run.action, run.repository.name) == ("init", "offsite")
    assert saved.headers["Location"] == reverse("admin:backups_run_change", args=[run.pk])


def test_a_repository_that_is_there_is_told_and_whose_it_is(
    login: Login, tmp_path: Path, restic_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv("PATH", str(restic_path.parent), prepend=":")
    settings.RESTIC_CACHE_DIR = str(tmp_path / "cache")
    client, folder = login("Administrator"), tmp_path / "repository"
    of_it, opens = ["--repo", str(folder), "--no-cache"], {"RESTIC_PASSWORD": RESTIC_PASSWORD}
    subprocess.check_output([restic_path, "init", *of_it], env=opens)
    make_light(folder, RESTIC_PASSWORD)
    config = subprocess.check_output([restic_path, "cat", "config", *of_it], env=opens)

    def tried(**changes: object) -> str:
        filled = a_repository(url=str(folder), password_typed=RESTIC_PASSWORD) | changes
        answer = client.post(reverse(TRY_REPOSITORY), filled, headers={"HX-Request": "true"})
        return html.unescape(answer.content.decode())

    assert "The portal does not know it. It holds no backup of Vedetta." in tried()
    wrong = tried(password_typed=TYPED)
    assert "v-danger" in wrong
    assert "what was typed on" in wrong
    assert "hunter2" not in wrong

    ours = Repository.objects.create(name="cellar", url="/srv/cellar", restic_id=json.loads(config)["id"])
    assert "It is the repository that the portal knows as cellar." in tried()
    Repository.objects.update(url=str(folder))
    assert "This is cellar, as the portal knows it" in tried(name="cellar", tested_row=ours.pk)


def test_a_server_that_is_saved_is_tried_with_the_password_that_it_has(
    login: Login, nobody_answers: None
) -> None:
    client = login("Administrator")
    client.post(reverse(ADD_SERVER), typed_server())
    server = Server.objects.get()
    client.post(reverse(TRY_SERVER), typed_server(password_typed="", tested_row=server.pk, user="other"))

    place = Question.objects.get().asked["place"]
    assert (place["user"], place["password_ref"]) == ("other", server.password_ref)
    assert Server.objects.get().user == "u", "nothing is saved"


def test_who_may_not_set_up_tries_nothing(login: Login) -> None:
    server = a_server()
    for role in ("Viewer", "Operator", "Restorer"):
        assert login(role).post(reverse(TRY_SERVER), typed_server(tested_row=server.pk)).status_code == 403
    assert not Question.objects.exists()
