"""Databases and repositories: hints while one types, schedules that follow, and the connection test."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from pytest_django.fixtures import Settings

from backups.actions import preflight
from backups.actions.steps.checks import Check
from backups.admin.base import page_url, run_url
from backups.models import Alert, Database, Repository, Run, Server, Snapshot, Verification
from backups.worker import executor
from tests.admin.conftest import Login
from tests.rows import a_server
from tools.history import History

CaptureCallbacks = Callable[..., AbstractContextManager[object]]


def hint(client: Client, kind: str, value: str) -> str:
    """What a form says under a field."""
    response = client.get(reverse(f"admin:backups_database_hint_{kind}"), {"any_field": value})
    assert response.status_code == 200
    return str(response.content.decode())


@pytest.mark.parametrize(
    ("expression", "words"),
    [("0 3,15 * * *", "At 03:00 and 15:00."), ("0 5 * * 0", "At 05:00, only on Sunday."), ("", "Never.")],
)
def test_cron_is_told_in_words(login: Login, expression: str, words: str) -> None:
    assert words in hint(login("Administrator"), "cron", expression)


def test_cron_tells_the_next_three_times(login: Login) -> None:
    assert hint(login("Administrator"), "cron", "0 3,15 * * *").count("<time") == 3


def test_half_typed_cron_is_told_kindly(login: Login) -> None:
    client = login("Administrator")
    for text in ("0 3", "61 * * * *", "<b>", "0 0 30 2 *"):
        assert "Not a cron expression yet" in hint(client, "cron", text)


@pytest.mark.parametrize(
    ("threshold", "cron", "words"),
    [
        ("", "0 3,15 * * *", "Stale after 26 hours; backups are due at most 12 hours apart."),
        ("7200", "0 * * * *", "Stale after 2 hours; backups are due at most 60 minutes apart."),
        ("7200", "", "Stale after 2 hours."),
        ("7200", "0 3,15 * * *", "apart and are stale after 2 hours: the gate closes in between"),
        ("soon", "0 3,15 * * *", ""),
        ("7200", "now and then", ""),
    ],
)
def test_age_that_is_allowed_is_held_against_the_schedule(
    login: Login, threshold: str, cron: str, words: str, settings: Settings
) -> None:
    settings.TIME_ZONE = "UTC"
    response = login("Administrator").get(
        reverse("admin:backups_database_hint_threshold"),
        {"heartbeat_threshold": threshold, "backup_cron": cron},
    )

    found = response.content.decode()
    assert words in found
    assert bool(words) == bool(found.strip())


def test_a_database_keeps_its_name_once_something_was_done_under_it(past: History, login: Login) -> None:
    fresh = Database.objects.create(
        name="fresh", database="fresh", server=a_server(), repository=past.repository
    )
    client = login("Administrator")

    assert 'name="name"' in client.get(f"{page_url(fresh)}?tab=settings").content.decode()
    page = client.get(f"{page_url(past.databases[0])}?tab=settings").content.decode()
    assert 'name="name"' not in page
    assert past.databases[0].name in page


def test_a_secret_is_found_and_never_shown(
    login: Login, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.SECRET_REFERENCES = ["SHOP_PASSWORD", "NOT_SET"]
    monkeypatch.setenv("SHOP_PASSWORD", "correct horse")
    client = login("Administrator")
    found = hint(client, "secret", "env:SHOP_PASSWORD")
    assert "Found." in found
    assert "horse" not in found
    assert "env:NOT_SET is not set" in hint(client, "secret", "env:NOT_SET")


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Restorer", "staff"])
def test_hints_are_for_who_may_edit(database: Database, login: Login, role: str) -> None:
    client = login(role)
    for url in (
        reverse("admin:backups_database_hint_cron"),
        reverse("admin:backups_database_hint_secret"),
        reverse("admin:backups_database_hint_threshold"),
        reverse("admin:backups_database_hint_retention", args=[database.pk]),
    ):
        assert client.get(url).status_code == 403


def test_the_retention_is_tried_on_what_is_there(past: History, login: Login, settings: Settings) -> None:
    url = reverse("admin:backups_database_hint_retention", args=[past.databases[0].pk])
    rules = {"keep_daily": "3", "keep_weekly": "0", "keep_monthly": "0"}
    client = login("Administrator")
    text = client.get(url, rules).content.decode()
    there = past.databases[0].snapshots.filter(forgotten_at=None).count()
    assert f"Of the {there} snapshots" in text
    # A count that is left over keeps the oldest; three days used it up.
    assert f"3 would stay and {there - 3} would go" in text
    no_rule = dict.fromkeys(rules, "0")
    assert f"{there} snapshots are there." in client.get(url, no_rule).content.decode()
    Snapshot.objects.exclude(pk=past.databases[0].snapshots.latest("time").pk).update(
        forgotten_at=timezone.now()
    )
    assert "1 snapshot is there." in client.get(url, no_rule).content.decode()
    settings.BACKUP_KEEP_ALL = True
    assert "Nothing goes" in client.get(url, rules).content.decode()


def test_the_retention_that_is_tried_is_the_one_of_the_next_forget(past: History, login: Login) -> None:
    """With what is held, and each series by itself: what was not made here pushes nothing out."""
    there = past.databases[0].snapshots.filter(forgotten_at=None)
    oldest, *of_others = there.order_by("time")[:3]
    there.exclude(pk__in=[each.pk for each in of_others]).update(made_here=True)
    there.update(verified_at=None)
    there.filter(pk=oldest.pk).update(verified_at=timezone.now())
    url = reverse("admin:backups_database_hint_retention", args=[past.databases[0].pk])

    text = login("Administrator").get(url, {"keep_daily": 3, "keep_weekly": 0, "keep_monthly": 0})

    # Three days, the verified one, and those of others, which are fewer than three.
    assert f"6 would stay and {there.count() - 6} would go" in text.content.decode()
    assert "newest verified" in text.content.decode()


@pytest.mark.parametrize("wrong", ["", "x", "-1"])
def test_a_retention_that_is_half_typed_is_told_kindly(past: History, login: Login, wrong: str) -> None:
    url = reverse("admin:backups_database_hint_retention", args=[past.databases[0].pk])
    response = login("Administrator").get(url, {"keep_daily": wrong, "keep_weekly": "1", "keep_monthly": "1"})
    assert "Give a whole number" in response.content.decode()


def form_of(database: Database, **changes: object) -> dict[str, object]:
    """The database's form as filled in."""
    names = (
        "name", "database", "dump_format", "verify_host", "verify_port", "verify_user",
        "verify_password_ref", "verify_ssl_mode", "verify_ssl_ca", "backup_cron", "verify_cron",
        "keep_daily", "keep_weekly", "keep_monthly",
    )  # fmt: skip
    filled = {name: getattr(database, name) for name in names}
    refers = {"repository": database.repository_id, "server": database.server_id}
    return filled | refers | {"gates_app": "on"} | changes


def form_of_server(server: Server, **changes: object) -> dict[str, object]:
    """The server's form as filled in."""
    names = ("name", "host", "port", "user", "password_ref", "ssl_mode", "ssl_ca")
    return {name: getattr(server, name) for name in names} | changes


def test_schedules_follow_a_saved_database(
    database: Database, login: Login, django_capture_on_commit_callbacks: CaptureCallbacks
) -> None:
    client = login("Administrator")
    page = reverse("admin:backups_database_change", args=[database.pk])
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(page, form_of(database, backup_cron="30 1 * * *"))
    assert response.status_code == 302
    assert Schedule.objects.get(name=f"vedetta backup {database.pk}").cron == "30 1 * * *"
    assert "backup schedule" in str(LogEntry.objects.get()).lower()


def test_a_database_is_given_a_server_of_its_own_for_test_restores(
    database: Database, login: Login, settings: Settings
) -> None:
    client = login("Administrator")
    page = reverse("admin:backups_database_change", args=[database.pk])
    form = f"{page}?tab=settings"
    assert "own server, beside the live database" in html.unescape(client.get(form).content.decode())
    settings.VERIFY_MYSQL_HOST, settings.VERIFY_MYSQL_PORT = "of-all.example", 3307
    assert "VERIFY_MYSQL_HOST names, of-all.example:3307." in client.get(form).content.decode()

    half = client.post(page, form_of(database, verify_host="verify.example", verify_user="u"))
    assert "Say where that user&#x27;s password is found." in half.content.decode()
    wrong = client.post(
        page, form_of(database, verify_host="a;b", verify_user="u", verify_password_ref="env:X")
    )
    assert "A host is one name, one address or the path of one socket." in wrong.content.decode()
    place = {"verify_host": "verify.example", "verify_user": "u", "verify_password_ref": "env:VERIFY_SHOP"}
    assert client.post(page, form_of(database, **place)).status_code == 302

    database.refresh_from_db()
    assert {name: getattr(database, name) for name in place} == place
    assert 'id="hint-verify_password_ref"' in client.get(form).content.decode()


def test_a_verification_says_where_it_restored(past: History, login: Login) -> None:
    verification = Verification.objects.exclude(scratch_version="").earliest("pk")
    page = reverse("admin:backups_verification_change", args=[verification.pk])
    client = login("Viewer")
    # Those of versions that noted none.
    assert f"<dd>{verification.scratch_version}</dd>" in client.get(page).content.decode()
    Verification.objects.filter(pk=verification.pk).update(scratch_address="verify.example:3307")
    assert f"{verification.scratch_version} at verify.example:3307</dd>" in client.get(page).content.decode()


def test_a_password_in_the_location_is_refused(login: Login) -> None:
    response = login("Administrator").post(
        reverse("admin:backups_repository_add"),
        {
            "name": "x",
            "url": "rest:https://me:secret@host/",
            "check_interval": "6",
            "password_ref": "env:RESTIC_X",
        },
    )
    assert "The location holds a password" in response.content.decode()
    assert not Repository.objects.exists()


def test_what_has_a_history_is_not_deleted(past: History, login: Login) -> None:
    client = login("Administrator")
    for row in (past.databases[0], past.repository):
        page = reverse(f"admin:backups_{row._meta.model_name}_delete", args=[row.pk])
        assert client.post(page, {"post": "yes"}).status_code == 403


def test_what_something_refers_to_is_not_deleted(db: None, login: Login) -> None:
    """Also where nothing was done with it yet: then the page names what refers to it."""
    repository = Repository.objects.create(name="offsite", url="/srv/offsite")
    Database.objects.create(name="blog", server=a_server(), database="blog", repository=repository)
    page = reverse("admin:backups_repository_delete", args=[repository.pk])

    answer = login("Administrator").post(page, {"post": "yes"})

    assert "blog" in answer.content.decode()
    assert Repository.objects.filter(pk=repository.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_a_secret_file_that_is_not_there_is_said_when_it_is_saved(login: Login, settings: Settings) -> None:
    settings.SECRETS_DIR = "/nowhere"
    repository = Repository.objects.create(name="offsite", url="/srv/offsite")
    page = reverse("admin:backups_repository_change", args=[repository.pk])
    form = {"name": "offsite", "url": "/srv/offsite", "check_interval": "6"}

    answer = login("Administrator").post(page, {**form, "password_ref": "file:/nowhere/x"}, follow=True)

    assert "The worker looks for the password of offsite:" in answer.content.decode()
    assert "The secret file /nowhere/x is not there." in answer.content.decode()


def test_a_location_that_was_a_slip_says_nothing_of_the_right_one(db: None, login: Login) -> None:
    wrong = Repository.objects.create(name="offsite", url="/srv/ofsite", restic_id="a" * 64)
    page = reverse("admin:backups_repository_change", args=[wrong.pk])
    form = {"name": "offsite", "url": "/srv/offsite", "check_interval": "6", "password_ref": "env:RESTIC_X"}

    client = login("Administrator")

    client.post(page, form)

    wrong.refresh_from_db()
    assert (wrong.url, wrong.restic_id) == ("/srv/offsite", "")
    # What holds snapshots goes elsewhere only where that is said, which is found out when it is opened.
    Repository.objects.update(restic_id="b" * 64)
    Snapshot.objects.create(
        repository=wrong, snapshot_id="c" * 64, time=timezone.now(), path="/mysql/blog.sql"
    )
    said = client.post(page, {**form, "url": "/srv/elsewhere"}).content.decode()
    assert (
        "The portal knows offsite with 1 snapshot at /srv/offsite. If that repository lies at the new" in said
    )
    assert "tick “It moved”" in said
    wrong.refresh_from_db()
    assert (wrong.url, wrong.restic_id) == ("/srv/offsite", "b" * 64)
    client.post(page, {**form, "url": "/srv/elsewhere", "moved": "on"})
    wrong.refresh_from_db()
    assert (wrong.url, wrong.restic_id) == ("/srv/elsewhere", "b" * 64)


def test_a_place_is_one_row(db: None, login: Login, tmp_path: Path) -> None:
    place = tmp_path / "var" / "repository"
    Repository.objects.create(name="main", url=str(place))
    other = Repository.objects.create(name="other", url="/srv/other")
    (tmp_path / "link").symlink_to(tmp_path / "var")
    client = login("Administrator")
    form = {"name": "dup", "check_interval": "6", "password_ref": "env:RESTIC_X"}

    for page in (
        reverse("admin:backups_repository_add"),
        reverse("admin:backups_repository_change", args=[other.pk]),
    ):
        for url in (
            f"{place}/",
            f"{tmp_path}/etc/../var/repository",
            f"local:{tmp_path}/./var/repository",
            f"{tmp_path}/link/repository",
        ):
            said = client.post(page, {**form, "url": url}).content.decode()
            assert f"The portal knows that place already, as main ({place}). Choose main for" in said

    assert set(Repository.objects.values_list("name", "url")) == {
        ("main", str(place)),
        ("other", "/srv/other"),
    }


def test_a_changed_place_of_the_first_one_says_what_is_left_to_do(
    past: History, login: Login, settings: Settings
) -> None:
    repository = past.repository
    settings.RESTIC_REPOSITORY = repository.url
    page = page_url(repository)
    form = {"name": repository.name, "check_interval": "6", "password_ref": "env:RESTIC_X", "moved": "on"}

    client = login("Administrator")
    assert "It moved" in client.get(f"{page}?tab=settings").content.decode()
    said = client.post(page, {**form, "url": "/srv/moved"}, follow=True).content.decode()

    assert "Set RESTIC_REPOSITORY to /srv/moved as well" in said
    assert "It moved" not in login("Viewer").get(f"{page}?tab=settings").content.decode()


def test_the_first_rows_forms_say_what_the_environment_decides(past: History, login: Login) -> None:
    client = login("Administrator")
    first = past.databases[0]
    decided = (
        (first, "MYSQL_DATABASE"), (first.server, "MYSQL_HOST, MYSQL_PORT"),
        (past.repository, "RESTIC_REPOSITORY"),
    )  # fmt: skip
    for row, names in decided:
        form = client.get(f"{page_url(row)}?tab=settings").content.decode()
        assert f"The environment decides here ({names}" in form
    assert (
        "Every database on this server goes with it." in client.get(page_url(first.server)).content.decode()
    )


def press_test(client: Client, database: Database) -> Any:
    """Confirm the dialog behind "Test connection"."""
    url = reverse("admin:backups_database_test_connection", args=[database.pk])
    return client.post(url, {"_form_submitted": "on"}, headers={"HX-Request": "true"})


def test_the_connection_test_is_the_workers_and_shows_each_check(
    database: Database, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def checks(*_: object) -> Iterator[Check]:
        yield Check("restic", ok=True, detail="restic 0.19.1")
        seen.append(client.get(run_url(Run.objects.get())).content.decode())
        yield Check("database", ok=False, detail="The server does not answer. See whether it runs.")

    monkeypatch.setattr(preflight, "checks", checks)
    client = login("Operator")
    response = press_test(client, database)
    run = Run.objects.get()
    assert response["HX-Redirect"] == run_url(run)
    assert (run.action, run.status) == ("preflight", "queued")
    assert LogEntry.objects.get().change_message == f"Started {run}."

    executor.execute(run.pk)

    assert "restic 0.19.1" in seen[0]
    assert "The server does not answer" not in seen[0]
    page = client.get(run_url(run)).content.decode()
    assert "The server does not answer. See whether it runs." in page
    assert "1 of 13 checks failed: The server does not answer. See whether it runs. A test changes" in page
    assert not Alert.objects.exists()


def test_who_may_not_back_up_does_not_test(database: Database, login: Login) -> None:
    assert press_test(login("Viewer"), database).status_code == 403
    assert not Run.objects.exists()


def test_the_connection_test_runs_the_real_checks(database: Database, login: Login) -> None:
    client = login("Operator")
    press_test(client, database)
    run = Run.objects.get()
    executor.execute(run.pk)
    text = client.get(run_url(run)).content.decode()
    assert "Heartbeats can be written to" in text
    assert "Failed" in text
    assert "Traceback" not in text


def test_a_connection_test_waits_behind_no_backup(
    database: Database, login: Login, django_capture_on_commit_callbacks: CaptureCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        press_test(login("Operator"), database)
    assert [message.key for message in OrmQ.objects.all()] == ["restores"]
