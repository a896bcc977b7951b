"""The steps of set-up: what is done, what is next, and the one button for it."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.choices import Action, Status, Trigger
from backups.models import Database, Repository, Run, Snapshot
from tests.admin.conftest import Login
from tests.rows import a_server
from tools.history import History

STEP = re.compile(r'<li class="v-(\w+)">.*?<strong[^>]*>([^<]+)</strong>.*?</li>', re.DOTALL)
MAIN = re.compile(r'class="v-button[^"]*v-main"[^>]*>(?:<span[^>]*>[^<]*</span>)?([^<]+)<')
SHORT = ("Repository", "Server", "First backup", "First verification", "Who", "Gate")


def steps(client: Client, address: str = "/admin/") -> dict[str, str]:
    """The first list's steps by the beginnings of their titles, each in its colour."""
    page = client.get(address).content.decode().partition('<ol class="v-checklist">')[2].partition("</ol>")[0]
    found = {title.partition(":")[0]: colour for colour, title in STEP.findall(page)}
    return {name: colour for name in SHORT for title, colour in found.items() if title.startswith(name)}


def main_button(client: Client) -> str:
    """The one that is to be pressed next."""
    page = client.get("/admin/").content.decode().partition('<ol class="v-checklist">')[2]
    (found,) = MAIN.findall(page.partition("</ol>")[0])
    return html.unescape(str(found)).strip()


def a_run(database: Database, action: Action, status: Status, **more: object) -> Run:
    """A run of a database that stands so."""
    return Run.objects.create(
        action=action, database=database, repository=database.repository, status=status,
        trigger=Trigger.ADMIN, **more,
    )  # fmt: skip


def test_each_step_comes_when_the_one_before_is_done(login: Login, settings: Settings, db: None) -> None:
    client = login("Administrator")
    assert list(steps(client).values()) == ["info", "plain", "plain", "plain", "plain", "plain"]
    assert main_button(client) == "Add a repository"

    repository = Repository.objects.create(name="cellar", url="/srv/cellar")
    assert main_button(client) == "Initialise"
    Repository.objects.update(restic_id="a" * 64)
    assert main_button(client) == "Add a server"
    server = a_server()
    assert main_button(client) == "Add a database"
    shop = Database.objects.create(name="shop", server=server, database="shop", repository=repository)
    assert main_button(client) == "Back up now"

    failed = a_run(shop, Action.BACKUP, Status.FAILED)
    assert steps(client)["First backup"] == "danger"
    assert f'{reverse("admin:backups_run_change", args=[failed.pk])}">See why' in page_of(client)
    assert main_button(client) == "Back up now"
    a_run(shop, Action.BACKUP, Status.RUNNING)
    assert steps(client)["First backup"] == "info"

    snapshot = Snapshot.objects.create(
        database=shop,
        repository=repository,
        snapshot_id="b" * 64,
        time=timezone.now(),
        path="/mysql/shop.sql",
    )
    assert main_button(client) == "Verify newest"
    Snapshot.objects.update(verified_at=timezone.now())
    assert steps(client)["First verification"] == "success"
    assert main_button(client) == "Add a channel"
    settings.NOTIFY_URLS = ["json://localhost"]
    assert main_button(client) == "Go to the gate"
    a_run(
        shop, Action.PREFLIGHT, Status.SUCCEEDED, request={"form": "drill", "version": 1, "url": "http://x"}
    )
    assert steps(client) == {}, "nothing is left to do"
    assert steps(client, reverse("set-up")) == {"Who": "success", "Gate": "success"}

    # A day later the first page is about backups alone.
    Run.objects.filter(action=Action.PREFLIGHT).delete()
    assert steps(client)
    Snapshot.objects.filter(pk=snapshot.pk).update(time=timezone.now() - timedelta(days=2))
    assert steps(client) == {}


def page_of(client: Client, address: str = "/admin/") -> str:
    """A page's text."""
    return html.unescape(client.get(address).content.decode())


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
def test_who_may_not_set_up_sees_who_does(login: Login, role: str, db: None) -> None:
    page = page_of(login(role))

    assert "Nothing is backed up yet" in page
    assert "An administrator or operator does this." in page
    assert "/admin/backups/repository/add/" not in page


def test_a_second_database_and_repository_have_their_own_list(past: History, login: Login) -> None:
    offsite = Repository.objects.create(name="offsite", url="/srv/offsite")
    client = login("Administrator")
    page = page_of(client, reverse("set-up"))
    assert "Repository offsite, to which no database is backed up yet" in page
    assert reverse("admin:backups_repository_initialise", args=[offsite.pk]) in page
    assert f"/database/add/?server={past.databases[0].server_id}&repository={offsite.pk}" in page

    Database.objects.create(name="blog", server=a_server(), database="blog", repository=offsite)
    page = page_of(client, reverse("set-up"))
    assert "Set-up of blog" in page
    assert "Set-up of orders_tracker" not in page
    assert "2 databases are set up: a backup of each was restored in full and compared." in page
    assert client.get(reverse("set-up-live")).json()["html"].count("v-checklist") == 2
