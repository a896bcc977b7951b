"""What the verdict reads: rows and status files, and that all who show it say the same."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import marks, verdict
from backups.actions.preflight import checks
from backups.actions.steps.checks import Found
from backups.choices import Action, Health, Status, SuspicionState
from backups.gate import heartbeat_files
from backups.models import Database, Repository, Run, Snapshot, Suspicion, WorkerPulse
from backups.reports import standing
from tests.rows import a_server
from tools import history
from tools.history import History

pytestmark = pytest.mark.django_db


@pytest.fixture
def past(settings: Settings, tmp_path: Path) -> History:
    """Some weeks of history, all well."""
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "status" / "last_ok")
    settings.PING_URL = "https://example.com/ping"
    past = history.make(days=20)
    for database in past.databases:
        newest = database.snapshots.first()
        assert newest
        heartbeat_files.write_last_ok(database, newest.time)
    return past


def keys(now: datetime | None = None) -> list[str]:
    """What is found, by key."""
    return [each.key for each in standing.read(now).overall.findings]


def test_a_history_without_a_fault_is_good(past: History) -> None:
    overall = standing.read().overall

    assert (overall.state, overall.findings) == (verdict.State.GOOD, ())
    assert overall.databases == {"orders_tracker": "main", "newsletter": "main"}


def _fail_newest(database: Database) -> None:
    run = Run.objects.filter(database=database, status=Status.FAILED)[0]
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now())


def _suspect(database: Database) -> None:
    newest = database.snapshots.first()
    assert newest
    Suspicion.objects.create(
        snapshot=newest, database=database, reasons=["It holds no table."], state=SuspicionState.WAITING
    )


def _withhold(database: Database) -> None:
    newest = database.snapshots.first()
    assert newest
    heartbeat_files.write_last_ok(database, newest.time - timedelta(hours=12))
    run = newest.made_by
    assert run
    Run.objects.filter(pk=run.pk).update(result=run.result | {"heartbeat": "withheld"})


def _health(health: Health) -> None:
    Repository.objects.update(health=health, check_error="x")


def test_status_names_the_database_of_several(past: History, capsys: pytest.CaptureFixture[str]) -> None:
    _fail_newest(past.databases[1])
    Run.objects.filter(database=past.databases[1], status=Status.FAILED).update(error="Nobody answers.")

    with suppress(SystemExit):
        call_command("status")

    assert f"{past.databases[1].name}: Nobody answers." in capsys.readouterr().out


def _look(database: Database, *statuses: Status) -> None:
    for status in statuses:
        Run.objects.create(
            repository=database.repository, action=Action.SNAPSHOTS, status=status, error="It is away.",
            finished_at=timezone.now(),
        )  # fmt: skip


def _unschedule(database: Database) -> None:
    Database.objects.filter(pk=database.pk).update(backup_cron="")


def _newest_is_bad(database: Database) -> None:
    newest = database.snapshots.first()
    assert newest
    Snapshot.objects.filter(pk=newest.pk).update(verdict="different")


def _into_the_future(database: Database) -> None:
    database.snapshots.update(time=timezone.now() + timedelta(hours=2))


# What is done to the first database or to all, and what is found of it. One that waits for a person does
# not count, and the one before it is old.
DONE: dict[str, tuple[Callable[[Database], object], list[str]]] = {
    "damage": (lambda _: _health(Health.DAMAGED), ["repository_damaged"]),
    "suspicion": (lambda _: _health(Health.SUSPECT), ["repository_suspect"]),
    "a failed backup": (_fail_newest, ["backup_failed"]),
    "a repository that is away": (lambda each: _look(each, Status.SUCCEEDED, Status.FAILED), ["look_failed"]),
    "a repository that was away": (lambda each: _look(each, Status.LOST, Status.SUCCEEDED), []),
    "a backup that waits": (_suspect, ["waits_for_a_person", "backup_age"]),
    "a withheld heartbeat": (_withhold, ["heartbeat_withheld"]),
    "no worker": (lambda _: WorkerPulse.objects.all().delete(), ["worker"]),
    "no schedule": (_unschedule, ["not_scheduled"]),
    "a bad newest snapshot": (_newest_is_bad, ["known_bad"]),
    "only a snapshot of the future": (_into_the_future, ["no_backup"]),
}


@pytest.mark.parametrize("done", DONE)
def test_what_rows_and_files_say_is_found(past: History, done: str) -> None:
    do, found = DONE[done]
    do(past.databases[0])

    assert keys() == found


def test_what_the_environment_says_otherwise_is_found(past: History, settings: Settings) -> None:
    first = past.databases[0]
    settings.RESTIC_REPOSITORY, settings.MYSQL_USER = past.repository.url, first.server.user
    settings.MYSQL_SSL_MODE, settings.MYSQL_SSL_CA = first.server.ssl_mode, first.server.ssl_ca
    settings.BACKUP_CHECK_INTERVAL = past.repository.check_interval
    assert keys() == []
    settings.BACKUP_KEEP_DAILY = first.keep_daily + 1
    assert keys() == []
    assert [each.key for each in standing.read().overall.notes] == ["overruled"]
    settings.MYSQL_USER = "new"
    assert keys() == ["undecided"]

    settings.RESTIC_REPOSITORY = "/elsewhere"

    (found,) = standing.read().overall.findings
    assert (found.key, found.database) == ("environment", first.name)
    assert found.reason.startswith("RESTIC_REPOSITORY says /elsewhere, and the portal backs up")


@pytest.mark.parametrize(("host", "tags"), [("old", ["vedetta", "database:x"]), ("8f3c", ["mysql"])])
def test_snapshots_of_a_host_that_nobody_spoke_of_are_found(
    past: History, host: str, tags: list[str]
) -> None:
    oldest = past.databases[0].snapshots.filter(forgotten_at=None).last()
    assert oldest
    Snapshot.objects.filter(pk=oldest.pk).update(host=host, tags=tags, made_by=None)

    # Those of the old scripts were never anybody's.
    assert keys() == (["undecided"] if host == "old" else [])


def test_a_heartbeat_that_was_written_since_is_not_withheld(past: History) -> None:
    _withhold(past.databases[0])
    newest = past.databases[0].snapshots.first()
    assert newest
    heartbeat_files.write_last_ok(past.databases[0], newest.time)

    assert keys() == []


def test_the_number_of_queries_does_not_grow(past: History, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine what is kept would be too old at one of these times.
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    standing.read()  # which makes marks that are missing

    def added(count: int) -> int:
        for number in range(count):
            name = f"d{count}.{number}"
            Database.objects.create(
                name=name, database="d", server=a_server(name), repository=past.repository
            )
        with CaptureQueriesContext(connection) as asked:
            standing.read()
        return len(asked)

    assert added(1) == added(8) <= 21


def test_the_command_says_the_worst_first_and_ends_with_it(past: History) -> None:
    out = io.StringIO()
    call_command("status", json=True, stdout=out, stderr=io.StringIO())
    well = json.loads(out.getvalue())
    assert (well["status"], well["verdict"]) == ("succeeded", "good")

    Snapshot.objects.update(forgotten_at=timezone.now())
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("status", json=True, stdout=out, stderr=io.StringIO())

    told = json.loads(out.getvalue())
    assert (ended.value.code, told["status"], told["verdict"]) == (1, "failed", "bad")
    assert told["error"].startswith("There is no backup of orders_tracker yet.")
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("status", stdout=out, stderr=io.StringIO())
    first, second, *_ = out.getvalue().splitlines()
    assert first == "2 bad (BAD); the worst first:"
    assert second.startswith(" BAD  There is no backup of orders_tracker yet.")
    assert second.endswith("or run `manage.py backup --database orders_tracker`, to make the first.")
    assert {each["verdict"] for each in told["databases"]} == {"bad"}
    assert told["repositories"] == [{"repository": "main", "verdict": "good"}]


@pytest.mark.parametrize(("channels", "ping"), [([], ""), (["json://x"], ""), ([], "https://x")])
def test_preflight_says_where_nobody_watches(
    past: History, settings: Settings, channels: list[str], ping: str
) -> None:
    settings.NOTIFY_URLS, settings.PING_URL = channels, ping

    told = [each.detail for each in checks(past.databases[0], Found()) if each.warning]

    assert any("Nobody watches" in text for text in told) == (not channels and not ping)
