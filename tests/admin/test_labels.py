"""Labels group databases: given in a database's form, shown with it, and a filter of the lists."""

from __future__ import annotations

import html

import pytest
from django.urls import reverse

from backups.models import Database, Label
from tests.admin.conftest import Login
from tests.admin.test_set_up import form_of
from tools.history import History


def test_a_label_is_given_in_the_form_and_shown_with_the_database(past: History, login: Login) -> None:
    database, client = past.databases[0], login("Administrator")
    assert client.post(reverse("admin:backups_label_add"), {"name": "production"}).status_code == 302
    label = Label.objects.get()
    url = reverse("admin:backups_database_change", args=[database.pk])
    assert 'type="checkbox" name="labels"' in client.get(f"{url}?tab=settings").content.decode()

    assert client.post(url, form_of(database, labels=[label.pk])).status_code == 302

    assert list(database.labels.all()) == [label]
    assert ">production<" in client.get(url).content.decode()
    labels = html.unescape(client.get("/admin/backups/label/").content.decode())
    assert f"/admin/backups/database/?labels__id__exact={label.pk}" in labels


@pytest.mark.parametrize(
    ("kind", "lookup"),
    [
        ("database", "labels"),
        ("run", "database__labels"),
        ("snapshot", "database__labels"),
        ("restore", "database__labels"),
        ("verification", "run__database__labels"),
    ],
)
def test_lists_are_filtered_by_a_label(past: History, login: Login, kind: str, lookup: str) -> None:
    with_label, without = past.databases[:2]
    label = Label.objects.create(name="production")
    with_label.labels.add(label)

    text = login("Viewer").get(f"/admin/backups/{kind}/?{lookup}__id__exact={label.pk}").content.decode()

    rows = text.split('id="result_list"')[1].split("</table>")[0] if 'id="result_list"' in text else ""
    assert without.name not in rows
    assert with_label.name in rows or kind == "restore"
    assert "production" in text


def test_a_label_that_is_deleted_leaves_its_databases(database: Database, login: Login) -> None:
    label = Label.objects.create(name="production")
    database.labels.add(label)
    url = reverse("admin:backups_label_delete", args=[label.pk])
    assert login("Administrator").post(url, {"post": "yes"}).status_code == 302
    assert not Label.objects.exists()
    assert Database.objects.filter(pk=database.pk).exists()
