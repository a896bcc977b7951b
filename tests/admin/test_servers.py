"""Servers: what their page shows, who may delete one, and that a database is given one."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from backups import marks
from backups.choices import Status, Trigger
from backups.models import Database, Run, Server
from backups.requests import Asker, DrillRequest, PreflightRequest, Request
from tests.admin.conftest import Login
from tests.admin.test_set_up import form_of, form_of_server
from tests.rows import a_server
from tools.history import History

LIST = "/admin/backups/server/"


def ended(wanted: Request, status: Status) -> Run:
    """A run that ended so."""
    run = wanted.submit(Asker(Trigger.ADMIN), send=False)
    Run.objects.filter(pk=run.pk).update(status=status)
    return run


def test_the_list_says_what_is_on_a_server_and_how_its_newest_test_ended(past: History, login: Login) -> None:
    first = past.databases[0]
    a_server("idle.example")
    ended(PreflightRequest(first), Status.SUCCEEDED)
    newest = ended(PreflightRequest(past.databases[1]), Status.FAILED)
    ended(DrillRequest(first, "https://shop.example"), Status.SUCCEEDED)

    page = login("Viewer").get(LIST).content.decode()

    assert page.count("db:3306") >= 2
    assert "MySQL 9.7.1" in page
    assert "newsletter, orders_tracker" in page
    assert re.findall(r"/admin/backups/run/(\d+)/change/", page) == [str(newest.pk)]
    assert "idle.example:3306" in page


def test_more_servers_are_no_more_queries(
    past: History, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    client = login("Viewer")
    client.get(LIST)
    with CaptureQueriesContext(connection) as few:
        client.get(LIST)
    for number in range(8):
        database = Database.objects.create(
            name=f"d{number}", database="d", server=a_server(f"db{number}"), repository=past.repository
        )
        ended(PreflightRequest(database), Status.SUCCEEDED)
    with CaptureQueriesContext(connection) as many:
        client.get(LIST)

    assert len(many) <= len(few) + 1, "the tests of them all, in one"


def test_a_server_with_databases_is_not_deleted_and_says_which(past: History, login: Login) -> None:
    client = login("Administrator")
    page = reverse("admin:backups_server_delete", args=[past.databases[0].server_id])

    for answer in (client.get(page, follow=True), client.post(page, {"post": "yes"}, follow=True)):
        told = answer.content.decode()
        assert "Not deleted: newsletter, orders_tracker are on db:3306. Give each of them another" in told
    assert Server.objects.filter(pk=past.databases[0].server_id).exists()

    idle = a_server("idle.example")
    client.post(reverse("admin:backups_server_delete", args=[idle.pk]), {"post": "yes"})
    assert not Server.objects.filter(pk=idle.pk).exists()


def test_a_database_is_given_a_server_that_is_added_beside_it(database: Database, login: Login) -> None:
    client = login("Administrator")
    page = reverse("admin:backups_database_change", args=[database.pk])
    assert reverse("admin:backups_server_add") in client.get(f"{page}?tab=settings").content.decode()
    new = Server(name="new", host="new.example", port=3307, user="u", password_ref="env:MYSQL_NEW")

    added = client.post(
        reverse("admin:backups_server_add") + "?_popup=1", form_of_server(new) | {"_popup": "1"}
    )

    assert added.status_code == 200
    new = Server.objects.get(name="new")
    assert client.post(page, form_of(database, server=new.pk)).status_code == 302
    database.refresh_from_db()
    assert database.server == new
    assert [(str(each.object_repr), each.is_addition()) for each in LogEntry.objects.order_by("pk")] == [
        ("new", True), ("shop", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"host": "a;b"}, "A host is one name, one address or the path of one socket."),
        ({"password_ref": "hunter2"}, "Write env:NAME or file:/path, never the secret itself."),
        ({"password_ref": "env:SECRET_KEY"}, "secret, which is not for other servers."),
        ({"port": "0"}, "greater than or equal to 1"),
        ({"name": "idle"}, "Server with this Name already exists."),
    ],
)
def test_what_is_no_server_is_refused_by_its_form(
    db: None, login: Login, wrong: dict[str, object], told: str
) -> None:
    Server.objects.create(name="idle", host="idle.example", user="u")
    there = Server(name="new", host="new.example", user="u", password_ref="env:MYSQL_NEW")

    answer = login("Administrator").post(reverse("admin:backups_server_add"), form_of_server(there, **wrong))

    assert told in answer.content.decode()
    assert Server.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_secret_that_is_not_there_is_said_when_it_is_saved(login: Login) -> None:
    there = Server(name="new", host="new.example", user="u", password_ref="env:MYSQL_NEW")

    answer = login("Administrator").post(
        reverse("admin:backups_server_add"), form_of_server(there), follow=True
    )

    assert "The worker looks for the password of new: " in answer.content.decode()


def test_a_servers_page_says_whether_the_environment_decides_it(database: Database, login: Login) -> None:
    client = login("Administrator")
    other = a_server("other.example")
    Database.objects.create(name="other", database="other", server=other, repository=database.repository)
    words = "Every database on this server goes with it."

    pages = [
        client.get(reverse("admin:backups_server_change", args=[pk])).content.decode()
        for pk in (database.server_id, other.pk)
    ]

    assert [words in page for page in pages] == [True, False]
