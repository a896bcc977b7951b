"""Snapshots of one database are one series, whatever BACKUP_HOST, format or the case of a name said since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from backups import restic as backups_restic
from backups.actions.portal_copy import TAG, superfluous
from backups.catalog import series
from backups.choices import Action, Status, Trigger
from backups.configuration import environment
from backups.endpoints import repository_access
from backups.models import Database, Repository, Run, Snapshot
from backups.runs.progress import Progress
from tests.actions.tools import log_of, play, restic, sync
from tests.rows import a_server

FIRST_DAY = datetime(2026, 3, 1, 3, tzinfo=UTC)


@pytest.fixture
def shop(repository: Repository, settings: Settings, tmp_path: Path) -> Database:
    """The first database, as the environment has it, of which three days are kept."""
    settings.RESTIC_REPOSITORY = repository.url
    settings.MYSQL_HOST, settings.MYSQL_DATABASE, settings.MYSQL_USER = "db", "shop", "u"
    settings.BACKUP_CHECK_INTERVAL = 0
    return Database.objects.create(
        name="shop", server=a_server(), database="shop", repository=repository, is_primary=True,
        keep_daily=3, keep_weekly=0, keep_monthly=0,
    )  # fmt: skip


def stored(
    database: Database,
    days: Sequence[int],
    *,
    host: str,
    by: Trigger | None = None,
    path: str = "/mysql/shop.sql",
    tags: Sequence[str] = ("vedetta", "database:shop"),
) -> None:
    """A snapshot of each of these days, and its run where the portal knows one."""
    ids = []
    for day in days:
        answer = restic(
            database.repository, "backup", "--json", "--host", host,
            "--time", f"{FIRST_DAY + timedelta(days=day):%Y-%m-%d %H:%M:%S}",
            *(argument for tag in tags for argument in ("--tag", tag)),
            "--stdin", "--stdin-filename", path, stdin=f"-- {day} {path}\n".encode(),
        )  # fmt: skip
        ids.append(json.loads(answer.splitlines()[-1])["snapshot_id"])
    sync(database.repository)
    if by is None:
        return
    for snapshot_id in ids:
        run = Run.objects.create(
            action=Action.BACKUP, trigger=by, database=database, repository=database.repository,
            status=Status.SUCCEEDED,
        )  # fmt: skip
        Snapshot.objects.filter(snapshot_id=snapshot_id).update(made_by=run)


def days_left(database: Database, host: str = "") -> list[int]:
    """The days of which snapshots are left in the repository after retention, and the run's log."""
    found = Snapshot.objects.filter(repository=database.repository, forgotten_at=None)
    if host:
        found = found.filter(host=host)
    return sorted((snapshot.time - FIRST_DAY).days for snapshot in found)


def test_a_changed_host_or_format_splits_nothing_that_this_portal_stored(
    shop: Database, settings: Settings
) -> None:
    stored(shop, [0, 1, 2], host="old", by=Trigger.SCHEDULE)
    settings.BACKUP_HOST = "new"
    stored(shop, [3], host="new", by=Trigger.SCHEDULE)
    stored(shop, [4], host="new", by=Trigger.SCHEDULE, path="/mysql/shop.sql.gz")

    assert play(Action.FORGET, database=shop).status == "succeeded"

    assert days_left(shop) == [2, 3, 4]
    assert environment.warnings(shop) == []


def test_whose_snapshots_of_another_host_are_is_asked_where_the_portal_does_not_know(
    shop: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a portal that was rebuilt from the repository, or whose repository another one shares."""
    stored(shop, [0, 1, 2], host="old", by=Trigger.RECOVERED)
    stored(shop, [3, 4], host="vedetta", by=Trigger.SCHEDULE)

    run = play(Action.FORGET, database=shop)
    assert days_left(shop) == [0, 1, 2, 3, 4]
    (words,) = environment.warnings(shop)
    assert words.startswith("3 snapshots of shop are of the host old, and BACKUP_HOST is vedetta")
    assert words in log_of(run)

    # The one answer:
    call_command("bootstrap", "--new", "host")
    shop.refresh_from_db()
    assert environment.warnings(shop) == []
    assert "of the host old count as another installation's" in capsys.readouterr().out
    play(Action.FORGET, database=shop)
    assert days_left(shop, "old") == [0, 1, 2]
    # And the other.
    Database.objects.update(hosts={})
    call_command("bootstrap", "--moved", "host")
    assert "count as this installation's, one series" in capsys.readouterr().out
    play(Action.FORGET, database=shop)
    assert days_left(shop) == [2, 3, 4]


def test_a_name_in_another_case_is_not_passed_over_in_silence(shop: Database) -> None:
    stored(shop, [0], host="vedetta", tags=["vedetta", "database:Shop"], path="/mysql/Shop.sql")
    stored(shop, [1], host="web01", tags=["mysql"], path="/mysql/Shop.sql.gz")

    run = play(Action.SNAPSHOTS, repository=shop.repository)

    assert (
        "2 are of no database that is set up here, and are never forgotten: Shop (2)."
        in run.result["sentence"]
    )
    (words,) = environment.warnings(shop)
    assert words.startswith("2 snapshots in the repository main are of Shop, which is not set up here")
    # As it says, a database of that name takes them over.
    Database.objects.create(name="Shop", server=a_server(), database="Shop", repository=shop.repository)
    sync(shop.repository)
    assert environment.warnings(shop) == []


def test_copies_of_the_portal_are_one_series_too(shop: Database, settings: Settings) -> None:
    settings.BACKUP_PORTAL = True
    settings.BACKUP_KEEP_DAILY, settings.BACKUP_KEEP_WEEKLY, settings.BACKUP_KEEP_MONTHLY = 1, 0, 0
    copy = {"tags": ["vedetta", TAG], "path": "/portal/shop.jsonl"}
    for host, day in (("old", 0), ("vedetta", 1), ("another portal", 2)):
        stored(shop, [day], host=host, **copy)  # type: ignore[arg-type]
    shop.hosts = {"old": True}
    shop.save()
    run = Run.objects.create(
        action=Action.FORGET, trigger=Trigger.CLI, repository=shop.repository, status=Status.RUNNING
    )

    found = backups_restic.snapshots(repository_access(shop.repository))
    gone = superfluous(shop.repository, found, Progress(run))

    listed = {
        each["id"]: each["hostname"] for each in json.loads(restic(shop.repository, "snapshots", "--json"))
    }
    assert [listed[each] for each in gone] == ["old"]


def test_hosts_of_the_old_scripts_were_never_ours_to_tell_apart(shop: Database) -> None:
    stored(shop, [0, 1], host="8f3c", tags=["mysql", "auto"], path="/mysql/shop.sql.gz")

    assert list(series.undecided_words(shop)) == []


# ---------------------------------------------------------------- Values of the environment and of the rows


def test_what_the_environment_says_otherwise_than_the_rows_is_said(
    shop: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.BACKUP_KEEP_DAILY, settings.MYSQL_USER, settings.BACKUP_CHECK_INTERVAL = 14, "new", 9

    said = environment.notices(shop)

    assert [words.split(",")[0] for words in said] == [
        "MYSQL_USER says new",
        "BACKUP_CHECK_INTERVAL says 9",
        "BACKUP_KEEP_DAILY says 14",
    ]
    assert "the portal has u for shop until `manage.py bootstrap`" in said[0]
    assert "the portal has 3 for shop. The portal's value counts" in said[2]
    # Bootstrap says what it takes the place of, and what stays.
    call_command("bootstrap")
    told = capsys.readouterr().out
    assert "The portal had u for shop. MYSQL_USER decides, so it is new now." in told
    assert "The portal had 0 for main. BACKUP_CHECK_INTERVAL decides, so it is 9 now." in told
    assert "BACKUP_KEEP_DAILY says 14" in told
    shop.refresh_from_db()
    assert (shop.server.user, shop.keep_daily) == ("new", 3)
    # A default is no saying: what was changed in the portal alone is not nagged about.
    settings.BACKUP_KEEP_DAILY = 7
    assert environment.notices(shop) == []


def test_nothing_is_said_of_a_further_database_or_without_an_environment(
    shop: Database, settings: Settings
) -> None:
    settings.MYSQL_USER = settings.MYSQL_HOST = settings.MYSQL_DATABASE = settings.RESTIC_REPOSITORY = ""
    assert environment.notices(shop) == []
    further = Database.objects.create(
        name="blog", server=a_server("db", user="x"), database="blog", repository=shop.repository
    )
    settings.MYSQL_USER, settings.BACKUP_KEEP_DAILY = "u", 14
    assert environment.notices(further) == []
