"""`/metrics` and `/healthz` as other machines ask for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from backups import marks
from backups.catalog import records
from backups.choices import Action, Health, Status, Trigger, Verdict
from backups.models import Alert, Database, Repository, Run, Snapshot, Verification
from backups.portal_copy import portal_database
from backups.runs import lifecycle, queue
from backups.runs.asked import Asker, Wanted
from sentinel import heartbeat
from tests.rows import a_server

TOKEN = "only Prometheus knows it"
QUERIES = 12
Figures = dict[tuple[str, ...], float]


@pytest.fixture
def portal(db: None, settings: Settings, tmp_path: Path) -> Path:
    """A portal with a token, whose gate reads files of its own."""
    settings.METRICS_TOKEN = TOKEN
    status = tmp_path / "last_ok"
    settings.SENTINEL = type(settings.SENTINEL)(heartbeat_path=status)
    return status


def figures(client: Client) -> Figures:
    """Every figure by its name and its labels' values, in the order of the labels' names."""
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name.removeprefix("vedetta_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def history(name: str, runs: int = 1) -> Database:
    """A database that was backed up and verified."""
    now = timezone.now()
    repository, _ = Repository.objects.get_or_create(name="main", url="/nowhere", size_bytes=5_000_000)
    database = Database.objects.create(name=name, database=name, server=a_server("h"), repository=repository)
    for number in range(runs):
        at = now - timedelta(hours=1 + number)
        run = Run.objects.create(
            action=Action.BACKUP,
            trigger=Trigger.SCHEDULE,
            status=Status.SUCCEEDED,
            database=database,
            repository=repository,
            started_at=at,
            finished_at=at + timedelta(seconds=40),
        )
        snapshot = Snapshot.objects.create(
            repository=repository,
            database=database,
            made_by=run,
            snapshot_id=f"{name}{number}",
            time=at,
            path="/mysql/x.sql",
            total_bytes_processed=1_000_000 + number,
            data_added_packed=30_000,
        )
        verify = Run.objects.create(
            action=Action.VERIFY,
            trigger=Trigger.SCHEDULE,
            status=Status.SUCCEEDED,
            database=database,
            repository=repository,
            started_at=at,
            finished_at=at + timedelta(seconds=90),
        )
        Verification.objects.create(
            run=verify,
            snapshot=snapshot,
            verdict=Verdict.IDENTICAL,
            finished_at=at + timedelta(seconds=90),
            restore_seconds=80.5,
        )
    return database


def test_figures_of_a_database(client: Client, portal: Path) -> None:
    history("orders", runs=2)

    found = figures(client)

    assert found["last_backup_age_seconds", "orders"] == pytest.approx(3600, abs=30)
    assert found["last_verified_age_seconds", "orders"] == pytest.approx(3510, abs=30)
    assert found["backup_size_bytes", "orders"] == 1_000_000
    assert found["backup_added_bytes", "orders"] == 30_000
    assert found["restore_duration_seconds", "orders"] == 80.5
    assert found["run_duration_seconds", "backup", "orders"] == 40
    assert found["run_duration_seconds", "verify", "orders"] == 90
    assert found["runs", "backup", "succeeded"] == 2
    assert found["repository_size_bytes", "main"] == 5_000_000


def test_newest_counts_and_what_is_forgotten_does_not(client: Client, portal: Path) -> None:
    database = history("orders", runs=3)
    newest = Snapshot.objects.filter(database=database).order_by("-time")[0]
    newest.forgotten_at = timezone.now()
    newest.save()

    assert figures(client)["last_backup_age_seconds", "orders"] == pytest.approx(7200, abs=30)


def test_database_without_history_has_no_figures_but_counts(client: Client, portal: Path) -> None:
    history("orders", runs=0)

    found = figures(client)

    of_verdict = {"database_verdict", "finding"}
    assert not [key for key in found if "orders" in key and key[0] not in of_verdict]
    assert found["queue_length", "vedetta"] == 0
    assert found["notifications_failing",] == 0


def test_gate_queue_pulse_damage_and_alerts(client: Client, portal: Path) -> None:
    database = history("orders", runs=0)
    heartbeat.stamp_write(portal, timezone.now())
    queue.worker_heartbeat("vedetta", now=timezone.now() - timedelta(seconds=50))
    queue.worker_heartbeat("of a clock set back", now=timezone.now() + timedelta(hours=1))
    Repository.objects.update(health=Health.DAMAGED)
    Alert.objects.create(subject="x", error="nobody was told")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backups.runs.lifecycle.transaction.on_commit", lambda work: work())
        lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.ADMIN))

    found = figures(client)

    assert found["gate_open",] == 1
    assert found["gate_state", "fresh"] == 1
    assert found["gate_state", "stale"] == 0
    assert found["worker_pulse_age_seconds", "vedetta"] == pytest.approx(50, abs=10)
    assert ("worker_pulse_age_seconds", "of a clock set back") not in found
    assert found["repository_damaged", "main"] == 1
    assert found["notifications_failing",] == 1
    assert found["queue_length", "vedetta"] == 1
    assert found["runs", "backup", "queued"] == 1


def test_the_verdict_and_what_it_goes_by(client: Client, portal: Path) -> None:
    shop = history("shop")
    snapshot = shop.snapshots.get()
    run = lifecycle.run_enqueue(
        Wanted(Action.VERIFY, database=shop, snapshot=snapshot), Asker(Trigger.CLI), send=False
    )
    records.verification_record(run, snapshot, verdict=Verdict.DIFFERENT)

    found = figures(client)

    assert [found["verdict", state] for state in ("good", "doubtful", "bad")] == [0, 0, 1]
    assert found["database_verdict", "shop", "bad"] == 1
    assert found["finding", "shop", "verification", ""] == 1
    assert found["finding", "", "repository_suspect", "main"] == 0
    assert found["finding", "", "nobody_watches", ""] == 0
    assert found["repository_suspect", "main"] == 1
    assert ("last_verified_age_seconds", "shop") not in found


def test_healthz_says_no_word_of_the_verdict(client: Client, portal: Path) -> None:
    shop = history("shop")
    shop.snapshots.update(forgotten_at=timezone.now())

    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok")


def test_number_of_queries_is_constant(
    client: Client,
    portal: Path,
    django_assert_num_queries: Callable[[int], AbstractContextManager[object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a busy machine what is kept would be too old at one of these times.
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    figures(client)
    history("one")
    with django_assert_num_queries(QUERIES):
        figures(client)
    for number in range(5):
        history(f"more{number}", runs=4)
    with django_assert_num_queries(QUERIES):
        figures(client)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00e9"]
)
def test_wrong_token_is_refused(client: Client, portal: Path, header: str) -> None:
    answer = client.get("/metrics", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert b"vedetta_" not in answer.content


def test_without_a_token_there_is_no_such_page(client: Client, portal: Path, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""

    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_healthz_is_well(client: Client, portal: Path) -> None:
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok")
    assert "no-store" in answer["Cache-Control"]


def test_healthz_of_a_database_that_is_not_migrated(
    client: Client, portal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal_database, "_up_to_date", set())
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'backups'")

    answer = client.get("/healthz")

    assert answer.status_code == 503
    assert answer.content == b"The portal's database is not up to date; run `manage.py bootstrap`."


@pytest.mark.parametrize(
    ("number", "said"),
    [(1045, "it refuses the user or the password"), (2005, "no such host"), (9, "error 9")],
)
def test_healthz_shows_nobody_the_words_of_a_server(
    client: Client, portal: Path, number: int, said: str
) -> None:
    """They name users and hosts, and parts of a password that was written wrong."""

    def refuse() -> None:
        raise OperationalError(number, "Unknown server host 'ss%23w%25rd' for 'portal'@'10.0.0.1'")

    with patch.object(connection, "cursor", refuse), patch.object(connection, "vendor", "mysql"):
        answer = client.get("/healthz")

    assert answer.status_code == 503
    assert said in answer.content.decode()
    for word in ("ss%23", "'portal'", "10.0.0.1"):
        assert word not in answer.content.decode()


def test_healthz_of_a_database_whose_folder_is_away(client: Client, portal: Path) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "create_cursor", broken)
        patch.setitem(connection.settings_dict, "NAME", "/nowhere/portal.sqlite3")
        answer = client.get("/healthz")

    assert answer.status_code == 503
    assert b"its folder /nowhere is not there" in answer.content
    assert b"server" not in answer.content


def test_healthz_of_a_database_that_is_away(client: Client, portal: Path) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "create_cursor", broken)
        answer = client.get("/healthz")

    assert answer.status_code == 503
    assert answer.content.startswith(b"The portal's database gives no answer")
