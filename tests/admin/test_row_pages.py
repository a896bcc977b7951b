"""The pages of a database and of a repository: state first, then what was done, the form last."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from backups import marks
from backups.admin.base import page_url, run_url
from backups.choices import Action, Health, Status, Trigger
from backups.models import Database, ReplayProof, Repository, Run, Snapshot
from backups.text import formatting
from tests.admin.conftest import Login
from tools.history import History

TABS = ("backups", "verifications", "restores", "log")


def page(client: Client, row: Database | Repository, tab: str = "") -> str:
    """A page's text, or that of one of its tabs."""
    url = reverse(f"admin:backups_{row._meta.model_name}_change", args=[row.pk])
    response = client.get(url + (f"?tab={tab}" if tab else ""))
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def test_a_database_says_how_it_stands_and_why_before_all_else(
    past: History, login: Login, settings: Settings
) -> None:
    settings.PING_URL = "https://example.com/ping"
    database, client = past.databases[0], login("Viewer")
    good = page(client, database)
    assert 'v-label v-success">Good<' in good
    assert "Newest backup" in good
    assert "The last 30 days" in good
    assert "How long a backup takes" in good
    assert "Restore or download" not in good

    Run.objects.create(
        action=Action.BACKUP, database=database, repository=database.repository, trigger=Trigger.SCHEDULE,
        status=Status.FAILED, error="The server went away.",
        finished_at=past.running.queued_at.replace(year=2090),
    )  # fmt: skip
    bad = page(client, database)
    assert bad.index("Needs a look") < bad.index("The server went away.") < bad.index("How it stands")


def test_who_may_not_edit_sees_all_but_the_form(past: History, login: Login) -> None:
    viewer, administrator = login("Viewer"), login("Administrator")
    for row in (past.databases[0], past.repository):
        its_form = f'id="{row._meta.model_name}_form"'
        asked = page(viewer, row, "settings")
        assert its_form not in asked
        assert 'href="?tab=settings"' not in asked
        assert 'aria-current="page">Backups<' in asked
        form = page(administrator, row, "settings")
        assert its_form in form
        assert 'aria-current="page">Settings<' in form
        assert its_form not in page(administrator, row)


def test_what_is_sent_and_wrong_is_shown_with_the_form(past: History, login: Login) -> None:
    url = reverse("admin:backups_database_change", args=[past.databases[0].pk])
    text = login("Administrator").post(url, {"name": ""}).content.decode()
    assert 'aria-current="page">Settings<' in text
    assert "This field is required." in text


def test_each_tab_shows_what_was_done_newest_first_and_leads_to_all_of_it(
    past: History, login: Login
) -> None:
    database, client = past.databases[0], login("Restorer")
    newest = Snapshot.objects.present().filter(database=database).newest_first()[0]
    # As those that were there before this portal.
    Snapshot.objects.filter(pk=newest.pk).update(made_by=None)
    backups = page(client, database, "backups")
    assert reverse("snapshot-restore", args=[newest.pk]) in backups
    assert reverse("admin:backups_snapshot_verify", args=[newest.pk]) in backups
    assert f"/admin/backups/snapshot/?database__id__exact={database.pk}" in backups
    assert "byte" not in page(client, database, "verifications").split("v-tabs")[1].split("<table")[0]
    log = page(client, database, "log")
    restore = database.restores.order_by("-pk")[0]
    restores = page(client, database, "restores").split("v-tabs")[1]
    assert f'{page_url(restore)}"' in restores
    assert f'{run_url(restore.run)}"' not in restores
    newest_run = database.runs.order_by("-queued_at", "-pk")[0]
    assert reverse("admin:backups_run_change", args=[newest_run.pk]) in log
    for tab in TABS:
        whole = re.search(r'href="([^"]+)">All of them', page(client, past.repository, tab))
        assert whole is None or client.get(whole[1]).status_code == 200


def test_a_young_repository_says_when_its_growth_is_known(past: History, login: Login) -> None:
    client, repository = login("Viewer"), past.repository
    Run.objects.filter(repository=repository).update(result={})
    assert "five nights say how it grows" in page(client, repository)

    now = timezone.now()
    for night in range(5):
        Run.objects.create(
            action=Action.FORGET, repository=repository, status=Status.SUCCEEDED,
            finished_at=now - timedelta(days=night), result={"size_bytes": 10**9 * (9 - night)},
        )  # fmt: skip
    text = page(client, repository)
    assert "1.0 GB a day" in text
    assert "five nights say how it grows" not in text


def test_an_empty_database_says_what_will_be_there(database: Database, login: Login) -> None:
    client = login("Viewer")
    words = [
        "No backup yet.",
        "Nothing was verified yet.",
        "Nothing was restored yet.",
        "Nothing was done yet.",
    ]
    for tab, said in zip(TABS, words, strict=True):
        assert said in page(client, database, tab)
        assert said in page(client, database.repository, tab)
    assert "There is no backup of shop yet." in page(client, database)


def test_a_damaged_repository_says_so_first_and_names_its_databases(past: History, login: Login) -> None:
    Repository.objects.filter(pk=past.repository.pk).update(
        health=Health.DAMAGED, check_error="Pack 3f is not what it should be."
    )
    text = page(login("Viewer"), past.repository)
    assert text.index('v-label v-danger">') < text.index("Pack 3f") < text.index("How it stands")
    for each in past.databases:
        assert reverse("admin:backups_database_change", args=[each.pk]) in text


def test_a_repository_says_how_it_grows_and_when_its_disk_is_full(past: History, login: Login) -> None:
    now = timezone.now()
    for days in range(6):
        Run.objects.create(
            action=Action.FORGET, repository=past.repository, trigger=Trigger.SCHEDULE,
            status=Status.SUCCEEDED, finished_at=now - timedelta(days=days, minutes=1),
            result={"size_bytes": (900 - 10 * days) * 10**9},
        )  # fmt: skip
    Repository.objects.update(
        disk_bytes=10**12, disk_free_bytes=10**11, disk_seen_at=now, disk_full_at=now + timedelta(days=10)
    )
    text = page(login("Viewer"), past.repository)
    assert "10.0 GB a day" in text
    assert "100.0 GB of 1.0 TB" in text
    assert f"full on {formatting.calendar_day(now + timedelta(days=10))} at this rate" in text
    assert text.index("Needs a look") < text.index("has 100.0 GB left") < text.index("How it stands")
    assert "Size of the repository" in text


def test_lists_have_the_state_first_with_its_reason(past: History, login: Login) -> None:
    Repository.objects.filter(pk=past.repository.pk).update(
        health=Health.DAMAGED, check_error="Pack 3f is not what it should be."
    )
    client = login("Viewer")
    for kind in ("database", "repository"):
        text = client.get(f"/admin/backups/{kind}/").content.decode()
        row = re.findall(r"<tr.*?</tr>", text.split('id="result_list"')[1], re.DOTALL)[1]
        assert row.index("Not safe") < row.index("Pack 3f")


def test_a_page_costs_no_more_for_a_longer_history(
    past: History, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)  # which a busy machine may take for these pages
    client, database = login("Administrator"), past.databases[0]

    def queries(row: Database | Repository, tab: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            page(client, row, tab)
        return len(asked)

    def failed(count: int) -> list[int]:
        old = timezone.now() - timedelta(days=400)
        Run.objects.bulk_create(
            Run(
                action=Action.BACKUP, database=database, repository=past.repository, status=Status.FAILED,
                trigger=Trigger.SCHEDULE, queued_at=old, finished_at=old,
            )
            for _ in range(count)
        )  # fmt: skip
        return [queries(row, tab) for row in (database, past.repository) for tab in ("backups", "log")]

    failed(1)  # after which what is kept of tables that nobody writes to is kept
    few = failed(1)
    assert failed(500) == few
    assert max(few) <= 48, few


def test_a_long_name_stands_alone_above_its_page(past: History, login: Login) -> None:
    database, client = past.databases[0], login("Viewer")

    def above() -> str:
        return page(client, database).split("<h1")[1].split("</h1>")[0]

    assert f'title="{database}"' in above()
    assert "Databases" in above()
    Database.objects.filter(pk=database.pk).update(name="n" * 60)
    assert f'title="{"n" * 60}"' in above()
    assert "Databases" not in above()


def test_proofs_of_the_log_stand_beside_verifications(past: History, login: Login) -> None:
    database, client = past.databases[0], login("Viewer")
    then, now = Snapshot.objects.filter(database=database).order_by("time")[:2]
    run = Run.objects.create(
        action=Action.REPLAY, database=database, repository=database.repository, trigger=Trigger.SCHEDULE,
        status=Status.SUCCEEDED, finished_at=timezone.now(),
    )  # fmt: skip
    ReplayProof.objects.create(
        run=run, database=database, base=then, next=now, verdict="identical", transactions=1234,
        load_seconds=61, replay_seconds=7, not_covered=["the moments between the two backups"],
    )  # fmt: skip

    for row in (database, database.repository):
        shown = page(client, row, "verifications")
        assert f"Log from {then.short_id} to {now.short_id}: 1234 transactions." in shown
        assert f"Loading took {formatting.duration(61)}, the replay {formatting.duration(7)}." in shown
    told = html.unescape(client.get(run_url(run)).content.decode())
    assert "What it does not cover" in told
    assert "the moments between the two backups" in told
