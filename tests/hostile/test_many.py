"""What a portal of very many databases asks of its own database: as much as one of a single one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import marks
from backups.alerting import alerts
from backups.choices import Action, Status, Trigger
from backups.gate import heartbeat_files
from backups.models import Alert, Database, Mark, Run, Snapshot, WorkerPulse
from backups.scheduling import right_times
from backups.worker import queue
from sentinel import heartbeat
from tools import many

TOKEN = "only Prometheus knows it"
COUNT = 2000 if "VEDETTA_SOAK" in os.environ else 200
# What is sent of the first page while anything runs, every two seconds: in bytes.
MOST_SENT = 150_000


@pytest.fixture
def client(db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Who may see everything, in a portal whose secrets can be read."""
    settings.METRICS_TOKEN = TOKEN
    # On a busy machine a page takes so long that what was kept for the next one would be too old.
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "last_ok")
    for name in ("MYSQL_PASSWORD", "RESTIC_PASSWORD"):
        monkeypatch.setenv(name, "any")
    client = Client()
    user = User.objects.create_superuser("root")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def queries(work: Callable[[], object]) -> tuple[int, int]:
    """How many it takes after a change, and again without one; what is looked up once is looked up before."""
    work()
    _change_all()
    with CaptureQueriesContext(connection) as captured:
        work()
    # Counted at once: the next request clears the record.
    changed = len(captured)
    with CaptureQueriesContext(connection) as captured:
        work()
    return changed, len(captured)


@pytest.mark.larger
def test_very_many_databases_take_as_many_queries_as_one(client: Client, settings: Settings) -> None:
    def page(address: str) -> Callable[[], None]:
        def get() -> None:
            answer = client.get(address, headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status_code == 200
            sizes[address] = len(answer.content)

        return get

    sizes: dict[str, int] = {}
    subjects: dict[str, Callable[[], object]] = {
        "first page": page("/admin/"),
        "its live part": page("/admin/live/"),
        "metrics": page("/metrics"),
        "the gate's list": heartbeat_files.write_gates,
        "alerts": alerts.tend,
        "schedules": right_times.schedules_keep,
        "strange schedules": queue.strange_schedules_remove,
    }
    with transaction.atomic():
        many.make(1, days=1)
        one = {name: queries(work) for name, work in subjects.items()}
        transaction.set_rollback(True)

    many.make(COUNT, days=1)

    found = {name: queries(work) for name, work in subjects.items()}
    # A few have cards and charts.
    for name in ("first page", "its live part"):
        (many_changed, many_again), (one_changed, one_again) = found.pop(name), one.pop(name)
        assert many_again <= one_again <= 15
        assert many_changed <= one_changed
    assert found == one
    # Whether anything was written to their rows, and no more.
    assert [found[name][1] for name in ("schedules", "strange schedules", "the gate's list")] == [1, 1, 1]
    assert sizes["/admin/"] < MOST_SENT
    assert sizes["/admin/live/"] < MOST_SENT
    assert len(heartbeat.gates_read(settings.SENTINEL.heartbeat_path)) == COUNT


def test_a_secret_that_many_share_is_told_of_each(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    many.make(6, days=1)  # on four servers
    bad = Alert.objects.filter(subject__startswith="Secrets of database", state="failed")
    monkeypatch.delenv("MYSQL_PASSWORD")

    alerts.tend()
    assert bad.count() == 6
    alerts.tend()
    assert bad.count() == 6

    monkeypatch.setenv("MYSQL_PASSWORD", "any")
    alerts.tend()
    assert bad.count() == 0


def test_what_needs_a_look_comes_first_where_not_all_have_room(client: Client) -> None:
    databases = many.make(110, days=1)
    bad = databases[40]
    Run.objects.filter(database=bad).delete()
    Snapshot.objects.filter(database=bad).update(forgotten_at=timezone.now())

    def shown(page: str) -> list[str]:
        sent = client.get("/admin/live/", query_params={"page": page}).json()["html"]
        return re.findall(r'class="v-strong" href="[^"]*database[^"]*">(\w+)<', sent)

    pages = [shown(str(number)) for number in (1, 2, 3)]

    assert [len(names) for names in pages] == [50, 50, 10]
    assert pages[0][0] == bad.name
    assert sorted(name for names in pages for name in names) == [each.name for each in databases]
    assert shown("no number") == pages[0]
    text = client.get("/admin/", query_params={"page": "2"}).content.decode()
    assert 'data-live="/admin/live/?page=2"' in text
    assert 'rel="next" href="/admin/?page=3"' in text
    assert "v-swatch" not in text
    WorkerPulse.objects.update(seen_at=timezone.now() - timedelta(minutes=47))
    for asked in ({}, {"page": "2"}, {"q": databases[90].name}):
        sent = client.get("/admin/live/", query_params=asked).json()["html"]
        assert "The worker was last seen 47 minutes ago." in sent


@pytest.mark.django_db(transaction=True)
def test_two_hundred_databases_on_a_bad_night_are_one_page_that_costs_little(
    client: Client, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Forty failed, ten run, five wait, and each has a name of sixty characters."""
    databases = many.make(200, days=2)
    for database in databases:
        database.name = f"{database.name}_of_the_customer_with_the_longest_name".ljust(60, "x")
    Database.objects.bulk_update(databases, ["name"])
    now = timezone.now()
    made = [
        (status, database)
        for status, some in {
            Status.FAILED: databases[:40], Status.RUNNING: databases[50:60], Status.QUEUED: databases[60:65],
        }.items()
        for database in some
    ]  # fmt: skip
    Run.objects.bulk_create(
        Run(
            action=Action.BACKUP, database=database, repository=database.repository, status=status,
            trigger=Trigger.SCHEDULE, queued_at=now, started_at=None if status == Status.QUEUED else now,
            beat_at=now if status == Status.RUNNING else None,
            finished_at=now if status == Status.FAILED else None, phase="dump",
            error="The server db1.example.com:3306 does not answer. Check its address and its firewall.",
        )
        for status, database in made
    )  # fmt: skip
    client.get("/admin/")
    for address in ("/admin/", "/admin/live/"):
        for forget in (_change_all, partial(_let_time_pass, monkeypatch), partial(_begin_anew, settings)):
            forget()
            with CaptureQueriesContext(connection) as asked:
                assert len(client.get(address).content) <= MOST_SENT
            assert len(asked) <= 15, [each["sql"] for each in asked]
    with CaptureQueriesContext(connection) as asked:
        page = client.get("/admin/")
    text = page.content.decode()

    assert len(asked) <= 15
    assert len(page.content) <= MOST_SENT
    for change in (partial(_fail, databases[41]), partial(many.back_up, databases[42]), _begin):
        for address in ("/admin/", "/admin/live/"):
            change()
            with CaptureQueriesContext(connection) as asked:
                assert len(client.get(address).content) <= MOST_SENT
            assert len(asked) <= 15, [each["sql"] for each in asked]
    # Of another four it is one of `many`.
    assert "44 of 200 databases need a look." in text
    assert text.count('data-key="database-') == 44
    assert text.count('data-key="run-') == 15
    failed = text.index('data-key="database-')
    assert failed < text.index('data-key="run-') < text.index('data-key="line-')

    found = client.get("/admin/", query_params={"q": databases[133].name[:12].upper()}).content.decode()
    assert re.findall(r'data-key="line-(\d+)"', found) == [str(databases[133].pk)]


def _change_all() -> None:
    """Something is written to each table, and to rows of each database."""
    for mark in Mark.objects.all():
        Mark.objects.filter(pk=mark.pk).update(value=mark.value + 1)


def _let_time_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """And half a minute is over: in other units it is another number."""
    _change_all()
    monkeypatch.setattr(marks, "BOUND_SECONDS", marks.BOUND_SECONDS // 2)


def _begin_anew(settings: Settings) -> None:
    """The process knows nothing yet: what is kept is kept for these settings."""
    settings.METRICS_TOKEN = f"{settings.METRICS_TOKEN}, and this process"


def _fail(database: Database) -> None:
    """A backup, of which people are told."""
    now = timezone.now()
    Run.objects.create(
        action=Action.BACKUP, database=database, repository=database.repository, status=Status.FAILED,
        trigger=Trigger.SCHEDULE, queued_at=now, finished_at=now, error="The server does not answer.",
    )  # fmt: skip
    Alert.objects.update_or_create(
        subject=f"Backup of {database}", defaults={"state": "failed", "text": "The server does not answer."}
    )


def _begin() -> None:
    """A run that waits."""
    waits = Run.objects.filter(status=Status.QUEUED).earliest("pk")
    now = timezone.now()
    Run.objects.filter(pk=waits.pk).update(status=Status.RUNNING, started_at=now, beat_at=now)


# Above, the queries of very many databases are counted.
@pytest.mark.soak
def test_asking_again_where_nothing_changed_costs_next_to_nothing(client: Client) -> None:
    many.make(COUNT, days=1)
    client.get("/admin/live/")  # which notes that the gate is there
    tag = client.get("/admin/live/").headers["ETag"]
    with CaptureQueriesContext(connection) as asked:
        again = client.get("/admin/live/", headers={"If-None-Match": tag})

    assert again.status_code == 304
    assert len(asked) <= 3
    assert len(again.serialize_headers()) + len(again.content) < 1000
