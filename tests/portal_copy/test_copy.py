"""A copy of the portal lies beside the databases' snapshots and is never taken for one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, models
from pytest_django.fixtures import Settings

from backups.models import Alert, Database, Run
from backups.portal_copy import archive
from sentinel import heartbeat
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Portal, Shop
from tests.rows import a_server

OF_THE_MOMENT = {
    "sessions.Session", "django_q.Schedule", "django_q.Success", "django_q.Failure",
    "django_q.Task", "django_q.OrmQ",
    "axes.AccessAttempt", "axes.AccessAttemptExpiration", "axes.AccessLog", "axes.AccessFailureLog",
    "backups.Delivery", "backups.DownloadTicket", "backups.LogTransaction", "backups.Mark",
    "backups.PortalStart", "backups.Question", "backups.SignIn", "backups.WorkerPulse",
    # Which key is ours, no copy may say.
    "backups.PublicKey",
}  # fmt: skip


def of_portal(portal: Portal) -> list[dict[str, Any]]:
    """The snapshots of the portal itself, oldest first."""
    return [s for s in portal.snapshots() if "portal" in s["tags"]]


# What a row may hold that JSON does not know.
OTHER_KINDS: dict[str, object] = {
    "DateTimeField": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "DateField": date(2026, 3, 1),
    "TimeField": time(22, 30),
    "BinaryField": b"\xff",
}
KINDS_OF_JSON = {
    "AutoField", "BigAutoField", "BigIntegerField", "BooleanField", "CharField", "FloatField", "ForeignKey",
    "IntegerField", "JSONField", "OneToOneField", "PositiveIntegerField", "PositiveSmallIntegerField",
    "SmallIntegerField", "TextField",
}  # fmt: skip


def test_a_copy_can_hold_each_kind_of_value_that_a_row_has() -> None:
    kinds = {
        field.get_internal_type()
        for model in archive.models_copied()
        for field in model._meta.concrete_fields
    }

    assert kinds <= OTHER_KINDS.keys() | KINDS_OF_JSON
    for kind, value in OTHER_KINDS.items():
        assert getattr(models, kind)().to_python(archive._as_json(value)) == value


def test_each_table_is_copied_or_known_to_be_of_the_moment() -> None:
    every = {model._meta.label for model in apps.get_models(include_auto_created=True)}
    copied = {model._meta.label for model in archive.models_copied()}

    assert every - copied == OF_THE_MOMENT & every


def test_each_model_says_itself_whether_it_is_copied() -> None:
    """One that inherits its word, or has none, would be copied by chance."""
    ours = apps.get_app_config("backups").get_models()

    assert [model.__name__ for model in ours if "is_in_portal_copy" not in vars(model)] == []


def test_a_backup_is_followed_by_a_copy_that_no_one_takes_for_a_database(portal: Portal) -> None:
    (copy,) = of_portal(portal)
    (dump,) = [s for s in portal.snapshots() if s != copy]
    assert copy["paths"] == [f"/portal/{portal.shop.name}.jsonl"]
    assert (copy["hostname"], copy["tags"]) == ("vedetta", ["vedetta", "portal"])
    # Whoever asks restic for the latest snapshot means the database's.
    assert portal.restic("ls", "latest").decode().split("\n")[-2] == dump["paths"][0]
    assert copy["time"] < dump["time"]

    listed = portal.manage("snapshots", "--json").json["snapshots"]
    assert [snapshot["snapshot_id"] for snapshot in listed] == [dump["id"]]
    refused = portal.manage("restore", "--snapshot", copy["id"][:8], "--output", str(portal.folder), "--json")
    assert f"{copy['id'][:8]} is a copy of the portal, not of {portal.shop.name}." in refused.json["error"]
    assert portal.manage("repository", "forget", "--json").code == 0
    assert {s["id"] for s in portal.snapshots()} == {dump["id"], copy["id"]}
    assert portal.rows("SELECT snapshot_id FROM backups_snapshot") == [{"snapshot_id": dump["id"]}]
    assert portal.leftovers() == []


def test_the_copy_holds_no_secret_and_nobodys_session(portal: Portal) -> None:
    portal.shell(
        "from django.contrib.auth.models import User; from django.test import Client; "
        "Client(HTTP_HOST='localhost').force_login(User.objects.create_user('ada', password='of hers only'))"
    )
    assert portal.backup().code == 0
    content = portal.restic("dump", of_portal(portal)[-1]["id"], f"/portal/{portal.shop.name}.jsonl").decode()

    assert '"ada"' in content
    secrets = [portal.environment["RESTIC_PASSWORD"], portal.environment["MYSQL_PASSWORD"], "of hers only"]
    sessions = [row["session_key"] for row in portal.rows("SELECT session_key FROM django_session")]
    assert len(sessions) == 1
    assert [word for word in [*secrets, *sessions] if json.dumps(word)[1:-1] in content] == []


def test_retention_keeps_copies_like_backups_and_apart_from_them(portal: Portal) -> None:
    """Of fourteen days, seven days and the Sundays of weeks before; no database's snapshot is touched."""
    began = datetime.fromisoformat(of_portal(portal)[0]["time"][:19])
    for days in range(1, 14):
        at = began - timedelta(days=days)
        portal.restic(
            "backup", "--host", "vedetta", "--tag", "vedetta", "--tag", "portal",
            "--time", f"{at:%Y-%m-%d %H:%M:%S}", "--stdin-filename", f"/portal/{portal.shop.name}.jsonl",
            "--stdin-from-command", "--", "echo", "a copy",
        )  # fmt: skip
    (dump,) = [s["id"] for s in portal.snapshots() if "portal" not in s["tags"]]

    ran = portal.manage("repository", "forget", "--json", BACKUP_KEEP_WEEKLY="0", BACKUP_KEEP_MONTHLY="0")

    assert ran.code == 0, ran.err
    ages = [began - datetime.fromisoformat(s["time"][:19]) for s in of_portal(portal)]
    assert sorted(round(age / timedelta(days=1)) for age in ages) == list(range(7))
    assert [s["id"] for s in portal.snapshots() if "portal" not in s["tags"]] == [dump]
    assert "forget 7 copies of the portal, keep 7" in portal.log()


def test_a_copy_that_fails_is_an_alert_and_not_the_backups_failure(
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: Callable[[Database], Run],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.BACKUP_PORTAL = True

    def broken(*_: object, **__: object) -> int:
        raise DatabaseError("database disk image is malformed") from sqlite3.DatabaseError()

    monkeypatch.setattr(archive, "write", broken)

    run = back_up(make_database(mariadb_shop))

    assert run.status == "succeeded"
    assert heartbeat.stamp_read(settings.SENTINEL.heartbeat_path).time is not None
    copy = run.children.get(action="portal")
    assert copy.status == "failed"
    assert "own database could not be read (database disk image is malformed)." in copy.error
    alert = Alert.objects.get(subject="Copy of the portal of main")
    assert (alert.state, alert.text) == ("failed", copy.error)


def test_a_full_folder_for_the_copy_is_told(
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: Callable[[Database], Run],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.BACKUP_PORTAL = True

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "write", full)

    copy = back_up(make_database(mariadb_shop)).children.get(action="portal")

    assert "could not be written to" in copy.error
    assert "(No space left on device). " in copy.error
    assert "Make room there" in copy.error


def test_another_repositorys_backups_do_not_take_the_portal_along(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: Callable[[Database], Run], settings: Settings
) -> None:
    """Recovery begins from .env, which names the first one."""
    settings.BACKUP_PORTAL = True
    first = make_database(mariadb_shop, backup_cron="")
    elsewhere = type(first.repository).objects.create(name="elsewhere", url="/nowhere")
    Database.objects.create(
        name="primary", server=a_server("h"), database="d", repository=elsewhere, is_primary=True
    )
    Database.objects.filter(pk=first.pk).update(is_primary=False)
    first.refresh_from_db()

    run = back_up(first)

    assert [child.action for child in run.children.all()] == ["forget"]
