"""The audit: what was changed from what to what, for all who restore, by person, database and time."""

from __future__ import annotations

import html
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from backups.admin import changed, channel_form
from backups.admin.databases import DatabaseForm
from backups.admin.repositories import RepositoryForm
from backups.admin.secret_fields import Typed
from backups.admin.servers import ServerForm
from backups.models import Database, Repository, Run, Server, Snapshot
from backups.notifications import services
from tests.admin.conftest import Login
from tests.admin.test_set_up import form_of, form_of_server
from tools.history import History

AUDIT = "/admin/admin/logentry/"


def shown(client: Client, **filters: str | int) -> str:
    """The audit as people read it."""
    page = client.get(AUDIT, filters)
    assert page.status_code == 200, filters
    return " ".join(html.unescape(strip_tags(page.content.decode())).split())


def test_a_change_is_told_with_its_values_before_and_after(database: Database, login: Login) -> None:
    client = login("Administrator")
    other = Repository.objects.create(name="offsite", url="/tmp/elsewhere")
    before = database.backup_cron
    said = form_of(database, backup_cron="30 1 * * *", repository=other.pk, keep_daily=9)
    said.pop("gates_app")
    assert client.post(reverse("admin:backups_database_change", args=[database.pk]), said).status_code == 302

    message = LogEntry.objects.get().change_message
    assert f"Backup schedule from {before} to 30 1 * * *." in message
    assert "Repository from main to offsite." in message
    assert f"Keep daily from {database.keep_daily} to 9." in message
    assert "Gates app from yes to no." in message.replace("Gates the application", "Gates app")
    assert message in shown(client)


def test_where_a_secret_is_found_is_told_as_changed_and_no_more(database: Database, login: Login) -> None:
    """Somebody may have typed the secret itself, now or before."""
    server = database.server
    type(server).objects.filter(pk=server.pk).update(password_ref="hunter2")
    client = login("Administrator")
    said = form_of_server(server, password_ref="env:MYSQL_PASSWORD", host="db.example.com")
    assert client.post(reverse("admin:backups_server_change", args=[server.pk]), said).status_code == 302
    message = LogEntry.objects.get().change_message
    assert "changed." in message
    assert "hunter2" not in message
    assert "MYSQL_PASSWORD" not in message
    assert "Host from 127.0.0.1 to db.example.com." in message


# What a person types that nobody may read again, in whichever form.
SECRET_FIELDS: list[tuple[Any, str]] = [
    *(
        (channel_form.form_for(kind), channel_form.PREFIX + asked.name)
        for kind, service in services.SERVICES.items()
        for asked in service.asked
        if asked.secret
    ),
    *(
        (form, name)
        for form in (ServerForm, RepositoryForm, DatabaseForm)
        for name, field in form.base_fields.items()
        if isinstance(field, Typed)
    ),
]


@pytest.mark.parametrize(("form", "name"), SECRET_FIELDS)
def test_what_is_typed_in_secret_is_told_as_changed_and_no_more(form: Any, name: str) -> None:
    told = SimpleNamespace(
        fields=form.base_fields, changed_data=[name], cleaned_data={name: "the secret itself"},
        get_initial_for_field=lambda *_: "the secret of before",
    )  # fmt: skip

    assert changed.in_words(cast(Any, told)) == f"{form.base_fields[name].label} changed."


def test_all_who_restore_read_it_and_are_led_to_no_page_that_is_not_theirs(login: Login) -> None:
    administrator = login("Administrator")
    somebody = User.objects.create_user("somebody", is_staff=True)
    administrator.post(f"/admin/auth/user/{somebody.pk}/change/", {"role": "Operator"})
    link = f'href="/admin/auth/user/{somebody.pk}/change/"'
    restorer = login("Restorer")
    assert "Role from No role to Operator. somebody" in shown(restorer)
    assert link not in restorer.get(AUDIT).content.decode()
    assert link in administrator.get(AUDIT).content.decode()
    assert AUDIT in restorer.get("/admin/").content.decode()
    for role in ("Viewer", "Operator"):
        client = login(role)
        assert client.get(AUDIT).status_code == 403
        assert AUDIT not in client.get("/admin/").content.decode()


def noted(user: User, row: Model, text: str) -> LogEntry:
    """An entry of what somebody did to a row."""
    return LogEntry.objects.create(
        user=user, content_type=ContentType.objects.get_for_model(row), object_id=str(row.pk),
        object_repr=str(row), action_flag=CHANGE, change_message=text,
    )  # fmt: skip


def test_it_is_filtered_by_person_database_and_time(past: History, login: Login) -> None:
    client = login("Restorer")
    anna, berta = (User.objects.create_user(name) for name in ("anna", "berta"))
    first, second = past.databases[:2]
    here = Snapshot.objects.filter(database=first)[0]
    # A row of another kind with the same number is about something else.
    noted(berta, Server(pk=first.pk, name="strange"), "Host from a to b.")
    noted(anna, first, "Pinned the schedule.")
    noted(anna, here, "Downloaded orders.sql: the auditor asked.")
    noted(berta, Run.objects.filter(database=second)[0], "Asked to cancel.")
    old = noted(berta, here, "Forgotten long ago.")
    LogEntry.objects.filter(pk=old.pk).update(action_time=timezone.now() - timedelta(days=90))
    noted(anna, anna, "Role from Viewer to Operator.")
    LogEntry.objects.create(user=anna, action_flag=CHANGE, object_repr="Gate", change_message="Kept open.")

    of_first = shown(client, database=first.pk)
    assert "Pinned the schedule." in of_first
    assert "Downloaded orders.sql: the auditor asked." in of_first
    for other in ("Asked to cancel.", "Host from a to b.", "Role from Viewer", "Kept open."):
        assert other not in of_first
    assert "Asked to cancel." in shown(client, database=second.pk)
    assert "Asked to cancel." not in shown(client, user__id__exact=anna.pk)
    since = (timezone.localdate() - timedelta(days=7)).isoformat()
    recent = shown(client, database=first.pk, action_time_from=since)
    assert "Downloaded orders.sql" in recent
    assert "Forgotten long ago." not in recent
    for nothing in ("x", "99999999999999999999", "²", ""):
        assert "Asked to cancel." in shown(client, database=nothing)


def test_how_many_there_are_of_each_database_is_counted(database: Database, login: Login) -> None:
    client = login("Restorer")
    noted(User.objects.all()[0], database, "a change")

    assert f"{database.name} (1)" in shown(client, _facets="True")
